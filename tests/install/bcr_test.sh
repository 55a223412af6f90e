#!/bin/bash
# bcr_test.sh MAKE MODULE: the files of a release for the Bazel Central Registry: made from an
# archive, added to those of an earlier release, refused for a wrong archive or URL.
set -euo pipefail
make=$PWD/$1 module=$PWD/$2
command -v python3 > /dev/null || { echo "skipped: there is no python3"; exit 0; }
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/bcr.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" && mkdir registry
fail() { echo "$*" >&2; exit 1; }
version=$(sed -n '/^module(/,/)/s/.*version = "\([^"]*\)".*/\1/p' "$module")

# archive NAME VERSION: NAME.tar.gz, as a tag's archive is, with that version in MODULE.bazel.
archive() {
    mkdir -p "$1"
    sed "s/version = \"$version\"/version = \"$2\"/" "$module" > "$1/MODULE.bazel"
    tar -czf "$1.tar.gz" "$1"
}

url() { echo "https://github.com/owner/shmheap/archive/refs/tags/v$1.tar.gz"; }
person=(--maintainer "A. Person" --email person@example.org --github person)
run() { "$make" --repository owner/shmheap --registry registry "$@"; }

# refused WORDS ARGUMENT...: exit status 1 or 2, the words, and no new file.
refused() {
    local words=$1 said before
    shift
    before=$(find registry | sort)
    ! said=$(run "$@" 2>&1) || fail "accepted: $*"
    [[ $said == *"$words"* ]] || fail "$*: '$words' is not in: $said"
    [ "$(find registry | sort)" = "$before" ] || fail "$*: refused, but wrote files"
}

archive "shmheap-$version" "$version"
archive shmheap-99.0.0 99.0.0
refused "state --maintainer" "shmheap-$version.tar.gz" --url "$(url "$version")"
run "shmheap-$version.tar.gz" --url "$(url "$version")" "${person[@]}"
run shmheap-99.0.0.tar.gz --url "$(url 99.0.0)"
refused "never changes" shmheap-99.0.0.tar.gz --url "$(url 99.0.0)"
refused "does not name version 99.0.0" shmheap-99.0.0.tar.gz --url "$(url 98.0.0)"
refused "the registry takes https" shmheap-99.0.0.tar.gz --url http://example.org/99.0.0.tar.gz
refused "cannot read nothing.tar.gz" nothing.tar.gz --url "$(url 97.0.0)"
mkdir two && tar -czf two.tar.gz two shmheap-99.0.0
refused "has 2 folders at its top" two.tar.gz --url "$(url 97.0.0)"
tar -czf empty.tar.gz two
refused "no two/MODULE.bazel" empty.tar.gz --url "$(url 97.0.0)"

folder=registry/modules/shmheap
cmp "$folder/$version/MODULE.bazel" "$module"
hash=$(sha256sum < "shmheap-$version.tar.gz" | cut -d ' ' -f 1)
python3 - "$folder" "$version" "$hash" "$(url "$version")" << 'END'
import base64, json, sys
folder, version, digest, url = sys.argv[1:]
source = json.load(open(f"{folder}/{version}/source.json"))
metadata = json.load(open(f"{folder}/metadata.json"))
integrity = "sha256-" + base64.b64encode(bytes.fromhex(digest)).decode()
assert source == {"url": url, "integrity": integrity, "strip_prefix": f"shmheap-{version}"}, source
assert metadata["versions"] == [version, "99.0.0"], metadata
assert metadata["repository"] == ["github:owner/shmheap"], metadata
assert metadata["maintainers"][0]["github"] == "person" and metadata["yanked_versions"] == {}
try:
    import yaml
except ImportError:
    print("skipped: parsing presubmit.yml (no python3-yaml)")
    sys.exit()
presubmit = yaml.safe_load(open(f"{folder}/{version}/presubmit.yml"))
task = presubmit["tasks"]["verify_targets"]
assert set(presubmit["matrix"]) == {"platform", "bazel"}, presubmit
assert "@shmheap//c:shmheap" in task["build_targets"], task
END
