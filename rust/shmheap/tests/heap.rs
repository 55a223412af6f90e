//! Opening, sizes, alignments and errors, in one process.
mod support;

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use shmheap::{Error, Heap, Shm, ShmBox};
use support::{again, open, Name, Trusted};

#[test]
fn each_way_to_open() {
    let name = Name::new();
    assert!(matches!(open(&name.0), Err(Error::NotFound { .. })));
    assert!(matches!(Heap::remove(&name.0), Err(Error::NotFound { .. })));
    let heap = Heap::options().size(1 << 16).create(&name.0).unwrap().trusted();
    assert!(matches!(support::create(&name.0, 1 << 16), Err(Error::AlreadyExists { .. })));
    let again = Heap::options().size(1 << 20).open_or_create(&name.0).unwrap().trusted();
    assert_eq!(again.stats().unwrap().len, 1 << 16);
    assert_eq!(heap.stats().unwrap().processes, 2);
    let handle = heap.boxed(5u64).unwrap().send().unwrap();
    assert_eq!(*again.receive(handle).unwrap(), 5);
}

#[test]
fn in_a_file() {
    let path = std::env::temp_dir().join(Name::new().0.trim_start_matches('/'));
    let heap = Heap::options().size(1 << 16).create_file(&path).unwrap().trusted();
    let handle = heap.boxed_str("on disk").unwrap().send().unwrap();
    drop(heap);
    let heap = Heap::options().open_file(&path).unwrap().trusted();
    assert_eq!(&*heap.receive(handle).unwrap(), "on disk");
    assert!(matches!(Heap::options().create_file(&path), Err(Error::AlreadyExists { .. })));
    drop((heap, Heap::options().open_or_create_file(&path).unwrap()));
    std::fs::write(&path, b"no heap at all").unwrap();
    assert!(matches!(Heap::options().open_file(&path), Err(Error::Corrupt { .. })));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn read_only_changes_nothing() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let handle = heap.boxed(1u8).unwrap().send().unwrap();
    let reader = Heap::options().read_only().open_fd(&heap).unwrap();
    assert!(matches!(reader.send(&1u8), Err(Error::ReadOnly)));
    assert!(matches!(reader.take(handle), Err(Error::ReadOnly)));
    assert!(matches!(reader.discard(handle.cast()), Err(Error::ReadOnly)));
    assert!(matches!(reader.arc(AtomicU8::new(1)), Err(Error::ReadOnly)));
    assert_eq!(
        (reader.peek(handle).unwrap(), reader.in_transit().unwrap()[0].handle),
        (1, handle.cast())
    );
    assert!(matches!(reader.reap(), Err(Error::ReadOnly)));
    assert_eq!(reader.stats().unwrap().used_blocks, 1);
    reader.check().unwrap();
}

#[test]
fn options_out_of_range_are_refused() {
    let heap = |options: shmheap::HeapOptions| options.anonymous().map(|_| ());
    let refused = heap(Heap::options().alignment(32)).unwrap_err();
    assert!(matches!(refused, Error::InvalidOption { .. }));
    assert!(refused.to_string().contains("alignment is 32, and may be 8 or 16 (EINVAL); give 8"));
    assert!(matches!(heap(Heap::options().size(1)), Err(Error::InvalidOption { .. })));
    assert!(matches!(
        heap(Heap::options().size(1 << 20).growable_to(1 << 10)),
        Err(Error::InvalidOption { .. })
    ));
    assert!(matches!(open("/with\0zero"), Err(Error::InvalidOption { .. })));
    assert!(heap(Heap::options().sparse().huge_pages().reap().mode(0o640)).is_ok());
    let timeout = Heap::options().timeout(std::time::Duration::MAX);
    assert!(timeout.open("/shmheap-never-made").is_err());
}

#[test]
fn it_grows() {
    let heap =
        Heap::options().size(4096).growable_to(1 << 20).anonymous_shared().unwrap().trusted();
    let there = again(&heap);
    let big = heap.boxed_slice(&vec![9u64; 50_000]).unwrap();
    assert_eq!(heap.stats().unwrap().grows, 1);
    let big = there.receive(big.send().unwrap()).unwrap();
    assert!(big.iter().all(|&word| word == 9));
}

/// The seal that keeps other writers out is no hindrance to the one.
#[test]
fn with_one_writer_it_grows_and_caches() {
    for (options, cached) in [
        (Heap::options(), false),
        (Heap::options().cached(), true),
        (Heap::options().huge_pages(), false),
    ] {
        let heap = options.size(1 << 16).growable_to(32 << 20).anonymous().unwrap();
        let boxes: Vec<_> = (0..2000u64).map(|i| heap.boxed([i; 20]).unwrap()).collect();
        let big = heap.boxed_slice(&vec![9u64; 1 << 20]).unwrap();
        assert!(heap.stats().unwrap().grows > 0 && big.iter().all(|&word| word == 9));
        assert!(boxes.iter().enumerate().all(|(i, row)| **row == [i as u64; 20]));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..1000).for_each(|_| drop(heap.boxed([1u8; 40]).unwrap())));
            }
        });
        drop((boxes, big));
        assert!(
            cached || heap.stats().unwrap().used_blocks == 0,
            "what caches keep counts as used"
        );
        heap.check().unwrap();
    }
}

