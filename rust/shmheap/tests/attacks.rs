//! Programs of safe code that once made undefined behaviour, or might: each is refused, and changes
//! nothing. (Where a test needs `unsafe`, it is for a system call that other crates offer as safe.)
mod support;

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use shmheap::{ArcHandle, AtomicHandle, Error, Handle, Heap, Root, ShmArc, ShmBox};
use support::{again, listen, open, role, say, shared, wait_for_death, Name, Peer};

fn wrong_type<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::WrongType { .. }))
}

/// A value that readers take for frozen, and a writer of the same size and alignment.
#[test]
fn a_share_is_not_received_as_another_type_of_its_size() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let plain = heap.arc(5u64).unwrap();
    let share = plain.share().unwrap();
    assert!(wrong_type(heap.receive_arc(share.cast::<AtomicU64>())));
    assert!(wrong_type(heap.receive_arc(share.cast::<i64>())));
    assert!(wrong_type(heap.receive_arc(share.cast::<f64>())));
    assert!(wrong_type(heap.receive_arc(share.cast::<[u64; 1]>())));
    assert!(wrong_type(heap.receive_arc(share.cast::<Handle<u8>>())));
    assert_eq!(*heap.receive_arc(share).unwrap(), 5);
    assert_eq!(plain.shares(), 1);
    let atomic = heap.arc(AtomicU64::new(6)).unwrap().share().unwrap();
    assert!(wrong_type(heap.receive_arc(atomic.cast::<u64>())));
    assert!(wrong_type(heap.receive_arc(atomic.cast::<AtomicI64>())));
    assert_eq!(heap.receive_arc(atomic).unwrap().load(SeqCst), 6);
}

#[test]
fn a_box_is_not_received_as_another_type_of_its_size() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let handle = heap.boxed(1.0f64).unwrap().send().unwrap();
    for _ in 0..2 {
        assert!(wrong_type(heap.receive(handle.cast::<u64>())));
        assert!(wrong_type(heap.take(handle.cast::<u64>())));
        assert!(wrong_type(heap.peek(handle.cast::<u64>())));
        assert!(wrong_type(heap.receive(handle.cast::<[f64]>())));
        assert!(wrong_type(heap.receive(handle.cast::<str>())));
        assert!(wrong_type(heap.receive_arc(ArcHandle::<f64>::from_bits(handle.bits()))));
    }
    assert_eq!(*heap.receive(handle).unwrap(), 1.0);
    let slice = heap.boxed_slice(&[1u8, 2]).unwrap().send().unwrap();
    assert!(
        wrong_type(heap.receive(slice.cast::<str>()))
            && wrong_type(heap.receive(slice.cast::<[u8; 2]>()))
    );
    assert!(
        wrong_type(heap.receive(slice.cast::<[bool]>()))
            && wrong_type(heap.receive(slice.cast::<[i8]>()))
    );
    assert_eq!(*heap.receive(slice).unwrap(), [1, 2]);
}

#[test]
fn a_root_is_not_found_as_another_type_of_its_size() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let plain = heap.root_with("a", || 5u64).unwrap();
    for _ in 0..2 {
        assert!(matches!(heap.find_root::<AtomicU64>("a"), Err(Error::OtherRoot { .. })));
        assert!(matches!(heap.root::<AtomicU64>("a"), Err(Error::OtherRoot { .. })));
        assert!(matches!(heap.find_root::<[u8; 8]>("a"), Err(Error::OtherRoot { .. })));
    }
    assert_eq!((*plain, heap.names().unwrap()[0].users), (5, 1));
}

/// A share of 8 bytes is not one of 56 KB, whatever lies behind it in the region.
#[test]
fn a_share_is_as_long_as_its_object() {
    let heap = Heap::anonymous(1 << 17).unwrap();
    let small = heap.arc(AtomicU64::new(1)).unwrap();
    let share = small.share().unwrap();
    assert!(wrong_type(heap.receive_arc(share.cast::<[AtomicU64; 7038]>())));
    assert!(wrong_type(heap.receive_arc(share.cast::<[AtomicU64; 2]>())));
    assert_eq!(heap.receive_arc(share).unwrap().load(SeqCst), 1);
}

