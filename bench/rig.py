# SPDX-License-Identifier: MIT
"""What the bench sets up around a measurement: the origin, the proxies, the client.

Every process is a child on a free loopback port, pinned to a CPU and stopped by its process id. The proxy
under test has the first CPU for itself; the origin and the client share the rest.
"""
import ctypes
import json
import os
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CFLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra"]
NICE = -15
PATH = "/v1/chat/completions"

# Both write one line of access log per request to a file, as they would in service. For short answers
# nginx was measured with its buffering left on too and does not get cheaper, so one configuration serves
# both loads.
NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.err warn; {user}
events {{ worker_connections 4096; }}
http {{
  access_log {log};
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  keepalive_requests 1000000000; keepalive_timeout 300s;
  upstream origin {{
    server 127.0.0.1:{origin}; keepalive 1100; keepalive_requests 1000000000; keepalive_timeout 300s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 4000
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  {no_delay}
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend bench
  bind 127.0.0.1:{port} backlog 4096
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin}
"""

TIDEGATE = """
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
workers: 1
endpoints: [{{name: origin, provider: openai, url: "http://127.0.0.1:{origin}/v1", key: none}}]
models: [{{name: "*", tiers: [[{{endpoint: origin}}]]}}]
"""


class Failure(Exception):
    """Something that ends the bench with a message rather than a traceback."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def compile_tools():
    """Compiles the origin and the client where they are missing or older than their sources."""
    out = os.path.join(ROOT, "build", "bench")
    src = os.path.join(ROOT, "bench")
    os.makedirs(out, exist_ok=True)
    newest = max(os.path.getmtime(os.path.join(src, f)) for f in os.listdir(src) if f.endswith((".c", ".h")))
    for name in ("origin", "client"):
        program = os.path.join(out, name)
        if os.path.exists(program) and os.path.getmtime(program) >= newest:
            continue
        subprocess.run([os.environ.get("CC", "cc"), *CFLAGS, "-o", program, os.path.join(src, name + ".c")],
                       check=True)
    return out


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def waited_ms(pid):
    """How long the threads of a process have stood ready without getting a CPU: other people's work on it."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[1])
    return total / 1e6


def steal_ms():
    """How long this machine's CPUs have stood still because the host gave them to somebody else."""
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[8]) * 1000 / os.sysconf("SC_CLK_TCK")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


def prefer(pid):
    """Gives a process that leads its session a high priority and, where the kernel has it, a short time
    slice.

    A woken thread with a short slice may take the CPU from a compiler in the middle of a long one; without it
    a proxy waits milliseconds and finds its events in heaps. Where the kernel groups processes by session
    (autogroup), a priority only counts inside the group, so the group gets it as well.
    """
    os.setpriority(os.PRIO_PROCESS, pid, NICE)
    group = f"/proc/{pid}/autogroup"
    if os.path.exists(group):
        with open(group, "w", encoding="ascii") as f:
            f.write(str(NICE))
    sched_setattr = {"x86_64": 314, "aarch64": 274}.get(platform.machine())
    if sched_setattr is not None:
        # struct sched_attr: size, policy, flags, nice, priority, slice in ns (Linux 6.12), deadline, period
        attr = struct.pack("=IIQiIQQQ", 48, 0, 0, NICE, 0, 100000, 0, 0)
        ctypes.CDLL(None).syscall(sched_setattr, pid, attr, 0)


def first_line(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.split("\n")[0].strip()


class Proxy:
    """One program under test. `pid` is the process that serves: nginx's worker, else the program itself."""

    def __init__(self, name, rig):
        self.name, self.rig, self.port = name, rig, free_port()
        self.log = os.path.join(rig.dir, name + ".log") if rig.access_log else "/dev/null"
        self.version, command = getattr(self, "_" + name.replace("-", "_"))()
        self.child = rig.start(command, rig.proxy_cpu, self.log, name)
        rig.wait_for(self.child, self.port, name)
        self.pid = (children(self.child.pid) or [self.child.pid])[0] if name == "nginx" else self.child.pid
        self.rig.ask(self.url)
        self.idle_kb = rss_kb(self.pid)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{PATH}"

    def _write(self, suffix, text, **more):
        path = os.path.join(self.rig.dir, self.name + suffix)
        with open(path, "w", encoding="ascii") as f:
            f.write(text.format(port=self.port, origin=self.rig.origin_port, dir=self.rig.dir, log=self.log,
                                **more))
        return path

    def _nginx(self):
        conf = self._write(".conf", NGINX, user="user root;" if os.geteuid() == 0 else "")
        errors = os.path.join(self.rig.dir, "nginx.err")
        return first_line(["nginx", "-v"]), ["nginx", "-c", conf, "-e", errors]

    def _haproxy(self, no_delay="option http-no-delay"):
        conf = self._write(".cfg", HAPROXY, no_delay=no_delay)
        return first_line(["haproxy", "-v"]), ["haproxy", "-db", "-f", conf]

    def _haproxy_default(self):
        return self._haproxy(no_delay="")

    def _tidegate(self, program=None):
        program = program or self.rig.tidegate
        conf = self._write(".yaml", TIDEGATE, admin=free_port())
        return first_line([program, "--version"]), [program, "serve", conf]

    def _tidegate_before(self):
        return self._tidegate(self.rig.before)

    def trim_log(self):
        """The log is opened for appending, so it can be emptied between two runs."""
        if self.log != "/dev/null":
            os.truncate(self.log, 0)


class Rig:
    """The origin, a scratch folder and all children; a context manager that leaves nothing behind."""

    def __init__(self, tidegate, access_log=True, interval_ms=20, before=None):
        self.tidegate, self.access_log, self.before = tidegate, access_log, before
        self.tools = compile_tools()
        cpus = sorted(os.sched_getaffinity(0))
        self.proxy_cpu, rest = cpus[0], cpus[1:] or cpus
        self.origin_cpu, self.client_cpu = rest[0], rest[-1]
        os.sched_setaffinity(0, {self.client_cpu})
        self.children = []
        self.origin = None
        self.is_told = False
        self.dir = tempfile.mkdtemp(prefix="tidegate-bench-")
        self.origin_port = free_port()
        self.interval_ms = interval_ms

    def __enter__(self):
        try:
            self.origin = self.start_origin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_origin(self):
        command = [os.path.join(self.tools, "origin"), "--listen", f"127.0.0.1:{self.origin_port}",
                   "--interval-ms", str(self.interval_ms)]
        child = self.start(command, self.origin_cpu, "/dev/null", "origin")
        self.wait_for(child, self.origin_port, "origin")
        return child

    def set_interval(self, interval_ms):
        """A new origin in the old one's place, with another time between two events of a stream."""
        self.interval_ms = interval_ms
        self.origin.terminate()
        self.origin.wait(3)
        self.children.remove(self.origin)
        self.origin = self.start_origin()

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(3)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def direct_url(self):
        return f"http://127.0.0.1:{self.origin_port}{PATH}"

    def start(self, command, cpu, log, name):
        err = log if log != "/dev/null" else os.path.join(self.dir, name + ".err")
        with open(log, "ab") as out, open(err, "ab") as errors:
            child = self.spawn(command, cpu, stdout=out, stderr=errors)
        self.children.append(child)
        return child

    def spawn(self, command, cpu, **streams):
        """A pinned child that other work on this machine comes between as little as possible."""
        child = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdin=subprocess.DEVNULL,
                                 start_new_session=True, **streams)
        try:
            prefer(child.pid)
        except PermissionError:
            if not self.is_told:
                print("bench: not root, so other work on this machine will disturb more", file=sys.stderr)
            self.is_told = True
        return child

    def wait_for(self, child, port, name):
        until = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 1):
                    return
            except OSError:
                if child.poll() is not None or time.monotonic() > until:
                    raise Failure(f"{name} does not start:\n{self.tail(name)}") from None
                time.sleep(0.02)

    def tail(self, name):
        text = ""
        for path in (os.path.join(self.dir, name + end) for end in (".err", ".log")):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()[-2000:]
        return text

    def ask(self, url):
        body = {"model": "bench-model", "messages": [{"role": "user", "content": "ready?"}]}
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            json.load(answer)

    def served(self):
        """How many calls the origin has had so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.origin_port}/count", timeout=10) as answer:
            return json.load(answer)["posts"]

    def client(self, url, options, pid=None):
        """Starts the client; `finish` reads what it found."""
        command = [os.path.join(self.tools, "client"), "--url", url]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        if pid is not None:
            command += ["--pids", str(pid)]
        return self.spawn(command, self.client_cpu, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def finish(client):
        out, _ = client.communicate(timeout=120)
        if client.returncode != 0:
            raise Failure(f"the client gave up with exit code {client.returncode}")
        return json.loads(out)
