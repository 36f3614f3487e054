# SPDX-License-Identifier: MIT
"""What 9,000 streams cost beside 100: CPU per event, memory per stream, the evenness of the pace, and what is
left when they have gone."""
import time

from budgets import Budget, at_most
from proxies import Proxy
from rig import Rig, rss_kb
from rounds import Bench

PACE_MS = 500
BRISK_MS = 5.5  # at which 100 streams bring as many events a second as 9,000 do at PACE_MS
CLIENTS = 9500   # room of nginx and HAProxy: a stream takes two of the 20,000 files a process may have here


def load(n, ramp_ms, window_ms, warm_ms=600):
    return {"mode": "sse", "connections": n, "ramp_ms": ramp_ms, "warm_ms": warm_ms, "window_ms": window_ms}


LOADS = {"100": load(100, 200, 3000), "1,000": load(1000, 500, 3000), "9,000": load(9000, 3000, 3000),
         "100 brisk": load(100, 100, 1500, 200)}
SETTLE_S = 3      # after the last stream, before memory is looked at again
FLAT = 1.1        # how much more a stream may take at 9,000 than at 1,000
STEEP = 1.25
LEFT_MAX = 0.1    # of what the streams took may still be there afterwards


def measure(args, names):
    """Runs the part; returns its budgets and everything that was found."""
    memory = {}
    with Rig(args.tidegate, access_log=args.access_log == "on", interval_ms=PACE_MS) as rig:
        bench = Bench(rig, [Proxy(name, rig, CLIENTS) for name in names], LOADS)
        for i in range(args.rounds or (1 if args.quick else 2)):
            for name in LOADS:
                a_round(bench, name, i)
                if name == "9,000":
                    look_after(bench, memory)
        idle = {p.name: p.idle_kb for p in bench.proxies}
        report(bench, idle, memory)
    found = {"idle_kb": idle, "after_kb": memory, "runs": bench.runs, "troubles": bench.troubles}
    return (budgets(bench, idle, memory) if "tidegate" in names else []), found


def a_round(bench, name, round_no):
    bench.rig.set_interval(BRISK_MS if "brisk" in name else PACE_MS)
    turn = round_no % len(bench.proxies)
    bench.judge([bench.run(name, proxy, round_no) for proxy in bench.proxies[turn:] + bench.proxies[:turn]])


def look_after(bench, memory):
    """Memory of each when all streams have ended."""
    time.sleep(SETTLE_S)
    for proxy in bench.proxies:
        memory.setdefault(proxy.name, []).append(rss_kb(proxy.pid))


def per_stream_kb(bench, idle, name, size):
    peak = next(r["peak_kb"] for r in bench.runs if r["load"] == size and r["proxy"] == name)
    return (peak - idle[name]) / bench.loads[size]["connections"]


def steepness(bench, name, few):
    """CPU per event at 9,000 streams over that at few: the median of the rounds."""
    found = [many["cpu_us_per_unit"] / one["cpu_us_per_unit"] for many, one in zip(
        *([r for r in bench.runs if r["load"] == size and r["proxy"] == name] for size in ("9,000", few)))]
    return sorted(found)[len(found) // 2] if found else None


def report(bench, idle, memory):
    names = [p.name for p in bench.proxies]
    print(f"\n{'growth':46}" + "".join(f"{n:>14}" for n in names))

    def row(label, text):
        print(f"{label:46}" + "".join(f"{text(n):>14}" for n in names))

    for size in LOADS:
        row(f"us CPU per event, {size} streams",
            lambda n, s=size: f"{bench.median(s, n, 'cpu_us_per_unit'):.2f}")
    row("9,000 / 100 at the same pace", lambda n: f"{steepness(bench, n, '100'):.2f}")
    row("9,000 / 100 at the same events a second", lambda n: f"{steepness(bench, n, '100 brisk'):.2f}")
    row("gap p50, 9,000 streams, us", lambda n: f"{bench.median('9,000', n, 'gap_p50_us'):.0f}")
    row("gap p99, 9,000 streams, us", lambda n: f"{bench.median('9,000', n, 'gap_p99_us'):.0f}")
    row("events per read of the client, 9,000 streams",
        lambda n: f"{bench.median('9,000', n, 'events_per_read'):.3f}")
    row("RSS idle, KB", lambda n: f"{idle[n]}")
    for size in ("100", "1,000", "9,000"):
        row(f"KB more for each of {size} streams",
            lambda n, s=size: f"{per_stream_kb(bench, idle, n, s):.2f}")
    row("RSS peak at 9,000 streams, KB", lambda n: f"{max(bench.column('9,000', n, 'peak_kb'))}")
    row("RSS when all have gone, KB", lambda n: "/".join(map(str, memory[n])))
    print()
    bench.print_rounds()


def budgets(bench, idle, memory):
    lost = sum(r["asked"] - r["answered"] for r in bench.runs if r["proxy"] == "tidegate")
    peak = max(r["peak_kb"] for r in bench.runs if r["proxy"] == "tidegate")
    left = (memory["tidegate"][-1] - idle["tidegate"]) / (peak - idle["tidegate"])
    found = [Budget("9,000 streams: dropped or wrong", "0", f"{lost}", lost == 0)]
    nginx = bench.median("9,000", "nginx", "gap_p99_us")
    ours = bench.median("9,000", "tidegate", "gap_p99_us")
    found.append(at_most("9,000 streams: gap p99 over nginx's", 5, nginx and (ours - nginx) / 1000, " ms"))
    for few, how in (("100", "same pace"), ("100 brisk", "same rate")):
        mine = steepness(bench, "tidegate", few)
        found.append(at_most(f"CPU per event at 9,000 / at 100 streams, {how}", STEEP, mine, " x"))
        if nginx:
            found.append(at_most(f"the same beside nginx's, {how}", steepness(bench, "nginx", few), mine,
                                 " x"))
    flat = per_stream_kb(bench, idle, "tidegate", "9,000") / per_stream_kb(bench, idle, "tidegate", "1,000")
    found.append(at_most("memory per stream at 9,000 / at 1,000", FLAT, flat, " x"))
    found.append(at_most("memory left when 9,000 streams have gone", LEFT_MAX * 100, left * 100,
                         " % of theirs", 0))
    return found
