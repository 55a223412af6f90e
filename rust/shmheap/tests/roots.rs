//! Names: found by all processes, made once, gone with the last use; what a death leaves.
mod support;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmheap::{Error, Heap, Root, Shm};
use support::{again, listen, open, role, say, seed, wait_for_death, Name, Peer, Random, Trusted};

fn create() -> (Name, Heap) {
    let name = Name::new();
    let heap = support::create(&name.0, 1 << 20).unwrap();
    (name, heap)
}

/// Names and how often they are used, sorted.
fn names(heap: &Heap) -> Vec<(String, u64)> {
    let mut names: Vec<_> =
        heap.names().unwrap().iter().map(|info| (info.to_string(), info.users)).collect();
    names.sort();
    names
}

#[test]
fn uses_are_counted_and_the_last_one_frees() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let first = heap.root::<AtomicU64>("a").unwrap();
    let clone = first.clone();
    let second = heap.root_with("a", || -> AtomicU64 { panic!("it is there") }).unwrap();
    second.store(5, SeqCst);
    assert_eq!(names(&heap), [("a".into(), 2)]);
    drop((first, second));
    assert_eq!((names(&heap), clone.load(SeqCst)), (vec![("a".into(), 1)], 5));
    drop(clone);
    assert_eq!(names(&heap), []);
    assert!(matches!(heap.find_root::<AtomicU64>("a"), Err(Error::NoSuchName { .. })));
    assert_eq!(heap.root::<AtomicU64>("a").unwrap().load(SeqCst), 0, "made anew");
    heap.check().unwrap();
}

#[test]
fn a_kept_name_stays_until_it_is_removed() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let kept =
        || heap.names().unwrap().iter().map(|info| (info.users, info.kept)).collect::<Vec<_>>();
    assert!(matches!(heap.keep_root("a"), Err(Error::NoSuchName { .. })));
    assert!(matches!(heap.remove_root("a"), Err(Error::NoSuchName { .. })));
    assert!(matches!(heap.keep_root(""), Err(Error::InvalidName(_))));
    let root = heap.root::<AtomicU64>("a").unwrap();
    assert_eq!(kept(), [(1, false)]);
    heap.keep_root("a").unwrap();
    root.store(7, SeqCst);
    drop(root);
    assert_eq!((kept(), heap.reap().unwrap().boxes), (vec![(0, true)], 0));
    let root = heap.root::<AtomicU64>("a").unwrap();
    assert_eq!(root.load(SeqCst), 7);
    assert!(!heap.remove_root("a").unwrap(), "it is in use");
    assert_eq!(kept(), [(1, false)]);
    drop(root);
    assert_eq!(kept(), []);
    drop(heap.root::<AtomicU64>("a"));
    heap.check().unwrap();
}

#[test]
fn a_root_keeps_its_heap_open() {
    let heap = Heap::options().size(1 << 16).anonymous_shared().unwrap().trusted();
    let observer = Heap::options().read_only().open_fd(&heap).unwrap();
    let root = heap.root::<AtomicU64>("a").unwrap();
    drop(heap);
    let there = root.clone();
    std::thread::spawn(move || there.fetch_add(1, SeqCst)).join().unwrap();
    assert_eq!(root.load(SeqCst), 1);
    assert_eq!((observer.names().unwrap()[0].users, observer.stats().unwrap().processes), (1, 1));
}

#[test]
fn any_bytes_but_zero_make_a_name() {
    let heap = Heap::anonymous(1 << 20).unwrap();
    let mut roots: Vec<Root<u64>> = Vec::new();
    let mut expected: Vec<Vec<u8>> = (1..=255u8).map(|byte| vec![byte]).collect();
    expected.extend((2..=255).map(|len| vec![0xff; len]));
    for name in &expected {
        roots.push(heap.root_with(name, || (u64::from(name[0]) << 8) | name.len() as u64).unwrap());
    }
    for name in &expected {
        assert_eq!(
            *heap.find_root::<u64>(name).unwrap(),
            (u64::from(name[0]) << 8) | name.len() as u64
        );
    }
    let mut found: Vec<Vec<u8>> = heap.names().unwrap().into_iter().map(|info| info.name).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    drop(roots);
    assert!(heap.names().unwrap().is_empty());
    heap.check().unwrap();
}

