// Passes the version of snmalloc-sys, which it takes from Cargo.lock: snmalloc has no call for it.
// SPDX-License-Identifier: Apache-2.0
fn main() {
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock");
    let after_name = lock.split("name = \"snmalloc-sys\"").nth(1);
    let version = after_name.and_then(|text| text.split('"').nth(1));
    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rustc-env=SNMALLOC={}", version.unwrap_or("unknown"));
}
