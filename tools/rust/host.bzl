"""host_rust: a repository with this machine's Rust: where rustc and cargo are, and the crates that rust/ depends on, compiled.

Where there is no Rust, or its crates cannot be had, RUSTC is empty and WHY says why; what needs it is skipped then.
"""

# What rust/shmheap/Cargo.toml depends on; versions are rust/Cargo.lock's.
_MANIFEST = """\
[package]
name = "crates"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
zerocopy = { version = "0.8.14", features = ["derive"] }
[profile.release]
debug = false
"""

# Left empty where they could not be made, so that labels of them can be loaded.
_CRATES = ["libzerocopy.rlib", "libzerocopy_derive.so"]

def _find(rctx, name, variable):
    env = rctx.os.environ
    home = env.get("HOME", "") + "/.cargo/bin/" + name
    found = env.get(variable) or rctx.which(name)
    if not found and rctx.path(home).exists:
        found = home
    return str(found or "")

def _output(rctx, command):
    result = rctx.execute(command)
    return result.stdout.strip() if result.return_code == 0 else ""

def _compilers(rctx):
    """rustc and cargo themselves: a rustup proxy wants $HOME, which actions don't have."""
    rustc = _find(rctx, "rustc", "RUSTC")
    cargo = _find(rctx, "cargo", "CARGO")
    if rustc:
        folder = _output(rctx, [rustc, "--print", "sysroot"]) + "/bin/"
        if rctx.path(folder + "rustc").exists:
            rustc = folder + "rustc"
        if rctx.path(folder + "cargo").exists:
            cargo = folder + "cargo"
    return rustc, cargo

def _build_crates(rctx, rustc, cargo):
    """Compiles the crates: empty, or what went wrong."""
    rctx.file("crates/Cargo.toml", _MANIFEST)
    rctx.file("crates/lib.rs", "")
    rctx.symlink(rctx.path(Label("//rust:Cargo.lock")), "Cargo.lock.of.rust")
    rctx.execute(["cp", "Cargo.lock.of.rust", "crates/Cargo.lock"])
    for network in ["--offline", "--quiet"]:  # what tools/setup fetched; else over the network
        result = rctx.execute(
            [cargo, "build", "--release", network, "--manifest-path=crates/Cargo.toml", "--target-dir=crates/target"],
            environment = {"RUSTC": rustc, "RUSTFLAGS": "", "CARGO_NET_RETRY": "3"},
            timeout = 600,
        )
        if result.return_code == 0:
            break
    if result.return_code != 0:
        return "cargo cannot build zerocopy: " + result.stderr[-300:]
    for crate in _CRATES:
        prefix, dot, suffix = crate.rpartition(".")
        copied = rctx.execute(["sh", "-c", "cp crates/target/release/deps/%s-*.%s %s" % (prefix, suffix, crate)])
        if copied.return_code != 0:
            return copied.stderr
    rctx.delete("crates")
    return ""

def _host_rust_impl(rctx):
    rustc, cargo = _compilers(rctx)
    why = "" if rustc and cargo else "no rustc or no cargo on this machine"
    why = why or _build_crates(rctx, rustc, cargo)
    if why:
        # buildifier: disable=print
        print("Rust targets are skipped: " + why)
        for crate in _CRATES:
            rctx.file(crate, "")
    env = rctx.os.environ
    rctx.file("BUILD", "exports_files([\"host.bzl\"] + %r)\n" % _CRATES)
    rctx.file("host.bzl", "RUSTC = %r\nRUSTC_VERSION = %r\nCARGO = %r\nCARGO_HOME = %r\nWHY = %r\n" % (
        "" if why else rustc,
        _output(rctx, [rustc, "--version"]) if rustc else "",
        cargo,
        env.get("CARGO_HOME") or env.get("HOME", "") + "/.cargo",
        why,
    ))
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)

host_rust = repository_rule(
    implementation = _host_rust_impl,
    configure = True,
    environ = ["CARGO", "CARGO_HOME", "HOME", "PATH", "RUSTC"],
    local = True,
)
