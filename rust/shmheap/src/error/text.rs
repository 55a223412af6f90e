//! The words of errors: the cause, and what to do about it.
use std::fmt;

use super::Error;

/// What the library says of a call, without the call and its arguments: they end with `: `. They
/// hold names of heaps and objects, which `in_rust` must not change.
pub(super) fn without_call(text: &str) -> &str {
    text.split_once("): ").or_else(|| text.split_once(": ")).map_or(text, |(_, cause)| cause)
}

/// The same of a call on an open heap: the heap's name, where it has one, and the cause.
pub(super) fn of_call(text: &str) -> String {
    let cause = without_call(text);
    let call = &text[..text.len() - cause.len()];
    // A process that has opened the heap can check it, too.
    let words = in_rust(cause).replace("'shmheap check ", "Heap::check or 'shmheap check ");
    match call.split_once('(') {
        Some((_, names)) => format!("heap {}: {words}", names.trim_end_matches("): ")),
        None => words,
    }
}

/// What C says of its flags where Rust has calls.
const PHRASES: &[(&str, &str)] = &[
    (
        "open with SHMHEAP_CREATE (an empty file: and SHMHEAP_TAKE_OVER)",
        "use open_or_create, with take_over if the file is empty or all zeros",
    ),
    ("open with SHMHEAP_CREATE", "use open_or_create"),
    ("connect to it, in C without SHMHEAP_EXCLUSIVE", "open it, or choose another name"),
    ("open it without SHMHEAP_EXCLUSIVE", "use open or open_or_create"),
    (
        "SHMHEAP_TAKE_OVER replaces a heap that no process uses",
        "HeapOptions::take_over replaces a heap that no process uses, as a killed run leaves it",
    ),
    (
        "SHMHEAP_EXCLUSIVE, _TAKE_OVER and _ANONYMOUS need SHMHEAP_CREATE",
        "take_over needs create or open_or_create",
    ),
    ("add SHMHEAP_CREATE, or leave the flag out", "call one, or leave the option out"),
];

/// The text that advises a removal by a command, with the call for it.
pub(super) fn with_removal(text: &str, is_file: bool) -> String {
    let call = if is_file { "std::fs::remove_file" } else { "Heap::remove" };
    text.replace("; 'shmheap rm ", &format!("; {call} or 'shmheap rm "))
}

/// The text with the names that the crate has for C's options. A word with a `/` in it is a heap's
/// name, and stays.
pub(super) fn in_rust(text: &str) -> String {
    let text = PHRASES.iter().fold(text.to_owned(), |text, (c, rust)| text.replace(c, rust));
    let is_mark = |c: char| "(),;:.'".contains(c);
    let rename = |part: &str| {
        let word = part.trim_end().trim_matches(is_mark);
        let renamed = match word {
            "len" => "size",
            "max_len" => "growable_to",
            "timeout_ms" => "timeout",
            "SHMHEAP_CREATE" => "create",
            "SHMHEAP_READ_ONLY" => "read_only",
            "SHMHEAP_FILE" => "open_file",
            "SHMHEAP_ANONYMOUS" => "anonymous",
            "SHMHEAP_TAKE_OVER" | "_TAKE_OVER" => "take_over",
            "SHMHEAP_SOCKET" | "_SOCKET" => "of_socket",
            _ => return part.to_owned(),
        };
        part.replacen(word, renamed, 1)
    };
    text.split_inclusive(' ').map(rename).collect()
}

