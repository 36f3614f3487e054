#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares tidegate with nginx and HAProxy: CPU per request and per event, memory, latency, system calls.

All of them run in one go against the same origin, in turns, so that whatever the machine does in between
falls on all alike; what counts are the ratios inside a round and their median. docs/bench.md says how to
read the result.
"""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

from rig import ROOT, Failure, Proxy, Rig, rss_kb, steal_ms, waited_ms

# Many short turns rather than a few long ones: this kind of machine changes its speed every few seconds.
LOADS = {
    "sse": {"mode": "sse", "connections": 1000, "ramp_ms": 400, "warm_ms": 200, "window_ms": 1500},
    "json": {"mode": "json", "connections": 64, "ramp_ms": 50, "warm_ms": 200, "window_ms": 700},
    "latency": {"mode": "json", "connections": 1, "ramp_ms": 0, "warm_ms": 150, "window_ms": 600},
}
ROUNDS = {"sse": 8, "json": 12, "latency": 9}
QUICK_ROUNDS = {"sse": 2, "json": 4, "latency": 3}
WAIT_MAX = 0.2     # of its time; a run in which the proxy stood ready for longer without a CPU is disturbed
PACE_MAX_MS = 100  # the slowest pace that streams are given when a proxy cannot keep up
TIME_S = {"sse": 95, "json": 50, "latency": 40}  # after this no further round of a load begins


class Bench:
    def __init__(self, rig, proxies):
        self.rig, self.proxies = rig, proxies
        self.runs = []      # every run with its round, load and proxy
        self.troubles = []  # sentences about answers that were not as they must be

    def options(self, load, **more):
        """The client's options; the first stream must outlast ramp and window, with some time to spare."""
        options = LOADS[load] | more
        if options["mode"] == "sse":
            all_ms = options["ramp_ms"] + options["warm_ms"] + options["window_ms"] + 700
            options["events"] = all_ms // self.rig.interval_ms
        return options

    def run(self, load, proxy, round_no, **more):
        """One measured run; proxy None asks the origin itself; `more` overrides the load's options."""
        name = proxy.name if proxy else "direct"
        options = self.options(load, **more)
        before, waited, stolen = self.rig.served(), waited_ms(proxy.pid) if proxy else 0, steal_ms()
        began = time.monotonic()
        client = self.rig.client(proxy.url if proxy else self.rig.direct_url, options, proxy and proxy.pid)
        peak_kb = 0
        while client.poll() is None:
            if proxy:
                peak_kb = max(peak_kb, rss_kb(proxy.pid))
            time.sleep(0.1)
        found = self.rig.finish(client)
        found |= {"load": load, "proxy": name, "round": round_no, "peak_kb": peak_kb,
                  "events": options.get("events", 0), "interval_ms": self.rig.interval_ms,
                  "took_ms": (time.monotonic() - began) * 1000, "stolen_ms": steal_ms() - stolen,
                  "waited_ms": waited_ms(proxy.pid) - waited if proxy else 0}
        self.check(found, self.rig.served() - before)
        if proxy:
            proxy.trim_log()
        self.runs.append(found)
        return found

    def check(self, found, served):
        where = f"{found['proxy']}, {found['load']}, round {found['round']}"
        if any(found["errors"].values()) or found["answered"] != found["asked"]:
            self.troubles.append(f"{where}: {found['answered']} of {found['asked']} answers were right: "
                                 f"{found['errors']}")
        if served != found["asked"]:
            self.troubles.append(f"{where}: {found['asked']} requests of the client became {served} calls")

    def is_disturbed(self, found):
        """Whether other work on the machine has shaped this run."""
        return (found["waited_ms"] + found["stolen_ms"] > WAIT_MAX * found["took_ms"] or
                not self.kept_pace(found))

    @staticmethod
    def kept_pace(found):
        """Whether each event was passed on at once.

        A proxy that gets its CPU late finds many events waiting and relays them together, at a fraction of
        the price; such a run says nothing about one event passed on at once.
        """
        if found["load"] != "sse" or found["proxy"] == "haproxy-default":
            return True
        paced = found["connections"] * found["window_us"] / 1000 / found["interval_ms"]
        return (found["units"] > 0.97 * paced and found["at_end"] == found["connections"] and
                found["events_per_read"] < 1.1)

    def turns(self, load, rounds):
        """Rounds in which each has its turn, until enough of them were undisturbed or time is up.

        When one of them cannot keep up, because this machine is slow just now, the pace is slowed down for
        all.
        The origin itself has turns too: in each round of latency, where it is subtracted, in some of sse,
        where it only shows how even the pace is, and in none of json.
        """
        until = time.monotonic() + TIME_S[load]
        direct_n = {"latency": 2 * rounds, "sse": 2, "json": 0}[load]
        good = 0
        for i in range(2 * rounds):
            order = ([None] if i < direct_n else []) + self.proxies
            turn = i % len(order)
            of_round = [self.run(load, proxy, i) for proxy in order[turn:] + order[:turn]]
            is_good = not any(self.is_disturbed(found) for found in of_round)
            good += is_good
            for found in of_round:
                found["is_good"] = is_good
                progress(found)
            if good == rounds or time.monotonic() > until:
                break
            if not all(self.kept_pace(found) for found in of_round) and self.rig.interval_ms < PACE_MAX_MS:
                self.rig.set_interval(min(PACE_MAX_MS, self.rig.interval_ms * 8 // 5))

    def column(self, load, proxy, field):
        """The values of all undisturbed rounds; of all rounds when there is no undisturbed one."""
        runs = [r for r in self.runs if r["load"] == load and r["proxy"] == proxy]
        return [r[field] for r in runs if r["is_good"]] or [r[field] for r in runs]

    def first_peak_kb(self, proxy):
        return next(r["peak_kb"] for r in self.runs if r["load"] == "sse" and r["proxy"] == proxy)

    def median(self, load, proxy, field):
        values = self.column(load, proxy, field)
        return statistics.median(values) if values else None


def count_calls(bench, load, proxy, **more):
    """System calls of the serving process during one run, counted by the kernel, and that run's units."""
    command = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(proxy.pid)]
    perf = bench.rig.spawn(command, bench.rig.client_cpu, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 5
    while not is_counting(perf.pid) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.1)
    found = bench.run(load, proxy, 0, **more)
    bench.runs.pop()  # this run pays for being counted, so its CPU time does not take part
    perf.send_signal(signal.SIGINT)
    _, out = perf.communicate(timeout=60)
    cell = out.split(",")[0]
    units = found["asked"] * (found["events"] if load == "sse" else 1)
    return (int(cell), units) if cell.isdigit() else None


def is_counting(pid):
    """Whether perf has opened its counters by now."""
    folder = f"/proc/{pid}/fd"
    return any("perf_event" in os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder))


