#!/bin/bash
# prove_test.sh PROVE: the lists of tools/prove fit the files: it lists each proof, each proof has a
# fault, and each fault is a change of the core. It proves nothing.
set -euo pipefail
python3 -c "import tomllib" 2>/dev/null || { echo "skipped: no python3 from 3.11 on"; exit 0; }
PYTHONDONTWRITEBYTECODE=1 "$1" --check
[ "$("$1" --list | wc -l)" -gt 20 ] || { echo "it lists too few proofs"; exit 1; }
status=0
"$1" --list no_such_proof 2>/dev/null || status=$?
[ "$status" = 2 ] || { echo "a proof that does not exist: status $status, not 2"; exit 1; }
