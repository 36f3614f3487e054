# SPDX-License-Identifier: MIT
"""What a request and a streamed event cost in system calls: the real program under strace, one connection
on each side. Two runs of different length are compared, so that starting and ending do not count. The bounds
are docs/architecture.md's, "The cost of a request", and a little for what comes with time: the access log's
writes, the clock of the control thread."""
import json
import pathlib
import shutil
import subprocess
import threading

import pytest

from kit import LIMIT, config, http, until
from kit.origin import event
from kit.process import PROGRAM, free_port

FEW, MANY = 50, 250
SLACK = 0.25  # of a call


def traced(summary, *argv):
    """-D: the program is our child, strace its grandchild; signals go to the program."""
    return ['strace', '-D', '-f', '-c', '-o', summary, '--', *argv]


def calls_of(summary):
    """{name: count} of strace's table, once it is complete; strace writes it when the program has ended."""
    text = summary.read_text() if summary.exists() else ''
    rows = [line.split() for line in text.splitlines()[2:]]
    if not rows or rows[-1][-1:] != ['total']:
        return None
    return {row[-1]: int(row[3]) for row in rows if row[-1] != 'total' and not row[0].startswith('-')}


@pytest.fixture(scope='module', autouse=True)
def strace_works(tmp_path_factory):
    if shutil.which('strace') is None:
        pytest.skip('SYSTEM CALLS ARE NOT COUNTED: strace is not installed')
    binary = pathlib.Path(PROGRAM).read_bytes()
    if b'__asan_init' in binary or b'__tsan_init' in binary:
        pytest.skip('SYSTEM CALLS ARE NOT COUNTED: a sanitizer makes calls of its own')
    summary = tmp_path_factory.mktemp('strace') / 'true'
    argv = [str(a) for a in traced(summary, 'true')]
    tried = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT)
    if tried.returncode != 0 or not until(lambda: summary.exists(), 'strace writes', 10):
        pytest.skip(f'SYSTEM CALLS ARE NOT COUNTED: strace cannot trace here: {tried.stderr.strip()}')


@pytest.fixture
def cost(yard, origin, tmp_path):
    """cost(script, work): what one more unit of work costs, in calls by name, where work(at, n) does n."""
    def count(script, work, n):
        file, summary = tmp_path / f'{n}.yaml', tmp_path / f'{n}.strace'
        up = origin(script)
        file.write_text(json.dumps(config.whole(
            up, listen='127.0.0.1:0', admin=f'127.0.0.1:{free_port()}', workers=1,
            timeouts={'drain_delay': '0s', 'drain': '5s'})))
        program = yard.program(*traced(summary, PROGRAM, 'serve', file))
        port = int(program.wait_for(r'is ready\n\n  listening at +http://127\.0\.0\.1:(\d+)').group(1))
        work(('127.0.0.1', port), n)
        assert up.connections_n == 1
        assert program.stop() == []
        return until(lambda: calls_of(summary), 'strace writes its table')

    def compare(script, work):
        few, many = count(script, work, FEW), count(script, work, MANY)
        return {name: (many.get(name, 0) - few.get(name, 0)) / (MANY - FEW) for name in {*few, *many}}
    return compare


def judge(cost, **bounds):
    """Each call within its bound, and all together within the sum; those without a bound are rare."""
    found = {name: n for name, n in sorted(cost.items()) if n != 0}
    print(found)
    total = sum(found.values())
    assert total <= sum(bounds.values()) + SLACK, found
    for name, bound in bounds.items():
        assert found.get(name, 0) >= bound - SLACK, f'{name} was not counted as it should: {found}'
        assert found[name] <= bound + SLACK, found
    return total


def test_a_plain_request_costs_six_calls(cost):
    def ask(at, n):
        with http.Wire(at) as wire:
            for _ in range(n):
                answer = wire.send(http.request('POST', http.CHAT, http.chat_body('m'))).answer()
                assert answer.text() == 'It is answered.'

    judge(cost(None, ask), epoll_wait=2, recvfrom=2, sendto=2)


def test_a_streamed_event_costs_three_calls(cost):
    """In lockstep: the next event is sent when the client has the one before, so each has its own turn."""
    seen = threading.Semaphore(0)

    def stream(peer, request):
        while seen.acquire(blocking=False):
            pass  # the end of the run before was seen as well
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
        for i in range(request.json()['max_tokens']):
            data = event(f'{i} ')
            peer.send(b'%x\r\n%s\r\n' % (len(data), data))
            assert seen.acquire(timeout=LIMIT)
        data = event(finish='stop') + b'data: [DONE]\n\n'
        return b'%x\r\n%s\r\n0\r\n\r\n' % (len(data), data)

    def ask(at, n):
        with http.Stream(at, 'm', max_tokens=n) as s:
            got = []
            for data in s:
                if data != '[DONE]':
                    got.append(json.loads(data))
                    seen.release()
            assert http.joined(got) == ''.join(f'{i} ' for i in range(n))

    judge(cost(stream, ask), epoll_wait=1, recvfrom=1, sendto=1)
