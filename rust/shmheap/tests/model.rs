//! Random calls, held against what ought to be there.
use proptest::prelude::*;
mod support;

use shmheap::{Error, Heap, ShmBox};
use support::{again, Trusted};

#[derive(Clone, Debug)]
enum Step {
    New(Vec<u8>),
    Zeroed(usize),
    Text(String),
    Write(usize, usize, u8),
    Travel(usize),
    WrongType(usize),
    Take(usize),
    Drop(usize),
    Reap,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..64usize;
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..600).prop_map(Step::New),
        1 => (0..2000usize).prop_map(Step::Zeroed),
        2 => proptest::collection::vec(any::<char>(), 0..50)
            .prop_map(|chars| Step::Text(chars.into_iter().collect())),
        4 => (which.clone(), any::<usize>(), any::<u8>())
            .prop_map(|(i, at, byte)| Step::Write(i, at, byte)),
        4 => which.clone().prop_map(Step::Travel),
        1 => which.clone().prop_map(Step::WrongType),
        1 => which.clone().prop_map(Step::Take),
        3 => which.prop_map(Step::Drop),
        1 => Just(Step::Reap),
    ]
}

enum Object<'h> {
    Bytes(ShmBox<[u8]>, Vec<u8>),
    Text(ShmBox<str, &'h Heap>, String),
}

impl<'h> Object<'h> {
    fn check(&self) {
        match self {
            Object::Bytes(found, expected) => assert_eq!(**found, **expected),
            Object::Text(found, expected) => assert_eq!(**found, **expected),
        }
    }

    fn travel(self, there: &'h Heap) -> Self {
        match self {
            Object::Bytes(object, expected) => {
                Object::Bytes(there.receive(object.send().unwrap()).unwrap(), expected)
            }
            Object::Text(object, expected) => {
                Object::Text(ShmBox::receive_in(object.send().unwrap(), there).unwrap(), expected)
            }
        }
    }

    fn take(self, there: &Heap) {
        match self {
            Object::Bytes(object, expected) => {
                assert_eq!(there.take(object.send().unwrap()).unwrap(), expected)
            }
            Object::Text(object, expected) => {
                assert_eq!(there.take(object.send().unwrap()).unwrap(), expected)
            }
        }
    }

    /// The heap refuses to give it as another type, and it stays under its handle.
    fn wrong_type(self, there: &'h Heap) -> Self {
        let Object::Bytes(object, expected) = self else { return self };
        let handle = object.send().unwrap();
        assert!(matches!(there.receive(handle.cast::<u32>()), Err(Error::WrongType { .. })));
        assert!(matches!(there.receive(handle.cast::<str>()), Err(Error::WrongType { .. })));
        assert!(matches!(there.take(handle.cast::<[i8]>()), Err(Error::WrongType { .. })));
        Object::Bytes(there.receive(handle).unwrap(), expected)
    }
}

fn run(heap: &Heap, there: &Heap, steps: Vec<Step>) {
    let mut objects: Vec<Object> = Vec::new();
    for step in steps {
        let len = objects.len();
        match step {
            Step::New(bytes) => {
                objects.push(Object::Bytes(heap.boxed_slice(&bytes).unwrap(), bytes))
            }
            Step::Zeroed(size) => {
                objects.push(Object::Bytes(heap.boxed_zeroed(size).unwrap(), vec![0; size]))
            }
            Step::Text(text) => {
                objects.push(Object::Text(ShmBox::str_in(&text, heap).unwrap(), text))
            }
            Step::Reap => assert_eq!(heap.reap().unwrap().boxes, 0),
            _ if len == 0 => {}
            Step::Write(i, at, byte) => {
                if let Object::Bytes(found, expected) = &mut objects[i % len] {
                    if !expected.is_empty() {
                        let at = at % expected.len();
                        (found[at], expected[at]) = (byte, byte);
                    }
                }
            }
            Step::Travel(i) => {
                let object = objects.swap_remove(i % len);
                objects.push(object.travel(there));
            }
            Step::WrongType(i) => {
                let object = objects.swap_remove(i % len);
                objects.push(object.wrong_type(there));
            }
            Step::Take(i) => objects.swap_remove(i % len).take(there),
            Step::Drop(i) => drop(objects.swap_remove(i % len)),
        }
        objects.iter().for_each(Object::check);
    }
    assert_eq!(heap.stats().unwrap().used_blocks, objects.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn boxes_hold_what_was_put_there(
        steps in proptest::collection::vec(step(), 0..120),
        alignment in prop_oneof![Just(8), Just(16)],
    ) {
        let options = Heap::options().size(1 << 18).growable_to(1 << 20).alignment(alignment);
        let heap = options.anonymous_shared().unwrap().trusted();
        let there = again(&heap);
        run(&heap, &there, steps);
        prop_assert_eq!(heap.stats().unwrap().used_blocks, 0);
        heap.check().unwrap();
    }

    /// Whatever the bits, no call does more than refuse or give what is there.
    #[test]
    fn handles_of_any_bits(
        bits in proptest::collection::vec(any::<u64>(), 1..50),
        near in any::<bool>(),
    ) {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let sent = heap.boxed_slice(&[7u32; 9]).unwrap().send().unwrap();
        let arc = heap.arc([5u16; 7]).unwrap();
        for bits in bits {
            let bits = if near { sent.bits() ^ (1 << (bits % 64)) } else { bits };
            let handle = shmheap::Handle::<[u64]>::from_bits(bits);
            prop_assert!(heap.receive(handle).is_err());
            prop_assert!(heap.take(handle.cast::<str>()).is_err());
            prop_assert!(heap.receive_bytes(handle.cast()).is_err());
            prop_assert!(heap.receive_arc(shmheap::ArcHandle::<u32>::from_bits(bits)).is_err());
        }
        prop_assert_eq!(&*heap.receive(sent).unwrap(), &[7u32; 9][..]);
        prop_assert_eq!(*arc, [5u16; 7]);
    }
}
