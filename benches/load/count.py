#!/usr/bin/env python3
"""`make count`: instructions of the sidecar's own for one request, counted by valgrind.

    python3 benches/load/count.py [--binary PATH] [--kinds pass20,search20,grpc_reranked20] [--top N]

Times on a busy machine say little; instructions are the same on every run. The sidecar runs under
callgrind in front of the same shop as in load.py: one connection, one request after the other, after a
warm-up. The kinds `grpc_passed`, `grpc_anonymous` and `grpc_reranked` go to another one, in front of
the same Weaviate as there, with as many calls in flight at once. Printed are the instructions a request (the kernel's are not among them), and the functions
in which most are spent, those of what they call included. Valgrind is slow: `rank_us` is raised, and
how many lists moved is printed. Needs valgrind (Debian: apt-get install valgrind).
"""

import argparse
import pathlib
import re
import socket
import subprocess
import tempfile
import time

import targets
import weaviate
from targets import PATHS, ROOT, SHOPPERS, Bench

REQUESTS = 300
START_SECONDS_MAX = 90
CALLS_SECONDS_MAX = 60
# The sidecars that are counted -> how their files are called.
COUNTED = {"leafrank": "http", weaviate.SIDECAR: "grpc"}
KINDS = (
    "pass20,quiet20,search20,search100,"
    "grpc_passed20,grpc_anonymous20,grpc_reranked20,grpc_passed100,grpc_anonymous100,grpc_reranked100"
)


class Counted(Bench):
    """The sidecar under callgrind; the other programs as ever."""

    def start(self, name, command, port, **environment):
        if name in COUNTED:
            self.counts = self.directory / f"counts-{COUNTED[name]}"
            valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
            command = [*valgrind, f"--callgrind-out-file={self.counts}", *map(str, command)]
            command += ["--set", "limits.rank_us=250000"]
        super().start(name, command, port, **environment)

    def control(self, name, *arguments):
        pid = str(self.processes[name].pid)
        subprocess.run(["callgrind_control", *arguments, pid], check=True, capture_output=True)

    def count(self, kind):
        """Counts one kind of request; returns the dump's path and how many lists moved."""
        name, exchange = "leafrank", self.exchange
        if kind.startswith("grpc_"):
            name, exchange = weaviate.SIDECAR, self.call
            if name not in self.processes:
                weaviate.start(self)
        exchange(kind, SHOPPERS)
        self.control(name, "-z")
        self.control(name, "-i", "on")
        moved = exchange(kind, REQUESTS)
        self.control(name, "-i", "off")
        dumps = f"counts-{COUNTED[name]}.*"
        before = set(self.directory.glob(dumps))
        self.control(name, f"--dump={kind}")
        deadline = time.monotonic() + 30
        while not (new := set(self.directory.glob(dumps)) - before):
            if time.monotonic() > deadline:
                raise SystemExit("callgrind wrote no counts within 30 s")
            time.sleep(0.1)
        time.sleep(1)
        return new.pop(), moved

    def call(self, kind, count):
        what, hits = re.fullmatch(r"grpc_([a-z]+)(\d+)", kind).groups()
        found = weaviate.ask(self, weaviate.SIDECAR, what, hits, CALLS_SECONDS_MAX, count)
        if found["calls"] != count:
            raise SystemExit(f"{kind}: not as it should be: {found}")
        return count - found["unmoved"] if what == "reranked" else 0

    def exchange(self, kind, count):
        path, limit = re.fullmatch(r"([a-z]+)(\d+)", kind).groups()
        all_ = [targets.request(PATHS[path], n, int(limit)).encode() for n in range(SHOPPERS)]
        moved = 0
        with socket.create_connection(("127.0.0.1", self.ports["leafrank"]), 60) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(count):
                client.sendall(all_[number % SHOPPERS])
                head, body = b"", b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(1 << 20)
                head, body = head.split(b"\r\n\r\n", 1)
                length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))
                while len(body) < length:
                    body += client.recv(1 << 20)
                moved += b"x-leafrank: reranked" in head.lower()
        return moved


def wait_for(port, process, name):
    """As in targets, with the patience that valgrind needs."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{name} does not listen")


def functions(dump, top):
    """(instructions a request, name) of the functions with the most, callees included."""
    command = ["callgrind_annotate", "--inclusive=yes", "--threshold=99", dump]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = []
    for line in lines:
        row = re.match(r"\s*([\d,]+) \([\d. ]+%\)\s+\S*?:(leafrank::\S.*|<leafrank::\S.*?) \[", line)
        if row:
            found.append((int(row.group(1).replace(",", "")) // REQUESTS, row.group(2)))
    return found[:top]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/leafrank")
    arguments.add_argument("--kinds", default=KINDS)
    arguments.add_argument("--top", type=int, default=12)
    arguments = arguments.parse_args()
    targets.wait_for = wait_for
    kinds = arguments.kinds.split(",")
    with tempfile.TemporaryDirectory(prefix="leafrank-count-") as directory:
        with Counted(directory, arguments.binary.resolve()) as bench:
            try:
                if not all(kind.startswith("grpc_") for kind in kinds):
                    bench.warm_up()
            except SystemExit as slow:
                print(f"(warm-up under valgrind: {slow})")
            for kind in kinds:
                dump, moved = bench.count(kind)
                total = re.search(r"^totals: (\d+)", dump.read_text(), re.M).group(1)
                print(f"{kind}: {int(total) // REQUESTS} instructions a request, {moved} of {REQUESTS} moved")
                for count, name in functions(dump, arguments.top):
                    print(f"  {count:>8}  {name[:100]}")


if __name__ == "__main__":
    main()
