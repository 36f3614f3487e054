# SPDX-License-Identifier: MIT
"""Turns of several proxies under one load: what a round is, when it counts, and what its figures say."""
import statistics
import sys
import time

from rig import rss_kb, steal_ms, waited_ms

WAIT_MAX = 0.2     # of its time; a run in which the proxy stood ready for longer without a CPU is disturbed
PACE_MAX_MS = 100  # the slowest pace that streams are given when a proxy cannot keep up


class Bench:
    """All runs of one part. `loads` maps a load's name to the client's options, and to "direct", how many
    rounds the origin itself takes part in."""

    def __init__(self, rig, proxies, loads):
        self.rig, self.proxies, self.loads = rig, proxies, loads
        self.runs = []      # every run with its round, load and proxy
        self.troubles = []  # sentences about answers that were not as they must be

    def options(self, load, **more):
        """The client's options; the first stream must outlast ramp and window, with some time to spare."""
        options = {k: v for k, v in self.loads[load].items() if k != "direct"} | more
        if options["mode"] == "sse":
            all_ms = options["ramp_ms"] + options["warm_ms"] + options["window_ms"] + 700
            options["events"] = int(all_ms // self.rig.interval_ms) + 1
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
        found |= {"load": load, "proxy": name, "round": round_no, "peak_kb": peak_kb, "is_good": True,
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
        if found["mode"] != "sse" or found["proxy"] == "haproxy-default":
            return True
        paced = found["connections"] * found["window_us"] / 1000 / found["interval_ms"]
        return (found["units"] > 0.97 * paced and found["at_end"] == found["connections"] and
                found["events_per_read"] < 1.1)

    def judge(self, of_round):
        """Marks a round's runs; returns whether all of them were undisturbed."""
        is_good = not any(self.is_disturbed(found) for found in of_round)
        for found in of_round:
            found["is_good"] = is_good
            progress(found)
        return is_good

    def turns(self, load, rounds, time_s):
        """Rounds in which each has its turn, until enough of them were undisturbed or time is up.

        When one of them cannot keep up, because this machine is slow just now, the pace is slowed down for
        all. The origin itself has turns too: in each round of latency, where it is subtracted, in some of
        sse, where it shows how even the pace is, and in none of json.
        """
        until = time.monotonic() + time_s
        direct_n = self.loads[load].get("direct", 0)
        good = 0
        for i in range(2 * rounds):
            order = ([None] if i < direct_n else []) + self.proxies
            turn = i % len(order)
            of_round = [self.run(load, proxy, i) for proxy in order[turn:] + order[:turn]]
            good += self.judge(of_round)
            if good == rounds or time.monotonic() > until:
                break
            if not all(self.kept_pace(found) for found in of_round) and self.rig.interval_ms < PACE_MAX_MS:
                self.rig.set_interval(min(PACE_MAX_MS, self.rig.interval_ms * 8 // 5))

    def column(self, load, proxy, field):
        """The values of all undisturbed rounds; of all rounds when there is no undisturbed one."""
        runs = [r for r in self.runs if r["load"] == load and r["proxy"] == proxy]
        return [r[field] for r in runs if r["is_good"]] or [r[field] for r in runs]

    def median(self, load, proxy, field):
        values = self.column(load, proxy, field)
        return statistics.median(values) if values else None

    def ratios(self, load, ours, theirs, field="cpu_us_per_unit"):
        """Per round our value over the smallest of theirs; of that the median and the quartiles, or None."""
        columns = [self.column(load, t, field) for t in theirs]
        mine = self.column(load, ours, field)
        if not mine or not all(columns):
            return None
        return quartiles([a / b for a, b in zip(mine, (min(values) for values in zip(*columns)))])

    def print_rounds(self):
        """How many rounds of each load were undisturbed."""
        for load in self.loads:
            rounds = {r["round"]: r["is_good"] for r in self.runs if r["load"] == load}
            if not rounds:
                continue
            paces = sorted({r["interval_ms"] for r in self.runs if r["load"] == load})
            note = f", one event every {'/'.join(map(str, paces))} ms" if self.is_stream(load) else ""
            print(f"{load}: {sum(rounds.values())} of {len(rounds)} rounds were undisturbed{note}" +
                  ("" if any(rounds.values()) else ": these figures are of disturbed ones"))

    def is_stream(self, load):
        return self.loads[load]["mode"] == "sse"


def quartiles(values):
    """Median, lower and upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, low, high


def progress(found):
    load = found["load"]
    value = f"{found['latency_p50_us']} us" if load == "latency" else f"{found['cpu_us_per_unit']:.2f} us CPU"
    rate = found["units"] / found["window_us"] * 1e6
    print(f"  {load:10} round {found['round'] + 1}  {found['proxy']:16} {value:>14}  {rate:8.0f}/s"
          f"{' at ' + str(found['interval_ms']) + ' ms' if found['mode'] == 'sse' else ''}"
          f"  waited {found['waited_ms'] / found['took_ms']:4.0%}"
          f", stolen {found['stolen_ms'] / found['took_ms']:3.0%}"
          f"{'' if found['is_good'] else '  (disturbed round)'}", file=sys.stderr)
