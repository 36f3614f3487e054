#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidegate beside other LLM gateways: what the same work costs each.

    python3 bench/peers.py [--rounds N] [--only NAME,...] [--window-ms N]

Gateways (bench/gateways.py) are fetched at the first run. All ask the same origin and answer the same client,
on one CPU; turns alternate, and a figure beside tidegate is the median of the rounds' ratios. Peers write
answers anew, so what they say is compared and not their bytes; the origin counts how often it was asked. CPU
is that of all of a peer's processes.

Loads: plain answers through 16 connections that ask again at once; one connection, for latency; and streams,
many and quick for those who can carry them, few and slow for those who cannot. tidegate takes part in both.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

from gateways import PEERS
from rig import PATH, ROOT, Failure, Rig, children, free_port, prefer, rss_kb

START_S = 90  # LiteLLM imports for a long time
PLAIN = {"mode": "json", "connections": 16, "warm_ms": 1000}
LATENCY = {"mode": "json", "connections": 1, "warm_ms": 300}
QUICK = {"mode": "sse", "connections": 64, "warm_ms": 500, "interval_ms": 20}
SLOW = {"mode": "sse", "connections": 16, "warm_ms": 500, "interval_ms": 100}


def tree(pid):
    """A process and all below it."""
    return [pid] + [p for child in children(pid) for p in tree(child)]


class Running:
    """A gateway that serves on the CPU of those under test; ended by its process id."""

    def __init__(self, peer, rig):
        self.peer, self.name, self.port = peer, peer.name, free_port()
        argv, more = peer.command(self.port, rig.origin_port, rig.dir)
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | more
        self.path = os.path.join(rig.dir, peer.name + ".out")
        with open(self.path, "wb") as out:
            self.child = subprocess.Popen(
                ["taskset", "-c", str(rig.proxy_cpu), *argv], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env=env, cwd=rig.dir, start_new_session=True)
        self.await_health()
        for pid in self.pids():
            prefer(pid)
        self.idle_kb = sum(rss_kb(p) for p in self.pids())

    def pids(self):
        return tree(self.child.pid)

    def await_health(self):
        """Waits until a question is answered, since that is what will be asked."""
        until, last = time.monotonic() + START_S, None
        while True:
            body = {"model": "bench-model", "messages": [{"role": "user", "content": "ready?"}]}
            request = urllib.request.Request(self.url, json.dumps(body).encode(), {
                "Content-Type": "application/json", **self.peer.headers})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    json.load(answer)
                return
            except urllib.error.HTTPError as e:
                last = f"{e.code} {e.read()[:300]!r}"
            except (OSError, ValueError) as e:
                last = repr(e)
            if time.monotonic() > until or self.child.poll() is not None:
                said = self.last_words()
                self.stop()
                raise Failure(f"{self.name} does not answer ({last}):\n{said}")
            time.sleep(0.3)

    def last_words(self):
        with open(self.path, encoding="utf-8", errors="replace") as f:
            return f.read()[-1500:]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{PATH}"

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()


