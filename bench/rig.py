# SPDX-License-Identifier: MIT
"""What the bench sets up around a measurement: the origin, its certificate and the client.

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
import ssl
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
HOST = "origin.test"  # the name in the certificate of an origin behind TLS
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


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
        subprocess.run([os.environ.get("CC", "cc"), *CFLAGS, "-o", program, os.path.join(src, name + ".c"),
                        "-Wl,--as-needed", "-lssl", "-lcrypto"], check=True)
    return out


def make_certificates(folder):
    """An authority, a certificate for the origin, and a file of authorities: the system's and this one.

    Returns the paths of certificate, key and authorities. The whole store is there because it is what a
    proxy of a real provider has in memory.
    """
    def path(name):
        return os.path.join(folder, name)

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-days", "30", "-subj", "/CN=bench authority", "-keyout", path("ca.key"),
            "-out", path("ca.pem"))
    openssl("req", *curve, "-subj", f"/CN={HOST}", "-keyout", path("origin.key"), "-out", path("origin.csr"))
    with open(path("names"), "w", encoding="ascii") as f:
        f.write(f"subjectAltName=DNS:{HOST},IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", path("origin.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
            "-CAcreateserial", "-days", "30", "-extfile", path("names"), "-out", path("origin.pem"))
    with open(path("authorities.pem"), "w", encoding="utf-8") as f:
        for part in (CA_BUNDLE, path("ca.pem")):
            if os.path.exists(part):
                with open(part, encoding="utf-8") as one:
                    f.write(one.read())
    return path("origin.pem"), path("origin.key"), path("authorities.pem")


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


class Rig:
    """The origin, a scratch folder and all children; a context manager that leaves nothing behind.

    `before` is another tidegate to compare with. With `tls` the origin speaks TLS, and `ca` is the file of
    authorities that it is verified with.
    """

    def __init__(self, tidegate, access_log=True, interval_ms=20, before=None, tls=False):
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
        self.scheme, self.host, self.ca, self.cert = "https" if tls else "http", HOST, None, ()
        if tls:
            cert, key, self.ca = make_certificates(self.dir)
            self.cert = ("--cert", cert, "--key", key)

    def __enter__(self):
        try:
            self.origin = self.start_origin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_origin(self):
        command = [os.path.join(self.tools, "origin"), "--listen", f"127.0.0.1:{self.origin_port}",
                   "--interval-us", str(round(self.interval_ms * 1000)), *self.cert]
        child = self.start(command, self.origin_cpu, "/dev/null", "origin")
        self.wait_for(child, self.origin_port, "origin")
        return child

    def set_interval(self, interval_ms):
        """A new origin in the old one's place, with another time between two events of a stream."""
        if interval_ms == self.interval_ms:
            return
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
        return f"{self.scheme}://127.0.0.1:{self.origin_port}{PATH}"

    def start(self, command, cpu, log, name):
        err = log if log != "/dev/null" else os.path.join(self.dir, name + ".err")
        with open(log, "ab") as out, open(err, "ab") as errors:
            child = self.spawn(command, cpu, stdout=out, stderr=errors)
        self.children.append(child)
        return child

    def stop(self, child):
        child.terminate()
        child.wait(10)
        self.children.remove(child)

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
        trust = ssl.create_default_context(cafile=self.ca) if self.ca else None
        url = f"{self.scheme}://127.0.0.1:{self.origin_port}/count"
        with urllib.request.urlopen(url, timeout=10, context=trust) as answer:
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