#[test]
fn names_out_of_range_are_refused() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    for name in [&b""[..], &[b'x'; 256], b"\0", b"a\0b", b"end\0"] {
        assert!(matches!(heap.root::<u64>(name), Err(Error::InvalidName(_))));
        assert!(matches!(heap.root_with(name, || 1u64), Err(Error::InvalidName(_))));
        assert!(matches!(heap.find_root::<u64>(name), Err(Error::InvalidName(_))));
    }
    let text = heap.root::<u64>("").unwrap_err().to_string();
    assert_eq!(text, "no name for a root: it is empty; 1 to 255 bytes other than zero make one");
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[derive(Shm)]
#[repr(C, align(64))]
struct Line([u8; 64]);

#[derive(Shm)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

#[derive(Shm)]
#[repr(C, align(8192))]
struct TooAligned([u8; 8192]);

#[test]
fn another_type_is_refused_and_changes_nothing() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let root = heap.root_with("pair", || [1u32, 2]).unwrap();
    let refused = |result: shmheap::Result<()>| {
        assert!(matches!(result, Err(Error::OtherRoot { .. })), "{result:?}")
    };
    refused(heap.root::<u64>("pair").map(|_| ())); // as long, of another alignment
    refused(heap.root::<u32>("pair").map(|_| ()));
    refused(heap.root::<[u32; 300]>("pair").map(|_| ()));
    refused(heap.find_root::<[u8; 8]>("pair").map(|_| ()));
    refused(heap.root::<Line>("pair").map(|_| ()));
    assert!(matches!(heap.root::<TooAligned>("pair"), Err(Error::TooLarge)));
    assert_eq!((*root, names(&heap)), ([1, 2], vec![("pair".into(), 1)]));
}

#[test]
fn alignments_and_sizes() {
    fn address<T>(value: &T) -> usize {
        std::ptr::from_ref(value) as usize
    }
    for alignment in [8, 16] {
        let heap = Heap::options()
            .size(1 << 24)
            .alignment(alignment)
            .anonymous_shared()
            .unwrap()
            .trusted();
        let there = again(&heap);
        let _odd = heap.boxed([0u8; 3]).unwrap();
        let line = heap.root_with("line", || Line([3; 64])).unwrap();
        let page = heap.root_with("page", || Page([4; 4096])).unwrap();
        let (line2, page2) =
            (there.find_root::<Line>("line").unwrap(), there.find_root::<Page>("page").unwrap());
        assert_eq!((address(&*line) % 64, address(&*line2) % 64, line2.0), (0, 0, [3; 64]));
        assert_eq!((address(&*page) % 4096, address(&*page2) % 4096, page2.0), (0, 0, [4; 4096]));
        let wide = heap.root_with("u128", || 1u128 << 100).unwrap();
        assert_eq!((address(&*wide) % 16, *there.root::<u128>("u128").unwrap()), (0, 1 << 100));
        let _nothing = heap.root::<()>("nothing").unwrap();
        let _nothing2 = there.find_root::<()>("nothing").unwrap();
        // More than a stack has.
        let large = heap.root::<[AtomicU64; 1 << 20]>("large").unwrap();
        assert!(large.iter().all(|word| word.load(SeqCst) == 0));
    }
}

#[test]
fn a_panic_while_making_leaves_no_name() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let panics = || heap.root_with("a", || -> u64 { panic!("on purpose") }).map(|_| ());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(names(&heap), []);
}

#[test]
fn full_and_read_only_heaps() {
    let heap = Heap::anonymous(4096).unwrap();
    assert!(matches!(heap.root::<[u64; 1000]>("large"), Err(Error::OutOfMemory { .. })));
    assert_eq!(names(&heap), []);
    let root = heap.root_with("small", || 5u64).unwrap();
    let reader = Heap::options().read_only().open_fd(&heap).unwrap();
    assert!(matches!(reader.root::<AtomicU64>("small"), Err(Error::ReadOnly)));
    assert!(matches!(reader.find_root::<AtomicU64>("small"), Err(Error::ReadOnly)));
    assert!(matches!(reader.find_root::<AtomicU64>("other"), Err(Error::NoSuchName { .. })));
    let seen: Vec<_> =
        reader.names().unwrap().iter().map(|info| (info.to_string(), info.users)).collect();
    assert_eq!(seen, [("small".into(), 1)]);
    assert_eq!(*root, 5);
}

