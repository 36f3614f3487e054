# SPDX-License-Identifier: MIT
"""An HTTP proxy in the small: tunnels by CONNECT, and requests for whole URLs."""
import base64
import socket
import threading

from .http import Broken
from .origin import Peer, Tap, response


class Proxy:
    """Resolves `names` (host -> address) itself. With `user` ("name:password") it asks for that; with
    `refuse` (a status line) it answers everything so. `heads` keeps the first line of every request."""
    def __init__(self, names, user=None, refuse=None):
        self.names, self.refuse = names, refuse
        self.wanted = user and 'Basic ' + base64.b64encode(user.encode()).decode()
        self.heads, self.peers = [], []
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.at = self.listener.getsockname()
        self.url = f'http://{user + "@" if user else ""}127.0.0.1:{self.at[1]}'
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(60)
        peer = Peer(connection)
        self.peers.append(peer)
        try:
            while self.one(peer):
                pass
        except (OSError, Broken):
            connection.close()

    def refusal(self, request):
        if self.refuse:
            return response(b'<html>no</html>', self.refuse, 'text/html')
        if self.wanted and request.headers.get('proxy-authorization') != self.wanted:
            return response(b'', '407 Proxy Authentication Required', Proxy_Authenticate='Basic realm="x"')
        return None

    def one(self, peer):
        request = peer.request()
        self.heads.append(f'{request.method} {request.path}')
        refused = self.refusal(request)
        if refused:
            peer.send(refused)
            return True
        if request.method == 'CONNECT':
            return self.tunnel(peer, request.path)
        return self.forward(peer, request)

    def tunnel(self, peer, target):
        far = socket.create_connection(self.names[target.rsplit(':', 1)[0]])
        peer.send(b'HTTP/1.1 200 Connection established\r\n\r\n')
        ways = {'up': b'', 'down': b''}
        back = threading.Thread(target=Tap.pump, args=(far, peer.socket, ways, 'down'), daemon=True)
        back.start()
        Tap.pump(peer.socket, far, ways, 'up')
        back.join()
        return False

    def forward(self, peer, request):
        scheme, _, rest = request.path.partition('://')
        assert scheme == 'http', request.path
        authority, _, path = rest.partition('/')
        lines = request.raw.split(b'\r\n\r\n', 1)[0].decode('latin-1').split('\r\n')
        kept = [line for line in lines[1:] if not line.lower().startswith('proxy-')]
        head = '\r\n'.join([f'{request.method} /{path} HTTP/1.1', *kept, 'Connection: close']) + '\r\n\r\n'
        with socket.create_connection(self.names[authority.rsplit(':', 1)[0]]) as far:
            far.sendall(head.encode('latin-1') + request.body)
            while data := far.recv(65536):
                peer.send(data)
        return False

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            peer.close()
