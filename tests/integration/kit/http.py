# SPDX-License-Identifier: MIT
"""HTTP/1.1 over bare sockets, as strict as a client can be: framing that is not exact is an error, and an
answer that breaks off (`Broken`) is never mistaken for one that ended."""
import json
import re
import socket

from . import LIMIT


class Broken(Exception):
    """The connection ended inside an answer."""


class Headers(list):
    """(name, value) pairs in their order."""
    def get(self, name, default=None):
        found = [v for k, v in self if k.lower() == name.lower()]
        assert len(found) < 2, f'{name} stands there {len(found)} times'
        return found[0] if found else default

    def __getitem__(self, name):
        value = self.get(name)
        assert value is not None, f'no {name} in {list(self)}'
        return value

    def __contains__(self, name):
        return self.get(name) is not None


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        assert self.headers['content-type'] == 'application/json', self
        return json.loads(self.body)

    def error(self):
        """The error object, after a look at its shape (conventions 2.1)."""
        whole = self.json()
        assert list(whole) == ['error'], whole
        error = whole['error']
        assert set(error) == {'message', 'type', 'param', 'code'}, error
        assert isinstance(error['message'], str) and error['message'], error
        assert self.headers['x-request-id'], self
        return error

    def text(self):
        return self.json()['choices'][0]['message']['content']

    def __repr__(self):
        return f'{self.status} {dict(self.headers)} {self.body[:2000]!r}'


class Wire:
    """One connection: what is sent is sent as it is, what comes back is read exactly. `at` is an address, the
    path of a Unix socket, or a socket that is connected; `before` is sent ahead of a TLS handshake."""
    def __init__(self, at, timeout=LIMIT, tls=None, name='127.0.0.1', before=b''):
        if isinstance(at, socket.socket):
            self.socket = at
        elif isinstance(at, tuple):
            self.socket = socket.create_connection(at, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(at))
        self.socket.sendall(before)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self.kept = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def more(self):
        """Reads what there is; False at the end of the connection."""
        try:
            got = self.socket.recv(65536)
        except ConnectionResetError:
            got = b''
        self.kept += got
        return bool(got)

    def until(self, mark):
        while mark not in self.kept:
            if not self.more():
                raise Broken(f'ended before {mark!r}, had {self.kept[-200:]!r}')
        found, self.kept = self.kept.split(mark, 1)
        return found

    def exactly(self, n):
        pieces = []
        while len(self.kept) < n:
            n -= len(self.kept)
            pieces.append(self.kept)
            self.kept = b''
            if not self.more():
                raise Broken(f'ended {n} bytes early')
        pieces.append(self.kept[:n])
        self.kept = self.kept[n:]
        return b''.join(pieces)

    def rest(self):
        pieces = [self.kept]
        self.kept = b''
        while self.more():
            pieces.append(self.kept)
            self.kept = b''
        return b''.join(pieces)

    def head(self):
        lines = self.until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        m = re.fullmatch(r'HTTP/1\.1 (\d{3}) [\x20-\x7e]*', lines[0])
        assert m, lines[0]
        headers = Headers()
        for line in lines[1:]:
            m2 = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x20-\x7e]*)", line)
            assert m2, line
            headers.append((m2.group(1), m2.group(2)))
        return int(m.group(1)), headers

    def pieces(self, headers, bodiless=False):
        """The body, chunk by chunk."""
        coding, length = headers.get('transfer-encoding'), headers.get('content-length')
        assert coding is None or (coding == 'chunked' and length is None), headers
        if bodiless:
            return
        if length is not None:
            yield self.exactly(int(length))
            return
        if coding is None:
            assert headers.get('connection') == 'close', headers
            yield self.rest()
            return
        while True:
            size = self.until(b'\r\n')
            assert re.fullmatch(rb'[0-9a-fA-F]+', size), size
            piece = self.exactly(int(size, 16))
            assert self.exactly(2) == b'\r\n'
            if not piece:
                return
            yield piece

    def answer(self, method='GET'):
        status, headers = self.head()
        while status == 100:
            status, headers = self.head()
        bodiless = method == 'HEAD' or status in (204, 304)
        return Answer(status, headers, b''.join(self.pieces(headers, bodiless)))