def calls_per_unit(bench, load, proxy):
    """What one more request or event costs in system calls: two runs of different length, so that what a
    connection costs once falls out."""
    short = count_calls(bench, load, proxy, window_ms=600)
    long = count_calls(bench, load, proxy, window_ms=2600)
    if short is None or long is None or long[1] <= short[1]:
        return None
    return (long[0] - short[0]) / (long[1] - short[1])


def can_count_calls():
    if shutil.which("perf") is None:
        return False
    done = subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "--", "true"], capture_output=True,
                          check=False)
    return done.returncode == 0


def progress(found):
    load = found["load"]
    value = f"{found['latency_p50_us']} us" if load == "latency" else f"{found['cpu_us_per_unit']:.2f} us CPU"
    rate = found["units"] / found["window_us"] * 1e6
    print(f"  {load:8} round {found['round'] + 1}  {found['proxy']:16} {value:>14}  {rate:8.0f}/s"
          f"{' at ' + str(found['interval_ms']) + ' ms' if load == 'sse' else ''}"
          f"  waited {found['waited_ms'] / found['took_ms']:4.0%}"
          f", stolen {found['stolen_ms'] / found['took_ms']:3.0%}"
          f"{'' if found['is_good'] else '  (disturbed round)'}", file=sys.stderr)


