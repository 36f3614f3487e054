# SPDX-License-Identifier: MIT
"""Origins that a test scripts in Python, for what the simulator does not do, and a proxy that records."""
import json
import socket
import threading

from .http import Broken, Headers, Wire


class Request:
    def __init__(self, raw, line, headers, body):
        self.raw, self.body, self.headers = raw, body, headers
        self.method, self.path, self.version = line.split(' ')

    def json(self):
        return json.loads(self.body)


class Peer(Wire):
    """An accepted connection."""
    def __init__(self, connection):
        self.socket, self.kept, self.read = connection, b'', b''

    def more(self):
        before = len(self.kept)
        alive = super().more()
        self.read += self.kept[before:]
        return alive

    def request(self):
        start = len(self.read) - len(self.kept)
        lines = self.until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        headers = Headers(tuple(line.split(': ', 1)) for line in lines[1:])
        body = b''.join(self.pieces(headers, bodiless='content-length' not in headers
                                    and 'transfer-encoding' not in headers))
        end = len(self.read) - len(self.kept)
        return Request(self.read[start:end], lines[0], headers, body)


def response(body, status='200 OK', kind='application/json', **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f'HTTP/1.1 {status}', f'Content-Type: {kind}', f'Content-Length: {len(body)}']
    lines += [f'{k.replace("_", "-")}: {v}' for k, v in headers.items()]
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


def answer(text='It is answered.', **more):
    return {'id': 'chatcmpl-1', 'object': 'chat.completion', 'created': 1, 'model': 'origin',
            'choices': [{'index': 0, 'finish_reason': 'stop',
                         'message': {'role': 'assistant', 'content': text}}],
            'usage': {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2}, **more}


STREAM_HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n'


def event(content=None, finish=None, **more):
    delta = {} if content is None else {'content': content}
    chunk = {'id': 'chatcmpl-1', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'origin',
             'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}], **more}
    return b'data: ' + json.dumps(chunk).encode() + b'\n\n'


class Origin:
    """Serves `script(peer, request)` for each request; what it returns, if anything, is sent. A script ends
    the connection by closing the peer. Everything that arrives is in `seen` and, once understood, in
    `requests`."""
    def __init__(self, script=None, tls=None, port=0):
        self.script = script or (lambda peer, request: response(answer()))
        self.tls = tls
        self.peers, self.requests, self.connections_n = [], [], 0
        self.over = threading.Event()  # set when the test ends: scripts that wait, wait for it
        self.listener = socket.create_server(('127.0.0.1', port), backlog=256)
        self.at = self.listener.getsockname()
        self.root = f'http{"s" if tls else ""}://127.0.0.1:{self.at[1]}'
        self.v1 = self.root + '/v1'
        self.spawn(self.accept)

    @property
    def seen(self):
        return b''.join(p.read for p in self.peers)

    def spawn(self, work, *args):
        threading.Thread(target=work, args=args, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections_n += 1
            self.spawn(self.serve, connection)

    def serve(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            connection.settimeout(60)
            peer = Peer(connection)
            self.peers.append(peer)
            while True:
                request = peer.request()
                self.requests.append(request)
                reply = self.script(peer, request)
                if reply:
                    peer.send(reply)
        except (OSError, Broken):
            connection.close()

    def close(self):
        if self.over.is_set():
            return  # a test that lets it die did so already
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            peer.close()


class Tap:
    """A proxy that passes bytes on as they are and records both directions of every connection."""
    def __init__(self, to):
        self.to, self.calls = to, []
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.at = self.listener.getsockname()
        self.v1 = f'http://127.0.0.1:{self.at[1]}/v1'
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.to)
            except OSError:
                return
            call = {'up': b'', 'down': b''}
            self.calls.append(call)
            for args in ((near, far, call, 'up'), (far, near, call, 'down')):
                threading.Thread(target=self.pump, args=args, daemon=True).start()

    @staticmethod
    def pump(source, sink, call, way):
        try:
            while data := source.recv(65536):
                call[way] += data  # first recorded, then passed on: who has the bytes finds them here
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
