//! Several processes, some of which are killed.
mod support;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmheap::{ArcHandle, Error, Handle, Heap, Shm, ShmArc, ShmBox};
use support::{listen, open, role, say, seed, wait_for_death, Name, Peer, Random, Trusted};

#[derive(Shm, Debug, PartialEq)]
#[repr(C)]
struct Sample {
    time: u64,
    values: [f32; 4],
}

fn create(name: &Name) -> Heap {
    support::create(&name.0, 1 << 20).unwrap()
}

#[test]
fn values_travel_both_ways() {
    let name = Name::new();
    let heap = create(&name);
    let mut peer = Peer::start("answers_in_kind", &[&name.0]);
    let sample = heap.boxed(Sample { time: 7, values: [1.0, 2.0, 3.0, 4.0] }).unwrap();
    peer.tell(&sample.send().unwrap().to_string());
    let answer = heap.receive::<Sample>(peer.hear().parse().unwrap()).unwrap();
    assert_eq!(*answer, Sample { time: 8, values: [4.0, 3.0, 2.0, 1.0] });
    peer.tell(&heap.boxed_str("grüß").unwrap().send().unwrap().to_string());
    let text = heap.receive::<str>(peer.hear().parse().unwrap()).unwrap();
    assert_eq!(&*text, "grüß dich");
    peer.join();
    drop((answer, text));
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
    heap.check().unwrap();
}

#[test]
fn answers_in_kind() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let mut sample = heap.receive::<Sample>(listen().parse().unwrap()).unwrap();
    sample.time += 1;
    sample.values.reverse();
    say(sample.send().unwrap());
    let text = heap.receive::<str>(listen().parse().unwrap()).unwrap();
    say(heap.boxed_str(&format!("{} dich", &*text)).unwrap().send().unwrap());
}