/// The descriptor that a heap lends is for reading, also when it is opened once more: the heap has
/// one writer.
#[test]
fn no_write_through_the_descriptor() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let number = heap.boxed(0x1111_2222_3333_4444u64).unwrap();
    let lent = File::from(heap.as_fd().try_clone_to_owned().unwrap());
    let mut all = vec![0; lent.metadata().unwrap().len() as usize];
    lent.read_exact_at(&mut all, 0).unwrap();
    let at = all.windows(8).position(|bytes| bytes == number.to_le_bytes()).unwrap() as u64;
    assert!(lent.write_all_at(&[7; 8], at).is_err());
    assert!(lent.set_len(0).is_err());
    for fd in 3..200 {
        let Ok(file) = OpenOptions::new().write(true).open(format!("/proc/self/fd/{fd}")) else {
            continue;
        };
        let ours = file.metadata().unwrap().ino() == lent.metadata().unwrap().ino();
        assert!(!ours || file.write_all_at(&[7; 8], at).is_err(), "descriptor {fd}");
    }
    assert_eq!(*number, 0x1111_2222_3333_4444);
    assert!(Heap::options().open_fd(&heap).is_err(), "a second writer");
    assert_eq!(Heap::options().read_only().open_fd(&heap).unwrap().stats().unwrap().used_blocks, 1);
}

/// Types of the C library on Linux of 64 bits.
mod system {
    pub const F_OFD_SETLK: i32 = 37;
    pub const F_UNLCK: i16 = 2;
    pub const SIGSEGV: i32 = 11;

    #[repr(C)]
    pub struct Flock {
        pub kind: i16,
        pub whence: i16,
        pub start: i64,
        pub len: i64,
        pub pid: i32,
    }

    extern "C" {
        pub fn fcntl(fd: i32, command: i32, ...) -> i32;
        pub fn fork() -> i32;
        pub fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        pub fn _exit(code: i32) -> !;
        pub fn syscall(number: i64, ...) -> i64;
        pub fn mprotect(start: usize, len: usize, protection: i32) -> i32;
        pub fn signal(number: i32, handler: usize) -> usize;
    }
}

/// The locks by which others know that a process lives are out of reach.
#[test]
fn no_unlock_through_the_descriptor() {
    let heap = shared(1 << 16);
    let peer = again(&heap);
    let boxed = heap.boxed([1u64; 8]).unwrap();
    for fd in [heap.as_fd().as_raw_fd(), heap.as_fd().try_clone_to_owned().unwrap().as_raw_fd()] {
        let lock = system::Flock { kind: system::F_UNLCK, whence: 0, start: 0, len: 0, pid: 0 };
        // SAFETY: (fcntl) the lock is valid during the call.
        unsafe { system::fcntl(fd, system::F_OFD_SETLK, &lock) };
    }
    assert_eq!(peer.reap().unwrap().boxes, 0, "it lives");
    assert_eq!(*boxed, [1; 8]);
}

/// The handle of a ShmArc's inside, as a peer may guess it.
fn guessed(heap: &Heap) -> u64 {
    let file = File::from(heap.as_fd().try_clone_to_owned().unwrap());
    let mut all = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut all, 0).unwrap();
    let at = all.windows(8).position(|word| word == MAGIC.to_le_bytes()).unwrap();
    u64::from_le_bytes(all[at - 8..at].try_into().unwrap())
}

const MAGIC: u64 = 0x5555_aaaa_5555_aaaa;

/// A peer makes up handles and dies at any moment: nothing was claimed that is not its own.
#[test]
fn deaths_while_guessing() {
    for round in 0..20 {
        let name = Name::new();
        let heap = support::create(&name.0, 1 << 16).unwrap();
        let arc = heap.arc([MAGIC; 8]).unwrap();
        let second = heap.receive_arc(arc.share().unwrap()).unwrap();
        let transit = arc.share().unwrap();
        let words = [&name.0[..], &guessed(&heap).to_string(), &transit.bits().to_string()];
        let mut peer = Peer::start("guesses", &words);
        for _ in 0..=round {
            assert_eq!(peer.hear(), "refused");
        }
        peer.kill();
        let reaped = heap.reap().unwrap();
        assert_eq!((reaped.boxes, reaped.arcs), (0, 0), "round {round}");
        assert_eq!((*second, *heap.receive_arc(transit).unwrap()), ([MAGIC; 8], [MAGIC; 8]));
        drop((arc, second));
        assert_eq!(
            heap.stats().unwrap().used_blocks,
            0,
            "{:?} {:?}",
            heap.in_transit(),
            heap.reap()
        );
    }
}

