"""host_mpi: a repository with this machine's MPIs for C: @host_mpi//:openmpi and @host_mpi//:mpich.

@host_mpi//:host.bzl has, for each MPI, the command that starts programs ("" if missing), and the
constraints for targets that need it: none, or a constraint that no platform meets, so that Bazel
skips the target.
"""

_LIBRARY = """\

cc_library(
    name = %r,
    hdrs = glob([folder + "/**/*.h" for folder in %r]),
    includes = %r,
    linkopts = %r,
)
"""

_NO_LIBRARY = """\

cc_library(
    name = %r,
    target_compatible_with = [":missing"],
)
"""

def _answer(rctx, command):
    result = rctx.execute(command)
    return result.stdout if result.return_code == 0 else ""

def _flags(command):
    """Returns the folders of headers and the linker flags in a compiler's command line."""
    words = command.replace("\n", " ").split(" ")
    includes = [word[len("-I"):] for word in words if word.startswith("-I")]
    links = [
        word
        for word in words
        if word.startswith("-L") or word.startswith("-l") or word.startswith("-Wl,-rpath")
    ]
    return includes, links

def _mpi(rctx, name, asks, word, flags):
    """Returns an MPI's starter and flags. On Debian the names of its commands have a suffix."""
    for suffix in ["." + name, ""]:
        compiler = rctx.which("mpicc" + suffix)
        starter = rctx.which("mpirun" + suffix)
        if compiler and starter and word in _answer(rctx, [compiler] + asks):
            includes, links = _flags(_answer(rctx, [compiler] + flags))
            return struct(starter = str(starter), includes = includes, links = links)
    return struct(starter = "", includes = [], links = [])

def _library(rctx, name, mpi):
    """Returns the BUILD text of an MPI. Bazel allows only headers inside this repository: links."""
    if not mpi.starter:
        return _NO_LIBRARY % name
    folders = []
    for folder in mpi.includes:
        folders.append("%s_include%d" % (name, len(folders)))
        rctx.symlink(folder, folders[-1])
    return _LIBRARY % (name, folders, folders, mpi.links)

def _host_mpi_impl(rctx):
    openmpi = _mpi(rctx, "openmpi", ["--showme:version"], "Open MPI", ["--showme"])
    mpich = _mpi(rctx, "mpich", ["-show"], "mpich", ["-show"])
    rctx.file("BUILD", """\
load("@rules_cc//cc:cc_library.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])

# No platform has this value.
constraint_setting(name = "presence")

constraint_value(
    name = "missing",
    constraint_setting = ":presence",
)
""" + _library(rctx, "openmpi", openmpi) + _library(rctx, "mpich", mpich))
    missing = ["@host_mpi//:missing"]
    rctx.file("host.bzl", "MPIS = %r\n" % {
        "openmpi": {"starter": openmpi.starter, "requires": [] if openmpi.starter else missing},
        "mpich": {"starter": mpich.starter, "requires": [] if mpich.starter else missing},
    })
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)

host_mpi = repository_rule(
    implementation = _host_mpi_impl,
    configure = True,
    environ = ["PATH"],
    local = True,
)
