# SPDX-License-Identifier: MIT
"""Programs that a test starts. Each is stopped by its own id, and has to end well: with status 0 and without
a word from a sanitizer."""
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys

from . import LIMIT, ROOT, http, prometheus, until
from .config import ONCE

PROGRAM = os.environ.get('TIDEGATE', str(ROOT / 'build/tidegate'))
TROUBLE = re.compile(r'^.*(?:AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:'
                     r'|assertion failed).*$', re.MULTILINE)
TAIL = 4000  # characters of output that a failed test shows


def environment(**more):
    """The environment without what would change a program's mind: providers' keys, proxies, and engines that
    happen to run on this machine."""
    drop = re.compile(r'(?i)^(DEEPSEEK_API_KEY|OPENAI_.*|.*_proxy|TIDEGATE_PROBE_.*)$')
    kept = {k: v for k, v in os.environ.items() if not drop.match(k)}
    return {**kept, 'TIDEGATE_PROBE_PORTS': '', **more}


# Below the range from which the kernel takes ports for those who ask for any, so that nobody gets one of ours
# between our look and the start of the program; each process of a parallel run has a part of its own.
PORTS_N = 1500
FIRST_PORT = 10000 + PORTS_N * (int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]) % 12)
ports = itertools.cycle(range(FIRST_PORT, FIRST_PORT + PORTS_N))


def free_port():
    for port in itertools.islice(ports, PORTS_N):
        with socket.socket() as s:
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port
    raise AssertionError(f'no free port from {FIRST_PORT} on')


class Process:
    def __init__(self, folder, name, argv, env=None, cwd=None, fds=()):
        self.name = name
        self.out, self.err = folder / f'{name}.out', folder / f'{name}.err'
        self.may_fail = False  # a test that ends it otherwise says so
        self.drain_delay = False  # it goes on for seconds after a signal: a second one cuts that short
        with open(self.out, 'wb') as out, open(self.err, 'wb') as err:
            self.child = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=env if env is not None else environment(), cwd=cwd or folder, pass_fds=fds)

    def stdout(self):
        return self.out.read_text(errors='replace')

    def stderr(self):
        return self.err.read_text(errors='replace')

    def wait_for(self, pattern):
        """Waits until standard error matches; fails at once when the program has ended without it."""
        def seen():
            ended = self.child.poll() is not None
            match = re.search(pattern, self.stderr())
            if match is None and ended:
                raise AssertionError(f'{self.name} ended with {self.child.returncode}:\n{self.tail()}')
            return match
        return until(seen, f'{self.name} says {pattern}')

    def wait(self):
        """Waits for its end; returns its exit status."""
        return self.child.wait(LIMIT)

    def signal(self, number):
        self.child.send_signal(number)

    def stop(self):
        """Ends it in the ordinary way; returns what was wrong with it, or nothing."""
        if self.child.poll() is None:
            self.signal(signal.SIGTERM)
            if self.drain_delay:
                self.wait_for('draining')
                self.signal(signal.SIGTERM)
            try:
                self.child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                return [f'{self.name} did not end after SIGTERM'] + self.trouble()
        return self.trouble()

    def trouble(self):
        said = self.stderr()
        found = [f'{self.name}: {line}' for line in TROUBLE.findall(said)]
        status = self.child.poll()
        if status not in (None, 0) and not self.may_fail:
            found.append(f'{self.name} ended with {status}')
        return sorted(set(found))

    def tail(self):
        return f'--- {self.name}\n{self.stderr()[-TAIL:]}{self.stdout()[-TAIL:]}'


def ready(program):
    """Waits for the banner of a gateway; returns it and where the gateway listens."""
    program.drain_delay = True
    port = int(program.wait_for(r'is ready\n\n  listening at +https?://127\.0\.0\.1:(\d+)').group(1))
    program.wait_for(r'in your code .*\n')
    return program.stderr(), ('127.0.0.1', port)


class Simulator(Process):
    """tidegate sim. `at` is its address, `v1` its base URL in OpenAI's form, `root` in DeepSeek's."""
    def __init__(self, folder, name, *options):
        quick = [] if '--ttft' in options else ['--ttft', '5ms']
        quick += [] if '--gap' in options else ['--gap', '1ms']
        super().__init__(folder, name, [PROGRAM, 'sim', '--listen', '127.0.0.1:0', *quick, *options])
        port = int(self.wait_for(r'listening at http://127\.0\.0\.1:(\d+)').group(1))
        self.at = ('127.0.0.1', port)
        self.root = f'http://127.0.0.1:{port}'
        self.v1 = self.root + '/v1'

    def stats(self):
        return http.ask(self.at, 'GET', '/sim/stats').json()

    def is_idle(self):
        s = self.stats()
        return s['working'] == 0 and s['queued'] == 0


