"""What is compared: each program with one worker, on a free port, in front of the same upstream.

Everything is started as a child of this process in a directory of its own and ended by its handle.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LUA_MODULES = pathlib.Path("/usr/lib/nginx/modules")
PACKAGES = "wrk nginx-light libnginx-mod-http-lua lua-cjson haproxy"
SHOPPERS = 64
QUERIES = ["milk", "barista milk", "whole milk", "oat milk"]
# Bought by a shopper: positions in the shop's list that differ by shopper, inside and past the top 20.
BOUGHT = [(7, 20), (11, 20), (13, 20), (17, 45), (19, 45), (23, 45)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, name):
    """Until the port answers; the process's own end, or ten seconds, is a failure."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{name} ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"{name} did not listen within 10 s")


def request(path, shopper, limit):
    """One search's bytes."""
    query = QUERIES[shopper % len(QUERIES)]
    body = json.dumps({"query": query, "limit": limit}, separators=(",", ":"))
    return (
        f"POST {path} HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nX-User-ID: shopper-{shopper}\r\n"
        f"X-Session-ID: visit-{shopper}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


class Bench:
    """The running programs. Use as a context; leaving it ends them."""

    def __init__(self, directory, leafrank):
        self.directory = pathlib.Path(directory)
        self.leafrank = leafrank
        self.processes = {}
        self.ports = {}

    def __enter__(self):
        try:
            self.start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in reversed(self.processes.values()):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def start_all(self):
        built = self.leafrank.parent.parent / "load"
        build = ["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", built]
        subprocess.run([*build, "--manifest-path", HERE / "gear/Cargo.toml"], check=True)
        self.gear = built / "release/gear"
        self.start_upstream("upstream", "upstream")
        for name in ["nginx", "haproxy", "lua"]:
            self.ports[name] = free_port()
        self.start_proxy("nginx", "nginx.conf", ["nginx", "-c"])
        self.start_proxy("lua", "nginx_lua.conf", ["nginx", "-c"])
        self.start_proxy("haproxy", "haproxy.cfg", ["haproxy", "-f"])
        self.ports["api"] = self.start_leafrank("leafrank", "upstream")
        self.write_requests()

    def start_upstream(self, name, what):
        process = subprocess.Popen([self.gear, what], stdout=subprocess.PIPE, text=True)
        self.processes[name] = process
        self.ports[name] = int(process.stdout.readline())

    def start(self, name, command, port, **environment):
        log = open(self.directory / f"{name}.log", "w")
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=self.directory, env={**os.environ, **environment}
        )
        self.processes[name] = process
        self.ports[name] = port
        try:
            wait_for(port, process, name)
        except SystemExit as fault:
            raise SystemExit(f"{fault}\n{(self.directory / f'{name}.log').read_text()}") from None

    def start_proxy(self, name, template, command):
        home = self.directory / name
        for below in ["a", "b", "c", "d", "e"]:
            (home / below).mkdir(parents=True, exist_ok=True)
        text = (HERE / template).read_text()
        places = {
            "HOME": home,
            "MODULES": LUA_MODULES,
            "LISTEN": self.ports[name],
            "UPSTREAM": self.ports["upstream"],
        }
        for place, value in places.items():
            text = text.replace(f"@{place}@", str(value))
        (home / template).write_text(text)
        self.start(name, [*command, home / template], self.ports[name])

    def start_leafrank(self, name, upstream, presets="leafloaf"):
        """Starts a sidecar before a program; returns the port of its API."""
        home = self.directory / name
        home.mkdir()
        places = {place: free_port() for place in ["data", "api", "ops"]}
        places.update(upstream=self.ports[upstream], home=home, presets=presets)
        text = (HERE / "leafrank.yaml").read_text()
        for place, value in places.items():
            text = text.replace(f"@{place.upper()}@", str(value))
        (home / "leafrank.yaml").write_text(text)
        command = [self.leafrank, "serve", "--config", home / "leafrank.yaml"]
        self.start(name, command, places["data"])
        wait_for(places["api"], self.processes[name], f"{name}'s API")
        return places["api"]

    def write_requests(self):
        """A file of requests for each path and length; every program gets the same ones."""
        self.requests = {}
        for kind, path in PATHS.items():
            for limit in [20, 100]:
                name = f"{kind}{limit}"
                all_ = [request(path, shopper, limit) for shopper in range(SHOPPERS)]
                self.requests[name] = self.directory / f"{name}.requests"
                self.requests[name].write_bytes("%\n".join(all_).encode())

    def ask(self, name, kind, shopper, limit):
        """One reply: (headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=10)
        head, body = request(PATHS[kind], shopper, limit).split("\r\n\r\n", 1)
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        connection.request("POST", PATHS[kind], body, headers)
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise SystemExit(f"{name} answered {reply.status}: {body[:200]}")
        connection.close()
        return reply.headers, body

    def give_taste(self, api):
        """Lets every shopper buy something."""
        connection = http.client.HTTPConnection("127.0.0.1", api, timeout=10)
        for shopper in range(SHOPPERS):
            for step, among in BOUGHT:
                sku = f"SKU-{5 + shopper * step % (among - 5):05}"
                event = {"type": "purchase", "user_id": f"shopper-{shopper}", "product_id": sku}
                connection.request("POST", "/api/interactions/track", json.dumps(event))
                reply = connection.getresponse()
                reply.read()
                if reply.status != 202:
                    raise SystemExit(f"the track API answered {reply.status}")
        connection.close()

    def warm_up(self):
        """Gives every shopper a taste, then checks that each list moves, and moves rightly."""
        self.ask("leafrank", "search", 0, 100)
        self.give_taste(self.ports["api"])
        for limit in [20, 100]:
            plain = self.editions(limit)
            for shopper in range(SHOPPERS):
                headers, moved = self.ask("leafrank", "search", shopper, limit)
                said = headers.get("X-Leafrank", "")
                if not said.startswith("reranked") or moved in plain.values():
                    raise SystemExit(f"shopper {shopper}, {limit} hits: not re-ranked: {said}")
                check_permutation(plain[edition_of(moved)], moved)
            _, theirs = self.ask("lua", "search", 1, limit)
            skus = lambda body: [hit["sku"] for hit in json.loads(body)["products"]]
            own = skus(plain[edition_of(theirs)])
            if skus(theirs) == own or sorted(skus(theirs)) != sorted(own):
                raise SystemExit("nginx + Lua did not re-rank")
        headers, body = self.ask("leafrank", "pass", 0, 20)
        if "X-Leafrank" in headers or body not in self.editions(20).values():
            raise SystemExit("what should pass did not")
        if "reason=off" not in self.ask("leafrank", "quiet", 0, 20)[0].get("X-Leafrank", ""):
            raise SystemExit("the quiet route is not off")

    def editions(self, limit):
        """The shop's replies, which differ in their products' ids."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["upstream"], timeout=10)
        _, body = request(PATHS["search"], 0, limit).split("\r\n\r\n", 1)
        found = {}
        while True:
            connection.request("POST", PATHS["search"], body)
            reply = connection.getresponse().read()
            if edition_of(reply) in found:
                return found
            found[edition_of(reply)] = reply

    def own_time_us(self, limit, count):
        """Decode, rank and splice as the running process reports them, in µs, sorted."""
        spent = []
        for number in range(count):
            headers, _ = self.ask("leafrank", "search", number % SHOPPERS, limit)
            parts = dict(p.split("=", 1) for p in headers["X-Leafrank"].split("; ") if "=" in p)
            # On a machine with no time to spare a reply may go out as it came, by its limits.
            if "us" in parts:
                spent.append(int(parts["us"]))
        if len(spent) < count / 2:
            raise SystemExit("most lists were not re-ranked: the machine is too busy to measure")
        return sorted(spent)

    def cpu_ns(self, name):
        """CPU time of all threads of a program so far."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.processes[name].pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total


PATHS = {"search": "/api/v1/search", "pass": "/catalog/search", "quiet": "/api/v1/quiet"}


def edition_of(reply):
    return re.search(rb"-(e\d{3})-", reply).group(1)


def check_permutation(plain, moved):
    """Every byte outside the hits stands where it stood, and the hits are the same."""
    start = plain.index(b'"products":[') + len(b'"products":[')
    end = plain.index(b'],"metadata"')
    outside = moved[:start] == plain[:start] and moved[end:] == plain[end:]
    # Hits end alike and hold no such text inside.
    hits = lambda body: sorted(body[start:end].replace(b'"score":null},', b'"score":null}\n').split(b"\n"))
    if not outside or hits(plain) != hits(moved):
        raise SystemExit("a moved reply is no permutation of the shop's")
