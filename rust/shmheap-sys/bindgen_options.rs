// How the bindings are made: included by build.rs (feature `bindgen`) and by tests/bindings.rs.

/// What bindgen makes of the header below `include`.
fn bindings_of(include: &std::path::Path) -> Result<String, bindgen::BindgenError> {
    let header = include.join("shmheap.h");
    bindgen::Builder::default()
        .header(header.to_str().expect("the path of shmheap.h is UTF-8"))
        .clang_arg("-std=c99")
        .allowlist_item("shmheap.*|SHMHEAP.*")
        .constified_enum("shmheap_.*")
        .prepend_enum_name(false)
        // As Cargo.toml's rust-version; else the bindings would be those of the compiler at hand.
        .rust_target(
            bindgen::RustTarget::stable(80, 0)
                .unwrap_or_else(|_| panic!("bindgen knows Rust 1.80")),
        )
        .use_core()
        .ctypes_prefix("::core::ffi")
        .generate_comments(false)
        .derive_default(true)
        .merge_extern_blocks(true)
        .formatter(bindgen::Formatter::Prettyplease)
        .layout_tests(true)
        .generate()
        // The layouts that bindgen asserts are those of machines of 64 bits.
        .map(|bindings| {
            let asserted = "#[allow(clippy::unnecessary_operation, clippy::identity_op)]\nconst _";
            let only_64 = format!("#[cfg(target_pointer_width = \"64\")]\n{asserted}");
            bindings.to_string().replace(asserted, &only_64)
        })
}
