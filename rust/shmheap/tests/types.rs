//! What the derive makes of types: what they are told apart by, and which bytes are their values.
mod support;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use shmheap::{ArcHandle, AtomicHandle, Error, Handle, Heap, Shm};

fn fingerprint<T: Shm>() -> u64 {
    T::SHAPE.fingerprint()
}

/// Two versions of a program, or two programs.
mod one {
    use super::*;
    #[derive(Shm)]
    #[repr(C)]
    pub struct Sample {
        pub time: u64,
        pub value: u32,
        pub good: u32,
    }
    #[derive(Shm)]
    #[repr(C)]
    pub struct Counter {
        pub hits: AtomicU64,
    }
    #[derive(Shm, Clone, Copy, Debug, PartialEq)]
    #[repr(u8)]
    pub enum Unit {
        Celsius = 1,
        Kelvin = 2,
    }
    #[derive(Shm)]
    #[shm(name = "Degrees")]
    #[repr(transparent)]
    pub struct Named(pub f64);
}

mod other {
    use super::*;
    /// Of the same structure, under other names.
    #[derive(Shm)]
    #[repr(C)]
    pub struct Reading {
        pub when: u64,
        pub what: u32,
        pub flags: u32,
    }
    #[derive(Shm)]
    #[repr(C)]
    pub struct Swapped {
        pub value: u32,
        pub good: u32,
        pub time: u64,
    }
    #[derive(Shm)]
    #[repr(C)]
    pub struct Signed {
        pub time: u64,
        pub value: i32,
        pub good: u32,
    }
    #[derive(Shm)]
    #[repr(C)]
    pub struct Frozen {
        pub hits: u64,
    }
    #[derive(Shm)]
    #[shm(version = 2)]
    #[repr(C)]
    pub struct Next {
        pub when: u64,
        pub what: u32,
        pub flags: u32,
    }
    #[derive(Shm)]
    #[repr(u8)]
    #[allow(dead_code)]
    pub enum Unit {
        Celsius = 1,
        Kelvin = 3,
    }
    #[derive(Shm)]
    #[shm(name = "Radians", version = 1)]
    #[repr(transparent)]
    pub struct Named(pub f64);
}

#[test]
fn structure_makes_the_fingerprint() {
    assert_eq!(fingerprint::<one::Sample>(), fingerprint::<other::Reading>());
    let all = [
        fingerprint::<one::Sample>(),
        fingerprint::<other::Swapped>(),
        fingerprint::<other::Signed>(),
        fingerprint::<other::Next>(),
        fingerprint::<one::Counter>(),
        fingerprint::<other::Frozen>(),
        fingerprint::<one::Unit>(),
        fingerprint::<other::Unit>(),
        fingerprint::<one::Named>(),
        fingerprint::<other::Named>(),
        fingerprint::<[u64; 2]>(),
        fingerprint::<u128>(),
    ];
    for (i, one) in all.iter().enumerate() {
        assert!(!all[..i].contains(one), "{i}");
    }
}

#[test]
fn programs_of_other_versions_are_told_so() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let handle = heap.boxed(one::Sample { time: 1, value: 2, good: 3 }).unwrap().send().unwrap();
    assert!(matches!(heap.receive(handle.cast::<other::Swapped>()), Err(Error::WrongType { .. })));
    assert!(matches!(heap.receive(handle.cast::<other::Next>()), Err(Error::WrongType { .. })));
    let reading = heap.receive(handle.cast::<other::Reading>()).unwrap();
    assert_eq!((reading.when, reading.what, reading.flags), (1, 2, 3));
    let share = heap.arc(one::Counter { hits: AtomicU64::new(4) }).unwrap().share().unwrap();
    assert!(matches!(
        heap.receive_arc(share.cast::<other::Frozen>()),
        Err(Error::WrongType { .. })
    ));
    assert_eq!(heap.receive_arc(share).unwrap().hits.load(SeqCst), 4);
    let unit = heap.boxed(one::Unit::Kelvin).unwrap().send().unwrap();
    assert!(matches!(heap.receive(unit.cast::<other::Unit>()), Err(Error::WrongType { .. })));
    assert_eq!(heap.take(unit).unwrap(), one::Unit::Kelvin);
    let degrees = heap.boxed(one::Named(1.5)).unwrap().send().unwrap();
    assert!(matches!(heap.take(degrees.cast::<other::Named>()), Err(Error::WrongType { .. })));
    assert_eq!(heap.take(degrees).unwrap().0, 1.5);
}

