//! Every input of the corpus, once more: what the fuzzer found stays mended.
use std::path::Path;

#[test]
fn corpus() {
    let folder =
        Path::new(option_env!("CARGO_MANIFEST_DIR").unwrap_or("rust/fuzz")).join("corpus/ops");
    let mut inputs: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    for path in &inputs {
        println!("{}", path.display()); // libtest shows it when this one panics
        shmheap_fuzz::run(&std::fs::read(path).unwrap());
    }
    println!("{} inputs", inputs.len());
}

/// Pseudo-random inputs, the same in each run.
#[test]
fn pseudo_random() {
    let mut word = 0x2545_f491_4f6c_dd1du64;
    for _ in 0..300 {
        let mut bytes = Vec::new();
        for _ in 0..60 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            bytes.extend(word.to_le_bytes());
        }
        shmheap_fuzz::run(&bytes);
    }
}
