# SPDX-License-Identifier: MIT
"""Reads what was recorded, and as strictly as if it came from a connection."""
from .http import Answer, Broken, Wire
from .origin import Peer


class Tape(Peer):
    """Recorded bytes in place of a connection."""
    def __init__(self, data):
        self.kept = self.read = data

    def more(self):
        return False


def dechunk(data):
    """(body, whether it ended, what follows it): one pass, since streams have thousands of chunks."""
    pieces, at = [], 0
    while True:
        end = data.find(b'\r\n', at)
        if end < 0:
            return b''.join(pieces), False, b''
        n = int(data[at:end], 16)
        at = end + 2
        if len(data) < at + n + 2:
            return b''.join(pieces) + data[at:at + n], False, b''
        assert data[at + n:at + n + 2] == b'\r\n', data[at + n:at + n + 20]
        if n == 0:
            return b''.join(pieces), True, data[at + 2:]
        pieces.append(data[at:at + n])
        at += n + 2


def recorded_answer(data):
    """(answer, whether it is complete) of a response that is all of `data`; (None, False) without a head."""
    if b'\r\n\r\n' not in data:
        return None, False
    tape = Tape(data)
    status, headers = Wire.head(tape)
    if headers.get('transfer-encoding') == 'chunked':
        body, whole, rest = dechunk(tape.kept)
    else:
        n = int(headers['content-length'])
        body, whole, rest = tape.kept[:n], len(tape.kept) >= n, tape.kept[n:]
    if rest:
        raise Broken(f'{len(rest)} bytes behind the answer: {rest[:80]!r}')
    return Answer(status, headers, body), whole
