# SPDX-License-Identifier: MIT
"""The price of a request and of an event beside nginx and HAProxy: CPU, latency, memory, system calls, gaps.

The parts plain and tls are the same work with an origin that speaks plain HTTP and one behind TLS.
"""
import statistics

from budgets import Budget, at_most
from calls import calls_per_unit, can_count_calls
from proxies import Proxy
from rig import Rig
from rounds import Bench

# Many short turns rather than a few long ones: this kind of machine changes its speed every few seconds.
SSE = {"mode": "sse", "connections": 1000, "ramp_ms": 400, "warm_ms": 200, "window_ms": 1500}
JSON = {"mode": "json", "connections": 64, "ramp_ms": 50, "warm_ms": 200, "window_ms": 700}
LONE = {"mode": "json", "connections": 1, "ramp_ms": 0, "warm_ms": 150, "window_ms": 600}
# The rounds of a load: in full, with --quick, and the seconds after which no further one begins.
ROUNDS = {"plain": {"sse": (8, 2, 95), "json": (12, 4, 50), "latency": (9, 3, 40)},
          "tls": {"sse": (6, 2, 60), "json": (8, 3, 35)}}
IDLE_KB = {"plain": 8 * 1024, "tls": 14 * 1024}
T13_MS = 5


def loads(part, rounds):
    """The loads of a part; the load generator speaks no TLS, so the origin behind TLS is not asked itself."""
    if part == "tls":
        return {"sse": SSE, "json": JSON}
    return {"sse": SSE | {"direct": 3}, "json": JSON, "latency": LONE | {"direct": 2 * rounds["latency"][0]}}


def measure(part, args, names):
    """Runs one part; returns its budgets and everything that was found."""
    rounds = {load: n for load, n in ROUNDS[part].items() if load in args.loads.split(",")}
    with Rig(args.tidegate, access_log=args.access_log == "on", interval_ms=args.interval_ms,
             before=args.before, tls=part == "tls") as rig:
        bench = Bench(rig, [Proxy(name, rig) for name in names], loads(part, ROUNDS[part]))
        for load, (full_n, quick_n, time_s) in rounds.items():
            bench.turns(load, args.rounds or (quick_n if args.quick else full_n), time_s)
        calls = {}
        if can_count_calls() and part == "plain":
            for proxy in bench.proxies:
                for load in (x for x in rounds if x != "latency"):
                    calls.setdefault(proxy.name, {})[load] = calls_per_unit(bench, load, proxy)
        report(bench, calls)
        idle = {p.name: p.idle_kb for p in bench.proxies}
    found = {"versions": {p.name: p.version for p in bench.proxies}, "idle_kb": idle, "calls": calls,
             "runs": bench.runs, "troubles": bench.troubles}
    return (budgets(part, bench, idle) if "tidegate" in names else []), found


def first_peak_kb(bench, proxy):
    return next(r["peak_kb"] for r in bench.runs if r["load"] == "sse" and r["proxy"] == proxy)


def added(bench, name, field):
    """What a proxy adds to the latency of the origin itself: the median over the rounds."""
    pairs = list(zip(bench.column("latency", name, field), bench.column("latency", "direct", field)))
    return statistics.median(a - b for a, b in pairs) if pairs else None


def added_gap_ms(bench, name, field):
    """What a proxy adds to the time between two events, against the origin itself."""
    through, direct = bench.median("sse", name, field), bench.median("sse", "direct", field)
    return None if through is None or direct is None else (through - direct) / 1000


def rows(bench, calls):
    """The table as (label, function of a proxy's name giving a text)."""
    def med(load, field, form):
        return lambda name: form.format(bench.median(load, name, field))

    def more(of, field, form):
        def text(name):
            value = of(bench, name, field)
            return "-" if value is None else form.format(value)
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
        ("sse", "RSS peak at 1,000 streams, first round, KB", lambda name: f"{first_peak_kb(bench, name)}"),
        ("sse", "gap between events p50, us", med("sse", "gap_p50_us", "{:.0f}")),
        ("sse", "gap between events p99, us", med("sse", "gap_p99_us", "{:.0f}")),
        ("sse", "T13: p50 gap over the origin's own, ms", more(added_gap_ms, "gap_p50_us", "{:.2f}")),
        ("sse", "T13: p99 gap over the origin's own, ms", more(added_gap_ms, "gap_p99_us", "{:.2f}")),
        ("sse", "events per read of the client", med("sse", "events_per_read", "{:.2f}")),
        ("latency", "added latency p50, 1 connection, us", more(added, "latency_p50_us", "{:.0f}")),
        ("latency", "added latency p99, 1 connection, us", more(added, "latency_p99_us", "{:.0f}")),
    ]
    ran = {r["load"] for r in bench.runs}
    return [(label, text) for load, label, text in table if load is None or load in ran]


