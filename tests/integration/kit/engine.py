# SPDX-License-Identifier: MIT
"""A real engine: llama.cpp's server with the tiny model, and what a tap before it has seen."""
import subprocess
import sys

import pytest

from . import LIMIT, ROOT, http, until
from .http import Broken
from .process import Process, environment, free_port
from .tape import Tape

KEY = 'sk-of-the-engine'
FOLDER = ROOT / 'build/engine'


def fetch():
    """The program's wrapper; where it cannot be had, what needs it is skipped."""
    try:
        done = subprocess.run([ROOT / 'tools/engine.sh', FOLDER], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip('NO REAL ENGINE: tools/engine.sh took more than five minutes')
    if done.returncode != 0:
        pytest.skip(f'NO REAL ENGINE: tools/engine.sh says: {done.stdout.strip()[-500:]}')
    return FOLDER / 'llama'


def make_model(folder, preset):
    """The generator's model of this preset: tiny, 0.1b or 0.5b (a GB on disk)."""
    model = folder / f'{preset}.gguf'
    subprocess.run([sys.executable, ROOT / 'tools/mkgguf.py', '--preset', preset, model], check=True,
                   capture_output=True, timeout=4 * LIMIT)
    return model


class Engine(Process):
    """llama-server with four slots of 512 tokens. A longer text shifts its window, so that one request can
    last for as long as a test likes. `model`: a file of make_model instead of the tiny one; `wait`: until it
    has loaded it."""
    def __init__(self, folder, name, *more, port=None, key=KEY, model=None, wait=True):
        wrapper, model = fetch(), model or make_model(folder, 'tiny')
        self.at = ('127.0.0.1', port or free_port())
        super().__init__(folder, name, [
            wrapper, 'llama-server', '-m', model, '--host', self.at[0], '--port', self.at[1], '-c', 2048,
            '-np', 4, '-t', 1, '--context-shift', '--metrics', *(['--api-key', key] if key else []), *more],
            environment())
        if wait:
            until(self.is_up, 'the engine is up')

    def is_up(self):
        assert self.child.poll() is None, f'the engine ended:\n{self.tail()}'
        try:
            return http.ask(self.at, path='/health').status == 200
        except (OSError, Broken):
            return False

    def processing(self):
        """Requests that it works on."""
        page = http.ask(self.at, path='/metrics', headers={'Authorization': f'Bearer {KEY}'})
        assert page.status == 200, page
        found = [line.split()[1] for line in page.body.decode().splitlines()
                 if line.startswith('llamacpp:requests_processing ')]
        return int(found[0])


def calls(tap):
    """Pairs of (request, answer) that have passed the tap, over all connections; unfinished ones are not
    among them."""
    for connection in list(tap.calls):
        up, down = Tape(connection['up']), Tape(connection['down'])
        try:
            while up.kept and down.kept:
                yield up.request(), down.answer()
        except Broken:
            continue


def seen(tap, request_id):
    """The one call with this id, once it is complete."""
    def look():
        # the gateway's own look at it has no id
        return [c for c in calls(tap)
                if 'x-request-id' in c[0].headers and c[0].headers['x-request-id'] == request_id]
    found = until(look, f'the call of {request_id} has passed the tap')
    assert len(found) == 1
    return found[0]
