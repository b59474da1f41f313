#!/usr/bin/env python3
"""The tables and plots of docs/QUALITY.md, measured anew by `leafrank replay`.

    python3 benches/quality/quality.py --binary target/release/leafrank [--data DIR] [--check]

In: the recorded logs (DIR, or ../shared/data/replay). Out: the blocks between the marks
`<!-- quality NAME -->` and `<!-- end -->` in docs/QUALITY.md, and docs/quality/*.svg. With --check
nothing is written: exit 1 and a diff where a number is another. Exit 2 without the logs. Two runs go
side by side; no number here is typed by hand.
"""

import argparse
import concurrent.futures
import difflib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chart import curves, intervals, short

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/QUALITY.md"
PLOTS = ROOT / "docs/quality"
LOGS = {"groceries": "completejourney.log.jsonl.gz", "films": "ranklens.log.jsonl.gz"}

DISCOVERY = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8]
SLOTS = [1, 2, 3, 5, 10]
REMEMBERED = [16, 128, 256, 512, 1024]
FOLDS = [f"{fold}/5" for fold in range(1, 6)]
SEGMENTS = ["repeat", "new item", "new type"]


def jobs():
    """What is measured: {name: (log, flags, changed rules)}."""
    p1 = ["--protocol", "p1"]
    out = {
        "groceries": ("groceries", [], {}),
        "groceries, sensitive": ("groceries", ["--sensitive"], {}),
        "contaminated": ("groceries", ["--contaminate", "10"], {}),
        "films": ("films", [], {}),
        "p1": ("films", p1, {}),
    }
    for value in DISCOVERY:
        out[f"discovery {value}"] = ("groceries", ["--sensitive"], {"discovery": value})
    for slots in SLOTS:
        out[f"slots {slots}"] = ("groceries", ["--sensitive"], {"repeat_slots": slots})
    for most in REMEMBERED:
        out[f"remembered {most}"] = ("groceries", ["--products-max", str(most)], {})
    for fold in FOLDS:
        out[f"fold {fold}"] = ("groceries", ["--users-fold", fold], {})
    return out


def rules_text(changed):
    return "ranking:\n" + "".join(f"  {key}: {value}\n" for key, value in changed.items()) if changed else ""


def measure(binary, data, job, folder, name):
    log, flags, changed = job
    command = [binary, "replay", data / LOGS[log], "--json", *flags]
    if changed:
        rules = folder / (re.sub(r"\W+", "-", name) + ".yaml")
        rules.write_text(rules_text(changed), encoding="utf-8")
        command += ["--rules", rules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        sys.exit(f"{name}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def measured(binary, data):
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {
            name: pool.submit(measure, binary, data, job, Path(folder), name) for name, job in jobs().items()
        }
        return {name: one.result() for name, one in running.items()}


def ranker(table, name):
    return next(one for one in table["rankers"] if one["name"] == name)


def segment(run, name):
    return next((one for one in run["segments"] if one["name"] == name), None)


def served(table, metric="ndcg@10"):
    return ranker(table, "leafrank")[metric]


def with_interval(one, metric):
    low, high = one[metric + "_interval"]
    return f"{short(one[metric])} [{short(low)}, {short(high)}]"


def gain(one):
    def sign(value):
        return ("+" if value >= 0 else "-") + short(abs(value))

    return f"{sign(one['mean'])} [{sign(one['low'])}, {sign(one['high'])}]"


def rows(*lines):
    head, *rest = lines
    line = lambda cells: "| " + " | ".join(str(cell) for cell in cells) + " |"
    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rest)])


METRICS = ["ndcg@10", "mrr", "hit@1", "hit@10"]


def numbers(runs):
    lines = [["log", "ranker", "NDCG@10", "MRR", "Hit@1", "Hit@10"]]

    def of(name, table, ranker_name, full=False):
        one = ranker(table, ranker_name)
        cells = [with_interval(one, m) if full else short(one[m]) for m in METRICS]
        lines.append([name, ranker_name, *cells])

    def over(name, table, of_what, key):
        lines.append([name, of_what, *(gain(table[key][m]) for m in METRICS)])

    shop = runs["groceries"]
    of(f"groceries, {shop['lists']:,} lists, {shop['users']:,} users", shop, "upstream")
    for name in ("popularity", "item counter"):
        of("", shop, name)
    for label, run in (("", shop), ("the same, `--sensitive`", runs["groceries, sensitive"])):
        of(label, run, "leafrank", full=True)
        over("", run, "… over upstream", "over_upstream")
        over("", run, "… over the counter", "over_item_counter")
    films = runs["films"]
    of(f"films, {films['lists']:,} lists, {films['users']:,} users", films, "upstream")
    of("", films, "item counter")
    of("", films, "leafrank", full=True)
    p1 = runs["p1"]
    of(f"films, `--protocol p1`, {p1['lists']:,} lists, {p1['users']:,} users", p1, "upstream")
    of("", p1, "popularity")
    of("", p1, "leafrank", full=True)
    for cut in p1["cuts"]:
        of("… " + cut["name"], cut, "leafrank", full=True)
    return rows(*lines)