impl Error {
    fn variant(&self) -> &'static str {
        match self {
            Error::NotFound { .. } => "NotFound",
            Error::AlreadyExists { .. } => "AlreadyExists",
            Error::InvalidOption { .. } => "InvalidOption",
            Error::PermissionDenied { .. } => "PermissionDenied",
            Error::ReadOnly => "ReadOnly",
            Error::TooManyProcesses => "TooManyProcesses",
            Error::TimedOut { .. } => "TimedOut",
            Error::OtherVersion { .. } => "OtherVersion",
            Error::Corrupt { .. } => "Corrupt",
            Error::OutOfMemory { .. } => "OutOfMemory",
            Error::TooLarge => "TooLarge",
            Error::NullHandle => "NullHandle",
            Error::ForeignHandle => "ForeignHandle",
            Error::Stale => "Stale",
            Error::NotHeld => "NotHeld",
            Error::OtherProcess => "OtherProcess",
            Error::NoMemory { .. } => "NoMemory",
            Error::CopyTooLarge { .. } => "CopyTooLarge",
            Error::WrongType { .. } => "WrongType",
            Error::NotAValue { .. } => "NotAValue",
            Error::NotUtf8 { .. } => "NotUtf8",
            Error::InvalidName(_) => "InvalidName",
            Error::NoSuchName { .. } => "NoSuchName",
            Error::OtherRoot { .. } => "OtherRoot",
            Error::Unsound { .. } => "Unsound",
            Error::OtherLibrary { .. } => "OtherLibrary",
            Error::Unsupported => "Unsupported",
            Error::Call { .. } => "Call",
            Error::Os(_) => "Os",
        }
    }

    /// Of what stands in the way of a connection; else the next.
    fn of_opening(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound { heap, what }
            | Error::AlreadyExists { heap, what }
            | Error::InvalidOption { heap, what } => write!(f, "heap {heap:?}: {what}"),
            Error::PermissionDenied { heap } => write!(
                f,
                "heap {heap:?}: no permission: ask its owner for a wider mode, or try to open it \
                 read-only"
            ),
            Error::OtherVersion { heap } => write!(
                f,
                "heap {heap:?} is of another version of the format: use the same version of \
                 shmheap everywhere"
            ),
            Error::OtherLibrary { needed, found } => write!(
                f,
                "the installed library is version {}, and this program was compiled for {}: \
                 install that one, or leave the feature `system` out",
                Version(*found),
                Version(*needed)
            ),
            _ => self.of_connection(f),
        }
    }

    /// Of what the connection or the heap as a whole does not do; else the next.
    fn of_connection(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::ReadOnly => {
                f.write_str("this heap was opened read-only: open it for writing to change it")
            }
            Error::TooManyProcesses => {
                f.write_str("all slots of the heap are taken: close it in other processes")
            }
            Error::TimedOut { what } | Error::Corrupt { what } => f.write_str(what),
            Error::OtherProcess => f.write_str(
                "this connection is the parent's: a child made by fork() opens the heap itself, \
                 before it uses it",
            ),
            Error::Unsound { rule, offset, text } => write!(
                f,
                "the heap breaks rule {rule} at offset {offset} ({text}): remove it and create \
                 it anew"
            ),
            Error::Unsupported => f.write_str("not supported here: leave the option out"),
            Error::Call { text, .. } => f.write_str(text),
            Error::Os(error) => write!(f, "{error}"),
            _ => self.of_space(f),
        }
    }

    /// Of sizes and memory; else the next.
    fn of_space(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OutOfMemory { size } => write!(
                f,
                "no space for {size} bytes: drop something, reap, or create the heap larger or \
                 growable"
            ),
            Error::TooLarge => {
                f.write_str("more than a heap can hold, or aligned to more than a page")
            }
            Error::NoMemory { bytes } => write!(
                f,
                "no memory for a copy of {bytes} bytes: receive the value instead, which stays in \
                 the heap"
            ),
            Error::CopyTooLarge { bytes, limit } => write!(
                f,
                "a copy of {bytes} bytes, and this connection copies up to {limit}: discard the \
                 value, or open the heap with a larger copies_up_to"
            ),
            _ => self.of_handle(f),
        }
    }

    /// Of handles and the values that they name; else the next.
    fn of_handle(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NullHandle => {
                f.write_str("the null handle names nothing: check is_null before receiving")
            }
            Error::ForeignHandle => {
                f.write_str("no handle of this heap: receive it from the heap that it was sent in")
            }
            Error::Stale => {
                f.write_str("received already, or never sent: each handle is good for one receive")
            }
            Error::NotHeld => {
                f.write_str("another process holds it: receive it before sending it on")
            }
            Error::WrongType { expected, found } => write!(
                f,
                "asked for {expected}, and it is {found}: receive it as its own type, and compare \
                 the derive of both programs (fields, order, #[shm(name)]); the handle stays good"
            ),
            Error::NotAValue { expected, index } => write!(
                f,
                "the bytes of element {index} are no value of {expected}: receive them as bytes; \
                 the handle stays good"
            ),
            Error::NotUtf8 { valid_up_to } => write!(
                f,
                "not UTF-8 from byte {valid_up_to} on: receive it as bytes; the handle stays good"
            ),
            _ => self.of_root(f),
        }
    }

    /// Of names.
    fn of_root(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidName(how) => {
                write!(f, "no name for a root: {how}; 1 to 255 bytes other than zero make one")
            }
            Error::NoSuchName { name } => write!(
                f,
                "no object of the heap has the name {name:?}: make it with root or root_with"
            ),
            Error::OtherRoot { found } => write!(
                f,
                "that name belongs to another type: it is {found}; ask for its own type, or \
                 choose another name"
            ),
            _ => f.write_str(self.variant()), // none: the test below has them all
        }
    }
}

