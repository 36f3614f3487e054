# SPDX-License-Identifier: MIT
"""An origin that answers as it is told to, and a client that keeps every byte: for inputs of odd shapes.

Both are slow beside what they feed, and that does not matter: the proxy's own CPU clock and its own metric
are read, not the time that passes.
"""
import re
import socket
import threading
import time

from rig import PATH, Failure, free_port

WAIT_S = 60
READ = 1 << 18


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def cpu_us(pid):
    """User and kernel time of a process; the number of its CPU clock is that of the C library's macro."""
    return time.clock_gettime_ns((~pid) << 3 | 2) / 1000


class Answer:
    """What the origin says: pieces, each a send of its own; `body` is what the client must receive.

    `kind` "events" is a stream of server-sent events, "json" a plain answer.
    """

    def __init__(self, kind, pieces, body):
        self.kind, self.pieces, self.body = kind, pieces, body


def plain(body):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return Answer("json", [head + body], body)


EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def events(parts, last=b""):
    """A stream: each part is a chunk and a send; then [DONE]."""
    pieces = [EVENTS_HEAD, *(chunk(p) for p in parts), *([chunk(last)] if last else []),
              chunk(DONE) + b"0\r\n\r\n"]
    return Answer("events", pieces, b"".join(parts) + last + DONE)


READY = plain(b'{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},'
              b'"finish_reason":"stop"}]}')


class Origin:
    """Answers every request with `answer`; one thread for each connection. `asked` counts requests."""

    def __init__(self):
        self.answer, self.asked, self.body_n = READY, 0, 0
        self.lock = threading.Lock()
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        scrap = memoryview(bytearray(READ))
        with s:
            try:
                kept = b""
                while True:
                    kept = self._request(s, kept, scrap)
                    for piece in self.answer.pieces:
                        s.sendall(piece)
            except (OSError, EOFError):
                return

    def _request(self, s, kept, scrap):
        """Reads one request, its body into nowhere; returns what came behind it."""
        while b"\r\n\r\n" not in kept:
            n = s.recv_into(scrap)
            if n == 0:
                raise EOFError
            kept += bytes(scrap[:n])
        head, _, rest = kept.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        body_n = int(length[1]) if length else 0
        left = body_n - len(rest)
        while left > 0:
            n = s.recv_into(scrap[:min(left, READ)])
            if n == 0:
                raise EOFError
            left -= n
        with self.lock:
            self.asked += 1
            self.body_n = body_n
        return rest[body_n:]


def request(body, path=PATH, headers=b""):
    head = b"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n" % path.encode()
    return head + b"Content-Length: %d\r\n%s\r\n" % (len(body), headers) + body


class Client:
    """One keep-alive connection to a proxy."""

    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def ask(self, *pieces):
        """Sends a request in these pieces; returns status and body."""
        for piece in pieces:
            self.s.sendall(piece)
        return self.answer()

    def answer(self):
        got = self._more(b"")
        while b"\r\n\r\n" not in got:
            got = self._more(got)
        head, _, rest = got.partition(b"\r\n\r\n")
        parts, n = [rest], len(rest)
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        tail = rest[-5:]
        while n < int(length[1]) if length else tail != b"0\r\n\r\n":
            piece = self._more(b"")
            parts.append(piece)
            n += len(piece)
            tail = (tail + piece)[-5:]
        return int(head[9:12]), b"".join(parts) if length else joined(b"".join(parts))

    def _more(self, got):
        piece = self.s.recv(READ)
        if not piece:
            raise Failure("the proxy cut an answer short")
        return got + piece


def joined(chunks):
    """The body inside chunks."""
    parts, at = [], 0
    while True:
        eol = chunks.index(b"\r\n", at)
        n = int(chunks[at:eol], 16)
        if n == 0:
            return b"".join(parts)
        parts.append(chunks[eol + 2:eol + 2 + n])
        at = eol + 4 + n


def same(body, answer):
    """Whether a body is what the origin sent; comments between events are the proxy's own."""
    if answer.kind == "events" and b"\n:" in body:
        body = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b":"))
    return body == answer.body
