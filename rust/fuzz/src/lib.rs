//! Bytes become calls of the safe interface, which a model in private memory follows. Two
//! connections to one heap stand for two processes; handles are made up from bytes as well. One
//! op writes any bytes into the heap's file behind the library's back. After that op the model
//! requires only "no panic, no hang".
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use shmheap::{ArcHandle, Error, Handle, Heap, Root, ShmArc, ShmBox, UntrustedHeap};

/// Takes bytes from the input; 0 when there are none left.
struct Input<'d>(&'d [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| (word << 8) | u64::from(self.byte()))
    }

    fn pick(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| usize::from(self.byte()) % len)
    }
}

struct State {
    heaps: [Heap; 2],
    boxes: Vec<(ShmBox<[u8]>, Vec<u8>)>,
    texts: Vec<(ShmBox<str>, String)>,
    arcs: Vec<(ShmArc<AtomicU64>, usize)>,
    /// What each shared value ought to be, and how many own it.
    values: Vec<u64>,
    /// In transit, with what is in it.
    letters: Vec<(Handle<[u8]>, Vec<u8>)>,
    roots: Vec<(AnyRoot, Vec<u8>)>,
    /// What the name of each root stands for, while the root has a user.
    names: BTreeMap<Vec<u8>, NameModel>,
}

/// A root of one of three types, of which two are as long.
enum AnyRoot {
    Word(Root<AtomicU64>),
    Halves(Root<[u32; 2]>),
    Row(Root<[u64; 9]>),
}

struct NameModel {
    kind: u8,
    value: u64,
    users: u64,
}

/// Up to `attacked`, from which on no reference to what is in the heap is used but to atomics.
fn trusted(heap: UntrustedHeap) -> Heap {
    // SAFETY: this process alone has descriptors of it.
    unsafe { heap.trust() }
}