def measure(bench, rounds):
    for load, n in rounds.items():
        bench.turns(load, n)
    calls = {}
    if can_count_calls():
        for proxy in bench.proxies:
            for load in (x for x in rounds if x != "latency"):
                calls.setdefault(proxy.name, {})[load] = calls_per_unit(bench, load, proxy)
    return calls


def ratios(bench, load, ours, theirs):
    """Per round our CPU per unit over the cheapest of theirs; of that the median and the quartiles."""
    best = [min(values) for values in zip(*(bench.column(load, t, "cpu_us_per_unit") for t in theirs))]
    each = [a / b for a, b in zip(bench.column(load, ours, "cpu_us_per_unit"), best)]
    low, median, high = statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
    return median, low, high


def rows(bench, calls):
    """The table as (label, function of a proxy's name giving a text)."""
    def med(load, field, form):
        return lambda name: form.format(bench.median(load, name, field))

    def added(field):
        def text(name):
            pairs = zip(bench.column("latency", name, field), bench.column("latency", "direct", field))
            return f"{statistics.median(a - b for a, b in pairs):.0f}"
        return text

    def call_n(load):
        return lambda name: f"{calls[name][load]:.2f}" if calls.get(name, {}).get(load) else "-"

    by_name = {p.name: p for p in bench.proxies}
    table = [
        ("json", "us CPU per JSON request", med("json", "cpu_us_per_unit", "{:.2f}")),
        ("sse", "us CPU per SSE event, 1,000 streams", med("sse", "cpu_us_per_unit", "{:.2f}")),
        ("json", "system calls per JSON request", call_n("json")),
        ("sse", "system calls per SSE event", call_n("sse")),
        (None, "RSS idle, KB", lambda name: f"{by_name[name].idle_kb}"),
        ("sse", "RSS peak at 1,000 streams, first round, KB", lambda name: f"{bench.first_peak_kb(name)}"),
        ("sse", "gap between events p50, us", med("sse", "gap_p50_us", "{:.0f}")),
        ("sse", "gap between events p99, us", med("sse", "gap_p99_us", "{:.0f}")),
        ("sse", "events per read of the client", med("sse", "events_per_read", "{:.2f}")),
        ("latency", "added latency p50, 1 connection, us", added("latency_p50_us")),
        ("latency", "added latency p99, 1 connection, us", added("latency_p99_us")),
    ]
    ran = {r["load"] for r in bench.runs}
    return [(label, text) for load, label, text in table if load is None or load in ran]


def report(bench, calls):
    names = [p.name for p in bench.proxies]
    width = max(12, *(len(n) for n in names)) + 2
    print(f"{'':46}" + "".join(f"{n:>{width}}" for n in names))
    for label, text in rows(bench, calls):
        print(f"{label:46}" + "".join(f"{text(n):>{width}}" for n in names))
    print()
    for load in LOADS:
        rounds = {r["round"]: r["is_good"] for r in bench.runs if r["load"] == load}
        if rounds:
            paces = sorted(set(bench.column(load, bench.proxies[0].name, "interval_ms")))
            note = f", one event every {'/'.join(map(str, paces))} ms" if load == "sse" else ""
            print(f"{load}: {sum(rounds.values())} of {len(rounds)} rounds were undisturbed{note}" +
                  ("" if any(rounds.values()) else ": these figures are of disturbed ones"))
    for load, what, field in (("sse", "gap between events", "gap"),
                              ("latency", "one request at one connection", "latency")):
        if bench.column(load, "direct", "units"):
            p50, p99 = (bench.median(load, "direct", f"{field}_{q}_us") for q in ("p50", "p99"))
            print(f"the origin itself: {what} p50 {p50:.0f} us, p99 {p99:.0f} us")
    result = {}
    if "tidegate" in names:
        before = [(load, ["tidegate-before"]) for load in ("json", "sse")]
        compare = [("json", ["nginx"]), ("json", ["haproxy"]), ("sse", ["nginx"]), ("sse", ["haproxy"]),
                   ("sse", ["nginx", "haproxy"])]
        for load, theirs in compare + before:
            if all(t in names for t in theirs) and bench.column(load, "tidegate", "units"):
                median, low, high = ratios(bench, load, "tidegate", theirs)
                what = "cheaper of " + " and ".join(theirs) if len(theirs) > 1 else theirs[0]
                print(f"tidegate / {what}, {load}: {median:.2f} (half of the rounds {low:.2f} to {high:.2f})")
                result[f"{load}/{'+'.join(theirs)}"] = {"median": median, "quartiles": [low, high]}
    return result


