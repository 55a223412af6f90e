"""Rules for Fortran: fortran_library, fortran_binary and fortran_test, by gfortran.

Sources are .f90 files, or .fypp files, from which fypp generates .f90 files. A module must come
before its users in srcs. A library is an archive and a folder of .mod files. Targets may depend on
Fortran and C libraries.
"""

load("@host_fortran//:host.bzl", "FORTRAN", "FYPP", "GFORTRAN")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

FortranInfo = provider(
    doc = "What a target needs from a Fortran library in its deps.",
    fields = {
        "archives": "depset of archives, users first",
        "modules": "depset of folders with .mod files",
        "links": "list of depsets of C linker inputs",
    },
)

_FLAGS = ["-std=f2018", "-g", "-O2", "-fPIC", "-Wall", "-Wextra", "-Werror"]

# For programs. A library, which users link, has these checks only if its copts add them.
_CHECKS = ["-fcheck=all"]

def _compiler(ctx):
    return [ctx.attr.compiler] + _FLAGS + ctx.attr.copts

# Open MPI 5's mpifort refuses to start without a home folder.
_ENV = {"HOME": "/tmp", "PATH": "/usr/bin:/bin"}

def _preprocessed(ctx):
    """The sources, with .f90 files generated from .fypp files."""
    sources = []
    for source in ctx.files.srcs:
        if source.extension == "fypp":
            name = source.basename[:-len(".fypp")]
            made = ctx.actions.declare_file("%s.made/%s.f90" % (ctx.label.name, name))
            ctx.actions.run(
                outputs = [made],
                inputs = [source] + ctx.files.includes,
                executable = FYPP,
                arguments = ["-I" + include.dirname for include in ctx.files.includes] +
                            [source.path, made.path],
                env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                mnemonic = "Fypp",
            )
            source = made
        sources.append(source)
    return sources

def _depended(ctx):
    fortran = [dep[FortranInfo] for dep in ctx.attr.deps if FortranInfo in dep]
    return struct(
        archives = [info.archives for info in fortran],
        modules = depset(transitive = [info.modules for info in fortran]),
        links = [
                    dep[CcInfo].linking_context.linker_inputs
                    for dep in ctx.attr.deps
                    if CcInfo in dep
                ] + [link for info in fortran for link in info.links],
    )

def _fortran_library_impl(ctx):
    sources = _preprocessed(ctx)
    depended = _depended(ctx)
    archive = ctx.actions.declare_file("lib%s.a" % ctx.label.name)
    modules = ctx.actions.declare_directory(ctx.label.name + ".mod")
    includes = ["-I" + folder.path for folder in depended.modules.to_list()]
    ctx.actions.run(
        outputs = [archive, modules],
        inputs = depset(sources, transitive = [depended.modules]),
        executable = ctx.executable._archive,
        arguments = [archive.path, modules.path] + _compiler(ctx) + includes + ["--"] +
                    [source.path for source in sources],
        env = _ENV,
        mnemonic = "FortranLibrary",
        progress_message = "Compiling Fortran %s" % ctx.label,
    )
    return [
        DefaultInfo(files = depset([archive, modules])),
        FortranInfo(
            archives = depset([archive], order = "topological", transitive = depended.archives),
            modules = depset([modules], transitive = [depended.modules]),
            links = depended.links,
        ),
    ]

def _linked(links):
    """Returns the C archives and the flags of linker inputs, users first."""
    archives, flags = [], []
    for linker_input in depset(order = "topological", transitive = links).to_list():
        for library in linker_input.libraries:
            archives.append(library.pic_static_library or library.static_library)
        flags += linker_input.user_link_flags
    return archives, flags

def _fortran_binary_impl(ctx):
    sources = _preprocessed(ctx)
    depended = _depended(ctx)
    c_archives, flags = _linked(depended.links)
    archives = depset(order = "topological", transitive = depended.archives).to_list() + c_archives
    program = ctx.actions.declare_file(ctx.label.name)
    modules = ctx.actions.declare_directory(ctx.label.name + ".mod")
    command = _compiler(ctx) + ([] if ctx.var["COMPILATION_MODE"] == "opt" else _CHECKS)
    ctx.actions.run(
        outputs = [program, modules],
        inputs = depset(sources + archives, transitive = [depended.modules]),
        executable = command[0],
        arguments = command[1:] + ["-J", modules.path, "-o", program.path] +
                    ["-I" + folder.path for folder in depended.modules.to_list()] +
                    [file.path for file in sources + archives] + flags,
        env = _ENV,
        mnemonic = "FortranLink",
        progress_message = "Linking Fortran %s" % ctx.label,
    )
    return [DefaultInfo(
        executable = program,
        runfiles = ctx.runfiles(files = ctx.files.data),
    )]

_ATTRS = {
    "compiler": attr.string(default = GFORTRAN, doc = "gfortran, or an MPI's wrapper of it."),
    "copts": attr.string_list(),
    "deps": attr.label_list(doc = "Fortran and C libraries."),
    "includes": attr.label_list(allow_files = [".fypp"], doc = "Files that .fypp sources include."),
    "srcs": attr.label_list(allow_files = [".f90", ".fypp"]),
}

_fortran_library = rule(
    implementation = _fortran_library_impl,
    attrs = dict(_ATTRS, _archive = attr.label(
        default = "//tools/fortran:archive.sh",
        allow_single_file = True,
        executable = True,
        cfg = "exec",
    )),
)

_fortran_binary = rule(
    implementation = _fortran_binary_impl,
    attrs = dict(_ATTRS, data = attr.label_list(allow_files = True)),
    executable = True,
)

_fortran_test = rule(
    implementation = _fortran_binary_impl,
    attrs = dict(_ATTRS, data = attr.label_list(allow_files = True)),
    test = True,
)

def _declare(rule, name, requires, tags, kwargs):
    """Declares a target that Bazel skips if a constraint in requires is not met.

    no-sanitizer: gfortran cannot link objects that clang instrumented.
    """
    rule(
        name = name,
        target_compatible_with = requires,
        tags = tags + ["no-sanitizer"],
        **kwargs
    )

def fortran_library(name, requires = FORTRAN, tags = [], **kwargs):
    _declare(_fortran_library, name, requires, tags, kwargs)

def fortran_binary(name, requires = FORTRAN, tags = [], **kwargs):
    _declare(_fortran_binary, name, requires, tags, kwargs)

def fortran_test(name, requires = FORTRAN, tags = [], size = "small", **kwargs):
    _declare(_fortran_test, name, requires, tags, dict(kwargs, size = size))
