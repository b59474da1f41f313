"""The gRPC part: a sidecar before a Weaviate that answers from memory, `Search` re-ranked and passed.

Sixteen calls are in flight on one connection; each reply is checked by who asked: re-ranked it is
another order of the same hits (the first reply of each shopper is read whole, the others compared),
passed it is the upstream's, byte for byte. Passed is a path that no route has; `anonymous` is the
search's own path, asked by nobody. `direct` shows what both ends do without the sidecar.
"""

import statistics
import subprocess

STREAMS = 16
CHECK_SECONDS = 2
# On a machine with no time to spare a reply may go out as it came, by its limits; more is an error.
UNMOVED_MAX = 0.01
FLOOR, AIM = 0.8, 0.9
SIDECAR = "leafrank before Weaviate"

# Line of the table -> (program, what is asked).
LINES = {
    "direct": ("weaviate", "passed"),
    "leafrank pass": (SIDECAR, "passed"),
    "leafrank anonymous": (SIDECAR, "anonymous"),
    "leafrank re-rank": (SIDECAR, "reranked"),
}
HITS = [20, 100]


def start(bench):
    """The upstream and its sidecar, then a taste for every shopper."""
    bench.start_upstream("weaviate", "grpc-upstream")
    api = bench.start_leafrank(SIDECAR, "weaviate", "leafloaf, weaviate")
    # What is bought must be known: somebody has to have seen it.
    ask(bench, SIDECAR, "anonymous", 100, CHECK_SECONDS)
    bench.give_taste(api)
    for hits in HITS:
        for program, kind in LINES.values():
            found = ask(bench, program, kind, hits, CHECK_SECONDS)
            if found["errors"] or not found["calls"]:
                raise SystemExit(f"gRPC, {hits} hits, {kind}: not as it should be: {found}")


def ask(bench, program, kind, hits, seconds, calls=10**9):
    arguments = [bench.ports[program], seconds, STREAMS, hits, kind, calls]
    before = bench.cpu_ns(program)
    out = subprocess.run(
        [bench.gear, "grpc", *map(str, arguments)],
        capture_output=True, text=True, check=True, timeout=seconds + 30,
    ).stdout.split()
    calls, unmoved = int(out[0]), int(out[4])
    return {
        "calls": calls,
        "per_second": float(out[1]),
        "cpu_us": (bench.cpu_ns(program) - before) / 1000 / max(calls, 1),
        "p50_us": int(out[2]),
        "p99_us": int(out[3]),
        "unmoved": unmoved,
        "errors": int(out[5]) + (unmoved if unmoved > calls * UNMOVED_MAX else 0),
    }


def one_round(bench, number, seconds):
    """Every line once; the order moves on by one from round to round."""
    found = {hits: {} for hits in HITS}
    order = [(hits, name) for hits in HITS for name in LINES]
    shift = number * 3 % len(order)
    for hits, name in order[shift:] + order[:shift]:
        found[hits][name] = ask(bench, *LINES[name], hits, seconds)
    return found


def summed_up(rounds):
    """Medians over the rounds; ratios are taken inside each round."""
    lines = {}
    for name in LINES:
        of = lambda key: [r[name][key] for r in rounds]
        share = lambda r: r[name]["per_second"] / max(r["leafrank pass"]["per_second"], 1e-9)
        lines[name] = {
            "per_second": statistics.median(of("per_second")),
            "to_pass": statistics.median(share(r) for r in rounds),
            "cpu_us": statistics.median(of("cpu_us")),
            "cpu_us_min": min(of("cpu_us")),
            "p50_us": statistics.median(of("p50_us")),
            "p99_us": statistics.median(of("p99_us")),
            "unmoved": sum(of("unmoved")),
            "errors": sum(of("errors")),
        }
    return lines


def report(result):
    for hits, lines in result.items():
        print(f"\ngRPC, {hits} hits, saturated, {STREAMS} calls in flight on one connection")
        print(f"{'':24} {'calls/s':>10} {'x pass':>8} {'CPU us':>7} {'min':>6} {'p50 us':>7} "
              f"{'p99 us':>7} {'unmoved':>7} {'errors':>6}")
        for name, line in lines.items():
            print("{:24} {per_second:10.0f} {to_pass:8.2f} {cpu_us:7.1f} {cpu_us_min:6.1f} "
                  "{p50_us:7.0f} {p99_us:7.0f} {unmoved:7} {errors:6}".format(name, **line))


def judged(result):
    """Rows of the table of floors."""
    return [
        (f"gRPC, re-rank {hits} hits, x passed", lines["leafrank re-rank"]["to_pass"], FLOOR, AIM, False)
        for hits, lines in result.items()
    ]
