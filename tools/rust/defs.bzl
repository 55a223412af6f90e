"""Rules for Rust: rust_library, rust_proc_macro, rust_binary and rust_test, by the host's rustc.

deps may be C libraries, which are linked statically. The rules support neither crates from a
registry nor cross compilation. If Rust is not installed, Bazel skips their targets.
"""

load("@host_rust//:host.bzl", "RUSTC", "RUSTC_VERSION")
load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

RustInfo = provider(
    doc = "A Rust library.",
    fields = {
        "crate": "its crate name",
        "rlib": "its File; of a procedural macro the .so",
        "files": "depset of its rlib and of the rlibs and procedural macros that it depends on",
    },
)

# The constraints of targets that need Rust.
RUST_HERE = [] if RUSTC else ["//tools/rust:missing"]

def _link(ctx, cc_info):
    """The inputs and the rustc flags that link the C libraries of cc_info."""
    toolchain = find_cc_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    linker = cc_common.get_tool_for_action(
        feature_configuration = features,
        action_name = "c++-link-executable",
    )
    files = []
    flags = []
    for linker_input in cc_info.linking_context.linker_inputs.to_list():
        for library in linker_input.libraries:
            archive = library.pic_static_library or library.static_library
            if archive:
                files.append(archive)
                flags.append("-Clink-arg=" + archive.path)
        flags += ["-Clink-arg=" + flag for flag in linker_input.user_link_flags]

    # rustc puts its libraries before these arguments; archives need them after themselves.
    flags += ["-Clink-arg=-lgcc_s", "-Clink-arg=-lc"]

    # Flags of the sanitizers, without the C++ part, which would need the C++ library.
    cxx = "-fsanitize-link-c++-runtime"
    linkopts = [flag for flag in ctx.fragments.cpp.linkopts if flag != cxx]
    flags += ["-Clink-arg=" + flag for flag in linkopts]
    return depset(files, transitive = [toolchain.all_files]), ["-Clinker=" + linker] + flags

def _crate_name(ctx):
    return ctx.attr.crate_name or ctx.label.name.split("/")[-1].replace("-", "_")

def _crate_root(ctx):
    one = len(ctx.files.srcs) == 1
    return ctx.file.crate_root or [f for f in ctx.files.srcs if one or f.basename == "lib.rs"][0]

def _extern(dep):
    return "--extern=%s=%s" % (dep.crate, dep.rlib.path)

def _dirname(file):
    return file.dirname

def _compile(ctx, output, flags, links):
    """Runs rustc. links: the output is a program. Returns the files and the CcInfo of the deps."""
    rust_deps = [dep[RustInfo] for dep in ctx.attr.deps if RustInfo in dep]
    cc_infos = [dep[CcInfo] for dep in ctx.attr.deps if CcInfo in dep]
    cc_info = cc_common.merge_cc_infos(cc_infos = cc_infos)
    files = depset(transitive = [dep.files for dep in rust_deps])
    args = ctx.actions.args()
    args.add(RUSTC)
    args.add(_crate_root(ctx))
    args.add("--crate-name=" + _crate_name(ctx))
    args.add("--edition=2021")
    args.add("-o", output)
    modes = {"opt": ["-Copt-level=3"], "dbg": ["-Cdebuginfo=2"]}
    args.add_all(modes.get(ctx.var["COMPILATION_MODE"], ["-Cdebuginfo=1"]))
    args.add_all(rust_deps, map_each = _extern)
    args.add_all(files, map_each = _dirname, format_each = "-Ldependency=%s", uniquify = True)
    args.add_all(flags)
    args.add("-Dwarnings")
    inputs = [depset(ctx.files.srcs), files]
    if links:
        link_files, link_flags = _link(ctx, cc_info)
        inputs.append(link_files)
        args.add_all(link_flags)
    ctx.actions.run_shell(
        outputs = [output],
        inputs = depset(transitive = inputs),
        command = "exec \"$@\" --remap-path-prefix=\"$PWD=.\"",
        arguments = [args],
        # RUSTC_VERSION: another compiler makes another action.
        env = {"PATH": "/usr/bin:/bin", "RUSTC_VERSION": RUSTC_VERSION},
        mnemonic = "Rustc",
        progress_message = "Compiling Rust crate %s" % ctx.label.name,
    )
    return files, cc_info

