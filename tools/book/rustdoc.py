"""The reference of the Rust crate, by rustdoc, as a folder of the book.

The compiler is called as Bazel calls it: three crates of this repository, which need no others, so
neither cargo nor a network. $RUSTC names the compiler; rustdoc lies beside it.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CRATE = "rust/shmheap/src/lib.rs"
FOLDER = "rustdoc"
START = FOLDER + "/shmheap/index.html"


def compiler():
    """The compiler, where rustdoc lies beside it; None: the book has no reference of the crate."""
    rustc = os.environ.get("RUSTC") or shutil.which("rustc")
    return rustc if rustc and Path(rustc).with_name("rustdoc").exists() else None


def write(rustc, root, site):
    """Writes the reference to the folder of the site. A warning of rustdoc ends the build."""
    def run(program, crate, source, *arguments):
        subprocess.run([Path(rustc).with_name(program), "--edition=2021", f"--crate-name={crate}",
                        *arguments, root / source], check=True)

    with tempfile.TemporaryDirectory() as work:
        run("rustc", "shmheap_derive", "rust/shmheap-derive/src/lib.rs",
            "--crate-type=proc-macro", "--extern=proc_macro", f"--out-dir={work}")
        run("rustc", "shmheap_sys", "rust/shmheap-sys/src/lib.rs",
            "--crate-type=rlib", "--emit=metadata", f"--out-dir={work}")
        derive = next(Path(work).glob("libshmheap_derive.*"))
        run("rustdoc", "shmheap", CRATE, f"--extern=shmheap_derive={derive}",
            f"--extern=shmheap_sys={work}/libshmheap_sys.rmeta", "--deny=warnings",
            f"--out-dir={Path(site) / FOLDER}")
    # rustdoc's pages of help and settings lead to it.
    (Path(site) / FOLDER / "index.html").write_text(
        '<!doctype html><title>shmheap</title><meta http-equiv="refresh" '
        'content="0; url=shmheap/index.html"><a href="shmheap/index.html">shmheap</a>\n',
        encoding="utf-8")