def report(bench, calls):
    names = [p.name for p in bench.proxies]
    width = max(12, *(len(n) for n in names)) + 2
    print(f"\n{'origin behind TLS' if bench.rig.ca else 'plain origin':46}" +
          "".join(f"{n:>{width}}" for n in names))
    for label, text in rows(bench, calls):
        print(f"{label:46}" + "".join(f"{text(n):>{width}}" for n in names))
    print()
    bench.print_rounds()
    for load, what, field in (("sse", "gap between events", "gap"),
                              ("latency", "one request at one connection", "latency")):
        if bench.column(load, "direct", "units"):
            p50, p99 = (bench.median(load, "direct", f"{field}_{q}_us") for q in ("p50", "p99"))
            print(f"the origin itself: {what} p50 {p50:.0f} us, p99 {p99:.0f} us")
    for load in ("json", "sse"):
        for theirs in (["nginx"], ["haproxy"], ["nginx", "haproxy"], ["tidegate-before"]):
            found = bench.ratios(load, "tidegate", theirs)
            if found:
                what = "cheaper of " + " and ".join(theirs) if len(theirs) > 1 else theirs[0]
                print(f"tidegate / {what}, {load}: {found[0]:.2f} "
                      f"(half of the rounds {found[1]:.2f} to {found[2]:.2f})")


def ratio_row(bench, what, load, theirs, limit):
    found = bench.ratios(load, "tidegate", [t for t in theirs if bench.column(load, t, "units")] or theirs)
    return at_most(f"{what} / {' or '.join(theirs)}", limit, found and found[0], " x")


def budgets(part, bench, idle):
    """The rows of the budgets that this part decides."""
    ran = {r["load"] for r in bench.runs}
    through = "" if part == "plain" else ", TLS upstream"
    found = []
    if "json" in ran:
        limit, theirs = (0.95, ["nginx"]) if part == "plain" else (1.0, ["nginx", "haproxy"])
        found.append(ratio_row(bench, f"CPU per JSON request{through}", "json", theirs, limit))
    if "sse" in ran:
        limit = 0.8 if part == "plain" else 1.0
        found.append(ratio_row(bench, f"CPU per SSE event{through}", "sse", ["nginx", "haproxy"], limit))
        found.append(memory_row(bench, through))
    found.append(at_most(f"memory idle{through}{' and a CA store' if through else ''}", IDLE_KB[part] / 1024,
                         idle["tidegate"] / 1024, " MiB", 1))
    if part == "plain" and "sse" in ran:
        for q in ("p50", "p99"):
            found.append(at_most(f"T13: gap {q} over the origin's own", T13_MS,
                                 added_gap_ms(bench, "tidegate", f"gap_{q}_us"), " ms"))
    if "latency" in ran:
        for q, limit in (("p50", 1.05), ("p99", 1.2)):
            found.append(latency_row(bench, q, limit))
    return found


def memory_row(bench, through):
    names = [p.name for p in bench.proxies if p.name in ("nginx", "haproxy")]
    what, ours = f"memory at 1,000 streams{through}", first_peak_kb(bench, "tidegate") / 1024
    if not names:
        return Budget(what, "nginx or haproxy", f"{ours:.1f} MiB")
    return at_most(f"{what} / {' or '.join(names)}", min(first_peak_kb(bench, n) for n in names) / 1024, ours,
                   " MiB", 1)


def latency_row(bench, q, limit):
    ours, theirs = (added(bench, name, f"latency_{q}_us") for name in ("tidegate", "nginx"))
    value = ours / theirs if ours and theirs and theirs > 0 else None
    return at_most(f"added latency {q}, 1 connection / nginx", limit, value, " x")