#[test]
fn a_heap_may_grow_for_a_root() {
    let heap =
        Heap::options().size(4096).growable_to(1 << 20).anonymous_shared().unwrap().trusted();
    let there = again(&heap);
    let large = heap.root_with("large", || [7u64; 10_000]).unwrap();
    assert_eq!(*there.find_root::<[u64; 10_000]>("large").unwrap(), *large);
    assert_eq!(there.root::<[AtomicU64; 20_000]>("larger").unwrap()[19_999].load(SeqCst), 0);
    assert!(heap.stats().unwrap().grows >= 1);
}

#[test]
fn another_process_finds_it_by_name() {
    let (name, heap) = create();
    let ours = heap.root_with("total", || AtomicU64::new(40)).unwrap();
    let mut peer = Peer::start("adds_two", &[&name.0]);
    assert_eq!(peer.hear(), "added");
    assert_eq!(
        (ours.load(SeqCst), names(&heap)),
        (42, vec![("theirs".into(), 1), ("total".into(), 2)])
    );
    let theirs = heap.find_root::<[u16; 3]>("theirs").unwrap();
    peer.tell("go");
    peer.join();
    assert_eq!(
        (*theirs, names(&heap)),
        ([7, 8, 9], vec![("theirs".into(), 1), ("total".into(), 1)])
    );
}

#[test]
fn adds_two() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let total = heap.find_root::<AtomicU64>("total").unwrap();
    let _theirs = heap.root_with("theirs", || [7u16, 8, 9]).unwrap();
    total.fetch_add(2, SeqCst);
    say("added");
    listen();
}

#[test]
fn the_uses_of_the_dead_are_reaped() {
    let (name, heap) = create();
    let ours = heap.root_with("total", || AtomicU64::new(40)).unwrap();
    let mut peer = Peer::start("adds_two", &[&name.0]);
    assert_eq!(peer.hear(), "added");
    assert_eq!(heap.reap().unwrap().boxes, 0, "it lives");
    peer.kill();
    assert_eq!(names(&heap), [("theirs".into(), 1), ("total".into(), 2)]);
    assert_eq!(
        *heap.find_root::<[u16; 3]>("theirs").unwrap(),
        [7, 8, 9],
        "whole until a process reaps"
    );
    assert_eq!(heap.reap().unwrap().boxes, 1, "the root that the dead alone used");
    assert_eq!((ours.load(SeqCst), names(&heap)), (42, vec![("total".into(), 1)]));
    drop(ours);
    assert_eq!(names(&heap), []);
    heap.check().unwrap();
}

const MAKERS: usize = 2;
const ROUNDS: usize = 300;

/// Large enough that the second process finds it while the first one writes it.
type Row = [u64; 4000];

fn maker_of(row: &Row) -> u64 {
    assert!(row.iter().all(|&word| word == row[0]), "not of one maker");
    assert!((1..=MAKERS as u64).contains(&row[0]), "{} has not been made", row[0]);
    row[0]
}

/// Processes that make the same names at the same time: each value is that of one of them, whole,
/// and all see it.
#[test]
fn one_of_many_processes_makes_it() {
    let name = Name::new();
    let heap = Heap::options().size(1 << 24).create(&name.0).unwrap().trusted();
    let gates = heap.root::<[AtomicU64; ROUNDS]>("gates").unwrap();
    let mut peers: Vec<Peer> = (1..=MAKERS)
        .map(|mark| Peer::start("makes_names", &[&name.0, &mark.to_string()]))
        .collect();
    let makers: Vec<String> = peers.iter_mut().map(Peer::hear).collect();
    assert!(makers.iter().all(|made| *made == makers[0]), "{makers:?}");
    println!("who made each: {}", makers[0]);
    for mut peer in peers {
        peer.tell("go");
        peer.join();
    }
    assert_eq!(names(&heap), [("gates".into(), 1)]);
    drop(gates);
    heap.check().unwrap();
}

