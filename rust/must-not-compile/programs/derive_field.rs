//! A field that cannot lie there is named.
#[derive(shmheap::Shm)]
#[repr(C)]
struct Holder {
    good: u64,
    bad: *const u64,
}

fn main() {}
