# SPDX-License-Identifier: MIT
"""What slow attackers do to good clients: 5,000 connections whose heads never end and 1,000 that read nothing
of their streams, while 100 good clients ask at a steady rate. Each proxy is looked at in calm and under
attack, in turns."""
import resource
import socket
import statistics
import threading
import time

from budgets import Budget, at_most
from proxies import Proxy
from rig import Rig

SLOW_HEADS, SLOW_READERS = 5000, 1000
CLIENTS = 6500  # room of nginx and HAProxy
GOOD = {"mode": "json", "connections": 100, "rate": 1500, "ramp_ms": 200, "warm_ms": 300, "window_ms": 2500}
PACE_MS = 100     # of the streams that nobody reads
TRICKLE_S = 1.5   # between two bytes of a slow head
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nX-Slow: "
BODY = b'{"model":"m","stream":true,"max_tokens":2000,"messages":[{"role":"user","content":"%d"}]}'
STEADY = 1.25     # how much the p99 of good clients may grow


class Attack:
    """Opens the connections and keeps the heads trickling until the end of the block."""

    def __init__(self, port):
        self.over = threading.Event()
        self.heads = [self.connect(port, i, HEAD) for i in range(SLOW_HEADS)]
        self.readers = [self.connect(port, i, self.ask(i), 4096) for i in range(SLOW_READERS)]
        self.thread = threading.Thread(target=self.trickle)

    @staticmethod
    def ask(i):
        body = BODY % i
        return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body)) + body

    @staticmethod
    def connect(port, i, first, receive=None):
        s = socket.socket()
        if receive:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        s.bind((f"127.0.0.{2 + i % 50}", 0))
        s.connect(("127.0.0.1", port))
        s.sendall(first)
        return s

    def trickle(self):
        while not self.over.wait(TRICKLE_S):
            for s in self.heads:
                try:
                    s.send(b"a")
                except OSError:
                    pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for s in self.heads + self.readers:
            s.close()


def look(rig, proxy, attacked):
    """One run of the good clients."""
    client = rig.client(proxy.url, GOOD, proxy.pid)
    found = rig.finish(client)
    proxy.trim_log()
    return found | {"proxy": proxy.name, "attacked": attacked}


def measure(args, names):
    """Runs the part; returns its budgets and everything that was found."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    runs = []
    with Rig(args.tidegate, access_log=args.access_log == "on", interval_ms=PACE_MS) as rig:
        proxies = [Proxy(name, rig, CLIENTS) for name in names]
        for i in range(args.rounds or (2 if args.quick else 5)):
            for proxy in proxies[i % len(proxies):] + proxies[:i % len(proxies)]:
                runs.append(look(rig, proxy, False))
                with Attack(proxy.port):
                    time.sleep(0.5)
                    runs.append(look(rig, proxy, True))
                time.sleep(1)
    report(runs, names)
    wrong = [f"{r['proxy']}, attacked: {r['answered']} of {r['asked']} answers were right: {r['errors']}"
             for r in runs if r["answered"] != r["asked"] or any(r["errors"].values())]
    return (budgets(runs, names) if "tidegate" in names else []), {"runs": runs, "troubles": wrong}


def column(runs, name, attacked, field):
    return [r[field] for r in runs if r["proxy"] == name and r["attacked"] == attacked]


def grown(runs, name, field="latency_p99_us"):
    """The median over the rounds of what is found under attack over what is found in calm."""
    return statistics.median(a / b for a, b in zip(column(runs, name, True, field),
                                                   column(runs, name, False, field)))


def report(runs, names):
    print(f"\n{'attack':46}" + "".join(f"{n:>14}" for n in names))
    for field, what in (("latency_p50_us", "p50 of 100 good clients, us"),
                        ("latency_p99_us", "p99 of 100 good clients, us"),
                        ("cpu_us_per_unit", "us CPU per good request")):
        for attacked in (False, True):
            label = what + (", attacked" if attacked else ", calm")
            print(f"{label:46}" + "".join(
                f"{statistics.median(column(runs, n, attacked, field)):14.0f}" for n in names))
    print(f"{'p99, attacked / calm':46}" + "".join(f"{grown(runs, n):14.2f}" for n in names))


def budgets(runs, names):
    found = [Budget("good clients under attack: not answered", "0",
                    str(sum(r["asked"] - r["answered"] for r in runs if r["proxy"] == "tidegate")),
                    all(r["asked"] == r["answered"] for r in runs if r["proxy"] == "tidegate"))]
    limit = max([STEADY] + [grown(runs, n) for n in names if n == "nginx"])
    found.append(at_most("p99 of good clients, attacked / calm (nginx's, or 1.25)", limit,
                         grown(runs, "tidegate"), " x"))
    return found