#[test]
fn one_of_many_claims_succeeds() {
    const OBJECTS: usize = 1000;
    let name = Name::new();
    let heap = create(&name);
    let handles = heap.boxed_slice::<Handle<u64>>(
        &(0..OBJECTS).map(|i| heap.boxed(i as u64).unwrap().send().unwrap()).collect::<Vec<_>>(),
    );
    let claims = heap.arc([const { AtomicU64::new(0) }; OBJECTS]).unwrap();
    let list = handles.unwrap();
    let peers: Vec<Peer> = (0..3)
        .map(|_| {
            let copy = heap.boxed_slice(&list).unwrap().send().unwrap();
            Peer::start(
                "claims_all",
                &[&name.0, &copy.to_string(), &claims.share().unwrap().to_string()],
            )
        })
        .collect();
    peers.into_iter().for_each(Peer::join);
    for (i, claim) in claims.iter().enumerate() {
        assert_eq!(claim.load(SeqCst), 1, "object {i}");
        assert!(matches!(heap.receive(list[i]), Err(Error::Stale)));
    }
    drop((list, claims));
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn claims_all() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let handles = heap.receive::<[Handle<u64>]>(words[1].parse().unwrap()).unwrap();
    let claims: ShmArc<[AtomicU64; 1000]> = heap.receive_arc(words[2].parse().unwrap()).unwrap();
    for (i, &handle) in handles.iter().enumerate() {
        match heap.receive(handle) {
            Ok(object) => {
                assert_eq!(*object, i as u64);
                claims[i].fetch_add(1, SeqCst);
            }
            Err(Error::Stale) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn what_the_dead_held_is_reaped_and_what_they_sent_is_not() {
    let name = Name::new();
    let heap = create(&name);
    let mut peer = Peer::start("holds_and_sends", &[&name.0]);
    let sent: Handle<[u8]> = peer.hear().parse().unwrap();
    let held: u64 = peer.hear().parse().unwrap();
    assert_eq!(heap.reap().unwrap().boxes, 0, "it lives");
    peer.kill();
    assert_eq!(heap.reap().unwrap().boxes, held);
    assert_eq!(heap.receive(sent).unwrap().len(), 300);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
    heap.check().unwrap();
}

#[test]
fn holds_and_sends() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let held: Vec<ShmBox<u64>> = (0..50).map(|i| heap.boxed(i).unwrap()).collect();
    say(heap.boxed_slice(&[1u8; 300]).unwrap().send().unwrap());
    say(held.len());
    wait_for_death();
}

#[test]
fn a_shared_value_lives_as_long_as_its_last_share() {
    let name = Name::new();
    let heap = create(&name);
    let mut peer = Peer::start("makes_a_shared_value", &[&name.0]);
    let arc: ShmArc<AtomicU64> = heap.receive_arc(peer.hear().parse().unwrap()).unwrap();
    peer.tell("drop yours");
    peer.join();
    assert_eq!((arc.load(SeqCst), arc.shares()), (99, 1));
    assert_eq!(heap.reap().unwrap().arcs, 0);
    arc.store(100, SeqCst);
    drop(arc);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn a_shared_value_survives_the_death_of_its_maker_and_goes_with_the_last_by_reaping() {
    let name = Name::new();
    let heap = create(&name);
    let mut peer = Peer::start("makes_a_shared_value", &[&name.0]);
    let arc: ShmArc<AtomicU64> = heap.receive_arc(peer.hear().parse().unwrap()).unwrap();
    peer.kill();
    let reaped = heap.reap().unwrap();
    assert_eq!((reaped.boxes, reaped.arcs), (1, 0), "the dead one's share, and not the value");
    assert_eq!(arc.load(SeqCst), 99);
    let onward = arc.share().unwrap();
    drop(arc);
    assert_eq!(heap.reap().unwrap().arcs, 0, "a share in transit keeps it");
    drop(heap.receive_arc(onward).unwrap());
    assert_eq!(heap.stats().unwrap().used_blocks, 1, "the count still has the dead one in it");
    assert_eq!(heap.reap().unwrap().arcs, 1);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
    heap.check().unwrap();
}

#[test]
fn makes_a_shared_value() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let arc = heap.arc(AtomicU64::new(99)).unwrap();
    say(arc.share().unwrap());
    listen();
}

const MAGIC: u64 = 0x5151_7272_9393_b4b4;

#[derive(Shm)]
#[repr(C)]
struct Arena {
    steps: AtomicU64,
    magic: [u64; 5],
}

/// Peers make, share, claim and drop without rest and are killed at any moment, while other
/// processes sweep: what a process has a share in stays whole, and at the end nothing is left but
/// what was in transit when its sender died.
#[test]
fn deaths_while_sharing_and_sweeping() {
    const DEATHS: u64 = 30;
    let name = Name::new();
    let heap = create(&name);
    let mut random = Random(seed());
    let arena = heap.arc(Arena { steps: AtomicU64::new(0), magic: [MAGIC; 5] }).unwrap();
    let start = || {
        let share = arena.share().unwrap().to_string();
        let mut peer = Peer::start(
            "shares_without_rest",
            &[&name.0, &share, &heap.stats().unwrap().allocs.to_string()],
        );
        assert_eq!(peer.hear(), "has its share");
        peer
    };
    let survivor = start();
    for death in 0..DEATHS {
        let peer = start();
        let until = arena.steps.load(SeqCst) + 200 + random.below(400);
        while arena.steps.load(SeqCst) < until {
            heap.reap().unwrap();
        }
        peer.kill();
        heap.reap().unwrap();
        heap.check().unwrap();
        assert_eq!(arena.magic, [MAGIC; 5], "after {death} deaths");
    }
    survivor.kill();
    heap.reap().unwrap();
    // Ours and our share; for each death at most a box, and a share with its value, in transit.
    let left = heap.stats().unwrap().used_blocks;
    println!("{left} blocks are left after {} deaths", DEATHS + 1);
    assert!((2..=2 + 3 * (DEATHS + 1)).contains(&left), "{left}");
    heap.check().unwrap();
}

#[test]
fn shares_without_rest() {
    let Some(words) = role() else { return };
    // Some keep free blocks for themselves, and take them along when they die.
    let options =
        if std::process::id() % 2 == 0 { Heap::options().cached() } else { Heap::options() };
    let heap = options.open(&words[0]).unwrap().trusted();
    let arena: ShmArc<Arena> = heap.receive_arc(words[1].parse().unwrap()).unwrap();
    let mut random = Random(words[2].parse().unwrap());
    say("has its share");
    let mut boxes: Vec<ShmBox<[u64]>> = Vec::new();
    let mut arcs: Vec<ShmArc<[u64; 6]>> = Vec::new();
    loop {
        match random.below(7) {
            0 if boxes.len() < 50 => {
                boxes.push(heap.boxed_slice(&vec![MAGIC; random.below(40) as usize]).unwrap())
            }
            1 if arcs.len() < 50 => arcs.push(heap.arc([MAGIC; 6]).unwrap()),
            2 if !boxes.is_empty() => {
                let gone = boxes.swap_remove(random.below(boxes.len() as u64) as usize);
                assert!(gone.iter().all(|&word| word == MAGIC));
                boxes.push(heap.receive(gone.send().unwrap()).unwrap());
            }
            3 if !arcs.is_empty() => {
                let share = arcs[random.below(arcs.len() as u64) as usize].share().unwrap();
                arcs.push(heap.receive_arc(share).unwrap());
            }
            4 => drop(boxes.pop()),
            5 if !arcs.is_empty() => {
                let gone = arcs.swap_remove(random.below(arcs.len() as u64) as usize);
                assert_eq!(*gone, [MAGIC; 6]);
            }
            _ => {
                let again: ShmArc<Arena> = heap.receive_arc(arena.share().unwrap()).unwrap();
                assert_eq!(again.magic, [MAGIC; 5]);
                again.steps.fetch_add(1, SeqCst);
            }
        }
    }
}

/// A handle of another heap, one of none, and a share claimed twice.
#[test]
fn handles_from_elsewhere_are_refused() {
    let (heap, other) = (Heap::anonymous(1 << 16).unwrap(), Heap::anonymous(1 << 16).unwrap());
    let handle = heap.boxed(1u64).unwrap().send().unwrap();
    assert!(matches!(other.receive(handle), Err(Error::ForeignHandle | Error::Stale)));
    assert!(matches!(heap.receive(Handle::<u64>::NULL), Err(Error::NullHandle)));
    assert!(matches!(heap.receive_arc(ArcHandle::<u64>::NULL), Err(Error::NullHandle)));
    let share = heap.arc(1u8).unwrap().share().unwrap();
    drop(heap.receive_arc(share).unwrap());
    assert!(matches!(heap.receive_arc(share), Err(Error::Stale)));
    assert_eq!(heap.stats().unwrap().used_blocks, 1);
}

#[test]
fn a_heap_without_live_users_is_taken_over() {
    let name = Name::new();
    let mut peer = Peer::start("makes_and_waits", &[&name.0]);
    assert_eq!(peer.hear(), "made");
    assert!(matches!(
        Heap::options().take_over().create(&name.0),
        Err(Error::AlreadyExists { .. })
    ));
    assert_eq!(open(&name.0).unwrap().stats().unwrap().used_blocks, 1);
    peer.kill();
    let heap = Heap::options().size(1 << 16).take_over().create(&name.0).unwrap().trusted();
    let stats = heap.stats().unwrap();
    assert_eq!(
        (stats.len, stats.used_blocks, stats.alloc_bytes, stats.failed_allocs),
        (1 << 16, 0, 0, 0)
    );
    assert!(matches!(heap.boxed_slice(&[0u8; 1 << 16]), Err(Error::OutOfMemory { .. })));
    drop(heap.boxed(1u64).unwrap());
    let stats = heap.stats().unwrap();
    assert_eq!((stats.allocs, stats.failed_allocs), (1, 1));
    assert!((16..=64).contains(&stats.alloc_bytes));
}

#[test]
fn makes_and_waits() {
    let Some(words) = role() else { return };
    let heap = Heap::options().take_over().create(&words[0]).unwrap().trusted();
    let _object = heap.boxed(5u32).unwrap();
    say("made");
    wait_for_death();
}

struct OfAnySocket(Name);

impl Drop for OfAnySocket {
    fn drop(&mut self) {
        for socket in 0..64 {
            let _ = Heap::remove(&format!("{}.socket{socket}", self.0 .0));
        }
    }
}

/// Processes that are bound to a package get its heap; others are told that there is no telling.
#[test]
fn a_heap_of_the_package() {
    const EXDEV: i32 = 18;
    let all = OfAnySocket(Name::new());
    let name = &all.0 .0;
    match Heap::options().of_socket().create(name) {
        Ok(heap) => {
            let object = heap.send(&7u8).unwrap();
            let again = Heap::options().of_socket().open(name).unwrap();
            assert_eq!(again.take(object).unwrap(), 7);
            assert!(matches!(open(name), Err(Error::NotFound { .. })));
        }
        Err(Error::Unsupported) => {}
        Err(Error::Call { errno, .. }) => assert_eq!(errno, EXDEV),
        Err(error) => panic!("{error}"),
    }
}
