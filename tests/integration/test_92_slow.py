# SPDX-License-Identifier: MIT
"""Thousands of connections that mean no good: heads that never end, answers that nobody reads, uploads that
trickle, connections that say nothing. Good clients get every answer meanwhile, what an attacker costs is
bounded, each is let go by its own clock, and nothing is left. What it does to the good ones' times is in the
bench."""
import os
import resource
import socket
import threading

import pytest

from kit import LIMIT, http, until

SANITIZED = any(name in os.environ.get('TIDEGATE', '') for name in ('/address/', '/thread/'))
SLOW_HEADS, SLOW_READERS = (500, 100) if SANITIZED else (5000, 1000)
KB_OF_A_SLOW_HEAD = 6    # parser, arena and what has come
KB_OF_A_SLOW_READER = 330  # limits.pending is 256 KiB


@pytest.fixture(autouse=True, scope='module')
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(at, first, receive=None):
    """From one of several addresses: ports of one would run out."""
    s = socket.socket()
    s.settimeout(LIMIT)
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.bind((f'127.0.0.{2 + connect.n % 50}', 0))
    connect.n += 1
    s.connect(at)
    s.sendall(first)
    return s


connect.n = 0


def resident_kb(up):
    with open(f'/proc/{up.child.pid}/status') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))


class Good:
    """Clients that ask again and again, and count what was not right."""
    def __init__(self, up, n):
        self.up, self.answered, self.wrong, self.over = up, 0, [], threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        with http.Wire(self.up.at) as wire:
            while not self.over.is_set():
                wire.send(http.request('POST', http.CHAT, http.chat_body('sim')))
                answer = wire.answer()
                if answer.status == 200 and answer.text():
                    self.answered += 1
                else:
                    self.wrong.append(answer)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(LIMIT)
        return self.wrong


def served_meanwhile(good, n=50):
    before = good.answered
    until(lambda: good.answered - before >= n, f'{n} answers for good clients while the attack goes on')


def released(up, attackers):
    for s in attackers:
        s.close()
    up.settle()


def test_slow_heads(gateway, simulator):
    up = gateway(simulator(), timeouts={'head': '3s'})
    good, before = Good(up, 8), resident_kb(up)
    attackers = [connect(up.at, b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ')
                 for _ in range(SLOW_HEADS)]
    until(lambda: up.metrics().value('tidegate_connections') >= SLOW_HEADS * 0.9, 'the attackers are there')
    served_meanwhile(good)
    if not SANITIZED:
        assert resident_kb(up) - before < KB_OF_A_SLOW_HEAD * SLOW_HEADS
    told = b''.join(s.recv(4096) for s in attackers[:20])  # by the clock of heads, although bytes could come
    assert told.count(b'HTTP/1.1 408 ') == 20, told[:500]
    assert not good.end()
    released(up, attackers)


def test_slow_readers(gateway, simulator):
    """Each has a long stream under way and takes nothing of it: it is paused within limits.pending, and let
    go by the clock of writes."""
    sim = simulator('--slots', '3000')
    up = gateway(sim, timeouts={'write': '8s'})
    good, before = Good(up, 8), resident_kb(up)
    body = http.chat_body('sim~size=4096,gap=0ms', stream=True, max_tokens=2000)
    ask = http.request('POST', http.CHAT, body)
    attackers = [connect(up.at, ask, receive=4096) for _ in range(SLOW_READERS)]
    served_meanwhile(good)
    if not SANITIZED:
        assert resident_kb(up) - before < KB_OF_A_SLOW_READER * SLOW_READERS
    until(lambda: up.metrics().value('tidegate_exchanges_inflight') <= 8, 'slow readers have been let go')
    served_meanwhile(good)
    assert not good.end()
    released(up, attackers)


def test_uploads_that_trickle_and_connections_that_say_nothing(gateway, simulator):
    up = gateway(simulator(), timeouts={'body': '3s', 'idle': '3s'})
    good, n = Good(up, 8), SLOW_HEADS // 5
    body = b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{'
    attackers = [connect(up.at, body if i % 2 else b'') for i in range(n)]
    served_meanwhile(good)
    told = [s.recv(4096) for s in attackers[:20]]
    assert all(t.startswith(b'HTTP/1.1 408 ') for t in told[1::2]), told[1][:300]
    assert all(t == b'' for t in told[0::2]), told[0][:300]
    assert not good.end()
    released(up, attackers)