def segments(runs):
    lines = [["", "lists", "upstream", "item counter", "leafrank", "over upstream", "with `--sensitive`"]]
    for part in ("segments", "history"):
        for one in runs["groceries"][part]:
            allowed = next(o for o in runs["groceries, sensitive"][part] if o["name"] == one["name"])
            base = [short(ranker(one, name)["ndcg@10"]) for name in ("upstream", "item counter", "leafrank")]
            lines.append(
                [one["name"], f"{one['lists']:,}", *base, gain(one["over_upstream"]["ndcg@10"]), short(served(allowed))]
            )
    return rows(*lines)


def trade(runs, name, values):
    lines = [[name, "all", *SEGMENTS]]
    for value in values:
        run = runs[f"{name.split('_')[-1]} {value}"]
        lines.append([value, short(served(run)), *(short(served(segment(run, s))) for s in SEGMENTS)])
    counter = ["item counter", *(
        short(ranker(t, "item counter")["ndcg@10"])
        for t in (runs["groceries, sensitive"], *(segment(runs["groceries, sensitive"], s) for s in SEGMENTS))
    )]
    return rows(*lines, counter)


def remembered(runs):
    names = ["products remembered", *(f"{most:,}" for most in REMEMBERED)]
    return rows(names, ["NDCG@10", *(short(served(runs[f"remembered {most}"])) for most in REMEMBERED)])


def folds(runs):
    names = ["fold", *FOLDS]
    return rows(
        names,
        ["NDCG@10", *(short(served(runs[f"fold {fold}"])) for fold in FOLDS)],
        ["over the counter", *(gain(runs[f"fold {fold}"]["over_item_counter"]["ndcg@10"]) for fold in FOLDS)],
    )


def contaminated(runs):
    return rows(
        ["groceries", "NDCG@10"],
        ["as recorded", with_interval(ranker(runs["groceries"], "leafrank"), "ndcg@10")],
        ["`--contaminate 10`", with_interval(ranker(runs["contaminated"], "leafrank"), "ndcg@10")],
    )


def about(runs):
    seen = {Path(one["file"]).name: one["sha256"] for run in runs.values() for one in run["files"]}
    files = ", ".join(f"{name} {sha}…" for name, sha in sorted(seen.items()))
    one = runs["groceries"]
    return f"Rules {one['rules']}. sha256 {files}. Intervals by {one['resamples']:,} draws of users, seed {one['seed']}."


def blocks(runs):
    return {
        "about": about(runs),
        "numbers": numbers(runs),
        "segments": segments(runs),
        "discovery": trade(runs, "discovery", DISCOVERY),
        "slots": trade(runs, "repeat_slots", SLOTS),
        "remembered": remembered(runs),
        "folds": folds(runs),
        "contaminated": contaminated(runs),
    }


def plots(runs):
    def point(run, label):
        return served(run), served(segment(run, "new item")), label

    counter = runs["groceries, sensitive"]
    plain = ranker(counter, "item counter")["ndcg@10"], ranker(segment(counter, "new item"), "item counter")["ndcg@10"]
    lines = {
        "discovery": [point(runs[f"discovery {value}"], value) for value in DISCOVERY],
        "repeat_slots": [point(runs[f"slots {slots}"], slots) for slots in SLOTS],
        "item counter": [(*plain, "")],
    }
    order = [
        (log, f"{log}: {name}", (one["ndcg@10"], *one["ndcg@10_interval"]))
        for log, run in (("groceries", runs["groceries, sensitive"]), ("films p1", runs["p1"]))
        for one in run["rankers"]
        for name in [one["name"]]
        if name != "oracle"
    ]
    return {
        "discovery.svg": curves(
            "Total quality against quality where something new was chosen",
            ("NDCG@10, all lists", "NDCG@10, new item in a known type"),
            lines,
            (0.01, 0.02),
        ),
        "rankers.svg": intervals("NDCG@10 by ranker and log, 95 % intervals", "NDCG@10", order, 0.05),
    }


def page_with(text, blocks_now):
    for name, block in blocks_now.items():
        mark = re.compile(rf"(<!-- quality {name} -->\n).*?(<!-- end -->)", re.S)
        if not mark.search(text):
            sys.exit(f"{PAGE}: no block `<!-- quality {name} -->` … `<!-- end -->`")
        text = mark.sub(lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text)
    return text


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--binary", type=Path, required=True)
    args.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/replay")
    args.add_argument("--check", action="store_true", help="write nothing; fail where a number differs")
    args = args.parse_args()
    missing = [name for name in LOGS.values() if not (args.data / name).is_file()]
    if missing:
        print(f"{args.data}: no {', '.join(missing)}; name their folder with --data", file=sys.stderr)
        sys.exit(2)
    started = time.monotonic()
    runs = measured(args.binary.resolve(), args.data.resolve())
    was = PAGE.read_text(encoding="utf-8")
    files = {PAGE: page_with(was, blocks(runs))}
    files |= {PLOTS / name: text for name, text in plots(runs).items()}
    changed = False
    for file, text in files.items():
        old = file.read_text(encoding="utf-8") if file.is_file() else ""
        if old == text:
            continue
        changed = True
        name = str(file.relative_to(ROOT))
        if file.suffix == ".md":
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), name, name, n=0))
        if not args.check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    told = "as docs/QUALITY.md has it" if not changed else "differs" if args.check else "written"
    print(f"{len(runs)} replays in {time.monotonic() - started:.0f} s: {told}")
    sys.exit(1 if changed and args.check else 0)


if __name__ == "__main__":
    main()