class Gateway(Process):
    """tidegate serve with a configuration: a mapping, which is written as YAML in its JSON form and gets free
    ports, two workers and a quick drain unless it says otherwise; and each endpoint is asked once for a
    request, always, so that a test sees what single calls do (kit/config.PATIENT: as by default). `sockets`
    are passed on to it as a service manager does: names and listening sockets."""
    def __init__(self, folder, name, config, env=None, sockets=None):
        config = {'listen': '127.0.0.1:0', 'admin': f'127.0.0.1:{free_port()}', 'workers': 2, **config}
        config = {**ONCE, **config}
        config['timeouts'] = {'drain_delay': '0s', 'drain': '5s', **config.get('timeouts', {})}
        self.file = folder / f'{name}.yaml'
        self.file.write_text(json.dumps(config, indent=1, ensure_ascii=False))
        argv, fds = [PROGRAM, 'serve', self.file], ()
        if sockets is not None:
            fds = [s.fileno() for _, s in sockets]
            argv = [sys.executable, ROOT / 'tests/integration/kit/activate.py', ','.join(map(str, fds)),
                    ':'.join(name for name, _ in sockets), *argv]
        super().__init__(folder, name, argv, environment(**(env or {})), fds=fds)
        port = int(self.wait_for(r'is ready\n\n  listening at +https?://127\.0\.0\.1:(\d+)').group(1))
        self.at = ('127.0.0.1', port)
        self.root = f'http://127.0.0.1:{port}'
        self.v1 = self.root + '/v1'
        self.admin = config['admin'].removeprefix('unix:')
        if self.admin == config['admin']:
            host, port = config['admin'].rsplit(':', 1)
            self.admin = (host, int(port))

    def chat(self, model='sim', **more):
        return http.chat(self.at, model, **more)

    def stream(self, model='sim', **more):
        return http.Stream(self.at, model, **more)

    def metrics(self):
        answer = http.ask(self.admin, 'GET', '/metrics')
        assert answer.status == 200
        return prometheus.Page(answer.body.decode())

    def access(self, n=1, **like):
        """The access lines with these values, once there are at least n of them."""
        def lines():
            whole = [line for line in self.stdout().splitlines(keepends=True) if line.endswith('\n')]
            found = [line for line in map(json.loads, whole) if like.items() <= line.items()]
            return found if len(found) >= n else None
        return until(lines, f'{n} access lines with {like}')

    BALANCES = ('tidegate_exchanges_inflight', 'tidegate_slots_used', 'tidegate_memory_budget_used_bytes')

    def balances(self):
        """All that has to be zero when nothing is under way, and is not."""
        page = self.metrics()
        left = {name: page.value(name) for name in self.BALANCES}
        for name in ('tidegate_upstream_inflight', 'tidegate_queue_depth'):
            left.update({f'{name}{labels}': value for labels, value in page.samples(name).items()})
        return {name: value for name, value in left.items() if value != 0}

    def settle(self):
        """Waits until nothing is left of anything."""
        until(lambda: not self.balances(), 'every counter of things under way is zero again')
        until(lambda: self.metrics().value('tidegate_connections') == 0, 'every client connection is gone')


class Yard:
    """Starts programs for a test (or a module) and ends all of them."""
    def __init__(self, folder):
        self.folder, self.programs, self.closers, self.blamed = folder, [], [], set()

    def add(self, program):
        self.programs.append(program)
        return program

    def name(self, kind):
        return f'{kind}{sum(p.name.startswith(kind) for p in self.programs) + 1}'

    def gateway(self, config, env=None, sockets=None):
        return self.add(Gateway(self.folder, self.name('gateway'), config, env, sockets))

    def simulator(self, *options):
        return self.add(Simulator(self.folder, self.name('sim'), *options))

    def program(self, *argv, env=None, cwd=None):
        return self.add(Process(self.folder, self.name('program'), argv, env, cwd))

    def closing(self, thing):
        self.closers.append(thing)
        return thing

    def trouble(self):
        """What is wrong with the programs and has not been told before."""
        found = [line for p in self.programs for line in p.trouble() if line not in self.blamed]
        self.blamed.update(found)
        return found

    def close(self):
        for thing in self.closers:
            thing.close()
        found = [line for p in reversed(self.programs) for line in p.stop() if line not in self.blamed]
        for p in self.programs:
            print(p.tail())
        return found


def run(*argv, cwd=None, env=None, stdin=None):
    """A program that ends by itself: (status, standard output, standard error)."""
    done = subprocess.run([str(a) for a in argv], cwd=cwd, env=env if env is not None else environment(),
                          input=stdin, capture_output=True, text=True, timeout=LIMIT)
    assert not TROUBLE.search(done.stderr), done.stderr
    return done.returncode, done.stdout, done.stderr
