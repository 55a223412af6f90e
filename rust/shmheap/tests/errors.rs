//! What errors of opening and removing say: the heap, the cause, and what to do in Rust's names.
mod support;

use std::path::PathBuf;
use std::time::Duration;

use shmheap::{Error, Heap, HeapOptions, UntrustedHeap};
use support::Name;

/// A file of the test's own; removed at the end.
struct File(PathBuf);

impl File {
    fn of_zeros() -> Self {
        let file = File(std::env::temp_dir().join(Name::new().0.trim_start_matches('/')));
        std::fs::write(&file.0, [0; 1 << 16]).unwrap();
        file
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A file below the name of a heap, as `shm_open` has it.
fn put(name: &Name, bytes: &[u8]) {
    std::fs::write(format!("/dev/shm{}", name.0), bytes).unwrap();
}

fn said(result: Result<UntrustedHeap, Error>) -> String {
    format!("{:?}", result.map(drop).unwrap_err())
}

fn hasty() -> HeapOptions {
    Heap::options().timeout(Duration::from_millis(1))
}

#[track_caller]
fn assert_has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing: {text}");
    }
    for word in ["SHMHEAP_", "max_len", "timeout_ms", " len ", " _TAKE"] {
        assert!(!text.contains(word), "{word:?} is C's: {text}");
    }
}

/// A file of zeros is a heap that its maker has not finished.
#[test]
fn an_unfinished_heap() {
    let name = Name::new();
    put(&name, &[0; 1 << 16]);
    let words =
        [&name.0, "did not finish within timeout (", "use open_or_create, with take_over if"];
    let text = said(hasty().open(&name.0));
    assert!(text.starts_with("TimedOut: heap \"/"), "{text}");
    assert_has(&text, &words);
    assert!(!text.contains("lock") && !text.contains("root"), "one cause: {text}");
    // As the text says, open_or_create alone does not replace a file of zeros.
    assert!(matches!(hasty().open_or_create(&name.0), Err(Error::TimedOut { .. })));
    drop(hasty().take_over().open_or_create(&name.0).unwrap());
    let file = File::of_zeros();
    assert_has(&said(hasty().open_file(file.path())), &[file.path(), "take_over"]);
}

#[test]
fn no_heap() {
    let name = Name::new();
    put(&name, b"no heap at all");
    let text = said(hasty().open(&name.0));
    assert!(text.starts_with("Corrupt: heap \"/"), "{text}");
    assert_has(&text, &[&format!("'shmheap check {}' tells; remove it", name.0)]);
}

/// Where a call on an open heap waits, the text has the heap and that cause.
#[test]
fn no_space_in_time() {
    let name = Name::new();
    let heap = support::create(&name.0, 4096).unwrap();
    let _most = heap.boxed([0u8; 3000]).unwrap();
    let limit = Some(Duration::from_millis(1));
    let text = heap.boxed_wait([0u8; 3000], limit).map(drop).unwrap_err().to_string();
    assert!(text.starts_with(&format!("heap {:?}: no free block", name.0)), "{text}");
    assert_has(&text, &["within 1 ms", "growable_to"]);
}

#[test]
fn nothing_to_remove() {
    let name = Name::new();
    let gone = Heap::remove(&name.0).unwrap_err();
    assert!(matches!(&gone, Error::NotFound { heap, .. } if **heap == name.0));
    let text = gone.to_string();
    assert_has(&text, &[&name.0, "nothing is left to remove"]);
    assert!(!text.contains("create"), "{text}");
    let text = said(Heap::options().open(&name.0));
    assert_has(&text, &["no heap has that name", "use open_or_create"]);
    assert!(!text.contains("remove"), "{text}");
}

#[test]
fn the_name_is_taken() {
    let name = Name::new();
    let heap = support::create(&name.0, 1 << 16).unwrap();
    let text = said(Heap::options().create(&name.0));
    let remove = format!("Heap::remove or 'shmheap rm {}' removes it", name.0);
    assert_has(&text, &["open it, or choose another name", "HeapOptions::take_over", &remove]);
    // While a process uses it, take_over does not help, and is not advised.
    let text = said(Heap::options().take_over().create(&name.0));
    assert_has(&text, &[&name.0, "a process uses the heap", "use open or open_or_create"]);
    assert!(!text.contains("take_over"), "{text}");
    drop(heap);
    drop(Heap::options().take_over().create(&name.0).unwrap());
    let file = File::of_zeros();
    // The command has the path where it is short.
    let text = said(Heap::options().create_file(file.path()));
    assert_has(&text, &[file.path(), "std::fs::remove_file or 'shmheap rm "]);
}

/// Failures without a variant of their own have Rust's names for options, too.
#[test]
fn any_other_failure_of_opening() {
    let name = Name::new();
    let text = said(Heap::options().size(1 << 50).create(&name.0));
    assert!(text.starts_with(&format!("Call: shmheap_open({:?}): size or growable_to is", name.0)));
    assert_has(&text, &["(EFBIG); give a shorter one"]);
    let text = said(Heap::options().take_over().open(&name.0));
    assert_has(&text, &["take_over needs create or open_or_create"]);
}

/// What has no variant of its own has the library's words.
#[test]
fn any_other_failure_says_what_to_do() {
    const EISDIR: i32 = 21;
    let folder = Heap::options().open_file("/").map(|_| ()).unwrap_err();
    assert!(matches!(folder, Error::Call { errno: EISDIR, .. }));
    assert!(folder.to_string().starts_with("shmheap_open(\"/\"): "), "{folder}");
    assert!(format!("{folder:?}").starts_with("Call: shmheap_open(\"/\"): "));
}

/// Errors name the heap, and the argument that is wrong.
#[test]
fn errors_say_what_and_where() {
    let name = Name::new();
    let text = said(Heap::options().open(&name.0));
    assert!(text.starts_with("NotFound: ") && text.contains(&name.0), "{text}");
    let _heap = support::create(&name.0, 1 << 16).unwrap();
    let text = said(Heap::options().create(&name.0));
    assert!(text.starts_with("AlreadyExists: ") && text.contains(&name.0), "{text}");
    let missing = "/no-such-folder/heap";
    let text = said(Heap::options().open_file(missing));
    assert!(text.contains(missing), "{text}");
    for (options, word) in [
        (Heap::options().alignment(24), "alignment"),
        (Heap::options().size(100), "128 bytes"),
        (Heap::options().size(1 << 20).growable_to(1 << 16), "growable_to"),
        (Heap::options().mode(0o10_000), "mode"),
        (Heap::options().read_only(), "read_only"),
    ] {
        let other = Name::new();
        let text = said(options.open_or_create(&other.0));
        assert!(text.contains(word) && text.contains(&other.0), "{text}");
    }
    let text = said(Heap::options().create("/two/slashes"));
    assert!(text.contains("two/slashes"), "{text}");
    let text = said(Heap::options().create("zero\0byte"));
    assert!(text.contains("zero byte"), "{text}");
    let heap = Heap::anonymous(1 << 16).unwrap();
    let text = format!("{:?}", heap.find_root::<u64>("limit").map(drop).unwrap_err());
    assert!(text.starts_with("NoSuchName: ") && text.contains("limit"), "{text}");
}