#[test]
fn guesses() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    loop {
        for bits in &words[1..] {
            let bits = bits.parse().unwrap();
            assert!(wrong_type(heap.receive(Handle::<[u8; 3]>::from_bits(bits))));
            assert!(wrong_type(heap.receive(Handle::<[u64; 8]>::from_bits(bits))));
            assert!(wrong_type(heap.receive_bytes(Handle::from_bits(bits))));
            assert!(wrong_type(heap.receive_arc(ArcHandle::<[AtomicU64; 8]>::from_bits(bits))));
        }
        say("refused");
    }
}

/// Runs this in a child made by fork(), which shares the parent's memory as it is: what the child
/// ended with. It must not allocate where other threads may hold the allocator's lock, so tests
/// that fork make their strings before.
fn in_a_child(run: impl FnOnce() -> bool) -> Result<bool, i32> {
    // SAFETY: (fork) the child runs this closure and ends without unwinding; glibc makes its
    // allocator usable in the child.
    let pid = unsafe { system::fork() };
    if pid == 0 {
        let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(false);
        // SAFETY: ends the child.
        unsafe { system::_exit(i32::from(!good)) }
    }
    ended(pid)
}

/// What a child ended with.
fn ended(pid: i32) -> Result<bool, i32> {
    let mut status = 0;
    // SAFETY: (waitpid) status may be written.
    assert_eq!(unsafe { system::waitpid(pid, &mut status, 0) }, pid);
    match status & 0x7f {
        0 => Ok(status == 0),
        signal => Err(signal),
    }
}

/// Forks, and returns in both: in the parent, what the child ended with.
fn in_a_child_that_goes_on() -> Result<bool, i32> {
    // SAFETY: (fork) as above; the child that goes on ends at its next step.
    match unsafe { system::fork() } {
        0 => Ok(true),
        pid => ended(pid),
    }
}

fn panics<R>(run: impl FnOnce() -> R) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
}

struct Everything {
    heap: Heap,
    number: ShmBox<u64>,
    text: ShmBox<str>,
    arc: ShmArc<AtomicU64>,
    root: Root<AtomicU64>,
}

fn everything() -> Everything {
    let heap = Heap::options().size(1 << 16).anonymous().unwrap();
    let (number, text) = (heap.boxed(1u64).unwrap(), heap.boxed_str("ours").unwrap());
    let (arc, root) = (heap.arc(AtomicU64::new(2)).unwrap(), heap.root("root").unwrap());
    Everything { heap, number, text, arc, root }
}

fn is_untouched(all: &Everything, used: u64) -> bool {
    let lives =
        (*all.number, &*all.text, all.arc.load(SeqCst), all.arc.shares(), all.root.load(SeqCst))
            == (1, "ours", 2, 1, 0);
    lives && all.heap.stats().unwrap().used_blocks == used && all.heap.check().is_ok()
}

#[test]
fn a_child_drops_what_it_inherited_and_nothing_happens() {
    let all = everything();
    let used = all.heap.stats().unwrap().used_blocks;
    let copy = std::mem::ManuallyDrop::new(all);
    assert_eq!(
        in_a_child(|| {
            // SAFETY: the child's copy, which it drops once, as a child does that returns from
            // main.
            drop(unsafe { std::ptr::read(&*copy) });
            true
        }),
        Ok(true)
    );
    let all = std::mem::ManuallyDrop::into_inner(copy);
    assert!(is_untouched(&all, used));
    assert_eq!(all.heap.reap().unwrap().boxes, 0);
}

