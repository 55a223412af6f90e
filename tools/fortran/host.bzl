"""host_fortran: a repository with the paths of this machine's Fortran compiler, fypp and MPIs.

@host_fortran//:host.bzl has the paths ("" if missing), and the constraints for targets that need
them: none, or a constraint that no platform meets, so that Bazel skips the target.
"""

_MISSING = ["@host_fortran//:missing"]

def _answer(rctx, command):
    result = rctx.execute(command)
    return result.stdout if result.return_code == 0 else ""

def _mpi(rctx, name, asks, word):
    """Returns an MPI's compiler and starter. On Debian their names have a suffix."""
    for suffix in ["." + name, ""]:
        compiler = rctx.which("mpifort" + suffix)
        starter = rctx.which("mpirun" + suffix)
        if compiler and starter and word in _answer(rctx, [compiler] + asks):
            return {"compiler": str(compiler), "starter": str(starter)}
    return {"compiler": "", "starter": ""}

def _host_fortran_impl(rctx):
    gfortran = str(rctx.which("gfortran") or "")
    fypp = str(rctx.which("fypp") or "")
    have = gfortran != "" and fypp != ""
    openmpi = _mpi(rctx, "openmpi", ["--showme:version"], "Open MPI")
    mpich = _mpi(rctx, "mpich", ["-show"], "mpich")
    rctx.file("BUILD", """\
package(default_visibility = ["//visibility:public"])

# No platform has this value.
constraint_setting(name = "presence")

constraint_value(
    name = "missing",
    constraint_setting = ":presence",
)
""")
    rctx.file("host.bzl", "\n".join([
        "GFORTRAN = %r" % gfortran,
        "FYPP = %r" % fypp,
        "FORTRAN = %r" % ([] if have else _MISSING),
        "MPIS = %r" % {"openmpi": openmpi, "mpich": mpich},
        "OPENMPI = %r" % ([] if have and openmpi["compiler"] else _MISSING),
        "MPICH = %r" % ([] if have and mpich["compiler"] else _MISSING),
        "",
    ]))
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)

host_fortran = repository_rule(
    implementation = _host_fortran_impl,
    configure = True,
    environ = ["PATH"],
    local = True,
)
