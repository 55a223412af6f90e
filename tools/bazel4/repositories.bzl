"""The external repositories for Debian's Bazel 4.2.3, generated without network.

BUILD files load rules from @rules_cc and @rules_shell, as Bazel 8 and newer demand. Bazel 4 has
these rules built in, so these repositories export the built-in rules. No BUILD file uses
@rules_java and @remote_coverage_tools: Bazel 4 needs them for any test.
"""

_PUBLIC = "package(default_visibility = [\"//visibility:public\"])\n"

def _pass_on(rctx, package, rules):
    """Writes PACKAGE/RULE.bzl for each built-in rule."""
    for rule in rules:
        rctx.file("%s/%s.bzl" % (package, rule), "{0} = native.{0}\n".format(rule))
    rctx.file(package + "/BUILD", _PUBLIC)

def _rules_cc_impl(rctx):
    rules = ["cc_binary", "cc_import", "cc_library", "cc_test", "cc_toolchain"]
    _pass_on(rctx, "cc", rules)

    # Bazel's BUILD files load these by their old path.
    old = rules + ["cc_toolchain_suite", "objc_import", "objc_library"]
    rctx.file("cc/defs.bzl", "".join(["{0} = native.{0}\n".format(rule) for rule in old]))

    # For our own rules. A file that reads a built-in name must not redefine it, so each needs two
    # files.
    rctx.file("cc/common/BUILD", _PUBLIC)
    rctx.file("cc/common/built_in.bzl", "info = CcInfo\ncommon = cc_common\n")
    for file, name, own in [("cc_info", "info", "CcInfo"), ("cc_common", "common", "cc_common")]:
        text = "load(\":built_in.bzl\", \"%s\")\n\n%s = %s\n" % (name, own, name)
        rctx.file("cc/common/%s.bzl" % file, text)
    rctx.file("cc/find_cc_toolchain.bzl", """\
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

CC_TOOLCHAIN_TYPE = "@bazel_tools//tools/cpp:toolchain_type"
find_cc_toolchain = find_cpp_toolchain

def use_cc_toolchain(mandatory = True):
    return [CC_TOOLCHAIN_TYPE]
""")
    rctx.file("WORKSPACE", "workspace(name = \"rules_cc\")\n")

def _rules_shell_impl(rctx):
    _pass_on(rctx, "shell", ["sh_binary", "sh_library", "sh_test"])
    rctx.file("WORKSPACE", "workspace(name = \"rules_shell\")\n")

def _rules_java_impl(rctx):
    kinds = ["binary", "import", "library", "plugin", "runtime", "test", "toolchain"]
    rules = ["java_" + kind for kind in kinds]
    rctx.file("java/BUILD", _PUBLIC)
    rctx.file("java/defs.bzl", "".join(["{0} = native.{0}\n".format(rule) for rule in rules]))
    rctx.file("WORKSPACE", "workspace(name = \"rules_java\")\n")

def _remote_coverage_tools_impl(rctx):
    # Tests depend on these two labels even without coverage.
    script = "#!/bin/sh\necho 'no coverage with this Bazel; use tools/coverage' >&2\nexit 1\n"
    rctx.file("no_coverage.sh", script, executable = True)
    rctx.file("BUILD", _PUBLIC + """
[filegroup(
    name = name,
    srcs = ["no_coverage.sh"],
) for name in ["coverage_report_generator", "lcov_merger"]]
""")
    rctx.file("WORKSPACE", "workspace(name = \"remote_coverage_tools\")\n")

_rules_cc = repository_rule(implementation = _rules_cc_impl)
_rules_shell = repository_rule(implementation = _rules_shell_impl)
_rules_java = repository_rule(implementation = _rules_java_impl)
_remote_coverage_tools = repository_rule(implementation = _remote_coverage_tools_impl)

def bazel4_repositories():
    """Declares all repositories. WORKSPACE calls it."""
    _rules_cc(name = "rules_cc")
    _rules_shell(name = "rules_shell")
    _rules_java(name = "rules_java")
    _remote_coverage_tools(name = "remote_coverage_tools")