impl State {
    fn new(input: &mut Input) -> Self {
        let options = input.byte();
        let mut how =
            Heap::options().size(1 << 14).alignment(if options & 1 == 0 { 16 } else { 8 });
        if options & 2 != 0 {
            how = how.growable_to(1 << 17);
        }
        if options & 4 != 0 {
            how = how.size(1 << 16).cached();
        }
        let heap = trusted(how.anonymous_shared().expect("a small heap"));
        let there = trusted(Heap::options().open_fd(&heap).expect("the same"));
        State {
            heaps: [heap, there],
            boxes: Vec::new(),
            texts: Vec::new(),
            arcs: Vec::new(),
            values: Vec::new(),
            letters: Vec::new(),
            roots: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    fn make(&mut self, input: &mut Input) {
        let heap = &self.heaps[usize::from(input.byte() & 1)];
        let (kind, len, fill) = (input.byte() % 3, usize::from(input.byte()) * 5, input.byte());
        match kind {
            0 => match heap.boxed_slice(&vec![fill; len]) {
                Ok(boxed) => self.boxes.push((boxed, vec![fill; len])),
                Err(error) => assert!(matches!(error, Error::OutOfMemory { .. }), "{error}"),
            },
            1 => {
                let text = char::from(fill).to_string().repeat(len);
                if let Ok(boxed) = heap.boxed_str(&text) {
                    self.texts.push((boxed, text));
                }
            }
            _ => {
                if let Ok(arc) = heap.arc(AtomicU64::new(u64::from(fill))) {
                    self.values.push(u64::from(fill));
                    self.arcs.push((arc, self.values.len() - 1));
                }
            }
        }
    }

    fn share(&mut self, input: &mut Input) {
        let Some(i) = input.pick(self.arcs.len()) else { return };
        let (arc, value) = &self.arcs[i];
        let Ok(handle) = arc.share() else { return };
        let there = &self.heaps[usize::from(input.byte() & 1)];
        let wrong: Result<ShmArc<[u8; 3]>, Error> = there.receive_arc(handle.cast());
        assert!(matches!(wrong, Err(Error::WrongType { .. })));
        // As long, as much aligned, and not atomic.
        let wrong: Result<ShmArc<u64>, Error> = there.receive_arc(handle.cast());
        assert!(matches!(wrong, Err(Error::WrongType { .. })));
        let share = there.receive_arc::<AtomicU64>(handle).expect("as it was");
        share.fetch_add(1, Relaxed);
        self.values[*value] += 1;
        let value = *value;
        self.arcs.push((share, value));
    }

    fn send(&mut self, input: &mut Input) {
        let Some(i) = input.pick(self.boxes.len()) else { return };
        let (boxed, bytes) = self.boxes.swap_remove(i);
        self.letters.push((boxed.send().expect("ours"), bytes));
    }

    fn receive(&mut self, input: &mut Input) {
        let Some(i) = input.pick(self.letters.len()) else { return };
        let (handle, bytes) = self.letters.swap_remove(i);
        let there = &self.heaps[usize::from(input.byte() & 1)];
        assert!(matches!(there.receive(handle.cast::<[i8]>()), Err(Error::WrongType { .. })));
        assert!(matches!(there.take(handle.cast::<[bool]>()), Err(Error::WrongType { .. })));
        assert!(matches!(
            there.receive_arc(ArcHandle::<u64>::from_bits(handle.bits())),
            Err(Error::WrongType { .. })
        ));
        assert_eq!(there.peek(handle).expect("in transit"), bytes);
        if input.byte() & 1 == 0 {
            self.boxes.push((there.receive(handle).expect("in transit"), bytes));
        } else {
            assert_eq!(there.take(handle).expect("in transit"), bytes);
        }
        assert!(matches!(there.receive(handle), Err(Error::Stale)));
    }

    fn drop_one(&mut self, input: &mut Input) {
        match input.byte() % 3 {
            0 => drop(input.pick(self.boxes.len()).map(|i| self.boxes.swap_remove(i))),
            1 => drop(input.pick(self.texts.len()).map(|i| self.texts.swap_remove(i))),
            _ => drop(input.pick(self.arcs.len()).map(|i| self.arcs.swap_remove(i))),
        }
    }

    fn name(&mut self, input: &mut Input) {
        match input.byte() % 4 {
            0 => {
                if let Some(i) = input.pick(self.roots.len()) {
                    let (root, name) = self.roots.swap_remove(i);
                    drop(root);
                    let model = self.names.get_mut(&name).expect("in use");
                    model.users -= 1;
                    if model.users == 0 {
                        self.names.remove(&name);
                    }
                }
            }
            1 => self.show_names(),
            _ => self.open_root(input),
        }
    }

    fn open_root(&mut self, input: &mut Input) {
        let heap = &self.heaps[usize::from(input.byte() & 1)];
        let (kind, find, byte) = (input.byte() % 3, input.byte() & 1 == 0, input.byte());
        // A few names are used often, others seldom; some are none.
        let name = match byte {
            0 => Vec::new(),
            1 => vec![b'n'; 256],
            2 => vec![b'z', 0],
            byte => vec![byte % 32 + 1; usize::from(byte)],
        };
        let opened = AnyRoot::open(heap, &name, kind, find, u64::from(byte));
        let model = self.names.get_mut(&name);
        match opened {
            Err(Error::InvalidName(_)) => assert!(byte < 3),
            Err(Error::OutOfMemory { .. }) => assert!(!find || model.is_some()),
            Err(Error::NoSuchName { .. }) => assert!(find && model.is_none()),
            Err(Error::OtherRoot { .. }) => assert_ne!(model.expect("there is one").kind, kind),
            Err(other) => panic!("{other}"),
            Ok(root) => {
                let value = if byte & 1 == 0 { 0 } else { u64::from(byte) };
                let model =
                    self.names.entry(name.clone()).or_insert(NameModel { kind, value, users: 0 });
                assert_eq!((root.kind(), root.value()), (model.kind, model.value));
                assert!(!find || model.users > 0);
                model.users += 1;
                if let AnyRoot::Word(word) = &root {
                    model.value += 1;
                    word.fetch_add(1, Relaxed);
                }
                self.roots.push((root, name));
            }
        }
    }

    fn show_names(&self) {
        for heap in &self.heaps {
            let shown: BTreeMap<Vec<u8>, u64> = heap
                .names()
                .expect("no other process interferes")
                .into_iter()
                .map(|info| (info.name, info.users))
                .collect();
            let expected: BTreeMap<Vec<u8>, u64> =
                self.names.iter().map(|(name, model)| (name.clone(), model.users)).collect();
            assert_eq!(shown, expected);
        }
    }

    fn check(&self) {
        assert!(self.roots.iter().all(|(root, name)| root.value() == self.names[name].value));
        assert!(self.boxes.iter().all(|(found, expected)| **found == **expected));
        assert!(self.texts.iter().all(|(found, expected)| **found == **expected));
        assert!(self.arcs.iter().all(|(found, value)| found.load(Relaxed) == self.values[*value]));
    }

    /// Any bits as a handle, also those of what this crate keeps for itself: nothing changes.
    fn made_up(&self, input: &mut Input) {
        let near = self.letters.first().map_or(0, |(handle, _)| handle.bits());
        let bits = if input.byte() & 1 == 0 {
            input.word()
        } else {
            near ^ (1 << 36) ^ (1 << (input.byte() % 36))
        };
        let heap = &self.heaps[0];
        if self.letters.iter().all(|(handle, _)| handle.bits() != bits) {
            assert!(heap.receive(Handle::<[u128; 3]>::from_bits(bits)).is_err());
            assert!(heap.receive_arc(ArcHandle::<[u16; 3]>::from_bits(bits)).is_err());
        }
    }

    /// From here on no value can be relied upon: it is enough that calls return.
    fn attacked(&mut self, input: &mut Input) {
        let again = Heap::options().open_fd(&self.heaps[0]).expect("the same");
        // SAFETY: from here on values are copied, and references are to atomics.
        let file = File::from(
            unsafe { again.writable_fd() }
                .expect("a descriptor")
                .try_clone_to_owned()
                .expect("one more"),
        );
        let len = file.metadata().expect("a file").len() - 512;
        let letters: Vec<_> = self.letters.iter().map(|(handle, _)| *handle).collect();
        let shares: Vec<_> = self.arcs.iter().filter_map(|(arc, _)| arc.share().ok()).collect();
        while !input.0.is_empty() {
            // Behind the lock, for which a live owner is waited 30 s.
            let at = 512 + input.word() % len / 8 * 8;
            file.write_all_at(&input.word().to_le_bytes(), at).expect("the heap's file");
            let heap = &self.heaps[usize::from(input.byte() & 1)];
            let _ = input.pick(letters.len()).map(|i| heap.take(letters[i]));
            let _ = input
                .pick(shares.len())
                .map(|i| heap.receive_arc(shares[i]).map(|arc| arc.share()));
            let _ =
                heap.boxed_zeroed::<u64>(usize::from(input.byte())).map(|boxed| boxed.snapshot());
            let name = [input.byte() % 4 + 1];
            let _ = heap.root::<AtomicU64>(name).map(|root| root.fetch_add(1, Relaxed));
            let _ = (heap.find_root::<[AtomicU64; 4]>(name).map(|_| ()), heap.names());
            let _ = (heap.reap(), heap.check());
        }
    }
}

impl AnyRoot {
    fn open(heap: &Heap, name: &[u8], kind: u8, find: bool, value: u64) -> Result<Self, Error> {
        let half = value as u32;
        match (kind, find, value & 1) {
            (0, true, _) => heap.find_root(name).map(AnyRoot::Word),
            (0, false, 0) => heap.root(name).map(AnyRoot::Word),
            (0, false, _) => heap.root_with(name, || AtomicU64::new(value)).map(AnyRoot::Word),
            (1, true, _) => heap.find_root(name).map(AnyRoot::Halves),
            (1, false, 0) => heap.root(name).map(AnyRoot::Halves),
            (1, false, _) => heap.root_with(name, || [half; 2]).map(AnyRoot::Halves),
            (_, true, _) => heap.find_root(name).map(AnyRoot::Row),
            (_, false, 0) => heap.root(name).map(AnyRoot::Row),
            (_, false, _) => heap.root_with(name, || [value; 9]).map(AnyRoot::Row),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            AnyRoot::Word(_) => 0,
            AnyRoot::Halves(_) => 1,
            AnyRoot::Row(_) => 2,
        }
    }

    /// Its first element; all are the same.
    fn value(&self) -> u64 {
        match self {
            AnyRoot::Word(word) => word.load(Relaxed),
            AnyRoot::Halves(halves) => {
                assert_eq!(halves[0], halves[1]);
                halves[0].into()
            }
            AnyRoot::Row(row) => {
                assert!(row.iter().all(|word| *word == row[0]));
                row[0]
            }
        }
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut state = State::new(&mut input);
    while !input.0.is_empty() {
        match input.byte() % 16 {
            0..=4 => state.make(&mut input),
            5..=6 => state.share(&mut input),
            7..=8 => state.send(&mut input),
            9..=10 => state.receive(&mut input),
            11..=12 => state.drop_one(&mut input),
            13 => state.made_up(&mut input),
            14 => {
                let reaped = state.heaps[0].reap().expect("no other process interferes");
                assert_eq!((reaped.boxes, reaped.arcs), (0, 0), "all of us live");
            }
            _ => match input.byte() {
                201.. => return state.attacked(&mut input),
                100.. => state.name(&mut input),
                _ => {}
            },
        }
        state.check();
    }
    state.show_names();
    let State { heaps, boxes, texts, arcs, letters, roots, .. } = state;
    drop((boxes, texts, arcs, roots));
    for (handle, bytes) in letters {
        assert_eq!(*heaps[1].receive(handle).expect("in transit"), *bytes);
    }
    assert!(heaps[0].names().expect("no other process interferes").is_empty());
    heaps[0].check().expect("sound");
    heaps[0].reap().expect("no other process interferes");
}
