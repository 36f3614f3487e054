#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidegate beside other LLM gateways: CPU per request and per streamed event for the same work.

    python3 bench/peers.py [--rounds N] [--only NAME,...] [--seconds S]

The peers are fetched into build/bench/peers/ by the clients that everybody uses (npm, pip), at the first run
and never by a test. All ask the same origin, answer the same clients, and have one worker where that can be
set; turns alternate. Peers write answers anew, so what is compared is what they say and not their bytes. What
could not be had, and why, is in docs/bench.md.
"""
import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time

from rig import ROOT, Failure, Rig, children, free_port, rss_kb

FOLDER = os.path.join(ROOT, "build", "bench", "peers")
CLIENTS = 16
EVENTS = 40
PACE_MS = 10
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
START_S = 240  # LiteLLM imports for a long time

# Portkey has no option for the address; this puts it on loopback.
LOOPBACK = """const net = require('net'), l = net.Server.prototype.listen;
net.Server.prototype.listen = function (a, ...r) {
  if (typeof a === 'number') return l.call(this, a, '127.0.0.1', ...r.filter(x => typeof x !== 'string'));
  if (a && typeof a === 'object' && a.port !== undefined) a.host = '127.0.0.1';
  return l.call(this, a, ...r); };
"""
# Streaming of 1.15.2 fails with the newer server package that npm would choose.
PORTKEY = {"dependencies": {"@portkey-ai/gateway": "1.15.2"}, "overrides": {"@hono/node-server": "1.13.8"}}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class Tidegate:
    name = "tidegate"
    headers = {}

    def fetch(self):
        if not os.path.exists(os.path.join(ROOT, "build", "tidegate")):
            raise Failure("build/tidegate is missing: make")

    def command(self, port, origin, folder):
        return [os.path.join(ROOT, "build", "tidegate"), "serve", write(f"{folder}/tidegate.yaml", f"""
