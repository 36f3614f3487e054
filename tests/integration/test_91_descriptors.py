# SPDX-License-Identifier: MIT
"""No descriptors left, and descriptors again: what is open goes on, what is new is told so, nothing spins, no
endpoint is blamed, and afterwards everything is as before."""
import os
import resource
import socket
import time

from kit import http, until
from kit.process import LIMIT


class Pages:
    """The admin address over one connection, which needs no descriptor of the gateway's any more."""
    def __init__(self, up):
        self.wire = http.Wire(up.admin)

    def turns(self):
        self.wire.send(b'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
        page = self.wire.answer().body.decode()
        return sum(float(line.rsplit(' ', 1)[1]) for line in page.splitlines()
                   if line.startswith('tidegate_loop_turns_total{'))


def leave(up, n):
    """The gateway may open n descriptors more than it has."""
    used = len(os.listdir(f'/proc/{up.child.pid}/fd'))
    highest = max(map(int, os.listdir(f'/proc/{up.child.pid}/fd')))
    resource.prlimit(up.child.pid, resource.RLIMIT_NOFILE, (max(used, highest + 1) + n, 20000))


def give_back(up):
    resource.prlimit(up.child.pid, resource.RLIMIT_NOFILE, (20000, 20000))


def refuses_to_read(at):
    """A connection that the kernel has taken and the program has not."""
    s = socket.create_connection(at, LIMIT)
    s.sendall(http.request('POST', http.CHAT, http.chat_body('sim')))
    return s


def test_without_descriptors_what_is_open_goes_on_and_nothing_spins(gateway, simulator):
    sim = simulator('--gap', '20ms')
    up = gateway(sim, workers=1)
    kept, pages = http.Wire(up.at), Pages(up)
    kept.send(http.request('POST', http.CHAT, http.chat_body('sim')))
    assert kept.answer().status == 200  # its call's connection rests now and can be used again
    stream = up.stream(max_tokens=60)
    stream.begin()
    leave(up, 0)
    waiting = [refuses_to_read(up.at) for _ in range(20)]
    kept.send(http.request('POST', http.CHAT, http.chat_body('sim')))
    refused = kept.answer()
    before = pages.turns()
    time.sleep(1)
    assert pages.turns() - before < 2000  # a listener that spins makes hundreds of thousands
    assert len(stream.whole()) > 20  # to its end mark
    give_back(up)
    for s in waiting:
        assert http.Wire(s).answer().status == 200
        s.close()
    kept.send(http.request('POST', http.CHAT, http.chat_body('sim')))
    assert kept.answer().status == 200
    assert refused.status in (200, 503), refused
    if refused.status == 503:
        assert 'descriptors' in refused.error()['message'], refused
    kept.close()
    pages.wire.close()
    stream.close()
    up.settle()


def test_a_call_without_a_descriptor_blames_no_endpoint(gateway, simulator):
    sim = simulator()
    up = gateway(sim, workers=1)
    kept = http.Wire(up.at)
    kept.send(b'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
    assert kept.answer().status == 200
    leave(up, 0)
    kept.send(http.request('POST', http.CHAT, http.chat_body('sim')))
    told = kept.answer()
    give_back(up)
    assert told.status == 503, told
    assert told.error()['code'] == 'gateway_exhausted', told
    assert 'descriptors' in told.error()['message']
    kept.send(http.request('POST', http.CHAT, http.chat_body('sim')))
    assert kept.answer().status == 200
    kept.close()
    page = up.metrics()
    blamed = {labels: v for labels, v in page.samples('tidegate_upstream_calls_total').items()
              if v and 'outcome="ok"' not in str(labels)}
    assert all('exhausted' in str(labels) for labels in blamed), blamed
    until(lambda: sim.stats()['requests'] == 1, 'one request at the provider')


def test_the_table_of_descriptors_is_ready_before_the_first_client_comes(gateway, simulator):
    """Threads share it: the kernel lets a thread wait for 10 to 20 ms whenever it has to double it."""
    up = gateway(simulator(), limits={'connections': 900})
    with open(f'/proc/{up.child.pid}/status', encoding='ascii') as f:
        ready = int(f.read().split('FDSize:')[1].split()[0])
    assert ready >= 2 * 900
