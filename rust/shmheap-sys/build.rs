//! Compiles the C sources, or finds the installed library (feature `system`). Makes the bindings
//! (feature `bindgen`).
use std::env;
use std::path::{Path, PathBuf};

#[cfg(feature = "bindgen")]
include!("bindgen_options.rs");

fn main() {
    let c = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("c");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SHMHEAP_LIB_DIR");
    println!("cargo:rerun-if-env-changed=SHMHEAP_INCLUDE_DIR");
    let include = if cfg!(feature = "system") { system(&c) } else { compiled(&c) };
    // Crates that depend on this one read it as DEP_SHMHEAP_INCLUDE.
    println!("cargo:include={}", include.display());
    generate(&include);
}

/// `c/shmheap.c` includes all files of c/src, which takes less time than one after the other.
fn compiled(c: &Path) -> PathBuf {
    let core = c.join("shmheap.c");
    assert!(core.exists(), "{} is missing; is the link c -> ../../c there?", core.display());
    for source in [&core, &c.join("src"), &c.join("include")] {
        println!("cargo:rerun-if-changed={}", source.display());
    }
    let mut build = cc::Build::new();
    build.file(core).include(c.join("include"));
    for flag in ["-std=c99", "-D_GNU_SOURCE", "-fvisibility=hidden"] {
        build.flag(flag);
    }
    if env::var("PROFILE").as_deref() == Ok("debug") {
        build.opt_level(2); // an unoptimised heap helps no user to debug a program
    }
    build.compile("shmheap");
    println!("cargo:rustc-link-lib=pthread");
    println!("cargo:rustc-link-lib=rt");
    c.join("include")
}

#[cfg(feature = "system")]
fn system(c: &Path) -> PathBuf {
    let ours = env::var_os("SHMHEAP_INCLUDE_DIR").map_or_else(|| c.join("include"), PathBuf::from);
    if let Some(directory) = env::var_os("SHMHEAP_LIB_DIR") {
        check_version(&ours);
        println!("cargo:rustc-link-search=native={}", Path::new(&directory).display());
        println!("cargo:rustc-link-lib=shmheap");
        return ours;
    }
    match pkg_config::Config::new().probe("shmheap") {
        Ok(library) => {
            let include = library.include_paths.into_iter().next().unwrap_or(ours);
            check_version(&include);
            include
        }
        Err(error) => panic!(
            "feature `system`: {error}\nSet SHMHEAP_LIB_DIR to the folder of libshmheap.a or \
             libshmheap.so, install shmheap (its docs/install.md) where pkg-config finds it, or \
             leave the feature out."
        ),
    }
}

/// The header beside the installed library is of the version that the bindings were made from. The
/// crate checks the library itself when a program opens a heap: another version may be installed by
/// then.
#[cfg(feature = "system")]
fn check_version(include: &Path) {
    let path = include.join("shmheap.h");
    println!("cargo:rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "feature `system`: {}: {error}\nSet SHMHEAP_INCLUDE_DIR to the folder of shmheap.h.",
            path.display()
        )
    });
    let version = |text: &str, before: &str| -> Option<u32> {
        text.lines().find_map(|line| {
            line.strip_prefix(before)?.trim_end_matches([';', 'u']).trim().parse().ok()
        })
    };
    let bindings = include_str!("src/bindings.rs");
    let ours =
        version(bindings, "pub const SHMHEAP_VERSION: u32 =").expect("the bindings have a version");
    match version(&text, "#define SHMHEAP_VERSION") {
        Some(found) if found / 100 == ours / 100 && found >= ours => {}
        found => panic!(
            "feature `system`: {} is of version {found:?} (major * 10000 + minor * 100 + \
             patch), and this crate needs {ours} or a later patch of it.\n\
             Install that version, or leave the feature out.",
            path.display()
        ),
    }
}

#[cfg(not(feature = "system"))]
fn system(_: &Path) -> PathBuf {
    unreachable!("only called with the feature `system`")
}

#[cfg(feature = "bindgen")]
fn generate(include: &Path) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("bindings.rs");
    let text = bindings_of(include).unwrap_or_else(|error| panic!("bindgen: {error}"));
    std::fs::write(&out, text).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}

#[cfg(not(feature = "bindgen"))]
fn generate(_: &Path) {}
