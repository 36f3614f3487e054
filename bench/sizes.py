# SPDX-License-Identifier: MIT
"""Whether what is large, or many, costs what its bytes cost: CPU of one large thing beside small ones.

Each case is measured at two sizes, the small one as often as makes up about as many bytes; the price of a
megabyte, or of an event, at the large size over that at the small one is the figure.
"""
import json
import statistics

import scripted
from budgets import at_most
from proxies import Proxy
from rig import Rig

MB = 1 << 20
LIMIT = 1.25
ROUNDS, QUICK_ROUNDS = 5, 2
TINY = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
SMALL_BODY = b'{"model":"bench-model","messages":[{"role":"user","content":"go"}]}'
STREAM_BODY = SMALL_BODY[:-1] + b',"stream":true}'
REPLY = (b'{"id":"1","object":"chat.completion","model":"bench-model","choices":[{"index":0,"message":'
         b'{"role":"assistant","content":"%s"},"finish_reason":"stop"}]}')
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def text(n):
    """n bytes of words, as JSON may hold them."""
    return (b"the tide comes in and the tide goes out again, " * (n // 47 + 1))[:n]


def large_body(n):
    body = {"model": "bench-model", "messages": [{"role": "user", "content": text(n).decode()}]}
    return json.dumps(body).encode(), scripted.plain(REPLY % b"yes")


def large_answer(n):
    return SMALL_BODY, scripted.plain(REPLY % text(n))


def large_event(n):
    """One event in reads of any size."""
    return STREAM_BODY, scripted.events([EVENT % text(n)], STOP)


def tiny_events(n):
    """Many events in chunks of 32 KB, so that one read brings hundreds."""
    each = 32768 // len(TINY)
    return STREAM_BODY, scripted.events([TINY * min(each, n - i) for i in range(0, n, each)], STOP)


def single_events(n):
    """Many events, each in a chunk and a send of its own."""
    return STREAM_BODY, scripted.events([TINY] * n, STOP)


# What, unit, how many of the unit the large one has, and of the small one; the argument for one unit.
CASES = [
    ("request body of 20 MB", "MB", 20, 2, large_body, MB),
    ("answer of 20 MB", "MB", 20, 2, large_answer, MB),
    ("event of 1 MB", "100 KB", 10, 1, large_event, 100 * 1024),
    ("100,000 tiny events in few reads", "1,000 events", 100, 10, tiny_events, 1000),
    ("100,000 tiny events, one per send", "1,000 events", 100, 10, single_events, 1000),
]


class Sizes:
    def __init__(self, proxies, origin):
        self.proxies, self.origin = proxies, origin
        self.runs, self.troubles = [], []

    def cost(self, proxy, make, size, times):
        """CPU of a proxy for asking that often, per unit of size."""
        body, answer = make
        self.origin.answer = answer
        before_n, began_us = self.origin.asked, scripted.cpu_us(proxy.pid)
        for _ in range(times):
            with scripted.Client(proxy.port) as client:
                status, got = client.ask(scripted.request(body))
            if status != 200 or not scripted.same(got, answer):
                self.troubles.append(f"{proxy.name}: {status} and {len(got)} bytes for {len(answer.body)}")
        used_us = scripted.cpu_us(proxy.pid) - began_us
        if self.origin.asked - before_n != times:
            self.troubles.append(f"{proxy.name}: {times} requests, {self.origin.asked - before_n} calls")
        return used_us / times / size

    def round(self, case, round_no):
        what, _, large_n, small_n, make, unit = case
        large, small = make(large_n * unit), make(small_n * unit)
        turn = round_no % len(self.proxies)
        for proxy in self.proxies[turn:] + self.proxies[:turn]:
            self.runs.append({"case": what, "proxy": proxy.name, "round": round_no,
                              "small_us": self.cost(proxy, small, small_n, large_n // small_n),
                              "large_us": self.cost(proxy, large, large_n, 1)})

    def median(self, what, name, value):
        return statistics.median(value(r) for r in self.runs if (r["case"], r["proxy"]) == (what, name))


def measure(args, names):
    """Runs the part; returns its budgets and everything that was found."""
    origin = scripted.Origin()
    rows = []
    with Rig(args.tidegate, access_log=args.access_log == "on") as rig:
        rig.origin_port = origin.port
        sizes = Sizes([Proxy(name, rig, body_buffer="32m") for name in names], origin)
        for i in range(args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)):
            for case in CASES:
                sizes.round(case, i)
        print(f"\n{'sizes: us CPU for each (price at this size / at the small one)':66}" +
              "".join(f"{n:>18}" for n in names))
        for what, unit, large_n, small_n, _, _ in CASES:
            label = f"{what}, per {unit} (small: {small_n} of {large_n})"
            cells = ""
            for name in names:
                each = sizes.median(what, name, lambda r: r["large_us"])
                cells += f"{each:10.0f} ({ratio(sizes, what, name):.2f})"
            print(f"{label:66}{cells}")
            if "tidegate" in names:
                rows.append(at_most(f"{what}: price of its parts / of small ones", LIMIT,
                                    ratio(sizes, what, "tidegate"), " x"))
    origin.close()
    return rows, {"runs": sizes.runs, "troubles": sizes.troubles}


def ratio(sizes, what, name):
    return sizes.median(what, name, lambda r: r["large_us"] / r["small_us"])