/// As a child does that returns from main: what the C library calls at an exit finds a connection
/// that is not the child's.
#[test]
fn a_child_exits_and_nothing_happens() {
    let all = everything();
    let used = all.heap.stats().unwrap().used_blocks;
    assert_eq!(in_a_child(|| std::process::exit(0)), Ok(true));
    assert!(is_untouched(&all, used));
    assert_eq!((all.heap.reap().unwrap().boxes, all.heap.stats().unwrap().processes), (0, 1));
}

#[test]
fn a_child_uses_what_it_inherited_and_is_refused() {
    let mut all = everything();
    let used = all.heap.stats().unwrap().used_blocks;
    let refused = in_a_child(|| {
        std::panic::set_hook(Box::new(|_| {}));
        let other = |result: Result<(), Error>| matches!(result, Err(Error::OtherProcess));
        let handle = Handle::<u64>::from_bits((1 << 51) | (1 << 36));
        panics(|| *all.number += 1)
            && panics(|| all.text.len())
            && panics(|| all.arc.fetch_add(1, SeqCst))
            && panics(|| all.root.fetch_add(1, SeqCst))
            && other(all.arc.share().map(|_| ()))
            && other(all.heap.boxed(3u8).map(|_| ()))
            && other(all.heap.receive(handle).map(|_| ()))
            && other(all.heap.root::<u64>("other").map(|_| ()))
            && other(all.heap.stats().map(|_| ()))
            && other(all.heap.reap().map(|_| ()))
            && other(all.number.snapshot().map(|_| ()))
            && other(all.heap.keep_root("root"))
            && other(all.heap.remove_root("root").map(|_| ()))
            && other(all.heap.find_root::<u64>("root").map(|_| ()))
            && other(all.heap.names().map(|_| ()))
            && other(all.heap.in_transit().map(|_| ()))
            && other(all.heap.check())
            && other(all.heap.discard(handle.cast()))
            && other(all.heap.receive_bytes(handle.cast()).map(|_| ()))
    });
    assert_eq!(refused, Ok(true));
    assert!(is_untouched(&all, used));
}

/// A reference lives on in the child; what it leads to does not.
#[test]
fn a_reference_that_a_child_inherited_leads_nowhere() {
    let mut all = everything();
    let number: &mut u64 = &mut all.number;
    assert_eq!(in_a_child(|| std::mem::replace(number, 7) == 1), Err(system::SIGSEGV));
    let text: &str = &all.text;
    assert_eq!(in_a_child(|| text == "ours"), Err(system::SIGSEGV));
    assert_eq!((*all.number, &*all.text), (1, "ours"));
}

/// What a child maps never comes to lie where a reference that it inherited leads.
#[test]
fn a_child_maps_nothing_where_an_inherited_reference_leads() {
    let heap = Heap::anonymous(4 << 20).unwrap();
    let boxed = heap.boxed_slice(&[1u8; 2 << 20]).unwrap();
    let (first, last) = (boxed.as_ptr() as usize, &raw const boxed[boxed.len() - 1] as usize);
    let mapped = in_a_child(|| {
        // From where the C library maps memory of its own, to sizes that fill the holes between
        // mappings.
        let taken: Vec<Vec<u8>> = (0..400).map(|i| vec![2u8; (1 << 20) >> (i / 100)]).collect();
        taken.iter().all(|bytes| {
            let there = bytes.as_ptr() as usize..bytes.as_ptr() as usize + bytes.len();
            !there.contains(&first) && !there.contains(&last)
        })
    });
    assert_eq!(mapped, Ok(true), "its own memory lies where the reference leads");
    let reference: &u8 = &boxed[0];
    let grandchild =
        in_a_child(|| in_a_child(|| *std::hint::black_box(reference) == 1) == Err(system::SIGSEGV));
    assert_eq!((grandchild, boxed[0]), (Ok(true), 1));
}

/// Code of the user's that a call runs may fork: the call goes on in the child as well, with what
/// is the parent's.
#[test]
fn a_child_goes_on_amid_a_call() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let parent = std::process::id();
    let mut status = Ok(true);
    let made = ShmBox::from_fn_in(
        2,
        |i| {
            if i == 1 {
                status = in_a_child_that_goes_on();
            }
            std::process::id()
        },
        &heap,
    );
    assert_eq!(*made.unwrap(), [parent; 2]);
    assert_eq!(status, Err(system::SIGSEGV));
}