#[derive(Shm, Clone, Copy, Debug, PartialEq)]
#[repr(i16)]
enum Level {
    Low = -3,
    Zero,
    High = 300,
    Higher,
    Nothing = 0,
}

#[derive(Shm, Debug, PartialEq, Clone, Copy)]
#[repr(C)]
struct Everything<T, const N: usize> {
    letter: char,
    some: Option<NonZeroU32>,
    none: Option<NonZeroU32>,
    level: Level,
    good: bool,
    bytes: [bool; 9],
    rest: [T; N],
}

fn example() -> Everything<u64, 2> {
    Everything {
        letter: 'ß',
        some: NonZeroU32::new(7),
        none: None,
        level: Level::Higher,
        good: true,
        bytes: [false, true, false, false, true, true, true, true, false],
        rest: [8, 9],
    }
}

#[test]
fn values_of_all_kinds_travel() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    assert_eq!(*heap.receive(heap.boxed(example()).unwrap().send().unwrap()).unwrap(), example());
    assert_eq!(
        heap.take(heap.boxed_slice(&[example(); 100]).unwrap().send().unwrap()).unwrap(),
        [example(); 100]
    );
    assert_eq!(
        *heap.receive_arc(heap.arc(example()).unwrap().share().unwrap()).unwrap(),
        example()
    );
    let root = heap.root_with("all", example).unwrap();
    assert_eq!(
        (*root, *heap.find_root::<Everything<u64, 2>>("all").unwrap()),
        (example(), example())
    );
    let flag = heap.arc(AtomicBool::new(true)).unwrap();
    assert!(heap.receive_arc(flag.share().unwrap()).unwrap().load(SeqCst));
    let flag = heap.root::<[AtomicBool; 3]>("flags").unwrap();
    assert!(
        !heap.find_root::<[AtomicBool; 3]>("flags").unwrap()[2].swap(true, SeqCst)
            && flag[2].load(SeqCst)
    );
}

/// Each byte of a value set to each of 256: it is refused, or is what the bytes say. (Made of
/// bytes, and looked at as the type.)
#[test]
fn any_byte_makes_a_value_or_is_refused() {
    fn valid<T: Shm + Copy, R>(
        from: &T,
        at: usize,
        byte: u8,
        use_it: impl Fn(&T) -> R,
    ) -> Option<R> {
        let mut copy = *from;
        let place = std::ptr::from_mut(&mut copy);
        // SAFETY: at lies within; what is no value is not looked at as one.
        unsafe {
            place.cast::<u8>().add(at).write(byte);
            let valid = T::is_valid(place);
            if valid {
                return Some(use_it(&copy));
            }
            place.write(*from);
        }
        None
    }
    let (mut refused, size) = (0, std::mem::size_of::<Everything<u64, 2>>());
    for at in 0..size {
        for byte in 0..=255 {
            match valid(&example(), at, byte, |value| format!("{value:?}")) {
                Some(text) => assert!(text.starts_with("Everything")),
                None => refused += 1,
            }
        }
    }
    let replaced = |bytes: &[u8], at: usize, byte: u8| {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        word[at] = byte;
        u32::from_le_bytes(word)
    };
    let (letter, level) = (u32::from('ß').to_le_bytes(), (Level::Higher as i16).to_le_bytes());
    let mut expected = 10 * 254; // good and bytes
    for byte in 0..=255 {
        expected +=
            (0..4).filter(|&at| char::from_u32(replaced(&letter, at, byte)).is_none()).count();
        expected += (0..2)
            .filter(|&at| ![-3, -2, 300, 301, 0].contains(&(replaced(&level, at, byte) as i16)))
            .count();
    }
    assert_eq!(refused, expected);
}

