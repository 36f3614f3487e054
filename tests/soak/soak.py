#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The real program, with hours of mixed load.

    soak.py --time 1h --program build/address/tidegate --helper build/tidegate [--out DIR]

Three `tidegate load` replay the trace samples (chats that stream, plain ones, and a rough endpoint with the
SDKs' retries) beside guests of every other kind (guests.py). The endpoints fail by a timeline, the
configuration is reloaded every minute, clients leave, readers are slow. All that comes in rounds, and behind
each there is a rest in which everybody is gone and resting connections end. At the end: the answered rates
hold, nobody was lied to, every gauge is zero, no sanitizer has said a word, the program ends with status 0,
and from rest to rest behind the first rounds neither the bytes that it has allocated (heap.c) nor its
resident memory have risen (slope.py). A run takes its time: it is no part of CI."""
import argparse
import contextlib
import io
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'integration')]
from guests import Guests  # noqa: E402
from kit import ROOT, config, process  # noqa: E402
from slope import POINTS_MIN, line, rises  # noqa: E402

SAMPLE_S, RELOAD_S = 2, 60
ROUND_S, ROUNDS_MIN = 300, 8  # the longest round, its rest included; the fewest rounds, if there is time
SHORT_S = 480                 # a shorter run has one round and judges no slope
POOL_IDLE_S = 8
REST_S = POOL_IDLE_S + 6      # then resting connections have ended and free memory has gone back
SETTLE_S = 150                # a guest's slowest visit
# The smallest leak is 24 bytes (of 16, as malloc rounds); what lies below this is what is learned of names.
LIVE_BOUND = 2.0  # bytes a request
# Certain to rise, and by more than that an hour: then it has risen. Less than a hundredth of what a warm
# program holds, and ten bytes for each request of an hour.
BOUND_BYTES_PER_HOUR = 256 * 1024
WARM_SHARE = 0.25  # of the rounds: caches, pools, the allocator's own free lists fill
# A sanitizer's allocator chooses places by chance and so touches ever more pages, less and less of them: with
# nothing but a reload a minute 1 MiB in the first hour, where the program alone takes 8 KiB. There the bound
# only finds what is gross; the program without it, under the same load, has the one above.
SANITIZED_BOUND_BYTES_PER_HOUR = 16 * 1024 * 1024
# Freed memory is kept from use by the sanitizer for a while; 256 MiB of it, its own default, would hide any
# slope for the hour that it takes to fill. Short stacks, because it keeps each kind of stack for ever.
ASAN = 'quarantine_size_mb=8:thread_local_quarantine_size_kb=64:malloc_context_size=6:abort_on_error=0:' \
       'detect_leaks=1'
# What an endpoint may do before its answer begins is mended by another one.
SOLID = [
    'refuse', 'connect_hang', 'hang', 'drop', 'halfclose', 'garbage', 'reset_head', '429', '500', '502',
    '503', '529', 'loading', '401', '402', 'cut=0', 'reset=0', 'stall=0', 'empty', 'malformed=0', 'error=0'
]
TLS = ['tls_hang', 'tls_close', 'tls_wrong', '503', 'refuse']
PLAIN = [
    'refuse', 'drop', 'halfclose', 'garbage', 'reset_head', '429', '500', '502', '503', '529', 'loading',
    'cut', 'reset', 'malformed', 'empty', 'too_long', 'error'
]
ROUGH = [
    'cut', 'reset', 'stall', 'nodone', 'malformed', 'error', 'resource', 'too_long', 'too_short', 'bytewise',
    'slow_head=2s'
]
HONEST = ('upstream_', 'queue_full', 'wait_too_long', 'deadline_exceeded')  # how a rough answer may fail


def seconds(text):
    units = {'s': 1, 'm': 60, 'h': 3600}
    return float(text[:-1]) * units[text[-1]]


def timeline(faults, total):
    """One fault after the other, each for six seconds of ten (a simulator takes a thousand), for half of what
    comes."""
    step = max(10, int(total / 900))
    return [
        f'at={5 + step * i}s for={step * 6 // 10}s fault={faults[i % len(faults)]} p=0.5'
        for i in range(int(total / step) + 1) if faults
    ]


class Soak:
    def __init__(self, args, folder):
        self.total, self.folder, self.args = seconds(args.time), folder, args
        self.yard = process.Yard(folder)
        self.samples, self.rests, self.runs, self.reloads_n, self.said = [], [], [], 0, []
        self.calm = threading.Event()  # a rest: nobody begins anything
        self.heap = self.count_heap()
        self.start()

    def count_heap(self):
        """The library that counts, and the file that it counts in; nothing where a sanitizer has the heap."""
        if self.is_sanitized():
            return None
        library = self.folder / 'heap.so'
        cc = os.environ.get('CC', 'cc')
        subprocess.run([cc, '-O2', '-fPIC', '-shared', '-o', library, HERE / 'heap.c'], check=True)
        return library, self.folder / 'heap.live'

    # -- the programs ----------------------------------------------------------------------------------------

    def simulator(self, name, faults, *more, tls=''):
        """One with a listener of that name whose faults follow each other; its root."""
        file = self.folder / f'{name}.timeline'
        file.write_text('\n'.join(timeline(faults, self.total)) + '\n')
        sim = self.yard.program(self.args.helper, 'sim', '--listen', f'127.0.0.1:0,name={name}{tls}',
                                '--timeline', file, '--ttft', '20ms:0.5', '--gap', '2ms', '--tokens', '300',
                                *more)
        return sim.wait_for(r'listening at (https?://127\.0\.0\.1:\d+)').group(1)

    def start(self):
        ca = self.folder / 'ca.pem'
        a, p, b, c = (self.simulator(*x) for x in (('a', SOLID), ('p', PLAIN), ('b', []), ('c', ROUGH)))
        t = self.simulator('t', TLS, '--tls-out', ca, tls=',tls')
        endpoints = [
            config.endpoint('a', a + '/v1', account='small'),
            config.endpoint('t', t + '/v1', ca_file=str(ca)),
            config.endpoint('p', p + '/v1'),
            config.endpoint('b', b + '/v1'),
            config.endpoint('c', c + '/v1', account='small'), {
                'name': 'm',
                'provider': 'anthropic',
                'url': b,
                'key': 'key-for-m'
            }
        ]

        def model(name, *tiers):
            return {'name': name, 'tiers': [[{'endpoint': e} for e in tier] for tier in tiers]}

        self.config = {
            'accounts': [{
                'name': 'small',
                'slots': {
                    '*': 40
                }
            }],
            'keys': [{
                'name': 'soak',
                'key': 'key-for-soak'
            }, {
                'name': 'load',
                'key': 'key-for-load'
            }],
            'endpoints': endpoints,
            'models': [
                model('solid', 'at', 'b'),
                model('plain', 'p', 'b'),
                model('rough', 'c'),
                model('claude', 'm'),
                model('*', 'b')
            ],
            'timeouts': {
                'connect': '3s',
                'transport': '8s',
                'progress': '8s',
                'hold': '500ms',
                'comment': '500ms',
                'deadline': '60s',
                'pool_idle': f'{POOL_IDLE_S}s',
                'pool_age': '60s',
                'drain': '10s',
                'idle': '30s'
            },
        }
        env = {'ASAN_OPTIONS': ASAN, 'UBSAN_OPTIONS': 'print_stacktrace=1'}
        if self.heap:
            env.update(LD_PRELOAD=str(self.heap[0].resolve()), SOAK_HEAP=str(self.heap[1].resolve()))
        process.PROGRAM = self.args.program
        self.gateway = self.yard.gateway(self.config, env)
        whole = json.loads(self.gateway.file.read_text())  # with its ports
        self.editions = [
            whole, {
                **whole, 'models': [*whole['models'], model('extra', 'b')],
                'limits': {
                    'event': '4MiB'
                },
                'keys': [*whole['keys'], {
                    'name': 'more',
                    'key': 'key-more',
                    'limits': {
                        'rpm': 9
                    }
                }]
            }
        ]

    # -- what goes on ----------------------------------------------------------------------------------------

    def load(self, name, end, *options):
        """The same load again and again until the end; each run has a seed of its own."""
        while end - time.monotonic() > 5:
            result = self.folder / f'load-{name}-{len(self.runs)}.json'
            left = int(end - time.monotonic())
            argv = [
                self.args.helper, 'load', *options, '--duration', f'{left}s', '--json', result, '--quiet',
                '--seed',
                len(self.runs), '--key-env', 'SOAK_KEY', self.gateway.v1
            ]
            done = subprocess.run([str(a) for a in argv],
                                  capture_output=True,
                                  text=True,
                                  check=False,
                                  env=process.environment(SOAK_KEY='key-for-load'))
            if not result.exists():
                self.said.append(f'load {name} ended with {done.returncode}: {done.stderr[-500:]}')
                return
            self.runs.append((name, json.loads(result.read_text())))

    def reload(self, edition):
        self.reloads_n += 1
        text = json.dumps(self.editions[edition], indent=1)
        fresh = self.gateway.file.with_suffix('.new')
        fresh.write_text(text)
        fresh.rename(self.gateway.file)  # followed by the program itself; the signal is a second reload
        self.gateway.signal(signal.SIGHUP)

    def resident(self):
        status = pathlib.Path(f'/proc/{self.gateway.child.pid}/status').read_text()
        return 1024 * int(status.split('VmRSS:')[1].split()[0])

    def live(self):
        return struct.unpack('=q', self.heap[1].read_bytes())[0] if self.heap else 0

    def watch(self, end):
        """Until then, or until the program has ended: samples, and a reload every minute."""
        reload_at = time.monotonic() + RELOAD_S
        while time.monotonic() < end and self.gateway.child.poll() is None:
            self.samples.append((time.monotonic() - self.began, self.resident()))
            if len(self.samples) % 30 == 0:
                self.progress()
            if time.monotonic() > reload_at:
                reload_at += RELOAD_S
                self.reload(self.reloads_n % 2)
            time.sleep(SAMPLE_S)

    def rest(self, guests, threads):
        """Everybody comes to an end; what the program still has is noted, always under the same edition."""
        self.calm.set()
        for thread in threads:
            thread.join(SETTLE_S)
        guests.wait_calm(SETTLE_S)
        self.reload(0)
        self.gateway.settle()
        self.watch(time.monotonic() + REST_S)
        found = []
        for _ in range(5):
            found.append((self.live(), self.resident()))
            time.sleep(0.2)
        at, requests = time.monotonic() - self.began, self.gateway.metrics().value('tidegate_requests_total')
        self.rests.append((at, requests, min(x for x, _ in found), min(x for _, x in found)))
        print(f'{at:6.0f} s  at rest: {self.rests[-1][2] / 1024:.1f} KiB allocated, '
              f'{self.rests[-1][3] / 1024:.0f} KiB resident, {requests:.0f} requests so far', flush=True)
        self.calm.clear()

    def loads(self, number, end):
        data = ROOT / 'tests/data'
        return [
            ('solid', end, '--trace', data / 'azure2023_conv_10min.csv', '--speed', '2', '--model', 'solid',
             '--leave', '0.05:500ms'),
            ('plain', end, '--trace', data / 'mooncake_conversation_1min.jsonl', '--speed', '0.5', '--model',
             'plain', '--streams', '0'),
            ('rough', end, '--trace', data / 'servegen_deepseek_r1', '--from', f'{10 + number % 10}h',
             '--speed', '4', '--model', 'rough', '--streams', '0.8', '--prompt', '200:1', '--answer', '100:1',
             '--retry', 'sdk', '--timeout', '70s'),
        ]

    def run(self):
        self.began = time.monotonic()
        end = self.began + self.total
        rounds_n = max(ROUNDS_MIN, int(self.total // ROUND_S)) if self.total >= SHORT_S else 1
        guests = Guests(self.gateway.at, end + SETTLE_S, seed=4, calm=self.calm)
        for number in range(rounds_n):
            left = (end - time.monotonic()) / (rounds_n - number) - REST_S
            until = time.monotonic() + max(10, left)
            threads = [threading.Thread(target=self.load, args=x, daemon=True)
                       for x in self.loads(number, until)]
            for thread in threads:
                thread.start()
            self.watch(until)
            self.rest(guests, threads)
            if self.gateway.child.poll() is not None:
                break
        guests.until = 0
        guests.join(180)
        return guests

    def progress(self):
        at, bytes_n = self.samples[-1]
        page = self.gateway.metrics()
        print(
            f'{at:6.0f} s  {bytes_n / 2**20:7.1f} MiB resident  '
            f'{page.value("tidegate_requests_total"):9.0f} requests  '
            f'{page.value("tidegate_events_relayed_total"):10.0f} events  '
            f'longest turn {1000 * max(page.samples("tidegate_loop_held_seconds_max").values()):6.1f} ms',
            flush=True)

    # -- the judgement ---------------------------------------------------------------------------------------

    def judge_loads(self):
        for name in ('solid', 'plain', 'rough'):
            groups = [r['all'] for n, r in self.runs if n == name]
            total = {
                k: sum(g[k] for g in groups)
                for k in ('requests', 'full', 'failed', 'refused', 'cancelled')
            }
            codes = {}
            for failure in (f for g in groups for f in g['failures']):
                key = f'{failure["status"]} {failure["code"]}'
                codes[key] = codes.get(key, 0) + failure['n']
            rate = total['full'] / max(1, total['full'] + total['failed'])
            print(f'load {name}: {total}, answered {100 * rate:.3f}%, failures {codes}')
            if not groups or total['refused'] or rate < (0.3 if name == 'rough' else 0.999):
                self.said.append(f'load {name} was not answered as it should be')
            if name == 'rough' and not all(code.split()[1].startswith(HONEST) for code in codes):
                self.said.append(f'load rough failed in other ways than it may: {codes}')

    def judge_guests(self, guests):
        print('guests:', dict(sorted(guests.ends.items())))
        self.said += guests.lies[:10]
        if any('broken' in end for end in guests.ends):
            self.said.append('a connection broke that nobody had cut')

    def is_sanitized(self):
        program = pathlib.Path(self.args.program).read_bytes()
        return b'__asan_init' in program or b'__tsan_init' in program

    def judge_memory(self):
        rests = self.rests[int(WARM_SHARE * len(self.rests)):]
        if len(rests) < POINTS_MIN:
            print(f'memory: {len(rests)} rests are too few for a slope')
            return
        if self.heap:
            self.judge_curve('allocated', 'bytes a request', [(r[1], r[2]) for r in rests], LIVE_BOUND)
        bound = SANITIZED_BOUND_BYTES_PER_HOUR if self.is_sanitized() else BOUND_BYTES_PER_HOUR
        hours = [(r[0] / 3600, r[3] / 1024) for r in rests]
        self.judge_curve('resident', 'KiB an hour', hours, bound / 1024)

    def judge_curve(self, what, unit, points, bound):
        slope, doubt = line(points)
        rose = rises(points, slope, doubt, bound)
        verdict = 'rises' if rose else 'flat' if slope + doubt <= bound else 'no rise shown'
        print(f'memory {what}: {slope:+.2f} {unit}, between {slope - doubt:+.2f} and {slope + doubt:+.2f}, '
              f'at {len(points)} rests; bound {bound:g}: {verdict}')
        if rose:
            self.said.append(f'memory that is {what} rises')

    def finish(self, guests):
        page = self.gateway.metrics()
        reloads = {r: page.value('tidegate_config_reloads_total', result=r) for r in ('done', 'refused')}
        print(f'reloads: {reloads}; long turns: {page.value("tidegate_loop_long_turns_total"):.0f} of '
              f'{page.value("tidegate_loop_turns_total"):.0f}')
        self.judge_loads()
        self.judge_guests(guests)
        self.judge_memory()
        if page.value('tidegate_config_reloads_total', result='done') < self.reloads_n:
            self.said.append('a reload was not done')
        try:
            self.gateway.settle()
        except AssertionError as e:
            self.said.append(f'{e}: {self.gateway.balances()}')
        with contextlib.redirect_stdout(io.StringIO()) as tails:
            self.said += self.yard.close()
        (self.folder / 'memory.json').write_text(json.dumps({'samples': self.samples, 'rests': self.rests}))
        if self.said:
            print(tails.getvalue())
        for line_of_it in self.said:
            print('FAILED:', line_of_it)
        print('soak:', 'failed' if self.said else 'fine')
        return 1 if self.said else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--time', default='10m', help='how long: 90s, 10m, 1h')
    parser.add_argument('--program', default=str(ROOT / 'build/address/tidegate'))
    parser.add_argument('--helper', default=str(ROOT / 'build/tidegate'), help='for simulators and load')
    parser.add_argument('--out', help='a folder for outputs; else one that is deleted')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(args.out or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        args.program, args.helper = (str(pathlib.Path(p).resolve()) for p in (args.program, args.helper))
        soak = Soak(args, folder)
        try:
            return soak.finish(soak.run())
        finally:
            with contextlib.redirect_stdout(io.StringIO()):
                soak.yard.close()


if __name__ == '__main__':
    sys.exit(main())