/// major * 10000 + minor * 100 + patch, as people write it.
struct Version(u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0 / 10000, self.0 / 100 % 100, self.0 % 100)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of_opening(f)
    }
}

/// What `main` shows when it returns an error: the variant, and what [`Display`](fmt::Display)
/// says.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.variant())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_their_names_in_rust() {
        assert_eq!(in_rust("max_len, SHMHEAP_CREATE: a len_"), "growable_to, create: a len_");
        let name = "'shmheap check /len' tells (len)";
        assert_eq!(in_rust(name), "'shmheap check /len' tells (size)", "a heap's name stays");
    }

    #[test]
    fn a_call_of_use_tells_its_heap() {
        let of = |call| of_call(&format!("{call}: no room (ETIMEDOUT); give a larger max_len"));
        let cause = "no room (ETIMEDOUT); give a larger growable_to";
        assert_eq!(of("shmheap_alloc"), cause);
        assert_eq!(of("shmheap_alloc(\"/len\")"), format!("heap \"/len\": {cause}"));
        let damaged = of_call("shmheap_walk: damaged (EBADMSG); 'shmheap check NAME' names it");
        assert_eq!(damaged, "damaged (EBADMSG); Heap::check or 'shmheap check NAME' names it");
        assert_eq!(of("shmheap_find(\"/a\", \"b\")"), format!("heap \"/a\", \"b\": {cause}"));
    }

    #[test]
    fn wrong_type_names_both() {
        let text = Error::WrongType { expected: "u64", found: "a share" }.to_string();
        assert!(text.contains("u64") && text.contains("a share"), "{text}");
        assert!(text.contains("(fields, order, #[shm(name)])"), "{text}");
    }

    /// One of each variant: `variant` does not compile when one is added, and its list is here.
    #[test]
    fn each_variant_has_its_words() {
        let heap = || "/heap".into();
        let all = [
            Error::NotFound { heap: heap(), what: "it is not there".into() },
            Error::AlreadyExists { heap: heap(), what: "it is there".into() },
            Error::InvalidOption { heap: heap(), what: "size is 1".into() },
            Error::PermissionDenied { heap: heap() },
            Error::ReadOnly,
            Error::TooManyProcesses,
            Error::unfinished_root(),
            Error::OtherVersion { heap: heap() },
            Error::corrupt(),
            Error::OutOfMemory { size: 1 },
            Error::TooLarge,
            Error::NullHandle,
            Error::ForeignHandle,
            Error::Stale,
            Error::NotHeld,
            Error::OtherProcess,
            Error::NoMemory { bytes: 1 },
            Error::CopyTooLarge { bytes: 2, limit: 1 },
            Error::WrongType { expected: "u64", found: "a share" },
            Error::NotAValue { expected: "bool", index: 0 },
            Error::NotUtf8 { valid_up_to: 0 },
            Error::InvalidName("it is empty"),
            Error::NoSuchName { name: "name".into() },
            Error::OtherRoot { found: "a value" },
            Error::Unsound { rule: 1, offset: 8, text: "a rule".into() },
            Error::OtherLibrary { needed: 100, found: 990_000 },
            Error::Unsupported,
            Error::Call { errno: 5, text: "shmheap_stat: a cause".into() },
            Error::Os(std::io::Error::from_raw_os_error(5)),
        ];
        let mut texts: Vec<String> = all.iter().map(Error::to_string).collect();
        for (error, text) in all.iter().zip(&texts) {
            assert_ne!(text, error.variant());
            assert_eq!(format!("{error:?}"), format!("{}: {text}", error.variant()));
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), all.len());
    }
}
