#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows where a proxy's CPU time goes while it serves one of the bench's loads.

Samples the serving process with perf, call stacks included, and prints three things: the functions that the
time was spent in, user and kernel apart; what each system call takes; and the tree of calls as text. The
stacks also go to build/bench as folded lines, which any flame graph program takes.
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import time

from proxies import Proxy
from rig import ROOT, Failure, Rig

LOADS = {
    "json": {"mode": "json", "connections": 64, "ramp_ms": 100, "warm_ms": 300},
    "sse": {"mode": "sse", "connections": 1000, "ramp_ms": 500, "warm_ms": 300},
}
ENTRY = ("exit_to_user_mode_loop", "x64_sys_call", "syscall_exit_to_user_mode")
FRAME = re.compile(r"\s+([0-9a-f]+) (.*) \((.*)\)$")


def record(rig, proxy, load, seconds):
    """Samples under load; returns the path of what perf recorded."""
    options = dict(LOADS[load], window_ms=int(seconds * 1000 + 2000))
    if load == "sse":
        options["events"] = (options["window_ms"] + 2000) // rig.interval_ms
    client = rig.client(proxy.url, options, proxy.pid)
    time.sleep((options["ramp_ms"] + options["warm_ms"]) / 1000 + 0.3)
    out = os.path.join(rig.dir, "perf.data")
    # An odd frequency does not fall into step with timers. 8 KB of stack is enough for the depth of a proxy.
    command = ["perf", "record", "-q", "-F", "1499", "--call-graph", "dwarf,8192", "-p", str(proxy.pid),
               "-o", out, "--", "sleep", str(seconds)]
    perf = rig.spawn(command, rig.client_cpu, stderr=subprocess.PIPE, text=True)
    found = rig.finish(client)
    _, said = perf.communicate(timeout=60)
    if perf.returncode != 0 or not os.path.exists(out):
        raise Failure(f"perf cannot record here: {said.strip()}")
    if any(found["errors"].values()):
        print(f"flame: WRONG: {found['errors']}", file=sys.stderr)
    return out, found


def is_kernel(address):
    return int(address, 16) >> 63 == 1


def clean(symbol):
    """A function's name without offset and without what the compiler added to it."""
    return re.sub(r"(\.(isra|constprop|part|cold|lto_priv)(\.\d+)*)+$", "", symbol.split("+0x")[0])


def stacks(data):
    """Every sample as a tuple of (name, is it kernel's), outermost first."""
    text = subprocess.run(["perf", "script", "--no-inline", "-F", "ip,sym,dso", "-i", data],
                          capture_output=True, text=True, check=True).stdout
    for sample in text.split("\n\n"):
        frames = []
        for line in sample.splitlines():
            match = FRAME.match(line)
            if match:
                name = clean(match[2])
                if name == "[unknown]":
                    name = f"({os.path.basename(match[3])})"
                frames.append((name, is_kernel(match[1])))
        if frames:
            yield tuple(reversed(frames))


def print_functions(samples, total, top_n):
    """The functions at the innermost end of the stacks."""
    own = collections.Counter()
    for stack, n in samples.items():
        own[stack[-1]] += n
    kernel = sum(n for (_, in_kernel), n in own.items() if in_kernel)
    print(f"kernel {kernel / total:.1%}, user {(total - kernel) / total:.1%}\n")
    for title, side in (("user", False), ("kernel", True)):
        print(f"| share | {title} function |\n| ---: | --- |")
        rows = [(name, n) for (name, in_kernel), n in own.most_common() if in_kernel == side]
        for name, n in rows[:top_n]:
            print(f"| {n / total:.1%} | `{name}` |")
        rest = sum(n for _, n in rows[top_n:])
        print(f"| {rest / total:.1%} | {max(0, len(rows) - top_n)} others |\n")