/// A child that opens the heap itself is a process as any other.
#[test]
fn a_child_opens_the_heap_itself() {
    let name = Name::new();
    let heap = support::create(&name.0, 1 << 16).unwrap();
    let boxed = heap.boxed(5u64).unwrap();
    let letter = heap.boxed(6u64).unwrap().send().unwrap();
    let good = in_a_child(|| {
        let here = open(&name.0).unwrap();
        let received = here.receive(letter).unwrap();
        let fresh = here.boxed([7u64; 3]).unwrap();
        *received == 6
            && *fresh == [7; 3]
            && heap.stats().is_err()
            && here.stats().unwrap().processes == 2
    });
    assert_eq!((good, *boxed), (Ok(true), 5));
    assert_eq!(heap.stats().unwrap().used_blocks, 1);
}

/// A process that takes a letter out of a mailbox and dies leaves nothing that is lost for ever.
#[test]
fn letters_are_never_lost() {
    let name = Name::new();
    let heap = support::create(&name.0, 1 << 16).unwrap();
    let mailbox: Root<AtomicHandle<[u8]>> = heap.root("m").unwrap();
    for how in ["swap", "receive_from"] {
        mailbox.store(heap.boxed_slice(&[1u8; 1000]).unwrap().send().unwrap(), SeqCst);
        let mut peer = Peer::start("takes_a_letter", &[&name.0, how]);
        assert_eq!(peer.hear(), "has it");
        peer.kill();
        let reaped = heap.reap().unwrap().boxes;
        let found = heap.in_transit().unwrap();
        // After "swap" the letter is still in transit; after "receive_from" the dead process held
        // it.
        assert_eq!((reaped, found.len()), if how == "swap" { (0, 1) } else { (1, 0) });
        for letter in found {
            assert!(!letter.is_share && letter.len >= 1000);
            heap.discard(letter.handle).unwrap();
        }
        assert_eq!(heap.names().unwrap()[0].users, 1);
    }
    drop(mailbox);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn takes_a_letter() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let mailbox: Root<AtomicHandle<[u8]>> = heap.root("m").unwrap();
    let _held = match words[1].as_str() {
        "swap" => {
            let handle = mailbox.swap(Handle::NULL, SeqCst);
            assert!(!handle.is_null());
            None
        }
        _ => heap.receive_from(&mailbox).unwrap(),
    };
    say("has it");
    listen();
    wait_for_death();
}

#[test]
fn shares_that_are_lost_are_listed_and_given_back() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let arc = heap.arc(AtomicU64::new(1)).unwrap();
    let _lost = arc.share().unwrap();
    let found = heap.in_transit().unwrap();
    assert!(found.len() == 1 && found[0].is_share);
    heap.discard(found[0].handle).unwrap();
    assert!(matches!(heap.discard(found[0].handle), Err(Error::Stale)));
    assert_eq!((arc.shares(), arc.load(SeqCst)), (1, 1));
    let _lost = arc.share().unwrap();
    drop(arc);
    assert_eq!(heap.reap().unwrap().arcs, 0, "a share in transit keeps it");
    heap.discard(heap.in_transit().unwrap()[0].handle).unwrap();
    assert_eq!((heap.stats().unwrap().used_blocks, heap.in_transit().unwrap()), (0, vec![]));
}

/// What a thread meets when the heap's generation goes round after the thread inspects an object in
/// transit and before it claims the object: another object with the same handle. It has the same
/// length here, so the header is the same, and its contents are written at the moment of the claim:
/// the first write to the page of the header, which is protected until then.
mod gone_round {
    use super::system::{mprotect, signal, SIGSEGV};
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
    use std::sync::Mutex;

