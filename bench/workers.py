# SPDX-License-Identifier: MIT
"""Whether a second worker makes a request or an event dearer: two tidegates under the same load.

Both may use every CPU, because what two workers pay is what they do to each other there. The load is paced,
so that both serve the same number of requests and events.
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
LIMIT = 1.1
ROUNDS, QUICK_ROUNDS, TIME_S = 6, 2, 35


def measure(args, names):
    """Runs the part; returns its budgets and everything that was found."""
    if "tidegate" not in names:
        return [], {}
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    with Rig(args.tidegate, access_log=args.access_log == "on", interval_ms=args.interval_ms) as rig:
        bench = Bench(rig, [Proxy(f"tidegate-{n}", rig, cpus=cpus) for n in (1, 2)], LOADS)
        for load in LOADS:
            bench.turns(load, args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS), TIME_S)
        print(f"\n{'workers':46}{'1':>14}{'2':>14}")
        rows = []
        for load, what in (("json", "JSON request"), ("sse", "SSE event")):
            print(f"{'us CPU per ' + what:46}" + "".join(
                f"{bench.median(load, p.name, 'cpu_us_per_unit'):14.2f}" for p in bench.proxies))
            ratio = bench.ratios(load, "tidegate-2", ["tidegate-1"])
            print(f"2 workers / 1, {load}: {ratio[0]:.2f} "
                  f"(half of the rounds {ratio[1]:.2f} to {ratio[2]:.2f})")
            rows.append(at_most(f"CPU per {what}, 2 workers / 1", LIMIT, ratio[0], " x"))
        print()
        bench.print_rounds()
    return rows, {"runs": bench.runs, "troubles": bench.troubles}