listen: 127.0.0.1:{port}
workers: 1
access_log: "off"
endpoints: [{{name: origin, provider: openai, url: "http://127.0.0.1:{origin}/v1", key: none}}]
models: [{{name: "*", tiers: [[{{endpoint: origin}}]]}}]
""")], {}


class Portkey:
    name = "portkey"
    folder = os.path.join(FOLDER, "portkey")
    start = os.path.join(folder, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js")

    def fetch(self):
        if os.path.exists(self.start):
            return
        write(os.path.join(self.folder, "package.json"), json.dumps(PORTKEY))
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=self.folder, check=True)

    def command(self, port, origin, folder):
        self.headers = {"x-portkey-provider": "openai", "Authorization": "Bearer none",
                        "x-portkey-custom-host": f"http://127.0.0.1:{origin}/v1"}
        bind = write(f"{folder}/loopback.cjs", LOOPBACK)
        return ["node", "-r", bind, self.start, "--headless", f"--port={port}"], {"NODE_ENV": "production"}


class LiteLLM:
    name = "litellm"
    headers = {"Authorization": "Bearer none"}
    folder = os.path.join(FOLDER, "litellm")

    def fetch(self):
        if os.path.exists(os.path.join(self.folder, "bin", "litellm")):
            return
        subprocess.run([sys.executable, "-m", "venv", self.folder], check=True)
        subprocess.run([os.path.join(self.folder, "bin", "pip"), "install", "--quiet", "litellm[proxy]"],
                       check=True)

    def command(self, port, origin, folder):
        config = {"model_list": [{"model_name": "bench", "litellm_params": {
            "model": "openai/bench", "api_base": f"http://127.0.0.1:{origin}/v1", "api_key": "none"}}],
            "litellm_settings": {"set_verbose": False, "telemetry": False}}
        path = write(f"{folder}/litellm.yaml", json.dumps(config))
        return [os.path.join(self.folder, "bin", "litellm"), "--config", path, "--host", "127.0.0.1",
                "--port", str(port), "--num_workers", "1"], {
                    "LITELLM_LOG": "ERROR", "NO_DOCS": "True", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}


PEERS = [Tidegate, Portkey, LiteLLM]


def tree(pid):
    """A process and all below it."""
    return [pid] + [p for child in children(pid) for p in tree(child)]


def cpu_s(pid):
    total = 0
    for p in tree(pid):
        with open(f"/proc/{p}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


class Running:
    """A peer that serves; ended by its process id."""

    def __init__(self, peer, rig):
        self.peer, self.port = peer, free_port()
        argv, more = peer.command(self.port, rig.origin_port, rig.dir)
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | more
        self.out = open(os.path.join(rig.dir, peer.name + ".out"), "wb")
        self.child = subprocess.Popen(argv, stdout=self.out, stderr=subprocess.STDOUT, env=env, cwd=rig.dir,
                                      start_new_session=True)
        until = time.monotonic() + START_S
        while self.ask_once() is None:
            if time.monotonic() > until or self.child.poll() is not None:
                raise Failure(f"{peer.name} does not answer; its words are in {self.out.name}")
            time.sleep(0.3)
        self.idle_kb = sum(rss_kb(p) for p in tree(self.child.pid))

    def ask_once(self):
        try:
            return Client(self).plain()
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        self.out.close()


class Client:
    """One connection that asks again and again."""
    serial = 0

    def __init__(self, running):
        self.running = running
        self.wire = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)

    def ask(self, stream):
        Client.serial += 1
        body = {"model": "bench", "stream": stream, "max_tokens": EVENTS, "messages": [
            {"role": "user", "content": f"request {Client.serial} " + "x" * 150}]}
        self.wire.request("POST", "/v1/chat/completions", json.dumps(body), {
            "Content-Type": "application/json", **self.running.peer.headers})
        answer = self.wire.getresponse()
        if answer.status != 200:
            raise ValueError(f"status {answer.status}: {answer.read()[:300]}")
        return answer

    def plain(self):
        return json.loads(self.ask(False).read())["choices"][0]["message"]["content"]

    def stream(self):
        """The text, and in how many events it came."""
        text, n = "", 0
        for line in self.ask(True):
            if not line.startswith(b"data: {"):
                continue
            choices = json.loads(line[6:])["choices"]
            piece = choices[0]["delta"].get("content") if choices else None
            text, n = text + (piece or ""), n + bool(piece)
        return text, n


def load(running, stream, seconds, want):
    """CLIENTS connections for so long: CPU of the peer per answer or event, and what was wrong."""
    done, wrong, over = [0] * CLIENTS, [], threading.Event()

    def work(i):
        client = Client(running)
        while not over.is_set():
            try:
                said, n = client.stream() if stream else (client.plain(), 1)
            except (OSError, http.client.HTTPException, ValueError, KeyError) as e:
                wrong.append(f"{running.peer.name}: {e!r}")
                return
            if said != want:
                wrong.append(f"{running.peer.name} said {said[:80]!r} for {want[:80]!r}")
            done[i] += n

    threads = [threading.Thread(target=work, args=(i,)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    time.sleep(1)
    cpu, n, began = cpu_s(running.child.pid), sum(done), time.monotonic()
    time.sleep(seconds)
    cpu, n, took = cpu_s(running.child.pid) - cpu, sum(done) - n, time.monotonic() - began
    over.set()
    for t in threads:
        t.join()
    return {"us": cpu / n * 1e6 if n else None, "rate": n / took, "wrong": wrong}


def truth(rig):
    """What the origin itself says, plain and streamed."""
    class Origin:
        name, headers = "origin", {}

    class Direct:
        peer, port = Origin, rig.origin_port
    return Client(Direct).plain(), Client(Direct).stream()[0]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=5)
    p.add_argument("--only", default=",".join(peer.name for peer in PEERS))
    args = p.parse_args()
    peers = [peer() for peer in PEERS if peer.name in args.only.split(",")]
    for peer in peers:
        peer.fetch()
    found = {peer.name: {"plain": [], "stream": []} for peer in peers}
    wrong = []
    with Rig(os.path.join(ROOT, "build", "tidegate"), access_log=False, interval_ms=PACE_MS) as rig:
        plain, streamed = truth(rig)
        running = []
        try:
            for peer in peers:
                running.append(Running(peer, rig))
            for i in range(args.rounds):
                for kind in ("plain", "stream"):
                    for r in running[i % len(running):] + running[:i % len(running)]:
                        one = load(r, kind == "stream", args.seconds, streamed if kind == "stream" else plain)
                        found[r.peer.name][kind].append(one)
                        wrong += one["wrong"]
                        print(f"  {kind:6} round {i + 1}  {r.peer.name:9} {one['us'] or 0:10.1f} us CPU "
                              f"{one['rate']:8.0f}/s", file=sys.stderr)
            report(found, running)
        finally:
            for r in running:
                r.stop()
    for line in wrong[:10]:
        print(f"peers: WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


def report(found, running):
    print(f"\n{'':12}{'us CPU per request':>20}{'beside tidegate':>17}{'us CPU per event':>18}"
          f"{'beside tidegate':>17}{'RSS idle, MB':>14}")
    ours = {kind: [one["us"] for one in found["tidegate"][kind]] for kind in ("plain", "stream")} \
        if "tidegate" in found else None
    for r in running:
        cells = []
        for kind in ("plain", "stream"):
            mine = [one["us"] for one in found[r.peer.name][kind]]
            ratio = statistics.median(a / b for a, b in zip(mine, ours[kind])) if ours else 0
            cells += [f"{statistics.median(mine):.1f}", f"{ratio:.1f} x"]
        print(f"{r.peer.name:12}{cells[0]:>20}{cells[1]:>17}{cells[2]:>18}{cells[3]:>17}"
              f"{r.idle_kb / 1024:14.1f}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"peers: {failure}")
