#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The real program under valgrind's memcheck: a few hundred requests of every kind among faults, plain and
over TLS, a reload in their midst, and a drain. Neither an error nor a byte that is definitely lost.

    memcheck.py --program build/tidegate [--requests 300]"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'integration')]
from guests import Guests  # noqa: E402
from kit import ROOT, config, process  # noqa: E402

FAULTS = ('429', '500', '503', 'drop', 'reset_head', 'garbage', 'cut', 'reset', 'nodone', 'malformed',
          'error', 'resource', 'empty', 'too_long')
WRAPPER = '''#!/bin/sh
exec valgrind --log-file={log} --leak-check=full --show-leak-kinds=definite \\
    --errors-for-leak-kinds=definite --error-exitcode=99 --fair-sched=yes {program} "$@"
'''


def simulator(yard, program, folder):
    ca = folder / 'ca.pem'
    faults = [word for name in FAULTS for word in ('--fault', f'{name}=0.01')]
    sim = yard.program(program, 'sim', '--listen', '127.0.0.1:0,name=plain', '--listen',
                       '127.0.0.1:0,name=tls,tls', '--tls-out', ca, '--tokens', '20', '--ttft', '5ms',
                       '--gap', '1ms', *faults)
    sim.wait_for(r'(?s)listening at http:.*listening at https:')
    return re.findall(r'listening at (https?://127\.0\.0\.1:\d+)', sim.stderr()), ca


def shape(plain, tls, ca):
    return {
        'accounts': [{
            'name': 'small',
            'slots': {
                '*': 4
            }
        }],
        'keys': [{
            'name': 'soak',
            'key': 'key-for-soak'
        }],
        'endpoints': [
            config.endpoint('t', tls + '/v1', ca_file=str(ca), account='small'),
            config.endpoint('p', plain + '/v1', account='small'), {
                'name': 'm',
                'provider': 'anthropic',
                'url': plain,
                'key': 'key-for-m'
            }
        ],
        'models': [{
            'name': 'claude',
            'tiers': [[{
                'endpoint': 'm'
            }]]
        }, {
            'name': '*',
            'tiers': [[{
                'endpoint': 't'
            }, {
                'endpoint': 'p'
            }]]
        }],
        'timeouts': {
            'transport': '20s',
            'progress': '20s',
            'hold': '500ms',
            'comment': '500ms',
            'drain': '20s'
        }
    }


def load(args, gateway, said):
    argv = [
        args.program, 'load', '--limit', args.requests, '--rate', '20', '--streams', '0.7', '--answer', '15',
        '--prompt', '200:1', '--leave', '0.1:30ms', '--key-env', 'SOAK_KEY', '--json', '-', '--quiet',
        gateway.v1
    ]
    done = subprocess.run([str(a) for a in argv],
                          capture_output=True,
                          text=True,
                          check=False,
                          env=process.environment(SOAK_KEY='key-for-soak'))
    group = json.loads(done.stdout)['all']
    print('load:', {k: group[k]
                    for k in ('requests', 'full', 'failed', 'refused', 'cancelled')}, group['failures'])
    if group['full'] < group['requests'] / 2 or group['refused']:
        said.append('too few were answered')


def run(args, folder):
    yard, said, log = process.Yard(folder), [], folder / 'valgrind.log'
    (plain, tls), ca = simulator(yard, args.program, folder)
    wrapper = folder / 'under-valgrind'
    wrapper.write_text(WRAPPER.format(log=log, program=args.program))
    wrapper.chmod(0o755)
    process.PROGRAM = str(wrapper)
    gateway = yard.gateway(shape(plain, tls, ca))
    worker = threading.Thread(target=load, args=(args, gateway, said))
    worker.start()
    guests = Guests(gateway.at, time.monotonic() + args.requests / 20, seed=1)
    for _ in range(3):
        time.sleep(args.requests / 100)
        assert process.http.ask(gateway.admin, 'POST', '/api/reload').status == 200
    worker.join()
    guests.join(120)
    print('guests:', dict(sorted(guests.ends.items())))
    said += guests.lies
    gateway.settle()
    said += yard.close()
    text = log.read_text()
    print('\n'.join(line for line in text.splitlines()
                    if 'lost' in line or 'SUMMARY' in line or 'heap usage' in line))
    if not re.search(r'ERROR SUMMARY: 0 errors', text):
        said.append(text[-8000:])
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--program', default=str(ROOT / 'build/tidegate'))
    parser.add_argument('--requests', type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        said = run(args, pathlib.Path(folder))
    for line in said:
        print('FAILED:', line)
    print('memcheck:', 'failed' if said else 'fine')
    return 1 if said else 0


if __name__ == '__main__':
    sys.exit(main())
