# SPDX-License-Identifier: MIT
"""Large request bodies cost about what they weigh, hold nobody up, and are given back (T22)."""
import threading

import pytest

from kit import http, until
from kit.config import tiers
from kit.process import PROGRAM

MIB = 1 << 20
SANITIZED = '/address/' in PROGRAM or '/thread/' in PROGRAM


def memory(program, what):
    """Of a program, in bytes: VmHWM is the most it ever had, VmRSS what it has now."""
    for line in open(f'/proc/{program.child.pid}/status'):
        if line.startswith(what + ':'):
            return int(line.split()[1]) * 1024
    raise AssertionError(what)


def text(n):
    head, tail = b'{"model":"sim~tokens=3","messages":[{"role":"user","content":"', b'"}]}'
    return head + b'x' * (n - len(head) - len(tail)) + tail


def numbers(n):
    """As many values as the simulator, which makes a document of them, takes."""
    head, tail = b'{"model":"sim~tokens=3","messages":[{"role":"user","content":"hi"}],"data":[', b'1]}'
    return head + b'1234567890.25,' * ((n - len(head) - len(tail)) // 14) + tail


@pytest.mark.skipif(SANITIZED, reason='SIZES ARE NOT COMPARED: a sanitizer needs memory of its own')
@pytest.mark.parametrize('make', [text, numbers])
@pytest.mark.parametrize('form', ['sized', 'chunked'])
def test_t22_a_body_of_48_mib_costs_less_than_2_2_times_its_size(gateway, simulator, make, form):
    up = gateway(simulator(), workers=1)
    assert up.chat('sim~tokens=3').status == 200
    before = memory(up, 'VmRSS')
    body = make(48 * MIB)
    for _ in range(3):
        with http.Wire(up.at, timeout=120) as wire:
            if form == 'sized':
                wire.send(http.request('POST', http.CHAT, body))
            else:
                wire.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n'
                          b'Transfer-Encoding: chunked\r\n\r\n')
                for i in range(0, len(body), MIB):
                    piece = body[i:i + MIB]
                    wire.send(b'%x\r\n%s\r\n' % (len(piece), piece))
                wire.send(b'0\r\n\r\n')
            assert wire.answer().status == 200
    assert memory(up, 'VmHWM') - before < 2.2 * len(body)
    up.settle()
    until(lambda: memory(up, 'VmRSS') - before < len(body) / 8, 'its memory is given back')


def test_small_requests_go_on_while_large_ones_are_read(gateway, simulator):
    """On one worker: neither kind fails, and a small one is answered while large ones are under way."""
    up = gateway(simulator(), workers=1)
    body, done = numbers(16 * MIB), []

    def upload():
        done.append(http.ask(up.at, 'POST', http.CHAT, body).status)
    threads = [threading.Thread(target=upload) for _ in range(3)]
    for t in threads:
        t.start()
    small = [up.chat('sim~tokens=3').status]
    while any(t.is_alive() for t in threads):
        small.append(up.chat('sim~tokens=3').status)
    assert done == [200] * 3 and set(small) == {200}
    up.settle()


def test_a_large_body_reaches_the_endpoint_as_it_is(gateway, origin):
    """Byte for byte but for the model's name."""
    behind = origin()
    up = gateway(tiers(behind.v1, models=['other']))
    text_in_it, numbers_in_it = '\u6f6e\u6c34 ' * 100000, '0, ' * 300000
    rest = f',"messages":[{{"role":"user","content":"{text_in_it}"}}],"x":[{numbers_in_it}1.50e+2]}}'
    assert http.ask(up.at, 'POST', http.CHAT, ('{"model":"m"' + rest).encode()).status == 200
    assert behind.requests[-1].body == ('{"model":"other"' + rest).encode()


def test_a_budget_too_small_for_a_large_body_refuses_it_and_nobody_else(gateway, simulator):
    up = gateway(simulator(), limits={'memory': '8MiB'})
    refused = http.ask(up.at, 'POST', http.CHAT, text(16 * MIB))
    assert refused.status == 503 and refused.error()['code'] == 'memory_budget_exhausted'
    assert up.chat('sim~tokens=3').status == 200
    up.settle()