def request(method, path, body=None, headers=None, host='127.0.0.1'):
    """The bytes of a request; a body that is not bytes is sent as JSON."""
    lines = [f'{method} {path} HTTP/1.1', f'Host: {host}']
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        lines.append('Content-Type: application/json')
    if body is not None:
        lines.append(f'Content-Length: {len(body)}')
    lines += [f'{k}: {v}' for k, v in (headers or {}).items()]
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + (body or b'')


def ask(at, method='GET', path='/', body=None, headers=None, **wire):
    with Wire(at, **wire) as wire:
        return wire.send(request(method, path, body, headers)).answer(method)


def chat_body(model, content='Hello', **fields):
    return {'model': model, 'messages': [{'role': 'user', 'content': content}], **fields}


CHAT = '/v1/chat/completions'


def chat(at, model, content='Hello', headers=None, path=CHAT, **fields):
    return ask(at, 'POST', path, chat_body(model, content, **fields), headers)


class Stream:
    """A streamed chat. Iterating gives the data of each event and raises Broken where the stream breaks off;
    comments are collected. `raw` is the body as it came."""
    def __init__(self, at, model, content='Hello', headers=None, path=CHAT, **fields):
        self.wire = Wire(at)
        self.wire.send(request('POST', path, chat_body(model, content, stream=True, **fields), headers))
        self.comments, self.came, self.left, self.lines = [], [], b'', []
        self.status = None

    def begin(self):
        """Waits for the head; of anything but a stream the whole answer is read."""
        if self.status is None:
            self.status, self.headers = self.wire.head()
            self.answer = None
            self.body = self.wire.pieces(self.headers)
            if self.headers['content-type'] != 'text/event-stream':
                self.answer = Answer(self.status, self.headers, b''.join(self.body))
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.wire.close()

    @property
    def raw(self):
        return b''.join(self.came)

    def __iter__(self):
        self.begin()
        assert self.answer is None, self.answer
        for piece in self.body:
            self.came.append(piece)
            self.left += piece
            yield from self.split()
        assert not self.left and not self.lines, f'ended inside an event: {self.left!r} {self.lines}'

    def split(self):
        *lines, self.left = self.left.split(b'\n')
        for line in lines:
            if line.startswith(b':'):
                self.comments.append(line[1:].strip().decode())
            elif line:
                assert line.startswith(b'data: '), line
                self.lines.append(line[6:].decode())
            elif self.lines:
                data, self.lines = '\n'.join(self.lines), []
                yield data

    def whole(self):
        """Reads to the end, which must be [DONE] and then a clean end of the body; returns the chunks."""
        events = list(self)
        assert events and events[-1] == '[DONE]' and '[DONE]' not in events[:-1], events[-3:]
        return [json.loads(e) for e in events[:-1]]

    def failure(self):
        """Reads a stream that must fail in-band: an error event, no [DONE], no clean end. Returns the chunks
        before it and the error."""
        events = []
        try:
            for event in self:
                events.append(event)
        except Broken:
            assert events and events[-1] != '[DONE]', events
            *chunks, last = [json.loads(e) for e in events]
            assert list(last) == ['error'], last
            assert set(last['error']) == {'message', 'type', 'param', 'code'}, last
            assert not any('error' in c for c in chunks)
            return chunks, last['error']
        raise AssertionError(f'the stream ended as if it were whole: {events[-2:]}')


def joined(chunks, member='content'):
    """The text of a stream."""
    return ''.join(c['choices'][0]['delta'].get(member) or '' for c in chunks if c['choices'])
