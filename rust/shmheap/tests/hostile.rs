//! A peer that keeps no rules: it writes any bytes into the heap's file, at any time. Calls refuse
//! or give bytes; they do not panic, hang or stray. The heap is of the kind for such peers: values
//! are copied in and out.
mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use shmheap::{ArcHandle, Handle, Heap, Root, UntrustedHeap};
use support::{seed, Random};

fn file_of(heap: &UntrustedHeap) -> File {
    // SAFETY: no connection to this heap trusts its writers.
    File::from(unsafe { heap.writable_fd() }.unwrap().try_clone_to_owned().unwrap())
}

/// Where slots, index and blocks are. The lock lies before: a live owner that never lets go costs
/// each call 30 s, which the tests of the core wait for.
const BEHIND_CONTROL: u64 = 512;

/// Writes a word at a random place.
fn scribble(file: &File, len: u64, random: &mut Random) {
    let at = BEHIND_CONTROL + random.below((len - BEHIND_CONTROL) / 8) * 8;
    let word = match random.below(4) {
        0 => 0,
        1 => u64::MAX,
        2 => random.below(1 << 20) | (random.draw() << 36),
        _ => random.draw(),
    };
    file.write_all_at(&word.to_le_bytes(), at).unwrap();
}

fn try_everything(
    heap: &UntrustedHeap,
    boxes: &[Handle<[u8]>],
    shares: &[ArcHandle<AtomicU64>],
    random: &mut Random,
) {
    let handle = boxes[random.below(boxes.len() as u64) as usize];
    let share = shares[random.below(shares.len() as u64) as usize];
    match random.below(13) {
        0 => drop(heap.take(handle)),
        1 => drop(heap.take(handle.cast::<str>())),
        2 => drop(heap.take(handle.cast::<[u64; 4]>())),
        3 => {
            if let Ok(arc) = heap.receive_arc(share) {
                arc.fetch_add(1, Relaxed);
                let _ = arc.share();
            }
        }
        4 => {
            if let Ok(sent) = heap.send_slice(&[1u8; 100]) {
                let _ = heap.take(sent.cast::<[u8; 100]>());
                let _ = heap.take(sent);
            }
        }
        5 => drop(heap.reap()),
        6 => drop(heap.check()),
        7 => drop(heap.names()),
        8 => drop(heap.find_root::<AtomicU64>("steady").map(|root| root.fetch_add(1, Relaxed))),
        9 => {
            if let Ok(root) = heap.root::<[AtomicU64; 5]>([b'a' + random.below(4) as u8]) {
                root[4].fetch_add(1, Relaxed);
            }
        }
        10 => drop(
            heap.peek(handle.cast::<[bool]>())
                .map(|values| assert!(values.iter().all(|&value| u8::from(value) < 2))),
        ),
        11 => drop(heap.in_transit().map(|all| all.first().map(|one| heap.discard(one.handle)))),
        _ => drop(heap.discard(handle.cast())),
    }
}

type Steady = Root<AtomicU64>;
type Boxes = Vec<Handle<[u8]>>;
type Shares = Vec<ArcHandle<AtomicU64>>;

fn prepared() -> (UntrustedHeap, Boxes, Shares, Steady, u64) {
    let heap = Heap::options().size(1 << 14).anonymous_shared().unwrap();
    let boxes = (0..20).map(|i| heap.send_slice(&vec![i as u8; i * 10]).unwrap()).collect();
    let arc = heap.arc(AtomicU64::new(0)).unwrap();
    let shares = (0..10).map(|_| arc.share().unwrap()).collect();
    let len = file_of(&heap).metadata().unwrap().len();
    let steady = heap.root("steady").unwrap();
    (heap, boxes, shares, steady, len)
}

#[test]
fn bytes_written_between_calls() {
    let mut random = Random(seed());
    for _ in 0..400 {
        let (heap, boxes, shares, _steady, len) = prepared();
        let file = file_of(&heap);
        for _ in 0..40 {
            scribble(&file, len, &mut random);
            try_everything(&heap, &boxes, &shares, &mut random);
        }
    }
}

#[test]
fn bytes_written_meanwhile() {
    let seed = seed();
    for round in 0..40 {
        let (heap, boxes, shares, _steady, len) = prepared();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (file, mut random) = (file_of(&heap), Random(seed ^ round));
                while !done.load(Relaxed) {
                    scribble(&file, len, &mut random);
                }
            });
            let mut random = Random(!seed ^ round);
            for _ in 0..300 {
                try_everything(&heap, &boxes, &shares, &mut random);
            }
            done.store(true, Relaxed);
        });
    }
}
