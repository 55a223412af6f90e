//! libFuzzer's way into the model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shmheap_fuzz::run(data));
