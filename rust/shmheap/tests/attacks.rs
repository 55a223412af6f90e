//! Programs of safe code that once made undefined behaviour, or might: each is refused, and changes
//! nothing. (Where a test needs `unsafe`, it is for a system call that other crates offer as safe.)
mod support;

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use shmheap::{ArcHandle, AtomicHandle, Error, Handle, Heap, Root, ShmArc};
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

/// The lock of `fcntl` on Linux of 64 bits.
mod system {
    pub const F_OFD_SETLK: i32 = 37;
    pub const F_UNLCK: i16 = 2;

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
        pub fn syscall(number: i64, ...) -> i64;
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
        const F_ADD_SEALS: i32 = 1033;
        const F_SEAL_SHRINK: i32 = 2;
        // SAFETY: (fcntl) an open descriptor, and the argument that this command takes.
        assert_eq!(unsafe { system::fcntl(file.as_raw_fd(), F_ADD_SEALS, F_SEAL_SHRINK) }, 0);
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
