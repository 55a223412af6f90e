"""host_install: a repository that says which build tools this machine has, for tests/install.

@host_install//:host.bzl has NEEDS: for each of the tools the constraints of a test that needs it:
none, or a constraint that no platform meets, so that Bazel skips the test.
"""

_TOOLS = [
    "cmake",
    "conan",
    "dh",
    "dpkg-buildpackage",
    "fypp",
    "gfortran",
    "meson",
    "ninja",
    "pkg-config",
    "python3",
]

def _host_install_impl(rctx):
    rctx.file("BUILD", """\
package(default_visibility = ["//visibility:public"])

# No platform has this value.
constraint_setting(name = "presence")

constraint_value(
    name = "missing",
    constraint_setting = ":presence",
)
""")
    needs = {tool: [] if rctx.which(tool) else ["@host_install//:missing"] for tool in _TOOLS}
    rctx.file("host.bzl", "NEEDS = %r\n" % needs)
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)

host_install = repository_rule(
    implementation = _host_install_impl,
    configure = True,
    environ = ["PATH"],
    local = True,
)
