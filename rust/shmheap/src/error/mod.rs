//! What can go wrong, with its cause and what to do about it. Its folder: `text`, the words.
use std::io;

mod text;

use text::{in_rust, of_call, with_removal, without_call};

/// Why a call failed. Unless a variant says otherwise nothing has changed, and the call may be
/// tried again.
///
/// ```
/// use shmheap::{Error, Heap};
///
/// match Heap::options().open("/no-such-heap-here") {
///     Err(Error::NotFound { heap, .. }) => println!("no process has created {heap} yet"),
///     other => panic!("{other:?}"),
/// }
/// ```
#[non_exhaustive]
pub enum Error {
    /// There is no heap of that name.
    NotFound {
        /// The heap's name, or its path.
        heap: Box<str>,
        /// What to do, in the words of the library: opening and removal differ.
        what: Box<str>,
    },
    /// There is something of that name already.
    AlreadyExists {
        /// The heap's name, or its path.
        heap: Box<str>,
        /// What to do, in the words of the library.
        what: Box<str>,
    },
    /// An argument is outside its range.
    InvalidOption {
        /// The heap's name, or its path.
        heap: Box<str>,
        /// Which argument, and its range, in the words of the library
        /// (`shmheap_error_text` of `shmheap.h`).
        what: Box<str>,
    },
    /// The system does not permit it.
    PermissionDenied {
        /// The heap's name, or its path.
        heap: Box<str>,
    },
    /// This heap was opened read-only.
    ReadOnly,
    /// As many processes are connected as the heap has slots for.
    TooManyProcesses,
    /// A live process has held the heap's lock, or has been making a root, for 30 s; or no process
    /// finished creating the heap in time; or no space was given back in the time that the caller
    /// would wait.
    TimedOut {
        /// Which heap, which cause, and what to do, in the words of the library.
        what: Box<str>,
    },
    /// What is there is no heap of this version of the format.
    OtherVersion {
        /// The heap's name, or its path.
        heap: Box<str>,
    },
    /// The memory holds what no sound heap can hold; or what was to be opened is no heap.
    Corrupt {
        /// Which heap, and what to do, in the words of the library.
        what: Box<str>,
    },
    /// No free space of that many bytes is left in the heap.
    OutOfMemory {
        /// Bytes requested, with those that the crate adds.
        size: usize,
    },
    /// The value is more than a heap can hold, or its alignment more than a page.
    TooLarge,
    /// The handle is the null handle.
    NullHandle,
    /// The handle belongs to another heap, or is no handle at all.
    ForeignHandle,
    /// The value was received already, or was never sent.
    Stale,
    /// The value is held by another process: a peer broke the rules.
    NotHeld,
    /// The value, or the heap, is that of the process which forked this one.
    OtherProcess,
    /// This process has no memory for a copy of the value.
    NoMemory {
        /// Bytes of the copy.
        bytes: usize,
    },
    /// The value is larger than the connection copies:
    /// [`copies_up_to`](crate::HeapOptions::copies_up_to). It is in transit as before.
    CopyTooLarge {
        /// Bytes of the copy.
        bytes: usize,
        /// Bytes that the connection copies at most.
        limit: usize,
    },
    /// What was sent is of another type. It is in transit as before, under the same handle.
    WrongType {
        /// The type that the caller requested.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The bytes that were sent are no value of their type: a `bool` of 2, say. They are in transit
    /// as before, under the same handle: [`Heap::receive_bytes`](crate::Heap::receive_bytes) gets
    /// them.
    NotAValue {
        /// The type.
        expected: &'static str,
        /// Which element it is of a slice; else 0.
        index: usize,
    },
    /// The text that was sent is not UTF-8. It is in transit as before, under the same handle.
    NotUtf8 {
        /// Up to which byte it is.
        valid_up_to: usize,
    },
    /// The name of a root is out of range: the text says how.
    InvalidName(&'static str),
    /// No object of the heap has that name.
    NoSuchName {
        /// The name; bytes that are not UTF-8 are replaced.
        name: Box<str>,
    },
    /// The object of that name is not a value of the requested type; the error's text says more.
    /// The object stays as it is.
    OtherRoot {
        /// What it is.
        found: &'static str,
    },
    /// [`Heap::check`](crate::Heap::check) found the heap damaged.
    Unsound {
        /// Number of the rule in FORMAT.md that is broken.
        rule: u32,
        /// Where, bytes from the start of the region.
        offset: u64,
        /// The rule in words.
        text: String,
    },
    /// Feature `system`: the installed library is of another version than its header was. Install
    /// that version, or leave the feature out.
    OtherLibrary {
        /// The version of the header: major * 10000 + minor * 100 + patch.
        needed: u32,
        /// That of the library.
        found: u32,
    },
    /// The library was built without it, or the kernel lacks it.
    Unsupported,
    /// A call of the library failed for any other reason.
    Call {
        /// The `errno`.
        errno: i32,
        /// The call, the heap, the reason and what to do, in the words of the library
        /// (`shmheap_error_text` of `shmheap.h`), with the crate's names for options.
        text: Box<str>,
    },
    /// Any other error of the operating system.
    Os(io::Error),
}

/// What this crate's calls return.
///
/// ```
/// fn hold(heap: &shmheap::Heap) -> shmheap::Result<shmheap::ShmBox<u64>> {
///     heap.boxed(42)
/// }
/// # assert_eq!(*hold(&shmheap::Heap::anonymous(1 << 16)?)?, 42);
/// # Ok::<(), shmheap::Error>(())
/// ```
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The meaning of an errno value that is the same in all calls of the library. text is what C
    /// says of this failure.
    pub(crate) fn from_errno(errno: i32, text: fn() -> Box<str>) -> Self {
        match errno {
            code::EPERM => Error::NotHeld,
            code::EAGAIN => Error::TooManyProcesses,
            code::ETIMEDOUT => Error::TimedOut { what: of_call(&text()).into() },
            code::EBADMSG => Error::Corrupt { what: of_call(&text()).into() },
            code::ESTALE => Error::Stale,
            code::ENOTSUP => Error::Unsupported,
            _ => Error::call(errno, text),
        }
    }

    /// errno of a call on an open heap.
    pub(crate) fn from_change(errno: i32, text: fn() -> Box<str>) -> Self {
        match errno {
            code::EACCES => Error::ReadOnly,
            code::EINVAL => Error::ForeignHandle,
            _ => Error::from_errno(errno, text),
        }
    }

    /// errno of a call that opens or removes this heap. is_file: the heap's name is a path.
    pub(crate) fn from_open(errno: i32, heap: &str, is_file: bool, text: fn() -> Box<str>) -> Self {
        let heap = heap.into();
        let words = || in_rust(without_call(&text()));
        let what = || words().into();
        let named = || format!("heap {heap:?}: {}", words()).into();
        match errno {
            code::ENOENT => Error::NotFound { what: what(), heap },
            code::EEXIST => {
                Error::AlreadyExists { what: with_removal(&words(), is_file).into(), heap }
            }
            code::EACCES => Error::PermissionDenied { heap },
            code::EPROTONOSUPPORT => Error::OtherVersion { heap },
            code::EINVAL | code::ENAMETOOLONG => Error::InvalidOption { what: what(), heap },
            code::ETIMEDOUT => Error::TimedOut { what: named() },
            code::EBADMSG => Error::Corrupt { what: named() },
            code::EPERM => Error::call(errno, text),
            _ => Error::from_errno(errno, text),
        }
    }

    fn call(errno: i32, text: fn() -> Box<str>) -> Self {
        let text = text();
        let cause = without_call(&text);
        let call = &text[..text.len() - cause.len()];
        Error::Call { errno, text: format!("{call}{}", in_rust(cause)).into() }
    }

    /// Damage that the crate finds itself, in a heap that is open.
    #[cold]
    pub(crate) fn corrupt() -> Self {
        let what = "the heap is damaged: Heap::check or 'shmheap check NAME' names the place; \
                    remove the heap and create it anew";
        Error::Corrupt { what: what.into() }
    }

    /// The process that has claimed a root lives, and does not finish.
    #[cold]
    pub(crate) fn unfinished_root() -> Self {
        let what = "a live process has begun to make the root, and does not finish: continue that \
                    process or end it";
        Error::TimedOut { what: what.into() }
    }
}

/// For programs whose own error is [`io::Error`]; this one is its source.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Os(_) => None,
            Error::Call { errno, .. } => Some(io::Error::from_raw_os_error(*errno).kind()),
            Error::NotFound { .. } | Error::NoSuchName { .. } => Some(io::ErrorKind::NotFound),
            Error::AlreadyExists { .. } => Some(io::ErrorKind::AlreadyExists),
            Error::PermissionDenied { .. }
            | Error::ReadOnly
            | Error::NotHeld
            | Error::OtherProcess => Some(io::ErrorKind::PermissionDenied),
            Error::TimedOut { .. } => Some(io::ErrorKind::TimedOut),
            Error::OutOfMemory { .. } | Error::NoMemory { .. } => Some(io::ErrorKind::OutOfMemory),
            Error::Unsupported | Error::OtherLibrary { .. } => Some(io::ErrorKind::Unsupported),
            Error::InvalidOption { .. }
            | Error::InvalidName(_)
            | Error::NullHandle
            | Error::ForeignHandle
            | Error::TooLarge
            | Error::CopyTooLarge { .. } => Some(io::ErrorKind::InvalidInput),
            Error::Corrupt { .. }
            | Error::Unsound { .. }
            | Error::OtherVersion { .. }
            | Error::WrongType { .. }
            | Error::NotAValue { .. }
            | Error::NotUtf8 { .. }
            | Error::OtherRoot { .. } => Some(io::ErrorKind::InvalidData),
            Error::Stale | Error::TooManyProcesses => Some(io::ErrorKind::Other),
        };
        match (kind, error) {
            (_, Error::Os(error)) => error,
            (kind, error) => io::Error::new(kind.unwrap_or(io::ErrorKind::Other), error),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Os(error) => Some(error),
            _ => None,
        }
    }
}

