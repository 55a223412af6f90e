//! Programs without `unsafe` that request what is shared as other types, guess, forge and die: a
//! heap that processes do not trust each other with.
#![forbid(unsafe_code)]
use std::any::Any;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::SeqCst};

use shmheap::{
    ArcHandle, AtomicHandle, Error, Handle, Heap, Reaped, Shareable, Shm, ShmArc, UntrustedHeap,
};

/// A heap with a name that no other test has; removed at the end.
struct Place {
    name: String,
    heap: UntrustedHeap,
}

impl Place {
    fn new(test: &str) -> Self {
        let name = format!("/safe-deaths-{test}-{}", std::process::id());
        Place { heap: Heap::options().size(1 << 20).create(&name).unwrap(), name }
    }

    /// This program once more, in that role; it has said that it is ready.
    fn peer(&self, role: &str, word: &str) -> Child {
        let mut peer = Command::new(std::env::current_exe().unwrap())
            .args([role, "--exact", "--nocapture", "--test-threads=1"])
            .env("SAFE_DEATHS", format!("{} {word}", self.name))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(peer.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("@ready")), "the peer has gone");
        peer
    }

    fn is_empty(&self) -> bool {
        self.heap.check().unwrap();
        self.heap.stats().unwrap().used_blocks == 0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        Heap::remove(&self.name).unwrap();
    }
}

/// SIGKILL.
fn kill(mut peer: Child) {
    peer.kill().unwrap();
    peer.wait().unwrap();
}

/// The heap and the word of this role; None when the tests themselves run it.
fn role() -> Option<(UntrustedHeap, String)> {
    let words = std::env::var("SAFE_DEATHS").ok()?;
    let (name, word) = words.split_once(' ').unwrap();
    Some((Heap::options().open(name).unwrap(), word.to_owned()))
}

fn ready() {
    println!("\n@ready");
}

fn wait_for_death() -> ! {
    loop {
        std::thread::park();
    }
}

fn is_wrong<T>(found: Result<T, Error>) -> bool {
    matches!(found, Err(Error::WrongType { .. } | Error::OtherRoot { .. }))
}

#[derive(Shm, Default)]
#[repr(C)]
struct Plain(u64, u64);

#[derive(Shm, Default)]
#[shm(name = "one")]
#[repr(C)]
struct One(u64, u64);

#[derive(Shm, Default)]
#[shm(name = "one", version = 2)]
#[repr(C)]
struct Two(u64, u64);

/// What a program does with a type that it believes in.
struct Believer {
    shares: fn(&Heap) -> (u64, Box<dyn Any>),
    receives: fn(&Heap, u64) -> Result<(), Error>,
    makes: fn(&Heap, &str) -> Box<dyn Any>,
    finds: fn(&Heap, &str) -> Result<(), Error>,
}

fn believer<T: Shareable + Default>() -> Believer {
    Believer {
        shares: |heap| {
            let arc = heap.arc(T::default()).unwrap();
            (arc.share().unwrap().bits(), Box::new(arc))
        },
        receives: |heap, bits| heap.receive_arc(ArcHandle::<T>::from_bits(bits)).map(|_| ()),
        makes: |heap, name| Box::new(heap.root_with(name, T::default).unwrap()),
        finds: |heap, name| {
            heap.root_with(name, T::default)?;
            heap.find_root::<T>(name).map(|_| ())
        },
    }
}

#[test]
fn types_of_one_size_are_shared_as_themselves_alone() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let all = [
        believer::<[u64; 2]>(),
        believer::<[AtomicU64; 2]>(),
        believer::<[i64; 2]>(),
        believer::<[AtomicI64; 2]>(),
        believer::<[f64; 2]>(),
        believer::<[Handle<u8>; 2]>(),
        believer::<[AtomicHandle<u8>; 2]>(),
        believer::<[[u64; 1]; 2]>(),
        believer::<Plain>(),
        believer::<One>(),
        believer::<Two>(),
    ];
    for (i, one) in all.iter().enumerate() {
        let (bits, kept) = (one.shares)(&heap);
        let root = (one.makes)(&heap, "root");
        for (_, other) in all.iter().enumerate().filter(|&(j, _)| j != i) {
            assert!(is_wrong((other.receives)(&heap, bits)));
            assert!(is_wrong((other.finds)(&heap, "root")));
        }
        (one.receives)(&heap, bits).unwrap();
        (one.finds)(&heap, "root").unwrap();
        assert_eq!(heap.names().unwrap()[0].users, 1);
        drop((kept, root));
        assert_eq!(heap.stats().unwrap().used_blocks, 0);
    }
}

/// Eight places for shares that go round, and how often they went.
type Mailboxes = [AtomicU64; 9];
type Value = [AtomicU64; 4];

