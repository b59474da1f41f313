#!/usr/bin/env python3
"""`make release`: the binary to ship, laid out by what it does under load.

    python3 benches/load/release.py [--seconds 3]

Builds the sidecar with counters, lets it serve the traffic of load.py (passed, looked at, re-ranked, 20
and 100 hits, JSON and gRPC) for `--seconds` each, and builds it again with what was counted
(profile-guided optimisation). The result is target/pgo/leafrank. Needs an `llvm-profdata` of rustc's own
LLVM: `rustup component add llvm-tools`, or Debian's llvm-<version>.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import weaviate
from targets import ROOT, Bench

KINDS = ["pass20", "pass100", "quiet20", "search20", "search100"]
TARGET = ROOT / "target/pgo"


def profdata():
    """The llvm-profdata that reads what rustc writes."""
    about = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"LLVM version: (\d+)", about).group(1)
    libdir = subprocess.run(
        ["rustc", "--print", "target-libdir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    own = pathlib.Path(libdir).parent / "bin/llvm-profdata"
    found = next(filter(None, map(shutil.which, [str(own), f"llvm-profdata-{version}"])), None)
    if not found:
        sys.exit(
            f"llvm-profdata of LLVM {version} is missing: rustup component add llvm-tools, "
            f"or apt-get install llvm-{version}"
        )
    return found


def build(flags, directory):
    """A release build with these flags for the program alone, not for build scripts."""
    about = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"host: (\S+)", about).group(1)
    command = ["cargo", "build", "--locked", "--release", "--bin", "leafrank", "--target", host]
    environment = {**os.environ, "RUSTFLAGS": flags}
    subprocess.run([*command, "--target-dir", directory], check=True, cwd=ROOT, env=environment)
    return directory / host / "release/leafrank"


def train(binary, seconds):
    """Serves the traffic; each process writes what it counted when it ends."""
    with tempfile.TemporaryDirectory(prefix="leafrank-pgo-") as home, Bench(home, binary) as bench:
        bench.warm_up()
        weaviate.start(bench)
        for kind in KINDS:
            target = f"leafrank={bench.ports['leafrank']}={bench.requests[kind]}"
            subprocess.run([bench.gear, "pace", str(seconds), "4000", "8", target], check=True)
        for hits in weaviate.HITS:
            for program, kind in weaviate.LINES.values():
                if program == weaviate.SIDECAR:
                    weaviate.ask(bench, program, kind, hits, seconds)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=int, default=3)
    arguments = arguments.parse_args()
    merge = profdata()
    counts = TARGET / "counts"
    shutil.rmtree(counts, ignore_errors=True)
    counts.mkdir(parents=True)
    binary = build(f"-Cprofile-generate={counts}", TARGET / "counted")
    train(binary, arguments.seconds)
    merged = TARGET / "leafrank.profdata"
    subprocess.run([merge, "merge", "-o", merged, *counts.glob("*.profraw")], check=True)
    # cargo does not see that a profile has changed
    shutil.rmtree(TARGET / "used", ignore_errors=True)
    shutil.copy(build(f"-Cprofile-use={merged}", TARGET / "used"), TARGET / "leafrank")
    print(TARGET / "leafrank")


if __name__ == "__main__":
    main()
