//! One way of making and dropping, or of sending and receiving, many times, for callgrind to count:
//! `count WAY TIMES`. `count.sh` beside Cargo.toml runs it.
use std::hint::black_box;

use shmheap::ShmBox;
use shmheap_bench::{heap, raw_heap};
use shmheap_sys as sys;

const LABEL: u64 = 0x1234_5678_9abc_def0;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let (way, times) = (words[1].as_str(), words[2].parse::<usize>().expect("a number"));
    let cached = way.ends_with("cached");
    let (raw, safe) = (raw_heap(cached), heap(cached));
    // SAFETY: C, shmheap_alloc: 72 bytes, ours until sent; sent and received in turn.
    let mut object = unsafe { sys::shmheap_alloc(raw, 72) };
    let mut borrowed = Some(ShmBox::new_in([1u8; 64], &safe).expect("space"));
    let mut owned = Some(safe.boxed([1u8; 64]).expect("space"));
    let each: &mut dyn FnMut() = match way {
        // SAFETY: C, shmheap_alloc: 72 bytes, ours until freed.
        "make-c" | "make-c-cached" => &mut || unsafe {
            let object = sys::shmheap_alloc(raw, 72).cast::<[u8; 64]>();
            object.write(black_box([1; 64]));
            sys::shmheap_free(raw, black_box(object).cast());
        },
        "make-borrowed" | "make-borrowed-cached" => {
            &mut || drop(black_box(ShmBox::new_in(black_box([1u8; 64]), &safe).expect("space")))
        }
        "make-owned" | "make-owned-cached" => {
            &mut || drop(black_box(safe.boxed(black_box([1u8; 64])).expect("space")))
        }
        // SAFETY: as above.
        "send-c" => &mut || unsafe {
            object = sys::shmheap_receive(raw, sys::shmheap_send(raw, object));
        },
        // SAFETY: as above; the label lies behind 64 bytes.
        "send-c-labelled" => &mut || unsafe {
            let handle = sys::shmheap_send_labelled(raw, object, &LABEL, 1);
            object = sys::shmheap_receive_labelled(raw, handle, LABEL, 72);
        },
        "send-borrowed" => &mut || {
            let handle = borrowed.take().expect("ours").send().expect("sent");
            borrowed = Some(ShmBox::receive_in(handle, &safe).expect("received"));
        },
        "send-owned" => &mut || {
            let handle = owned.take().expect("ours").send().expect("sent");
            owned = Some(safe.receive(handle).expect("received"));
        },
        other => panic!("no such way: {other}"),
    };
    for _ in 0..times {
        each();
    }
    assert!(!object.is_null());
}
