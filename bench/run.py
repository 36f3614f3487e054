#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares tidegate with nginx and HAProxy, and holds what it finds against the budgets.

All of them run in one go against the same origin, in turns, so that whatever the machine does in between
falls on all alike; what counts are the ratios inside a round and their median. docs/bench.md says how to
read the result.
"""
import argparse
import functools
import json
import os
import platform
import shutil
import signal
import sys
import time

import attack
import growth
import held
import price
import sizes
import workers
from budgets import print_table
from rig import ROOT, Failure

# Each part measures something of its own: a function of the arguments and the proxies' names, which returns
# rows of budgets and everything that was found.
PARTS = {
    "plain": functools.partial(price.measure, "plain"),
    "tls": functools.partial(price.measure, "tls"),
    "growth": growth.measure,
    "workers": workers.measure,
    "sizes": sizes.measure,
    "held": held.measure,
    "attack": attack.measure,
}


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
    p.add_argument("--only", metavar="PART,...", default=",".join(PARTS),
                   help="which parts: " + ", ".join(PARTS) + " (default: all)")
    p.add_argument("--loads", default="sse,json,latency",
                   help="which of sse, json, latency in the parts plain and tls")
    p.add_argument("--rounds", type=int, help="rounds of every load (default: docs/bench.md)")
    p.add_argument("--quick", action="store_true", help="a third of the rounds")
    p.add_argument("--proxies", default="nginx,haproxy,tidegate",
                   help="which, in order: nginx, haproxy (http-no-delay), haproxy-default, tidegate")
    p.add_argument("--without-tidegate", action="store_true", help="nginx and HAProxy only")
    p.add_argument("--tidegate", default=os.path.join(ROOT, "build", "tidegate"),
                   help="the program to measure")
    p.add_argument("--before", metavar="PROGRAM",
                   help="another tidegate that takes turns with it: what a change gives")
    p.add_argument("--interval-ms", type=int, default=25, help="between two events of a stream (default 25)")
    p.add_argument("--access-log", choices=("on", "off"), default="on", help="one line per request to a file")
    p.add_argument("--json", metavar="FILE", help="write everything that was found to FILE")
    args = p.parse_args()
    for part in args.only.split(","):
        if part not in PARTS:
            p.error(f"--only {part}: the parts are {', '.join(PARTS)}")
    return args


def main():
    args = parse()
    names = pick(args)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the children are stopped then, too
    rows, found = [], {}
    for part in args.only.split(","):
        began = time.monotonic()
        print(f"part {part}", file=sys.stderr)
        of_part, found[part] = PARTS[part](args, names)
        rows += of_part
        print(f"{part} took {time.monotonic() - began:.0f} s", flush=True)
    print_table(rows)
    troubles = [t for part in found.values() for t in part.get("troubles", [])]
    print(f"\ntook {time.monotonic() - started:.0f} s")
    if args.json:
        everything = {"kernel": platform.release(), "cpus": os.cpu_count(), "interval_ms": args.interval_ms,
                      "budgets": [vars(row) for row in rows], "parts": found}
        with open(args.json, "w", encoding="ascii") as f:
            json.dump(everything, f, indent=1)
    for trouble in troubles:
        print(f"bench: WRONG: {trouble}", file=sys.stderr)
    return 1 if troubles else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