#[test]
fn too_much_is_refused() {
    let heap = Heap::anonymous(4096).unwrap();
    assert!(matches!(heap.boxed_zeroed::<u8>(5000), Err(Error::OutOfMemory { size: 5016 })));
    assert!(heap.boxed_zeroed::<u8>(usize::MAX).is_err());
    assert!(heap.boxed_zeroed::<u64>(usize::MAX / 4).is_err());
    drop(heap.boxed_zeroed::<()>(usize::MAX).unwrap());
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn a_panic_while_making_loses_nothing() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let made = std::panic::catch_unwind(|| {
        ShmBox::from_fn_in(10, |i| if i == 5 { panic!("on purpose") } else { i as u64 }, &heap)
            .map(|_| ())
    });
    assert!(made.is_err());
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[derive(Shm, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

#[derive(Shm, Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

#[derive(Shm, Clone, Copy)]
#[repr(C, align(16384))]
struct TooAligned([u8; 16384]);

fn address<T: ?Sized>(value: &T) -> usize {
    (value as *const T).cast::<u8>() as usize
}

#[test]
fn alignments() {
    for alignment in [8, 16] {
        let heap = Heap::options()
            .size(1 << 20)
            .alignment(alignment)
            .anonymous_shared()
            .unwrap()
            .trusted();
        let there = again(&heap);
        let _odd = heap.boxed([0u8; 3]).unwrap();
        let (number, line, page) =
            (heap.boxed(1u128), heap.boxed(Line([1; 64])), heap.boxed(Page([2; 4096])));
        let lines = heap.boxed_slice(&[Line([3; 64]); 5]).unwrap();
        let shared = heap.arc(Line([4; 64])).unwrap();
        assert_eq!(address(&*number.unwrap()) % 16, 0);
        assert_eq!(address(&*page.unwrap()) % 4096, 0);
        assert_eq!(address(&lines[0]) % 64, 0);
        assert_eq!(address(&*shared) % 64, 0);
        let line = there.receive(line.unwrap().send().unwrap()).unwrap();
        assert_eq!((address(&*line) % 64, line.0[63]), (0, 1));
        let theirs = there.receive_arc(shared.share().unwrap()).unwrap();
        assert_eq!((address(&*theirs) % 64, theirs.0[63]), (0, 4));
        assert!(matches!(heap.boxed(TooAligned([0; 16384])), Err(Error::TooLarge)));
    }
}

#[test]
fn values_without_bytes() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let nothing = heap.receive(heap.boxed(()).unwrap().send().unwrap()).unwrap();
    let many = heap.receive(heap.boxed_slice(&[(); 1000]).unwrap().send().unwrap()).unwrap();
    let empty = heap.receive(heap.boxed_slice::<u64>(&[]).unwrap().send().unwrap()).unwrap();
    let text = heap.receive(heap.boxed_str("").unwrap().send().unwrap()).unwrap();
    assert_eq!((*nothing, many.len(), empty.len(), text.len()), ((), 1000, 0, 0));
    assert_eq!(heap.take(heap.boxed_slice(&[(); 3]).unwrap().send().unwrap()).unwrap().len(), 3);
}

#[test]
fn boxes_keep_their_heap_open() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let (boxed, arc) = (heap.boxed(7u32).unwrap(), heap.arc(AtomicU8::new(1)).unwrap());
    drop(heap);
    let heap = boxed.heap().clone();
    drop(boxed);
    arc.store(2, Relaxed);
    let clone = arc.clone();
    std::thread::spawn(move || assert_eq!(arc.load(Relaxed), 2)).join().unwrap();
    drop(clone);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn threads_share_a_connection() {
    let heap = Heap::options().size(1 << 20).anonymous().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..2u64 {
            let (heap, sender) = (&heap, sender.clone());
            scope.spawn(move || {
                for i in 0..2000 {
                    sender.send(ShmBox::new_in((thread << 32) | i, heap).unwrap()).unwrap();
                }
            });
        }
        drop(sender);
        let sum: u64 = receiver.iter().map(|boxed| *boxed & 0xffff_ffff).sum();
        assert_eq!(sum, 2 * (1999 * 2000 / 2));
    });
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
    heap.check().unwrap();
}

/// What caches give for a few bytes is as small as without them: shares are told from boxes by
/// that.
#[test]
fn cached() {
    for alignment in [8, 16] {
        let heap = Heap::options()
            .size(1 << 20)
            .alignment(alignment)
            .cached()
            .anonymous_shared()
            .unwrap()
            .trusted();
        let there = Heap::options().cached().open_fd(&heap).unwrap().trusted();
        let arcs: Vec<_> = (0..200).map(|i| heap.arc([i as u64; 3]).unwrap()).collect();
        for size in 0..500 {
            drop(heap.boxed_zeroed::<u8>(size).unwrap());
            let boxed = there
                .receive(heap.boxed_slice(&vec![size as u8; size]).unwrap().send().unwrap())
                .unwrap();
            assert!(boxed.len() == size && boxed.iter().all(|&byte| byte == size as u8));
            let arc = there.receive_arc(arcs[size % 200].share().unwrap()).unwrap();
            assert_eq!(arc[0] as usize, size % 200);
        }
        drop(arcs);
        let reaped = heap.reap().unwrap();
        assert_eq!((reaped.boxes, reaped.arcs), (0, 0));
        heap.check().unwrap();
    }
}

/// The types are what they should be for threads.
#[test]
fn send_and_sync() {
    fn both<T: Send + Sync>() {}
    both::<Heap>();
    both::<ShmBox<[u8]>>();
    both::<ShmBox<str, &Heap>>();
    both::<shmheap::ShmArc<AtomicU8>>();
    both::<shmheap::Handle<std::rc::Rc<u8>>>();
    both::<Error>();
}
