#!/usr/bin/env python3
"""`make load`: the sidecar beside nginx, haproxy and nginx + Lua, under load, in one run.

    python3 benches/load/load.py [--report] [--json FILE] [--rounds N] [--seconds N] [--binary PATH]

What it does
1. starts a shop that answers from memory, nginx and haproxy passing through, nginx + Lua re-ranking,
   and a release build of the sidecar (`make load`: the one to ship), each with one worker;
2. teaches 64 shoppers a taste and checks that each one's list really moves and is a permutation;
3. saturation: every round visits each target in another order, with wrk; a ratio is taken inside a
   round, and its median over the rounds is what counts; CPU time is the process's own, from the
   kernel's schedstat;
4. a fixed moderate rate, all targets interleaved in time: latencies as a client sees them;
5. asks the running sidecar what its own computation took (`us=` in `X-Leafrank`);
6. events a second over HTTP, and how soon one is felt;
7. the same over gRPC, before a Weaviate that answers from memory: re-ranked beside passed, in rounds;
8. prints everything and exits with 1 when a floor is missed or a request failed (`--report`: only
   prints).

Needs wrk, nginx with its Lua module and cjson, haproxy (Debian: apt-get install wrk nginx-light
libnginx-mod-http-lua lua-cjson haproxy). Takes some six minutes, uses the loopback
only, and ends what it started. Absolute numbers belong to the machine; ratios can be compared.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import learning
import weaviate
from targets import LUA_MODULES, PACKAGES, ROOT, Bench

CONNECTIONS = 16
PACE_RATE = 150
PACE_CONNECTIONS = 8
OWN_TIME_SAMPLES = 400

# Line of the table -> (program, requests). The first of each length is what ratios are taken to.
SATURATION = {
    20: {
        "nginx pass": ("nginx", "pass20"),
        "haproxy pass": ("haproxy", "pass20"),
        "nginx + Lua re-rank": ("lua", "search20"),
        "leafrank pass": ("leafrank", "pass20"),
        "leafrank off, learning": ("leafrank", "quiet20"),
        "leafrank re-rank": ("leafrank", "search20"),
    },
    100: {
        "nginx pass": ("nginx", "pass100"),
        "nginx + Lua re-rank": ("lua", "search100"),
        "leafrank pass": ("leafrank", "pass100"),
        "leafrank re-rank": ("leafrank", "search100"),
    },
}
PACED = {
    "direct": ("upstream", "search20"),
    "nginx pass": ("nginx", "pass20"),
    "haproxy pass": ("haproxy", "pass20"),
    "nginx + Lua re-rank": ("lua", "search20"),
    "leafrank pass": ("leafrank", "pass20"),
    "leafrank re-rank": ("leafrank", "search20"),
}


def main():
    arguments = parse()
    need_programs()
    started = time.monotonic()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="leafrank-load-") as directory:
        with Bench(directory, arguments.binary) as bench:
            bench.warm_up()
            own = bench.own_time_us(100, OWN_TIME_SAMPLES)
            own20 = bench.own_time_us(20, OWN_TIME_SAMPLES)
            rounds = [one_round(bench, n, arguments.seconds) for n in range(arguments.rounds)]
            paced = pace(bench, arguments.pace_seconds)
            learned = learning.measured(bench)
            weaviate.start(bench)
            calls = [weaviate.one_round(bench, n, arguments.seconds) for n in range(arguments.rounds)]
    saturation = {hits: summed_up([r[hits] for r in rounds]) for hits in SATURATION}
    result = {
        "commit": commit(),
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "seconds": round(time.monotonic() - started),
        "saturation": saturation,
        "paced": paced,
        "learning": learned,
        "grpc": {hits: weaviate.summed_up([r[hits] for r in calls]) for hits in weaviate.HITS},
        "own_us": {"20": percentiles(own20), "100": percentiles(own)},
    }
    missed = report(result)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0 if arguments.report else int(missed)


def parse():
    parser = argparse.ArgumentParser(description="The sidecar under load beside others.")
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    parser.add_argument("--binary", type=pathlib.Path, default=f"{target}/release/leafrank")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each target in a round")
    parser.add_argument("--pace-seconds", type=int, default=20)
    parser.add_argument("--report", action="store_true", help="print only, whatever the floors say")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    arguments.binary = arguments.binary.resolve()
    if not arguments.binary.exists():
        parser.error(f"{arguments.binary} is missing: cargo build --release")
    return arguments


def need_programs():
    modules = LUA_MODULES / "ngx_http_lua_module.so"
    missing = [name for name in ["wrk", "nginx", "haproxy", "cargo"] if not shutil.which(name)]
    if not modules.exists():
        missing.append(str(modules))
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}. Type: sudo apt-get install {PACKAGES}")


def one_round(bench, number, seconds):
    """Every target once; the order moves on by one from round to round."""
    found = {hits: {} for hits in SATURATION}
    order = [(hits, name) for hits, lines in SATURATION.items() for name in lines]
    shift = number * 3 % len(order)
    for hits, name in order[shift:] + order[:shift]:
        found[hits][name] = saturate(bench, *SATURATION[hits][name], seconds)
    return found


def saturate(bench, program, requests, seconds):
    url = f"http://127.0.0.1:{bench.ports[program]}/"
    script = pathlib.Path(__file__).with_name("send.lua")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script, url]
    before = bench.cpu_ns(program)
    out = subprocess.run(
        [*command, "--", bench.requests[requests]],
        capture_output=True, text=True, check=True, timeout=seconds + 30,
    ).stdout
    spent = bench.cpu_ns(program) - before
    count = int(re.search(r"(\d+) requests in", out).group(1))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    return {
        "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "cpu_us": spent / 1000 / max(count, 1),
        "p99_us": in_us(re.search(r"99%\s+([\d.]+)(us|ms|s)", out)),
        "errors": (int(failed.group(1)) if failed else 0)
        + (sum(map(int, broken.groups())) if broken else 0),
    }


def in_us(found):
    return float(found.group(1)) * {"us": 1, "ms": 1e3, "s": 1e6}[found.group(2)]


def summed_up(rounds):
    """Medians over the rounds; ratios are taken inside each round."""
    lines = {}
    for name in rounds[0]:
        of = lambda key: [r[name][key] for r in rounds]
        to = lambda other: statistics.median(
            r[name]["per_second"] / r[other]["per_second"] for r in rounds
        )
        lines[name] = {
            "per_second": statistics.median(of("per_second")),
            "to_nginx": to("nginx pass"),
            "to_lua": to("nginx + Lua re-rank"),
            "cpu_us": statistics.median(of("cpu_us")),
            "cpu_us_min": min(of("cpu_us")),
            "p99_us": statistics.median(of("p99_us")),
            "errors": sum(of("errors")),
        }
    return lines


def pace(bench, seconds):
    targets = [
        f"{name.replace(' ', '_')}={bench.ports[program]}={bench.requests[requests]}"
        for name, (program, requests) in PACED.items()
    ]
    command = [bench.gear, "pace", str(seconds), str(PACE_RATE), str(PACE_CONNECTIONS), *targets]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    lines = {}
    for line in out.stdout.splitlines():
        name, *numbers = line.split()
        keys = ["requests", "errors", "min_us", "p50_us", "p90_us", "p99_us"]
        lines[name.replace("_", " ")] = dict(zip(keys, map(int, numbers)))
    return lines


def percentiles(values):
    at = lambda share: values[int((len(values) - 1) * share)]
    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "min": values[0]}


def commit():
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return git.stdout.strip() or "unknown"


def report(result):
    """Prints the tables; true when a floor is missed or a request failed."""
    print(f"commit {result['commit']}, {result['seconds']} s, 1-minute load average "
          f"{result['load_before']:.1f} before and {result['load_after']:.1f} after")
    for hits, lines in result["saturation"].items():
        print(f"\n{hits} hits, saturated, {CONNECTIONS} connections, one worker each")
        print(f"{'':24} {'requests/s':>10} {'x nginx':>8} {'x Lua':>7} {'CPU us':>7} {'min':>6} "
              f"{'p99 us':>7} {'errors':>6}")
        for name, line in lines.items():
            print("{:24} {per_second:10.0f} {to_nginx:8.2f} {to_lua:7.2f} {cpu_us:7.1f} "
                  "{cpu_us_min:6.1f} {p99_us:7.0f} {errors:6}".format(name, **line))
    print(f"\n20 hits at {PACE_RATE} requests/s each, {PACE_CONNECTIONS} connections, us")
    print(f"{'':24} {'min':>6} {'p50':>6} {'p90':>6} {'p99':>6} {'requests':>8} {'errors':>6}")
    for name, line in result["paced"].items():
        print("{:24} {min_us:6} {p50_us:6} {p90_us:6} {p99_us:6} {requests:8} {errors:6}".format(
            name, **line))
    learning.report(result["learning"])
    weaviate.report(result["grpc"])
    print("\nDecode, rank and splice in the running process, us")
    for hits, line in result["own_us"].items():
        print("{:>3} hits: min {min}, p50 {p50}, p90 {p90}, p99 {p99}".format(hits, **line))
    return judged(result)


def judged(result):
    few, many = result["saturation"][20], result["saturation"][100]
    ours = "leafrank re-rank"
    paced = result["paced"][ours]["p50_us"] / max(result["paced"]["nginx pass"]["p50_us"], 1)
    # name, measured, floor, aim, whether less is better
    table = [
        ("pass, 13 KB, x nginx", few["leafrank pass"]["to_nginx"], 0.7, 0.9, False),
        ("re-rank 20 hits, x nginx passing", few[ours]["to_nginx"], 0.5, 0.8, False),
        ("re-rank 100 hits, x nginx passing", many[ours]["to_nginx"], 0.4, 0.7, False),
        ("re-rank 20 hits, x nginx + Lua", few[ours]["to_lua"], 3.8, 6, False),
        ("re-rank 100 hits, x nginx + Lua", many[ours]["to_lua"], 6, 10, False),
        ("100 hits in process, p50 us", result["own_us"]["100"]["p50"], 60, 40, True),
        ("p50 re-ranking / p50 nginx passing", paced, 1.0, 0.8, True),
        *learning.judged(result["learning"]),
        *weaviate.judged(result["grpc"]),
    ]
    print(f"\n{'':36} {'measured':>8} {'floor':>6} {'aim':>6}")
    missed = False
    for name, measured, floor, aim, less in table:
        reaches = lambda mark: measured <= mark if less else measured >= mark
        verdict = "aim" if reaches(aim) else "floor" if reaches(floor) else "MISSED"
        missed |= verdict == "MISSED"
        print(f"{name:36} {measured:8.2f} {floor:6} {aim:6}  {verdict}")
    tables = [few, many, result["paced"], *result["grpc"].values()]
    errors = sum(line["errors"] for table in tables for line in table.values())
    print(f"failed requests: {errors}")
    return missed or errors > 0


if __name__ == "__main__":
    sys.exit(main())
