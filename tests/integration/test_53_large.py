# SPDX-License-Identifier: MIT
"""T22: answers of any size pass through the real program in memory that does not grow with them. The exact
figures are in tests/unit/gateway/large_test.c; here the process itself is looked at, with a loose bound."""
import json
import pathlib
import re

import pytest

from kit import http
from kit.origin import STREAM_HEAD, answer, event, response
from kit.process import PROGRAM

MIB = 1 << 20
FLAT = 12 * MIB  # growth that is no growth: buffers of the heap, sockets, one answer held back (1 MiB)
measures = 'address' not in PROGRAM and 'thread' not in PROGRAM  # a sanitizer's memory says nothing


def peak(gw):
    """The most memory that the program has ever had resident."""
    status = pathlib.Path(f'/proc/{gw.child.pid}/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+) kB', status).group(1)) * 1024


def check_flat(gw, before):
    grown = peak(gw) - before
    assert not measures or grown < FLAT, f'{grown / MIB:.1f} MiB more at its peak'
    gw.settle()


def test_t22_a_plain_answer_of_20_megabytes(gateway, origin):
    body = json.dumps(answer('x' * (20 * MIB))).encode()
    head = f'HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n'.encode()

    def script(peer, request):
        if request.json()['model'] == 'small':
            return response(answer())
        peer.send(head)
        for at in range(0, len(body), 65536):
            peer.send(body[at:at + 65536])
        return None
    gw = gateway(origin(script))
    assert gw.chat('small').status == 200
    before = peak(gw)
    for _ in range(2):
        got = gw.chat('large')
        assert got.status == 200 and got.body == body
    check_flat(gw, before)


@pytest.mark.parametrize('shape', ['one event of a megabyte', 'a hundred thousand events'])
def test_t22_streams(gateway, origin, shape):
    large = shape.startswith('one')
    text = 'x' * MIB if large else 'a'
    piece, times = event(text), 1 if large else 100_000

    def script(peer, request):
        peer.send(STREAM_HEAD)
        if request.json()['model'] == 'small':
            peer.send(event('a'))
        else:
            for _ in range(max(1, times // 500)):
                peer.send(piece * min(times, 500))
        peer.send(event(finish='stop') + b'data: [DONE]\n\n')
        peer.close()
    gw = gateway(origin(script))
    gw.stream('small').whole()
    before = peak(gw)
    with gw.stream('large') as stream:
        events = stream.whole()
    assert len(events) == times + 1
    assert http.joined(events) == text * times
    check_flat(gw, before)
