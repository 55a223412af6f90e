#!/bin/bash -eu
# ClusterFuzzLite and OSS-Fuzz run it in a container and set CC, CFLAGS, CXX, CXXFLAGS,
# LIB_FUZZING_ENGINE, OUT and WORK.
cd "$SRC/shmheap"

# The mutator calls libFuzzer's. The machine that runs the programs has no libzstd, so link it
# statically.
mutator=0
[ "${FUZZING_ENGINE-libfuzzer}" != libfuzzer ] || mutator=1
MUTATOR=$mutator LIBS=-l:libzstd.a fuzz/compile

# With found/: its names are words, all other names are hashes, so -j loses no file.
for corpus in fuzz/corpus/*; do
    target=$(basename "$corpus")
    find "$corpus" -type f -exec zip -q -j "$OUT/fuzz_${target}_seed_corpus.zip" {} +
    printf '[libfuzzer]\nmax_len = 4096\ntimeout = 20\n' >"$OUT/fuzz_$target.options"
done