def pick(args):
    """The proxies that can run here; says what is left out and why."""
    names = args.proxies.split(",") + (["tidegate-before"] if args.before else [])
    found = []
    for name in names:
        own = {"tidegate": args.tidegate, "tidegate-before": args.before}
        program = own[name] if name in own else name.split("-")[0]
        if name == "tidegate" and args.without_tidegate:
            continue
        if shutil.which(program) is None:
            print(f"bench: {program} is missing, so it is left out of the comparison", file=sys.stderr)
            continue
        found.append(name)
    if not found:
        raise Failure("nothing to measure: neither build/tidegate nor nginx nor haproxy is here")
    return found


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--rounds", type=int, help="rounds of every load (default 8, 12 and 9)")
    p.add_argument("--quick", action="store_true", help="2, 4 and 3 rounds: about a minute")
    p.add_argument("--proxies", default="nginx,haproxy,tidegate",
                   help="which, in order: nginx, haproxy (http-no-delay), haproxy-default, tidegate")
    p.add_argument("--without-tidegate", action="store_true", help="nginx and HAProxy only")
    p.add_argument("--tidegate", default=os.path.join(ROOT, "build", "tidegate"),
                   help="the program to measure")
    p.add_argument("--before", metavar="PROGRAM",
                   help="another tidegate that takes turns with it: what a change gives")
    p.add_argument("--loads", default="sse,json,latency", help="which of sse, json, latency")
    p.add_argument("--interval-ms", type=int, default=25, help="between two events of a stream (default 25)")
    p.add_argument("--access-log", choices=("on", "off"), default="on", help="one line per request to a file")
    p.add_argument("--json", metavar="FILE", help="write everything that was found to FILE")
    return p.parse_args()


def main():
    args = parse()
    rounds = {load: args.rounds or n for load, n in (QUICK_ROUNDS if args.quick else ROUNDS).items()
              if load in args.loads.split(",")}
    names = pick(args)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the children are stopped then, too
    with Rig(args.tidegate, access_log=args.access_log == "on", interval_ms=args.interval_ms,
             before=args.before) as rig:
        bench = Bench(rig, [Proxy(name, rig) for name in names])
        for proxy in bench.proxies:
            print(f"{proxy.name}: {proxy.version}", file=sys.stderr)
        calls = measure(bench, rounds)
        result = report(bench, calls)
    print(f"\ntook {time.monotonic() - started:.0f} s")
    if args.json:
        everything = {"kernel": platform.release(), "cpus": os.cpu_count(), "interval_ms": args.interval_ms,
                      "versions": {p.name: p.version for p in bench.proxies},
                      "idle_kb": {p.name: p.idle_kb for p in bench.proxies},
                      "ratios": result, "calls": calls, "troubles": bench.troubles, "runs": bench.runs}
        with open(args.json, "w", encoding="ascii") as f:
            json.dump(everything, f, indent=1)
    for trouble in bench.troubles:
        print(f"bench: WRONG: {trouble}", file=sys.stderr)
    return 1 if bench.troubles else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
