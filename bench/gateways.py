# SPDX-License-Identifier: MIT
"""LLM gateways that stand beside tidegate: how each is fetched, started and asked.

Why: each comes through the client that everybody uses (npm, pip) into build/bench/peers/, when the bench runs
and never in a test. One row of PEERS is one gateway; what could not be had, and why, is in docs/bench.md.
Invariants: all listen on loopback, have one CPU and so one worker or thread where they count CPUs, write no
access log, and know the model bench-model of the origin.
"""
import json
import os
import subprocess
import sys

from rig import ROOT, Failure, free_port

FOLDER = os.path.join(ROOT, "build", "bench", "peers")
KEY = "bench-0123456789abcdef0123456789abcdef"

# Portkey has no option for the address; this puts it on loopback.
LOOPBACK = """const net = require('net'), l = net.Server.prototype.listen;
net.Server.prototype.listen = function (a, ...r) {
  if (typeof a === 'number') return l.call(this, a, '127.0.0.1', ...r.filter(x => typeof x !== 'string'));
  if (a && typeof a === 'object' && a.port !== undefined) a.host = '127.0.0.1';
  return l.call(this, a, ...r); };
"""
# Streaming of 1.15.2 fails with the newer server package that npm would choose.
PORTKEY = {"dependencies": {"@portkey-ai/gateway": "1.15.2"}, "overrides": {"@hono/node-server": "1.13.8"}}

TIDEGATE = """
listen: 127.0.0.1:{port}
workers: 1
access_log: "off"
endpoints: [{{name: origin, provider: openai, url: "http://127.0.0.1:{origin}/v1", key: none}}]
models: [{{name: "*", tiers: [[{{endpoint: origin}}]]}}]
"""

# It knows no model that is not in its catalogue.
FERROGW = """
strategy: {mode: single}
targets: [{virtual_key: openai}]
aliases: {bench-model: gpt-4o}
"""

ROLTER = """
[server]
host = "127.0.0.1"
port = {port}
[[providers]]
name = "origin"
kind = "openai"
api_base = "http://127.0.0.1:{origin}/v1"
api_key = "none"
[[routes]]
model = "bench-model"
strategy = "round_robin"
[[routes.targets]]
provider = "origin"
model = "bench-model"
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class Peer:
    """One gateway. `headers` go with every request; `is_slow` says that it serves hundreds of requests a
    second and not thousands, so it gets the streams that such a one can carry."""
    name, made_of, headers, is_slow = "", "", {}, False

    @property
    def folder(self):
        return os.path.join(FOLDER, self.name)

    def fetch(self):
        """Fetches what is not there yet."""

    def version(self):
        return ""

    def command(self, port, origin, folder):
        """The command line, and what stands in its environment; files go into `folder`."""
        raise NotImplementedError


class PipPeer(Peer):
    """A gateway of PyPI in an environment of its own."""
    package = ""

    def bin(self, program):
        return os.path.join(self.folder, "bin", program)

    def fetch(self):
        if os.path.exists(self.bin(self.name)):
            return
        subprocess.run([sys.executable, "-m", "venv", self.folder], check=True)
        subprocess.run([self.bin("pip"), "install", "--quiet", self.package or self.name], check=True)

    def version(self):
        done = subprocess.run([self.bin("pip"), "show", self.name], capture_output=True, text=True,
                              check=True)
        return next(line.split()[1] for line in done.stdout.split("\n") if line.startswith("Version:"))


class Tidegate(Peer):
    name, made_of = "tidegate", "C"
    program = os.path.join(ROOT, "build", "tidegate")

    def fetch(self):
        if not os.path.exists(self.program):
            raise Failure("build/tidegate is missing: make")

    def command(self, port, origin, folder):
        text = TIDEGATE.format(port=port, origin=origin)
        return [self.program, "serve", write(f"{folder}/tidegate.yaml", text)], {}


class Ferrogw(PipPeer):
    name, made_of = "ferrogw", "Go"
    headers = {"Authorization": f"Bearer {KEY}"}

    def command(self, port, origin, folder):
        config = write(f"{folder}/ferrogw.yaml", FERROGW)
        return [self.bin("ferrogw"), "serve"], {
            "GATEWAY_CONFIG": config, "PORT": str(port), "HOST": "127.0.0.1", "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{origin}", "MASTER_KEY": KEY, "LOG_LEVEL": "error",
            "ALLOW_UNAUTHENTICATED_PROXY": "true", "RATE_LIMIT_RPS": "0"}


class Rolter(PipPeer):
    name, made_of = "rolter", "Rust"

    def command(self, port, origin, folder):
        config = write(f"{folder}/rolter.toml", ROLTER.format(port=port, origin=origin))
        return [self.bin("rolter"), "gateway", "--config", config], {"RUST_LOG": "error"}


class Smg(PipPeer):
    name, made_of = "smg", "Rust"

    def command(self, port, origin, folder):
        return [self.bin("smg"), "launch", "--host", "127.0.0.1", "--port", str(port), "--backend", "openai",
                "--worker-urls", f"http://127.0.0.1:{origin}", "--policy", "round_robin",
                "--prometheus-port", str(free_port()), "--history-backend", "none",
                "--log-level", "error", "--disable-retries"], {
                    "OPENAI_API_KEY": "none"}


class VllmRouter(PipPeer):
    name, made_of = "vllm-router", "Rust"

    def command(self, port, origin, folder):
        return [self.bin("vllm-router"), "--host", "127.0.0.1", "--port", str(port),
                "--worker-urls", f"http://127.0.0.1:{origin}", "--policy", "round_robin",
                "--prometheus-port", str(free_port()), "--log-level", "error"], {}


class Portkey(Peer):
    name, made_of, is_slow = "portkey", "Node", True

    @property
    def package(self):
        return os.path.join(self.folder, "node_modules", "@portkey-ai", "gateway")

    def fetch(self):
        if os.path.exists(os.path.join(self.package, "build", "start-server.js")):
            return
        write(os.path.join(self.folder, "package.json"), json.dumps(PORTKEY))
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=self.folder, check=True)

    def version(self):
        with open(os.path.join(self.package, "package.json"), encoding="utf-8") as f:
            return json.load(f)["version"]

    def command(self, port, origin, folder):
        self.headers = {"x-portkey-provider": "openai", "Authorization": "Bearer none",
                        "x-portkey-custom-host": f"http://127.0.0.1:{origin}/v1"}
        return ["node", "-r", write(f"{folder}/loopback.cjs", LOOPBACK),
                os.path.join(self.package, "build", "start-server.js"), "--headless", f"--port={port}"], {
                    "NODE_ENV": "production"}


class LiteLLM(PipPeer):
    name, made_of, package, is_slow = "litellm", "Python", "litellm[proxy]", True
    headers = {"Authorization": "Bearer none"}

    def command(self, port, origin, folder):
        config = {"model_list": [{"model_name": "bench-model", "litellm_params": {
            "model": "openai/bench-model", "api_base": f"http://127.0.0.1:{origin}/v1", "api_key": "none"}}],
            "litellm_settings": {"set_verbose": False, "telemetry": False}}
        return [self.bin("litellm"), "--config", write(f"{folder}/litellm.yaml", json.dumps(config)),
                "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"], {
                    "LITELLM_LOG": "ERROR", "NO_DOCS": "True", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}


PEERS = [Tidegate, Ferrogw, Rolter, Smg, VllmRouter, Portkey, LiteLLM]
