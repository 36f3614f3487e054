# SPDX-License-Identifier: MIT
"""Clients, endpoints and surroundings that mean no good, against the real program."""
import json
import time

import pytest

from kit import config, http, until
from kit.origin import STREAM_HEAD, answer, event, response


def in_pieces(peer, data, size):
    """Sends so that the gateway reads it in several turns."""
    for at in range(0, len(data), size):
        peer.send(data[at:at + size])
        time.sleep(0.02)


DONE = b'data: [DONE]\n\n'


@pytest.mark.parametrize('version', ['1.1', '1.0'])
def test_large_events_that_come_in_pieces_arrive_as_they_were(gateway, origin, version):
    """An event that is larger than one read is kept until it is whole; what goes to the client must not be the
    memory in which it was kept."""
    texts = [chr(ord('a') + i) * (20000 + 700 * i) for i in range(6)]

    def script(peer, request):
        peer.send(STREAM_HEAD)
        in_pieces(peer, b''.join(event(t) for t in texts) + event('', 'stop') + DONE, 7001)
        peer.close()

    up = gateway(origin(script))
    with http.Wire(up.at) as wire:
        sent = http.request('POST', http.CHAT, http.chat_body('m', stream=True))
        wire.send(sent.replace(b'HTTP/1.1', b'HTTP/' + version.encode(), 1))
        got = wire.answer().body
    chunks = [json.loads(e[6:]) for e in got.decode().split('\n\n') if e.startswith('data: {')]
    assert [c['choices'][0]['delta'].get('content') for c in chunks] == texts + ['']
    assert got.endswith(b'data: [DONE]\n\n')