#[test]
fn makes_names() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let mark: u64 = words[1].parse().unwrap();
    let gates = heap.find_root::<[AtomicU64; ROUNDS]>("gates").unwrap();
    let rows: Vec<Root<Row>> = (0..ROUNDS)
        .map(|round| {
            gates[round].fetch_add(1, SeqCst);
            while gates[round].load(SeqCst) < MAKERS as u64 {
                std::thread::yield_now();
            }
            let row = heap.root_with(format!("round {round}"), || [mark; 4000]).unwrap();
            maker_of(&row);
            row
        })
        .collect();
    let makers: String = rows.iter().map(|row| maker_of(row).to_string()).collect();
    say(makers);
    listen();
}

const MAGIC: u64 = 0x5151_7272_9393_b4b4;
const NAMES: u64 = 6;

fn is_whole(value: &[u64; 40]) -> bool {
    value.iter().all(|&word| word == MAGIC)
}

/// Peers make, find and drop some names without rest and are killed at any moment: each value that
/// a peer finds is whole, and when all peers are gone, reaping leaves nothing.
#[test]
fn deaths_while_making_and_dropping() {
    const DEATHS: u64 = 40;
    let (name, heap) = create();
    let mut random = Random(seed());
    let steps = heap.root::<AtomicU64>("steps").unwrap();
    let start = |number: u64| {
        let mut peer = Peer::start("names_without_rest", &[&name.0, &number.to_string()]);
        assert_eq!(peer.hear(), "begins");
        peer
    };
    let survivor = start(random.draw());
    for death in 0..DEATHS {
        let peer = start(random.draw());
        let until = steps.load(SeqCst) + 100 + random.below(300);
        while steps.load(SeqCst) < until {
            match heap.find_root::<[u64; 40]>(random.below(NAMES).to_string()) {
                Ok(root) => assert!(is_whole(&root), "{:?} after {death} deaths", *root),
                Err(error) => assert!(matches!(error, Error::NoSuchName { .. }), "{error}"),
            }
        }
        peer.kill();
        if death % 2 == 0 {
            heap.reap().unwrap();
        }
        heap.check().unwrap();
    }
    survivor.kill();
    heap.reap().unwrap();
    assert_eq!(names(&heap), [("steps".into(), 1)]);
    heap.check().unwrap();
}

#[test]
fn names_without_rest() {
    let Some(words) = role() else { return };
    let options =
        if std::process::id() % 2 == 0 { Heap::options().cached() } else { Heap::options() };
    let heap = options.open(&words[0]).unwrap().trusted();
    let mut random = Random(words[1].parse().unwrap());
    let steps = heap.find_root::<AtomicU64>("steps").unwrap();
    let mut roots: Vec<Root<[u64; 40]>> = Vec::new();
    say("begins");
    loop {
        let name = random.below(NAMES).to_string();
        match random.below(4) {
            0 | 1 if roots.len() < 10 => roots.push(heap.root_with(name, || [MAGIC; 40]).unwrap()),
            2 => roots.extend(heap.find_root(name).ok()),
            // Garbage for the next names to be made in.
            3 if random.below(4) == 0 => drop(heap.boxed([random.draw(); 44]).unwrap()),
            _ if !roots.is_empty() => {
                let gone = roots.swap_remove(random.below(roots.len() as u64) as usize);
                assert!(is_whole(&gone));
            }
            _ => {}
        }
        steps.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_claim_before_reaping_keeps_the_value() {
    let (name, heap) = create();
    let mut peer = Peer::start("holds_and_dies", &[&name.0]);
    assert_eq!(peer.hear(), "1");
    peer.kill();
    let root = heap.root_with("a", || -> u64 { panic!("it is there") }).unwrap();
    assert_eq!((*root, heap.reap().unwrap().boxes, names(&heap)), (3, 0, vec![("a".into(), 1)]));
}

#[test]
fn holds_and_dies() {
    let Some(words) = role() else { return };
    let heap = open(&words[0]).unwrap();
    let _root = heap.root_with("a", || 3u64).unwrap();
    say(heap.names().unwrap().len());
    wait_for_death();
}