/// The errno values of Linux that the library's contracts name; the same on all machines that it is
/// built for.
pub(crate) mod code {
    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EEXIST: i32 = 17;
    pub const EINVAL: i32 = 22;
    pub const ERANGE: i32 = 34;
    pub const EBADMSG: i32 = 74;
    pub const EPROTONOSUPPORT: i32 = 93;
    pub const ENAMETOOLONG: i32 = 36;
    pub const ENOTSUP: i32 = 95;
    pub const ETIMEDOUT: i32 = 110;
    pub const ESTALE: i32 = 116;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_has_its_cause() {
        let change = |errno| Error::from_change(errno, || "shmheap_stat: a cause".into());
        assert!(matches!(change(code::EACCES), Error::ReadOnly));
        let text = || "shmheap_open(\"/a\"): len is 1 (EINVAL); give more".into();
        let open = |errno| Error::from_open(errno, "/a", false, text);
        assert!(matches!(open(code::EACCES), Error::PermissionDenied { heap } if &*heap == "/a"));
        assert!(matches!(open(code::ENOENT), Error::NotFound { heap, .. } if &*heap == "/a"));
        assert!(matches!(change(code::EPERM), Error::NotHeld));
        assert!(matches!(change(code::ESTALE), Error::Stale));
        let invalid = open(code::EINVAL).to_string();
        assert_eq!(invalid, "heap \"/a\": size is 1 (EINVAL); give more");
        let other = open(5);
        assert!(matches!(&other, Error::Call { errno: 5, .. }));
        let words = "shmheap_open(\"/a\"): size is 1 (EINVAL); give more";
        assert_eq!(other.to_string(), words, "with the call");
        for errno in [code::ETIMEDOUT, code::EBADMSG, code::ENOENT, code::EEXIST] {
            assert_eq!(open(errno).to_string(), invalid, "the same words and the heap");
        }
        assert_eq!(change(5).to_string(), "shmheap_stat: a cause");
        const ENOSPC: i32 = 28;
        let text = || "shmheap_open(\"/len\"): no memory (ENOSPC); take a max_len".into();
        let full = Error::from_open(ENOSPC, "/len", false, text).to_string();
        assert_eq!(full, "shmheap_open(\"/len\"): no memory (ENOSPC); take a growable_to");
        assert_eq!(io::Error::from(other).kind(), io::Error::from_raw_os_error(5).kind());
    }

    #[test]
    fn readable_from_main_and_from_io() {
        assert!(format!("{:?}", Error::Stale).starts_with("Stale: received already"));
        let error = io::Error::from(Error::WrongType { expected: "u64", found: "a share" });
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Error>()));
        assert_eq!(
            io::Error::from(Error::Os(io::Error::from_raw_os_error(5))).raw_os_error(),
            Some(5)
        );
    }
}
