#!/bin/bash -eu
# Run inside the container by ClusterFuzzLite and OSS-Fuzz, which set CC, CFLAGS, CXX, CXXFLAGS, LIB_FUZZING_ENGINE, OUT and WORK.
cd "$SRC/shmheap"

# The mutator calls libFuzzer's own. Where the programs run there is no libzstd.
mutator=0
[ "${FUZZING_ENGINE-libfuzzer}" != libfuzzer ] || mutator=1
MUTATOR=$mutator LIBS=-l:libzstd.a fuzz/compile

# found/ as well: names are hashes or words, and do not meet.
for corpus in fuzz/corpus/*; do
    target=$(basename "$corpus")
    find "$corpus" -type f -exec zip -q -j "$OUT/fuzz_${target}_seed_corpus.zip" {} +
    printf '[libfuzzer]\nmax_len = 4096\ntimeout = 20\n' >"$OUT/fuzz_$target.options"
done