class Turns:
    """All runs of the gateways under all loads."""

    def __init__(self, rig, window_ms):
        self.rig, self.window_ms = rig, window_ms
        self.found, self.wrong = {}, []

    def run(self, load, options, who, round_no):
        options = {k: v for k, v in options.items() if k != "interval_ms"} | {
            "by_meaning": 1, "ramp_ms": 100, "window_ms": self.window_ms}
        if options["mode"] == "sse":
            lasts_ms = options["warm_ms"] + self.window_ms + 1500
            options["events"] = lasts_ms // self.rig.interval_ms
        name, pids = (who.name, ",".join(map(str, who.pids()))) if who else ("origin", None)
        if who and who.peer.headers:
            options["headers"] = "".join(f"{k}: {v}\r\n" for k, v in who.peer.headers.items())
        before = self.rig.served()
        one = self.rig.finish(self.rig.client(who.url if who else self.rig.direct_url, options, pids))
        served = self.rig.served() - before
        where = f"{name}, {load}, round {round_no + 1}"
        if any(one["errors"].values()) or one["answered"] != one["asked"]:
            self.wrong.append(f"{where}: {one['answered']} of {one['asked']} were right: {one['errors']}")
        if served != one["asked"]:
            self.wrong.append(f"{where}: {one['asked']} questions became {served} calls")
        self.found.setdefault((load, name), []).append(one)
        rate = one["units"] / one["window_us"] * 1e6
        print(f"  {load:8} round {round_no + 1}  {name:12} {one['cpu_us_per_unit']:10.1f} us CPU "
              f"{rate:8.0f}/s  p50 {one['latency_p50_us']} us", file=sys.stderr)

    def all(self, load, options, who, rounds):
        for i in range(rounds):
            turn = i % len(who)
            for one in who[turn:] + who[:turn]:
                self.run(load, options, one, i)

    def median(self, load, name, field):
        values = [one[field] for one in self.found.get((load, name), [])]
        return statistics.median(values) if values else None

    def ratio(self, load, name):
        """How many times as much CPU as tidegate, round by round."""
        ours, theirs = (self.found.get((load, n), []) for n in ("tidegate", name))
        ratios = [a["cpu_us_per_unit"] / b["cpu_us_per_unit"] for a, b in zip(theirs, ours)]
        return statistics.median(ratios) if ratios else None


def report(turns, running):
    columns = ["us/request", "x", "requests/s", "us/event", "x", "us/event slow", "x", "p50 added us",
               "RSS idle MB"]
    print("\n| | " + " | ".join(columns) + " |\n| --- |" + " ---: |" * len(columns))
    direct = turns.median("latency", "origin", "latency_p50_us")
    for one in running:
        units, took = (turns.median("plain", one.name, field) for field in ("units", "window_us"))
        p50 = turns.median("latency", one.name, "latency_p50_us")
        cells = [turns.median("plain", one.name, "cpu_us_per_unit"), turns.ratio("plain", one.name),
                 units and units / took * 1e6,
                 turns.median("quick", one.name, "cpu_us_per_unit"), turns.ratio("quick", one.name),
                 turns.median("slow", one.name, "cpu_us_per_unit"), turns.ratio("slow", one.name),
                 p50 and p50 - direct, one.idle_kb / 1024]
        label = f"{one.name} {one.peer.version()} ({one.peer.made_of})".replace("  ", " ")
        print(f"| {label} | " + " | ".join("-" if c is None else f"{c:,.1f}" for c in cells) + " |")


def measure(turns, running, rounds):
    turns.all("plain", PLAIN, running, rounds)
    turns.all("latency", LATENCY, [None, *running], rounds)
    turns.rig.set_interval(QUICK["interval_ms"])
    turns.all("quick", QUICK, [r for r in running if not r.peer.is_slow], rounds)
    slow = [r for r in running if r.peer.is_slow or r.name == "tidegate"]
    if len(slow) > 1:
        turns.rig.set_interval(SLOW["interval_ms"])
        for one in slow:
            one.await_health()
        turns.all("slow", SLOW, slow, rounds)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--window-ms", type=int, default=2000)
    p.add_argument("--only", default=",".join(peer.name for peer in PEERS))
    args = p.parse_args()
    peers = [peer() for peer in PEERS if peer.name in args.only.split(",")]
    for peer in peers:
        peer.fetch()
    program = os.path.join(ROOT, "build", "tidegate")
    with Rig(program, access_log=False, interval_ms=QUICK["interval_ms"]) as rig:
        running, turns = [], Turns(rig, args.window_ms)
        try:
            for peer in peers:
                try:
                    running.append(Running(peer, rig))
                except Failure as failure:
                    turns.wrong.append(str(failure))
            measure(turns, running, args.rounds)
            report(turns, running)
        finally:
            for one in running:
                one.stop()
    for line in turns.wrong[:20]:
        print(f"peers: WRONG: {line}", file=sys.stderr)
    return 1 if turns.wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"peers: {failure}")