    const PAGE: usize = 4096;
    static PROTECTED: AtomicUsize = AtomicUsize::new(0);
    static PLACE: AtomicUsize = AtomicUsize::new(0);
    static WORD: AtomicU64 = AtomicU64::new(0);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    extern "C" fn written(number: i32) {
        let page = PROTECTED.swap(0, SeqCst);
        // SAFETY: the page is the test's; a fault that is not its ends the process.
        unsafe {
            if page == 0 || mprotect(page, PAGE, 3) != 0 {
                signal(number, 0);
                return;
            }
        }
        swap(PLACE.load(SeqCst), WORD.load(SeqCst));
    }

    /// The word at place, replaced.
    pub fn swap(place: usize, word: u64) -> u64 {
        // SAFETY: a word of the test's heap, which only this thread uses.
        unsafe { AtomicU64::from_ptr(place as *mut u64) }.swap(word, SeqCst)
    }

    /// Runs call, during which the word at place, in the page of the object's header, becomes this
    /// one.
    pub fn during<R>(object: usize, place: usize, word: u64, call: impl FnOnce() -> R) -> R {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let page = (object - 8) & !(PAGE - 1);
        PLACE.store(place, SeqCst);
        WORD.store(word, SeqCst);
        PROTECTED.store(page, SeqCst);
        // SAFETY: a page of the test's heap, of which reads go on and the first write is seen to.
        let before = unsafe {
            let before = signal(SIGSEGV, written as *const () as usize);
            assert_eq!(mprotect(page, PAGE, 1), 0);
            before
        };
        let result = call();
        // SAFETY: as before.
        unsafe { signal(SIGSEGV, before) };
        assert_eq!(PROTECTED.load(SeqCst), 0, "it came to a claim");
        result
    }
}

/// Where objects in transit end: the label is the last word.
fn end_of<T: ?Sized>(heap: &Heap, handle: Handle<T>, object: usize) -> usize {
    let all = heap.in_transit().unwrap();
    object + all.iter().find(|sent| sent.handle == handle.cast()).unwrap().len as usize
}

#[test]
fn a_claim_of_another_count_is_undone() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let slice = heap.boxed_slice(&[7u64; 8]).unwrap();
    let place = slice.as_ptr() as usize;
    let handle = slice.send().unwrap();
    let count = end_of(&heap, handle, place) - 16;
    assert!(matches!(
        gone_round::during(place, count, 2, || heap.receive(handle).map(drop)),
        Err(Error::Stale)
    ));
    assert_eq!(gone_round::swap(count, 8), 2);
    assert!(matches!(gone_round::during(place, count, 2, || heap.take(handle)), Err(Error::Stale)));
    assert_eq!(gone_round::swap(count, 8), 2);
    assert_eq!(*heap.receive(handle).unwrap(), [7; 8]);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn a_claim_of_what_is_no_value_is_undone() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let slice = heap.boxed_slice(&[true; 8]).unwrap();
    let place = slice.as_ptr() as usize;
    let handle = slice.send().unwrap();
    let bad = 0x0101_0301_0101_0101;
    for _ in 0..2 {
        let refused = gone_round::during(place, place, bad, || heap.receive(handle).map(drop));
        assert!(matches!(refused, Err(Error::NotAValue { index: 5, .. })), "{refused:?}");
        gone_round::swap(place, 0x0101_0101_0101_0101);
        let refused = gone_round::during(place, place, bad, || heap.take(handle).map(drop));
        assert!(matches!(refused, Err(Error::NotAValue { index: 5, .. })), "{refused:?}");
        gone_round::swap(place, 0x0101_0101_0101_0101);
    }
    assert_eq!(*heap.receive(handle).unwrap(), [true; 8]);
    let text = heap.boxed_str("12345678").unwrap();
    let place = text.as_ptr() as usize;
    let handle = text.send().unwrap();
    let refused = gone_round::during(place, place, u64::MAX, || heap.receive(handle).map(drop));
    assert!(matches!(refused, Err(Error::NotUtf8 { valid_up_to: 0 })), "{refused:?}");
    assert!(heap.discard(handle.cast()).is_ok());
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

/// The copy is of the object that is freed.
#[test]
fn what_is_taken_is_what_was_claimed() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let boxed = heap.boxed(1u64).unwrap();
    let place = &raw const *boxed as usize;
    let handle = boxed.send().unwrap();
    assert_eq!(gone_round::during(place, place, 2, || heap.take(handle)).unwrap(), 2);
}