#[test]
fn deaths_amid_wrong_types_and_guesses() {
    let place = Place::new("wrong");
    let mailboxes = place.heap.root::<Mailboxes>("m").unwrap();
    let value: ShmArc<Value> = place.heap.arc([5, 6, 7, 0].map(AtomicU64::new)).unwrap();
    let survivor = place.peer("requests_wrongly", "1");
    for seed in 2..20 {
        for mailbox in &mailboxes[..8] {
            if mailbox.load(SeqCst) == 0 {
                mailbox.store(value.share().unwrap().bits(), SeqCst);
            }
        }
        let peer = place.peer("requests_wrongly", &seed.to_string());
        let until = mailboxes[8].load(SeqCst) + 300 + seed * 7;
        while mailboxes[8].load(SeqCst) < until {
            place.heap.reap().unwrap();
        }
        kill(peer);
        place.heap.reap().unwrap();
        place.heap.check().unwrap();
        assert_eq!([0, 1, 2].map(|i| value[i].load(SeqCst)), [5, 6, 7]);
    }
    kill(survivor);
    assert!(value[3].load(SeqCst) > 0, "no share went round");
    place.heap.reap().unwrap();
    for found in place.heap.in_transit().unwrap() {
        place.heap.discard(found.handle).unwrap();
    }
    drop((value, mailboxes));
    place.heap.reap().unwrap();
    assert!(place.is_empty());
}

#[test]
fn requests_wrongly() {
    let Some((heap, seed)) = role() else { return };
    let mut random: u64 = seed.parse().unwrap();
    let mailboxes = heap.root::<Mailboxes>("m").unwrap();
    ready();
    loop {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let mailbox = &mailboxes[(random >> 60) as usize % 8];
        let bits = mailbox.swap(0, SeqCst);
        let refused = heap.receive_arc(ArcHandle::<[AtomicI64; 4]>::from_bits(bits));
        assert!(refused.is_err());
        assert!(heap.receive_arc(ArcHandle::<[AtomicU32; 8]>::from_bits(bits)).is_err());
        assert!(heap.take(Handle::<[u64; 4]>::from_bits(bits)).is_err());
        assert!(is_wrong(heap.root::<[AtomicI64; 9]>("m")));
        if let Ok(value) = heap.receive_arc(ArcHandle::<Value>::from_bits(bits)) {
            value[3].fetch_add(1, SeqCst);
            let share = value.share().unwrap();
            if mailbox.compare_exchange(0, share.bits(), SeqCst, SeqCst).is_err() {
                heap.discard(Handle::from_bits(share.bits())).unwrap();
            }
        }
        let guess = bits ^ (1 << ((random >> 32) % 51));
        let _ = heap.peek(Handle::<[u8]>::from_bits(guess));
        let _ = heap.discard(Handle::from_bits(guess));
        mailboxes[8].fetch_add(1, SeqCst);
    }
}

/// The words that this crate knows its objects by, as any program can read them in its sources.
const INSIDE: u64 = u64::from_le_bytes(*b"shmheapi");
const TICKET: u64 = u64::from_le_bytes(*b"shmheapt");
const TAG: u64 = 0x7a1c << 48;

#[test]
fn forged_shares_and_insides_are_values_like_others() {
    let place = Place::new("forged");
    kill(place.peer("has_shares", "0"));
    let insides: Vec<_> = (5..40)
        .map(|len| {
            let mut words = vec![INSIDE; len];
            words[..4].fill(0);
            words[1] = TICKET;
            place.heap.send_slice(&words).unwrap()
        })
        .collect();
    // Values that name every place where an inside of a dead process can lie: they keep the
    // insides, as a share does.
    let forged = |at: u64| [TAG | at; 3];
    let tickets: Vec<_> = (0..8192).map(|at| place.heap.send(&forged(at)).unwrap()).collect();
    let found = place.heap.reap().unwrap();
    assert_eq!((found.boxes, found.arcs), (5, 0), "their shares; forged ones keep the insides");
    for handle in &tickets {
        assert!(is_wrong(place.heap.receive_arc(ArcHandle::<Value>::from_bits(handle.bits()))));
    }
    for (at, handle) in (0..).zip(tickets) {
        assert_eq!(place.heap.take(handle).unwrap(), forged(at));
    }
    assert_eq!(place.heap.reap().unwrap().arcs, 5);
    for handle in insides {
        assert_eq!(place.heap.take(handle).unwrap().last(), Some(&INSIDE));
    }
    assert!(place.is_empty());
}

/// Five values, and a share in the one of that handle, if it is one.
#[test]
fn has_shares() {
    let Some((heap, word)) = role() else { return };
    let handle: ArcHandle<Value> = word.parse().unwrap();
    let own: Vec<ShmArc<Value>> = (0..5).map(|_| heap.arc(Value::default()).unwrap()).collect();
    let received = heap.receive_arc(handle);
    assert_eq!(received.is_ok(), !handle.is_null());
    ready();
    drop(own[0].clone());
    wait_for_death();
}

