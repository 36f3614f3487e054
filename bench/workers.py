# SPDX-License-Identifier: MIT
"""Whether a second worker makes a request or an event dearer: two tidegates under the same load.

Both are measured on the first CPU alone and free to use every CPU. Free, two workers also pay for what they
do to each other's caches, but where the kernel lets them run weighs more than that: one worker that shares
its CPU with client and origin costs a quarter less than one that has a CPU for itself, and one worker is put
there and two are not. The load is paced, so that both serve the same number of requests and events.
"""
import os

from budgets import at_most
from price import JSON, SSE
from proxies import Proxy
from rig import Rig
from rounds import Bench

LOADS = {
    "sse": SSE,
    "json": JSON | {"window_ms": 1200, "rate": 4000},
}
UNITS = (("json", "JSON request"), ("sse", "SSE event"))
LIMIT = 1.1
ROUNDS, QUICK_ROUNDS, TIME_S = 6, 2, 35


def judge(bench, load, what, where):
    print(f"{'us CPU per ' + what:46}" + "".join(
        f"{bench.median(load, p.name, 'cpu_us_per_unit'):14.2f}" for p in bench.proxies))
    ratio = bench.ratios(load, "tidegate-2", ["tidegate-1"])
    print(f"2 workers / 1, {load}: {ratio[0]:.2f} (half of the rounds {ratio[1]:.2f} to {ratio[2]:.2f})")
    return at_most(f"CPU per {what}, 2 workers / 1, {where}", LIMIT, ratio[0], " x")


def measure(args, names):
    """Runs the part; returns its budgets and everything that was found."""
    if "tidegate" not in names:
        return [], {}
    every = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    rows, runs, troubles = [], [], []
    for where in ("one CPU", "every CPU"):
        with Rig(args.tidegate, access_log=args.access_log == "on", interval_ms=args.interval_ms) as rig:
            cpus = rig.proxy_cpu if where == "one CPU" else every
            bench = Bench(rig, [Proxy(f"tidegate-{n}", rig, cpus=cpus) for n in (1, 2)], LOADS)
            for load in LOADS:
                bench.turns(load, args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS), TIME_S)
            print(f"\n{'workers, on ' + where:46}{'1':>14}{'2':>14}")
            rows += [judge(bench, load, what, where) for load, what in UNITS]
            print()
            bench.print_rounds()
        runs += bench.runs
        troubles += bench.troubles
    return rows, {"runs": runs, "troubles": troubles}
