//! Objects that hold something else than their handles say, and copies.

use super::check::CHUNK;
use super::*;
use crate::heap::Heap;
use crate::Handle;

/// Sends an object that holds `bytes` and bears the label of `T`, another type.
fn sent_as<T: Content + ?Sized>(heap: &Heap, bytes: &[u8], count: usize) -> Handle<T> {
    let room = Room::new::<[u8]>(connection(&heap), bytes.len()).unwrap();
    // SAFETY: room for the bytes.
    let bits = unsafe {
        words::copy_in(bytes.as_ptr(), room.place, bytes.len());
        send_labelled::<T>(connection(&heap), room.place, count).unwrap()
    };
    room.into_place();
    Handle::from_bits(bits)
}

#[test]
fn text_is_checked_before_it_is_claimed() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    assert_eq!(&*heap.receive(sent_as::<str>(&heap, b"good", 4)).unwrap(), "good");
    let handle = sent_as::<str>(&heap, b"abc\xff", 4);
    for _ in 0..2 {
        assert!(matches!(heap.receive(handle), Err(Error::NotUtf8 { valid_up_to: 3 })));
        assert!(matches!(heap.take(handle), Err(Error::NotUtf8 { valid_up_to: 3 })));
        assert!(matches!(heap.peek(handle), Err(Error::NotUtf8 { valid_up_to: 3 })));
    }
    assert_eq!(heap.receive_bytes(handle.cast()).unwrap()[..4], *b"abc\xff");
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn what_is_no_value_is_refused_before_it_is_claimed() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    for (bytes, index) in [([0u8, 1, 2], Some(2)), ([3, 1, 0], Some(0)), ([1, 1, 1], None)] {
        let handle = sent_as::<[bool]>(&heap, &bytes, 3);
        for _ in 0..2 {
            for refused in [
                heap.peek(handle).map(|_| ()),
                heap.receive(handle).map(drop),
                heap.take(handle).map(drop),
            ] {
                match (refused, index) {
                    (Err(Error::NotAValue { index: found, .. }), Some(index)) => {
                        assert_eq!(found, index)
                    }
                    (Ok(()) | Err(Error::Stale), None) => {}
                    (other, _) => panic!("{other:?}"),
                }
            }
        }
        assert!(index.is_none() || heap.receive_bytes(handle.cast()).unwrap()[..3] == bytes);
    }
    let surrogate = sent_as::<char>(&heap, &0xd800u32.to_le_bytes(), 1);
    assert!(matches!(heap.receive(surrogate), Err(Error::NotAValue { index: 0, .. })));
    let mut many = vec![1u8; 3 * CHUNK];
    many[2 * CHUNK + 7] = 9;
    let refused = heap.receive(sent_as::<[bool]>(&heap, &many, many.len())).map(drop);
    assert!(matches!(refused, Err(Error::NotAValue { index, .. }) if index == 2 * CHUNK + 7));
}

#[test]
fn characters_that_a_chunk_cuts() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    for before in [CHUNK - 4, CHUNK - 3, CHUNK - 2, CHUNK - 1, CHUNK] {
        let text = "a".repeat(before) + "\u{10ffff}\u{fc}b";
        assert_eq!(*heap.receive(heap.boxed_str(&text).unwrap().send().unwrap()).unwrap(), *text);
        for cut in 1..4 {
            let bytes = &text.as_bytes()[..before + cut];
            let refused = heap.receive(sent_as::<str>(&heap, bytes, bytes.len())).map(|_| ());
            assert!(
                matches!(refused, Err(Error::NotUtf8 { valid_up_to }) if valid_up_to == before),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn labels_that_say_too_much_are_refused() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    for count in [41, 49, 1000, usize::MAX, usize::MAX - 16] {
        let handle = sent_as::<[u8]>(&heap, &[1; 40], count);
        // 40 bytes and two words are 56; a heap of alignment 16 gives such objects no more.
        assert!(matches!(heap.receive(handle), Err(Error::WrongType { .. })), "{count}");
        assert!(matches!(heap.take(handle), Err(Error::WrongType { .. })), "{count}");
        assert_eq!(heap.receive_bytes(handle.cast()).unwrap()[..], [1; 40]);
    }
}

/// Larger than this machine's memory, in a heap that reserves none.
#[test]
#[cfg_attr(miri, ignore)] // Miri's heap is smaller
fn a_copy_that_there_is_no_memory_for_is_an_error() {
    const HUGE: usize = 1 << 38;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let promises_anything = read("/proc/sys/vm/overcommit_memory").starts_with('1');
    let kib =
        read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok());
    let heap = Heap::options().size(1 << 20).growable_to(2 * HUGE).sparse().anonymous();
    let (Ok(heap), false, 1..=0x800_0000) = (heap, promises_anything, kib.unwrap_or(0)) else {
        println!(
            "skipped: this machine cannot map 512 GiB, has more than 128 GiB of memory, or \
             promises any amount of it"
        );
        return;
    };
    let heap = &heap;
    let Ok(room) = Room::new::<[u8]>(connection(&heap), HUGE) else {
        println!("skipped: this machine has no file of 256 GiB");
        return;
    };
    // SAFETY: new, and nothing refers to it; bytes of a new file are zero.
    let bits = unsafe { send_labelled::<[u8]>(connection(&heap), room.place, HUGE) }.unwrap();
    room.into_place();
    let handle = Handle::<[u8]>::from_bits(bits);
    assert!(matches!(heap.take(handle), Err(Error::NoMemory { bytes: HUGE })));
    assert!(matches!(heap.peek(handle), Err(Error::NoMemory { bytes: HUGE })));
    assert_eq!(heap.receive(handle).unwrap().len(), HUGE);
}

#[test]
fn a_copy_above_the_limit_of_the_connection() {
    let options = Heap::options().copies_up_to(100);
    // SAFETY: (trust) no other process has this heap.
    let heap = unsafe { options.anonymous_shared().unwrap().trust() };
    let handle = heap.boxed_slice(&[7u8; 101]).unwrap().send().unwrap();
    let refused = |result| matches!(result, Err(Error::CopyTooLarge { bytes: 101, limit: 100 }));
    assert!(refused(heap.peek(handle)));
    assert!(refused(heap.take(handle)));
    assert_eq!(heap.receive(handle).unwrap().len(), 101);
    let handle = heap.boxed_slice(&[7u8; 100]).unwrap().send().unwrap();
    assert_eq!(heap.peek(handle).unwrap(), [7; 100]);
    assert_eq!(heap.take(handle).unwrap(), [7; 100]);
}

#[test]
fn an_object_too_small_for_a_label() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let place = connection(&heap).alloc(8, 8).unwrap();
    // SAFETY: (send) ours.
    let bits = unsafe { connection(&heap).send(place) }.unwrap();
    assert!(matches!(heap.receive(Handle::<u8>::from_bits(bits)), Err(Error::WrongType { .. })));
    assert!(matches!(heap.receive_bytes(Handle::from_bits(bits)), Err(Error::WrongType { .. })));
}
