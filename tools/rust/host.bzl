"""host_rust: a repository with the paths of this machine's rustc and cargo.

If one is missing, RUSTC is empty, WHY is the reason, and Bazel skips targets that need Rust.
"""

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
    """Returns the real rustc and cargo: a proxy of rustup needs $HOME, which actions lack."""
    rustc = _find(rctx, "rustc", "RUSTC")
    cargo = _find(rctx, "cargo", "CARGO")
    if rustc:
        folder = _output(rctx, [rustc, "--print", "sysroot"]) + "/bin/"
        if rctx.path(folder + "rustc").exists:
            rustc = folder + "rustc"
        if rctx.path(folder + "cargo").exists:
            cargo = folder + "cargo"
    return rustc, cargo

def _host_rust_impl(rctx):
    rustc, cargo = _compilers(rctx)
    why = "" if rustc and cargo else "no rustc or no cargo on this machine"
    if why:
        # buildifier: disable=print
        print("Rust targets are skipped: " + why)
    env = rctx.os.environ
    rctx.file("BUILD", "exports_files([\"host.bzl\"])\n")
    names = ["RUSTC", "RUSTC_VERSION", "CARGO", "CARGO_HOME", "WHY"]
    rctx.file("host.bzl", "".join([name + " = %r\n" for name in names]) % (
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