#[test]
fn what_shapes_say() {
    assert!(
        Everything::<u64, 2>::SHAPE.zero_is_valid() && !Everything::<u64, 2>::SHAPE.any_bytes()
    );
    assert!(!one::Unit::SHAPE.zero_is_valid() && Level::SHAPE.zero_is_valid());
    assert!(one::Counter::SHAPE.is_all_atomic() && !one::Sample::SHAPE.is_all_atomic());
    assert!(<[AtomicU32; 3]>::SHAPE.is_all_atomic() && !AtomicBool::SHAPE.is_all_atomic());
    assert!(AtomicHandle::<str>::SHAPE.is_all_atomic() && AtomicBool::SHAPE.may_change());
    assert!(
        fingerprint::<Handle<u8>>() == fingerprint::<Handle<str>>(),
        "a handle's type is checked when it is used"
    );
    assert!(
        fingerprint::<Handle<u8>>() == fingerprint::<ArcHandle<u8>>()
            && fingerprint::<Handle<u8>>() != fingerprint::<u64>()
    );
}

/// A field may speak of its own type as `Self`, in generic types too.
#[test]
fn types_that_name_themselves() {
    #[derive(Shm)]
    #[repr(C)]
    struct Node<T, const N: usize> {
        values: [T; N],
        next: Handle<Self>,
        others: [Handle<[Self]>; 2],
    }
    #[derive(Shm)]
    #[repr(transparent)]
    struct Link(Handle<Self>);

    let heap = Heap::anonymous(1 << 16).unwrap();
    let node = |next| Node { values: [1u64, 2], next, others: [Handle::NULL; 2] };
    let last = heap.boxed(node(Handle::NULL)).unwrap().send().unwrap();
    let first = heap.receive(heap.boxed(node(last)).unwrap().send().unwrap()).unwrap();
    assert_eq!((first.values, heap.receive(first.next).unwrap().values), ([1, 2], [1, 2]));
    assert!(first.others.iter().all(|other| other.is_null()));
    assert!(heap.boxed(Link(Handle::NULL)).unwrap().0.is_null());
}

/// Words that name a type or its version are not those that a variant has.
#[test]
fn types_named_apart_are_apart() {
    #[derive(Shm)]
    #[repr(u8)]
    #[shm(name = "ab")]
    #[allow(dead_code)]
    enum Named {
        X = 1,
        Y = 3,
    }
    #[derive(Shm)]
    #[repr(u8)]
    #[allow(dead_code)]
    enum Plain {
        P = 2,
        Q = 0x61,
        R = 0x62,
        X = 1,
        Y = 3,
    }
    #[derive(Shm)]
    #[repr(i64)]
    #[shm(version = 5)]
    #[allow(dead_code)]
    enum Version {
        X = 1,
        Y = 3,
    }
    #[derive(Shm)]
    #[repr(i64)]
    #[allow(dead_code)]
    enum Numbers {
        M = -1,
        Five = 5,
        X = 1,
        Y = 3,
    }
    assert_ne!(Named::SHAPE.fingerprint(), Plain::SHAPE.fingerprint());
    assert_ne!(Version::SHAPE.fingerprint(), Numbers::SHAPE.fingerprint());
}

/// Types of one size, each sent as itself and received as each of them.
#[test]
fn each_type_is_received_as_itself_alone() {
    use std::num::{NonZeroI64, NonZeroU64};
    use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

    let heap = Heap::anonymous(1 << 16).unwrap();
    macro_rules! all {
        ($($value:expr => $of:ty),+ $(,)?) => {
            let sent = [$(heap.boxed::<$of>($value).unwrap().send().unwrap().bits()),+];
            for (own, bits) in sent.into_iter().enumerate() {
                let mut tried = 0;
                let mut received = Vec::new();
                $(
                    assert!(heap.receive_arc(ArcHandle::<$of>::from_bits(bits)).is_err());
                    if heap.peek(Handle::<$of>::from_bits(bits)).is_ok() {
                        received.push(tried);
                    }
                    tried += 1;
                )+
                assert_eq!((received, sent.len()), (vec![own], tried));
            }
        };
    }
    all!(
        1 => u64,
        1 => i64,
        1.0 => f64,
        NonZeroU64::MIN => NonZeroU64,
        NonZeroI64::MIN => NonZeroI64,
        None => Option<NonZeroU64>,
        None => Option<NonZeroI64>,
        AtomicU64::new(1) => AtomicU64,
        AtomicI64::new(1) => AtomicI64,
        [0; 8] => [u8; 8],
        [0; 2] => [u32; 2],
        [false; 8] => [bool; 8],
        ['a'; 2] => [char; 2],
        [AtomicU32::new(1), AtomicU32::new(2)] => [AtomicU32; 2],
        Handle::NULL => Handle<u64>,
        AtomicHandle::NULL => AtomicHandle<u64>,
    );
}