def system_call(kernel_names):
    """The system call, or the interrupt, that a stack's kernel frames belong to."""
    for name in kernel_names:
        match = re.match(r"__(?:x64|arm64|se|do)_sys_(\w+)", name)
        if match:
            return match[1]
    # Some calls are inlined into the switch of do_syscall_64 and only their first helper shows.
    for outer, name in zip(kernel_names, kernel_names[1:]):
        if outer in ("do_syscall_64", "el0_svc", "invoke_syscall") and name not in ENTRY:
            return re.sub(r"^(do|ksys)_", "", name)
    is_call = any("SYSCALL" in name or "syscall" in name for name in kernel_names)
    return "entry and exit" if is_call else "interrupts"


def print_calls(samples, total):
    """What each system call takes, and how much of that is work for the receiver, which loopback does at
    once."""
    calls = collections.defaultdict(lambda: [0, 0, 0])
    for stack, n in samples.items():
        names = [name for name, in_kernel in stack if in_kernel]
        if not names:
            continue
        row = calls[system_call(names)]
        row[0] += n
        row[1] += n if "handle_softirqs" in names or "__do_softirq" in names else 0
        row[2] += n if "try_to_wake_up" in names else 0
    print("| share | system call | of it in the receiver's half of loopback | of it waking the receiver |")
    print("| ---: | --- | ---: | ---: |")
    for name, (n, softirq, wake) in sorted(calls.items(), key=lambda item: -item[1][0]):
        if n / total >= 0.002:
            print(f"| {n / total:.1%} | `{name}` | {softirq / total:.1%} | {wake / total:.1%} |")
    print()


def print_tree(samples, total, least):
    """The tree of calls down to the kernel's door, branches under `least` left out."""
    tree = {}
    for stack, n in samples.items():
        names = [name for name, in_kernel in stack if not in_kernel]
        kernel = [name for name, in_kernel in stack if in_kernel]
        level = tree
        for name in names + ([f"[kernel: {system_call(kernel)}]"] if kernel else []):
            node = level.setdefault(name, [0, {}])
            node[0] += n
            level = node[1]

    def show(level, depth):
        for name, (n, below) in sorted(level.items(), key=lambda item: -item[1][0]):
            if n / total >= least:
                print(f"{n / total:6.1%} {'  ' * depth}{name}")
                show(below, depth + 1)

    print("```")
    show(tree, 0)
    print("```")


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("load", choices=list(LOADS), help="what to serve meanwhile")
    p.add_argument("--proxy", default="tidegate", help="tidegate, nginx or haproxy")
    p.add_argument("--tidegate", default=os.path.join(ROOT, "build", "tidegate"),
                   help="the program to look into")
    p.add_argument("--seconds", type=float, default=2, help="how long to sample (default 2)")
    p.add_argument("--top", type=int, default=20, help="how many functions of each kind (default 20)")
    p.add_argument("--least", type=float, default=1.5, help="smallest share shown in the tree, percent")
    p.add_argument("--tls", action="store_true", help="an origin behind TLS")
    p.add_argument("--interval-ms", type=int, default=25, help="between two events of a stream (default 25)")
    return p.parse_args()


def main():
    args = parse()
    with Rig(args.tidegate, interval_ms=args.interval_ms, tls=args.tls) as rig:
        proxy = Proxy(args.proxy, rig)
        data, found = record(rig, proxy, args.load, args.seconds)
        samples = collections.Counter(stacks(data))
    total = sum(samples.values())
    if total == 0:
        raise Failure("perf took no samples")
    path = os.path.join(ROOT, "build", "bench", f"{args.proxy}-{args.load}.folded")
    with open(path, "w", encoding="utf-8") as f:
        for stack, n in samples.most_common():
            f.write(";".join(name + ("_[k]" if in_kernel else "") for name, in_kernel in stack) + f" {n}\n")
    units = "events" if args.load == "sse" else "requests"
    rate = found["units"] / found["window_us"] * 1e6
    print(f"{args.proxy}, {args.load}: {total} samples at {rate:.0f} {units}/s; "
          f"folded stacks: {os.path.relpath(path, ROOT)}\n")
    print_functions(samples, total, args.top)
    print_calls(samples, total)
    print_tree(samples, total, args.least / 100)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"flame: {failure}")
