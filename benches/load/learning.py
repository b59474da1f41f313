"""The learning part: how many events a second the track API takes over HTTP, and how soon one is felt.

Events come in batches of 100 on eight connections, no event twice, each learned before its answer. Soon
is measured at one shopper after the other, of whom nothing was known: a purchase is told, then a search
is asked for; the product must stand first.
"""

import http.client
import json
import pathlib
import re
import statistics
import subprocess
import time

from targets import PATHS, request

CONNECTIONS = 8
BATCH = 100
SECONDS = 5
SHOPPERS = 300
SKU = "SKU-00015"
FLOOR, AIM = 15_000, 50_000


def measured(bench):
    return {"per_second": ingest(bench), **felt(bench)}


def ingest(bench):
    url = f"http://127.0.0.1:{bench.ports['api']}/"
    script = pathlib.Path(__file__).with_name("events.lua")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script, url]
    out = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=SECONDS + 30
    ).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"events were refused:\n{out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)) * BATCH


def felt(bench):
    """From the sending of an event to the end of a reply that obeys it, in ms."""
    api = http.client.HTTPConnection("127.0.0.1", bench.ports["api"], timeout=10)
    shop = http.client.HTTPConnection("127.0.0.1", bench.ports["leafrank"], timeout=10)
    _, body = request(PATHS["search"], 0, 20).split("\r\n\r\n", 1)
    spent = []
    for number in range(SHOPPERS):
        user = f"new-{number}"
        headers = {"Content-Type": "application/json", "X-User-ID": user}
        event = json.dumps({"type": "purchase", "user_id": user, "product_id": SKU})
        started = time.perf_counter()
        api.request("POST", "/api/interactions/track", event)
        told = api.getresponse()
        told.read()
        shop.request("POST", PATHS["search"], body, headers)
        found = shop.getresponse().read()
        spent.append((time.perf_counter() - started) * 1000)
        if told.status != 202 or json.loads(found)["products"][0]["sku"] != SKU:
            raise SystemExit(f"{user}: what was told was not felt ({told.status})")
    quantiles = statistics.quantiles(spent, n=100)
    return {"felt_p50_ms": statistics.median(spent), "felt_p99_ms": quantiles[98]}


def report(result):
    print(f"\nLearning: {result['per_second']:.0f} events/s over HTTP in batches of {BATCH}; "
          f"event to next ranking p50 {result['felt_p50_ms']:.2f} ms, p99 {result['felt_p99_ms']:.2f} ms")


def judged(result):
    """Rows of the table of floors."""
    return [("events a second over HTTP", result["per_second"], FLOOR, AIM, False)]