#[test]
fn a_claim_of_another_label_is_undone() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let boxed = heap.boxed([1u64; 8]).unwrap();
    let place = boxed.as_ptr() as usize;
    let handle = boxed.send().unwrap();
    let label = end_of(&heap, handle, place) - 8;
    let inside = u64::from_le_bytes(*b"shmheapi");
    type Try = fn(&Heap, Handle<[u64; 8]>) -> Result<(), Error>;
    let tries: [Try; 4] = [
        |heap, handle| heap.receive(handle).map(drop),
        |heap, handle| heap.take(handle).map(drop),
        |heap, handle| heap.discard(handle.cast()),
        |heap, handle| heap.receive_bytes(handle.cast()).map(drop),
    ];
    for refused in tries {
        let right = gone_round::swap(label, 0);
        gone_round::swap(label, right);
        let refused = gone_round::during(place, label, inside, || refused(&heap, handle));
        assert!(matches!(refused, Err(Error::Stale | Error::WrongType { .. })), "{refused:?}");
        assert_eq!(gone_round::swap(label, right), inside);
    }
    assert_eq!(*heap.receive(handle).unwrap(), [1; 8]);
}

/// Where the object of a handle lies, of a heap of which one handle's place is known.
fn place_of(bits: u64, known: (u64, usize)) -> usize {
    let granule = |bits: u64| (bits & ((1 << 36) - 1)) as usize;
    known.1.wrapping_add(granule(bits).wrapping_sub(granule(known.0)).wrapping_mul(16))
}

#[test]
fn a_claim_of_another_share_is_undone() {
    let heap = Heap::options().size(1 << 16).alignment(16).anonymous().unwrap();
    let boxed = heap.boxed(0u64).unwrap();
    let place = &raw const *boxed as usize;
    let known = (boxed.send().unwrap().bits(), place);
    let (first, second) = (heap.arc([1u64; 4]).unwrap(), heap.arc([2u64; 4]).unwrap());
    let (share, other) = (first.share().unwrap(), second.share().unwrap());
    let names = |share: ArcHandle<[u64; 4]>| {
        let place = place_of(share.bits(), known);
        end_of(&heap, Handle::<()>::from_bits(share.bits()), place) - 24
    };
    let (mine, theirs) = (gone_round::swap(names(share), 0), gone_round::swap(names(other), 0));
    gone_round::swap(names(share), mine);
    gone_round::swap(names(other), theirs);
    let (object, word) = (place_of(share.bits(), known), names(share));
    let refused = gone_round::during(object, word, theirs, || heap.receive_arc(share).map(drop));
    assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
    gone_round::swap(word, mine);
    assert_eq!(*heap.receive_arc(share).unwrap(), [1; 4]);
    assert_eq!(*heap.receive_arc(other).unwrap(), [2; 4]);
}

/// Reaping has seen an object without shares; another one, in use, has its place and its handle
/// when it is claimed.
#[test]
fn what_is_in_use_is_not_reaped() {
    let heap = Heap::options().size(1 << 16).alignment(16).anonymous().unwrap();
    // Apart from the heap's own pages, to which reaping writes before.
    let _before = heap.boxed_slice(&[0u8; 1 << 13]).unwrap();
    let boxed = heap.boxed(0u64).unwrap();
    let place = &raw const *boxed as usize;
    let known = (boxed.send().unwrap().bits(), place);
    let arc = heap.arc([1u64; 4]).unwrap();
    let inside = arc.as_ptr() as usize - 24;
    let share = arc.share().unwrap();
    drop(arc);
    let ticket = place_of(share.bits(), known);
    let names = end_of(&heap, Handle::<()>::from_bits(share.bits()), ticket) - 24;
    let named = gone_round::swap(names, 0); // no share names it
    let word = gone_round::swap(inside, 1);
    gone_round::swap(inside, word);
    let other = word.wrapping_add(7 << 32);
    assert_eq!(gone_round::during(inside, inside, other, || heap.reap().unwrap().arcs), 0);
    assert_eq!(gone_round::swap(inside, word), other);
    gone_round::swap(names, named);
    assert_eq!(*heap.receive_arc(share).unwrap(), [1; 4]);
}