def _library_impl(ctx):
    rlib = ctx.actions.declare_file("lib%s.rlib" % _crate_name(ctx))
    files, cc_info = _compile(ctx, rlib, ["--crate-type=lib"], False)
    info = RustInfo(
        crate = _crate_name(ctx),
        rlib = rlib,
        files = depset([rlib], transitive = [files]),
    )
    return [DefaultInfo(files = depset([rlib])), info, cc_info]

def _proc_macro_impl(ctx):
    """A library that rustc loads: linked by the same linker, but without the flags for programs."""
    output = ctx.actions.declare_file("lib%s.so" % _crate_name(ctx))
    toolchain = find_cc_toolchain(ctx)
    features = cc_common.configure_features(ctx = ctx, cc_toolchain = toolchain)
    linker = cc_common.get_tool_for_action(
        feature_configuration = features,
        action_name = "c++-link-executable",
    )
    args = ctx.actions.args()
    args.add(RUSTC)
    args.add(_crate_root(ctx))
    args.add("--crate-name=" + _crate_name(ctx))
    args.add_all(["--crate-type=proc-macro", "--edition=2021", "--extern=proc_macro"])
    args.add("-Clinker=" + linker)
    args.add("-Dwarnings")
    args.add("-o", output)
    ctx.actions.run_shell(
        outputs = [output],
        inputs = depset(ctx.files.srcs, transitive = [toolchain.all_files]),
        command = "exec \"$@\" --remap-path-prefix=\"$PWD=.\"",
        arguments = [args],
        env = {"PATH": "/usr/bin:/bin", "RUSTC_VERSION": RUSTC_VERSION},
        mnemonic = "Rustc",
        progress_message = "Compiling Rust macros %s" % ctx.label.name,
    )
    info = RustInfo(crate = _crate_name(ctx), rlib = output, files = depset([output]))
    return [DefaultInfo(files = depset([output])), info]

def _runnable(ctx, flags):
    program = ctx.actions.declare_file(ctx.label.name)
    _compile(ctx, program, flags, True)
    return DefaultInfo(
        executable = program,
        files = depset([program]),
        runfiles = ctx.runfiles(files = ctx.files.data),
    )

def _binary_impl(ctx):
    return [_runnable(ctx, ["--crate-type=bin"])]

def _test_impl(ctx):
    return [_runnable(ctx, ["--test"]), testing.TestEnvironment(ctx.attr.env)]

_ATTRS = {
    "crate_name": attr.string(),
    "crate_root": attr.label(allow_single_file = [".rs"]),
    "data": attr.label_list(allow_files = True),
    "deps": attr.label_list(providers = [[RustInfo], [CcInfo]]),
    "srcs": attr.label_list(allow_files = [".rs"]),
    "_cc_toolchain": attr.label(default = Label("@bazel_tools//tools/cpp:current_cc_toolchain")),
}

_library = rule(
    implementation = _library_impl,
    attrs = _ATTRS,
    fragments = ["cpp"],
    toolchains = use_cc_toolchain(),
)

_binary = rule(
    implementation = _binary_impl,
    attrs = _ATTRS,
    executable = True,
    fragments = ["cpp"],
    toolchains = use_cc_toolchain(),
)

# Bazel demands that the name of a test rule ends in _test.
_rust_test = rule(
    implementation = _test_impl,
    attrs = dict(_ATTRS, env = attr.string_dict()),
    fragments = ["cpp"],
    test = True,
    toolchains = use_cc_toolchain(),
)

_proc_macro = rule(
    implementation = _proc_macro_impl,
    attrs = _ATTRS,
    fragments = ["cpp"],
    toolchains = use_cc_toolchain(),
)

def rust_library(name, **kwargs):
    _library(name = name, target_compatible_with = RUST_HERE, **kwargs)

def rust_binary(name, **kwargs):
    _binary(name = name, target_compatible_with = RUST_HERE, **kwargs)

def rust_test(name, tags = [], **kwargs):
    # libtest is not instrumented: ThreadSanitizer would report its synchronisation as races.
    _rust_test(
        name = name,
        tags = tags + ["no-tsan"],
        target_compatible_with = RUST_HERE,
        **kwargs
    )

def rust_proc_macro(name, **kwargs):
    _proc_macro(name = name, target_compatible_with = RUST_HERE, **kwargs)
