#!/bin/bash
# uPlot in the tool is the version that its README.md names, unchanged.
set -euo pipefail
cd tools/shmheap/serve/vendor
sha256sum -c SHA256SUMS
version=$(sed -n '1s/.*(v\(.*\)).*/\1/p' uPlot.js)
grep -qF "uPlot $version (" README.md || { echo "README.md does not name uPlot $version"; exit 1; }
for file in uPlot.*; do
    grep -q " $file\$" SHA256SUMS || { echo "SHA256SUMS lacks $file"; exit 1; }
done
