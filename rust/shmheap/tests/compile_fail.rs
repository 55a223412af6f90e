//! What must not compile does not, and for the reason it should.
use std::process::Command;

/// The compilers whose messages lie beside the programs; other compilers may word them differently.
/// (What a derive says already differs between the two, so none is used there.)
const KNOWN: [&str; 2] = ["rustc 1.95.", "rustc 1.96."];

#[test]
fn refused_by_the_compiler() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !KNOWN.iter().any(|known| version.starts_with(known)) {
        println!("skipped: the messages of {} are not among those kept here", version.trim_end());
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
