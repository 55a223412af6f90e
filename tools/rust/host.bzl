"""host_rust: a repository with this machine's Rust: where rustc and cargo are.

Where there is no Rust, RUSTC is empty and WHY says why; what needs it is skipped then.
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

def _host_rust_impl(rctx):
    rustc, cargo = _compilers(rctx)
    why = "" if rustc and cargo else "no rustc or no cargo on this machine"
    if why:
        # buildifier: disable=print
        print("Rust targets are skipped: " + why)
    env = rctx.os.environ
    rctx.file("BUILD", "exports_files([\"host.bzl\"])\n")
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
