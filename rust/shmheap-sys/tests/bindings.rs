//! The committed bindings are what bindgen makes of the header, and the sources are those that
//! Bazel compiles.
use std::path::Path;

include!("../bindgen_options.rs");

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn libclang_is_missing() -> bool {
    // bindgen panics where it cannot load the library.
    std::panic::catch_unwind(bindgen::clang_version).is_err()
}

#[test]
fn committed_bindings_are_fresh() {
    if libclang_is_missing() {
        eprintln!(
            "skipped: no libclang on this machine (apt-get install libclang1, or set \
             LIBCLANG_PATH)"
        );
        return;
    }
    let made = bindings_of(&here().join("c/include")).expect("bindgen reads shmheap.h");
    let path = here().join("src/bindings.rs");
    if std::env::var_os("SHMHEAP_UPDATE_BINDINGS").is_some() {
        std::fs::write(&path, &made).expect("src/bindings.rs can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("src/bindings.rs is there");
    assert!(
        made == committed,
        "src/bindings.rs is stale: SHMHEAP_UPDATE_BINDINGS=1 cargo test -p shmheap-sys"
    );
}

/// build.rs has three flags; this holds them to what c/BUILD and c/copts.bzl say.
#[test]
fn same_flags_as_bazel() {
    let build = here().join("c/BUILD");
    let Ok(build) = std::fs::read_to_string(build) else {
        eprintln!("skipped: c/BUILD is in the repository, not in the package");
        return;
    };
    let copts = std::fs::read_to_string(here().join("c/copts.bzl"))
        .expect("c/copts.bzl lies beside c/BUILD");
    let bazel_flags = |text: &str| -> Vec<String> {
        text.split('"').filter(|word| word.starts_with('-')).map(str::to_owned).collect()
    };
    let copts_line =
        build.lines().find(|line| line.starts_with("COPTS = ")).expect("c/BUILD sets COPTS");
    // The level of optimisation is cargo's matter.
    let language = copts.split("OPTIMISED").next().expect("a text has a first part");
    let mut flags = bazel_flags(language);
    flags.extend(bazel_flags(copts_line));
    let script = std::fs::read_to_string(here().join("build.rs")).expect("build.rs is there");
    let list = script
        .lines()
        .find(|line| line.contains("for flag in"))
        .expect("build.rs has a list of flags");
    assert_eq!(bazel_flags(list), flags);
}
