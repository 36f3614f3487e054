#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares programs that relay streams at the same time on one CPU: what a change gives, to one per cent.

    bench/together.py build/tidegate OTHER_TIDEGATE nginx [--streams 200] [--rounds 8]

In turns, each program meets another moment of a machine whose speed changes by a factor of two within
seconds. Here all of them meet the same ones, and what is left of the noise is a hundredth. But each has
only a part of the CPU and of the events, so these ratios are no figures for the budgets: a loop that shares
its CPU finds more events waiting, and never rests (src/io/moderation.h)."""
import argparse
import os
import statistics
import sys

from proxies import Proxy
from rig import ROOT, Failure, Rig
from rounds import quartiles

RAMP_MS, WARM_MS, WINDOW_MS, SPARE_MS = 300, 500, 2500, 700
READ_MAX = 1.1  # events per read of the client; with more some were not passed on at once


def start(rig, programs):
    proxies = {}
    for program in programs:
        is_ours = os.sep in program
        if is_ours:
            rig.tidegate = program
        proxies[program] = Proxy("tidegate" if is_ours else program, rig)
    return proxies


def round_of(rig, programs, turn, args):
    """CPU per event of each program; None when not all passed their events on at once."""
    proxies = start(rig, programs)
    all_ms = RAMP_MS + WARM_MS + WINDOW_MS + SPARE_MS
    options = {"mode": "sse", "connections": args.streams, "ramp_ms": RAMP_MS, "warm_ms": WARM_MS,
               "window_ms": WINDOW_MS, "events": int(all_ms // args.interval_ms) + 1}
    order = programs[turn:] + programs[:turn]
    clients = {p: rig.client(proxies[p].url, options, proxies[p].pid) for p in order}
    found = {p: rig.finish(clients[p]) for p in order}
    for proxy in proxies.values():
        proxy.stop()
    for program, f in found.items():
        if any(f["errors"].values()):
            raise Failure(f"{program}: {f['errors']}")
    if max(f["events_per_read"] for f in found.values()) >= READ_MAX:
        return None
    return {p: f["cpu_us_per_unit"] for p, f in found.items()}


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("programs", nargs="+", metavar="PROGRAM", help="a path to a tidegate, nginx or haproxy")
    p.add_argument("--streams", type=int, default=200, help="of each program (default %(default)s)")
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--interval-ms", type=float, default=25)
    args = p.parse_args()
    args.programs = [os.path.abspath(x) if os.path.exists(x) else x for x in args.programs]
    return args


def main():
    args = parse()
    rounds = []
    with Rig(os.path.join(ROOT, "build", "tidegate"), interval_ms=args.interval_ms) as rig:
        for i in range(args.rounds):
            rounds.append(round_of(rig, args.programs, i % len(args.programs), args))
    good = [r for r in rounds if r]
    print(f"{len(good)} of {len(rounds)} rounds passed every event on at once")
    for p in args.programs if good else []:
        median, low, high = quartiles([r[p] / r[args.programs[0]] for r in good])
        print(f"{p:40} {statistics.median(r[p] for r in good):6.2f} us per event, "
              f"{median:.3f} of the first ({low:.3f} to {high:.3f})")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"together: {failure}")
