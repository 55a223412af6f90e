# text.sh: what the tests of the repository's text share. They source it, and run in the folder that
# holds all files of the text filegroups.

# text_kind FILE: prints what the file is written in; nothing for a file that is no text of ours.
text_kind() {
    local line
    case ${1##*/} in
        *.c | *.h | *.cpp | *.hpp) echo c ;;
        *.rs) echo rust ;;
        *.f90 | *.fypp) echo fortran ;;
        *.pml) echo promela ;;
        *.py) echo python ;;
        *.sh) echo shell ;;
        *.md) echo markdown ;;
        BUILD | *.bzl | MODULE.bazel | WORKSPACE* | .bazelrc | LADDER) echo bazel ;;
        *.toml | *.yml | *.yaml) echo config ;;
        *.*) ;;
        *)
            IFS= read -r line <"$1" || true
            case $line in
                '#!'*python*) echo python ;;
                '#!'*sh) echo shell ;;
            esac
            ;;
    esac 2>/dev/null
}

# text_files FOLDER KIND...: prints the files below FOLDER of the kinds, one a line.
text_files() {
    local folder=$1 file kind
    shift
    # Not what links lead to: other repositories, Bazel's output, the crate's link to c/.
    find -L "$folder" \( -path '*/external' -o -path '*/bazel-*' -o -path '*/shmheap-sys/c' \) \
        -prune -o -type f -print | LC_ALL=C sort |
        while IFS= read -r file; do
            kind=$(text_kind "$file")
            [ -n "$kind" ] && [[ " $* " == *" $kind "* ]] && echo "${file#./}"
        done
    return 0
}

# text_summary: passes breaches, lines FILE:..., through, and adds their number in each top folder.
text_summary() {
    awk '{ print; folder = $0; sub(/:.*/, "", folder)
           if (!sub(/\/.*/, "", folder)) folder = "(top)"
           breaches[folder]++; all++ }
         END { for (folder in breaches) printf "%6d in %s\n", breaches[folder], folder | "sort -rn"
               close("sort -rn"); if (all) printf "%6d in all\n", all; exit all > 0 }'
}

# text_scratch: an empty folder for text_accepts and text_refuses, removed at the end: $scratch.
text_scratch() {
    scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/text.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
}

# text_accepts FILE CHECK...: the check, run on a tree with that file alone, finds nothing. The
# file's lines come from standard input.
text_accepts() {
    local file=$1 said
    shift
    text_put "$file"
    if ! said=$(cd "$scratch/tree" && "$@" .); then
        printf 'the check refused a sound %s: %s\n' "$file" "$said"
        exit 1
    fi
}

# text_refuses SAID FILE CHECK...: the check finds fault with such a tree, and says SAID.
text_refuses() {
    local expected=$1 file=$2 said
    shift 2
    text_put "$file"
    if said=$(cd "$scratch/tree" && "$@" .); then
        echo "the check let pass what it should refuse with: $expected"
        exit 1
    elif [[ $said != *"$expected"* ]]; then
        printf 'the check should have said: %s\nit said: %s\n' "$expected" "$said"
        exit 1
    fi
}

text_put() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/$(dirname "$1")"
    cat >"$scratch/tree/$1"
}