/// Two objects never begin with the same word.
#[test]
fn each_share_has_a_version_of_its_own() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let words: std::collections::BTreeSet<u64> = (0..1000)
        .map(|_| {
            let arc = heap.arc([1u64; 4]).unwrap();
            let word = arc.as_ptr() as usize - 24;
            let first = gone_round::swap(word, 0);
            gone_round::swap(word, first);
            first
        })
        .collect();
    assert_eq!(words.len(), 1000);
}

thread_local! {
    /// What another thread does with the new file of this thread's heap, before it is sealed.
    static MEANWHILE: std::cell::Cell<Option<fn(File)>> = const { std::cell::Cell::new(None) };
}

/// In place of the C library's.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[no_mangle]
extern "C" fn memfd_create(name: *const std::ffi::c_char, flags: u32) -> i32 {
    // SAFETY: (memfd_create) the caller's arguments.
    let fd = unsafe { system::syscall(319, name, flags) } as i32;
    if let Some(act) = MEANWHILE.take() {
        act(OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{fd}")).unwrap());
    }
    fd
}

/// Safe code opens the heap's file by /proc/self/fd before the seal.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn what_is_written_before_the_seal_is_gone() {
    MEANWHILE.set(Some(|file| file.write_all_at(&[0xff; 100_000], 0).unwrap()));
    let heap = Heap::anonymous(1 << 16).unwrap();
    assert!(MEANWHILE.take().is_none(), "it was written to");
    heap.check().unwrap();
    let lent = File::from(heap.as_fd().try_clone_to_owned().unwrap());
    let mut all = vec![0; 100_000];
    lent.read_exact_at(&mut all, 0).unwrap();
    assert!(!all.windows(64).any(|bytes| bytes == [0xff; 64]));
    assert_eq!((heap.stats().unwrap().used_blocks, heap.stats().unwrap().processes), (0, 1));
    assert_eq!(*heap.boxed_slice(&[1u64; 1000]).unwrap(), [1; 1000]);
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn a_second_writer_before_the_seal_is_found() {
    use std::cell::Cell;
    thread_local!(static SECOND: Cell<Option<shmheap::UntrustedHeap>> = const { Cell::new(None) });
    MEANWHILE.set(Some(|file| {
        let other = Heap::anonymous(1 << 16).unwrap();
        let lent = File::from(other.as_fd().try_clone_to_owned().unwrap());
        let mut image = vec![0; lent.metadata().unwrap().len() as usize];
        lent.read_exact_at(&mut image, 0).unwrap();
        file.write_all_at(&image, 0).unwrap();
        SECOND.set(Some(Heap::options().open_fd(&file).unwrap()));
    }));
    assert!(Heap::anonymous(1 << 16).is_err());
    assert!(SECOND.take().is_some());
    Heap::anonymous(1 << 16).unwrap();
}

/// A copy of a heap's file has the heap's id.
#[test]
fn a_heap_and_its_copy_are_two() {
    let heap = shared(1 << 16);
    let arc = heap.arc(AtomicU64::new(1)).unwrap();
    let (mine, theirs) = (arc.share().unwrap(), arc.share().unwrap());
    let lent = File::from(heap.as_fd().try_clone_to_owned().unwrap());
    let mut image = vec![0; lent.metadata().unwrap().len() as usize];
    lent.read_exact_at(&mut image, 0).unwrap();
    let path = std::env::temp_dir().join(format!("shmheap-copy-{}", std::process::id()));
    std::fs::write(&path, &image).unwrap();
    let copy = Heap::options().open_file(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let there = copy.receive_arc(theirs.cast::<AtomicU64>()).unwrap();
    assert!(!ShmArc::ptr_eq(&arc, &there));
    let again = again(&heap).receive_arc(mine).unwrap();
    assert!(ShmArc::ptr_eq(&arc, &again) && ShmArc::ptr_eq(&arc, &arc.clone()));
}