/// What dead processes had is given back once, by any number of threads that reap.
#[test]
fn threads_reap_the_same_dead() {
    let place = Place::new("reapers");
    let value: ShmArc<Value> = place.heap.arc(Value::default()).unwrap();
    let alive = AtomicU32::new(4);
    let start = || place.peer("has_shares", &value.share().unwrap().to_string());
    let peers: Vec<_> = (0..4).map(|_| start()).collect();
    let reap = || -> (u64, u64) {
        let mut sum = (0, 0);
        loop {
            let last = alive.load(SeqCst) == 0;
            let Reaped { boxes, arcs, .. } = place.heap.reap().unwrap();
            sum = (sum.0 + boxes, sum.1 + arcs);
            if last {
                return sum;
            }
        }
    };
    let sums = std::thread::scope(|scope| {
        let reapers = [0; 3].map(|_| scope.spawn(reap));
        for peer in peers {
            kill(peer);
            alive.fetch_sub(1, SeqCst);
        }
        reapers.map(|reaper| reaper.join().unwrap())
    });
    // A thread may look at an inside before another thread gives its share back.
    let rest = place.heap.reap().unwrap();
    let boxes = sums.iter().map(|sum| sum.0).sum::<u64>() + rest.boxes;
    let arcs = sums.iter().map(|sum| sum.1).sum::<u64>() + rest.arcs;
    assert_eq!((boxes, arcs), (24, 20));
    assert_eq!(value.shares(), 5, "too many, as documented: 4 died");
    drop(value);
    assert_eq!(place.heap.reap().unwrap().arcs, 1);
    assert!(place.is_empty());
}

/// The handle that a dead process claimed is good for nothing, whatever it is requested as.
#[test]
fn a_share_that_a_dead_process_claimed() {
    let place = Place::new("claimed");
    let value: ShmArc<Value> = place.heap.arc([1, 2, 3, 4].map(AtomicU64::new)).unwrap();
    let share = value.share().unwrap();
    kill(place.peer("has_shares", &share.to_string()));
    for reaped in [6, 0] {
        assert!(matches!(place.heap.receive_arc(share), Err(Error::Stale)));
        assert!(place.heap.receive_arc(share.cast::<[AtomicI64; 4]>()).is_err());
        assert!(place.heap.discard(Handle::from_bits(share.bits())).is_err());
        assert_eq!(place.heap.reap().unwrap().boxes, reaped);
    }
    let again = place.heap.receive_arc(value.share().unwrap()).unwrap();
    assert!(ShmArc::ptr_eq(&value, &again));
    drop(value);
    assert_eq!(place.heap.reap().unwrap().arcs, 0, "there is a share");
    assert_eq!([0, 1, 2, 3].map(|i| again[i].load(SeqCst)), [1, 2, 3, 4]);
    drop(again);
    place.heap.reap().unwrap();
    assert!(place.is_empty());
}

/// A process dies while it makes a root; another one makes it of another type.
#[test]
fn a_root_that_a_dead_process_began() {
    let place = Place::new("began");
    kill(place.peer("begins_a_root", ""));
    let root = place.heap.root_with("r", || [1, 2].map(AtomicI64::new)).unwrap();
    assert!(is_wrong(place.heap.find_root::<[AtomicU64; 2]>("r")));
    assert!(is_wrong(place.heap.root::<[AtomicU64; 2]>("r")));
    place.heap.reap().unwrap();
    assert_eq!(root[1].load(SeqCst), 2);
    assert_eq!(place.heap.names().unwrap()[0].users, 1);
    drop(root);
    assert!(place.heap.names().unwrap().is_empty() && place.is_empty());
}

#[test]
fn begins_a_root() {
    let Some((heap, _)) = role() else { return };
    let _root = heap.root_with("r", || -> [AtomicU64; 2] {
        ready();
        wait_for_death()
    });
}

#[test]
fn shares_of_another_heap() {
    let (one, two) = (Place::new("one"), Place::new("two"));
    let values = [&one, &two].map(|place| place.heap.arc(Value::default()).unwrap());
    let share = values[0].share().unwrap();
    let refused = [
        two.heap.receive_arc(share).map(|_| ()),
        two.heap.receive_arc(share.cast::<[AtomicI64; 4]>()).map(|_| ()),
        two.heap.discard(Handle::from_bits(share.bits())),
    ];
    assert!(refused.iter().all(|found| matches!(found, Err(Error::ForeignHandle))));
    assert!(!ShmArc::ptr_eq(&values[0], &values[1]));
    assert!(ShmArc::ptr_eq(&values[0], &one.heap.receive_arc(share).unwrap()));
    drop(values);
    assert!(one.is_empty() && two.is_empty());
}
