# SPDX-License-Identifier: MIT
"""nginx and HAProxy with the configurations that docs/behind-a-proxy.md shows. Addresses, files and how often
a server's health is asked for are the test's; every other word is the page's."""
import re
import shutil

import pytest

from . import ROOT, until
from .process import free_port

PAGE = ROOT / 'docs/behind-a-proxy.md'
TITLES = {'nginx': 'nginx', 'haproxy': 'HAProxy'}  # as the page's headings have them
NGINX = '''
daemon off; master_process off; pid {name}.pid; error_log {name}.err warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
{page}}}
'''
HAPROXY = 'global\n    maxconn 256\n\n{page}'


def shown(heading, language):
    """The first block in this language under a heading of the page."""
    part = PAGE.read_text(encoding='utf-8').split(f'\n## {heading}\n', 1)[1].split('\n## ', 1)[0]
    return re.search(rf'^```{language}\n(.*?)^```$', part, re.MULTILINE | re.DOTALL).group(1)


def needs(program):
    if not shutil.which(program):
        pytest.skip(f'NO {program.upper()}: {program} is not installed; tools/test_deps.sh installs it')


def listens(program, port):
    """Waits until the program has its port; its own words when it has ended instead."""
    def there():
        assert program.child.poll() is None, program.tail()
        with open('/proc/net/tcp', encoding='ascii') as table:
            return any(f':{port:04X} 00000000:0000 0A' in line for line in table)
    until(there, f'port {port} is open')


def put(text, **places):
    """Puts the test's addresses and files where the page has its own; each has to be there."""
    for theirs, ours in places.items():
        assert theirs in text, f'{theirs} is not on {PAGE.name}'
        text = text.replace(theirs, str(ours))
    return text


class Site:
    """Where proxies stand: `pair` is the certificate and key that they show, `ca` the file of the authority
    that they trust."""
    def __init__(self, yard, pair, ca):
        self.yard, self.folder, self.ca = yard, yard.folder, ca
        self.cert, self.key = pair
        self.both = self.folder / 'both.pem'
        self.both.write_bytes(self.cert.read_bytes() + self.key.read_bytes())

    def start(self, heading, kind, places):
        """Starts a proxy; returns its address."""
        needs(kind)
        port = free_port()
        text = put(shown(heading, kind), **{k: v.format(port=port) if isinstance(v, str) else v
                                            for k, v in places.items()})
        name = self.yard.name(kind)
        file = self.folder / f'{name}.conf'
        whole = (NGINX if kind == 'nginx' else HAPROXY).format(page=text, name=self.folder / name)
        file.write_text(whole)
        if kind == 'nginx':
            argv = ['nginx', '-p', self.folder, '-c', file, '-e', self.folder / f'{name}.start']
        else:
            argv = ['haproxy', '-db', '-f', file]
        program = self.yard.program(*argv)
        program.may_fail = kind == 'haproxy'  # its status after SIGTERM is its own matter
        listens(program, port)
        return ('127.0.0.1', port)

    def in_front(self, kind, to, secure=False):
        """A proxy before a gateway at `to`, which speaks TLS itself if `secure`."""
        where = f'{to[0]}:{to[1]}'
        heading = f'{TITLES[kind]} in front' + (', with TLS between' if secure else '')
        places = {'10.0.0.5:8443' if secure else '127.0.0.1:8080': where}
        if kind == 'nginx':
            places.update({'listen 443': 'listen 127.0.0.1:{port}', '/etc/ssl/llm.example.com.pem': self.cert,
                           '/etc/ssl/llm.example.com.key': self.key})
            if secure:
                places['/etc/ssl/inside-ca.pem'] = self.ca
        else:
            places.update({'bind :443': 'bind 127.0.0.1:{port}', 'inter 1s': 'inter 1h',
                           '/etc/haproxy/llm.example.com.pem': self.both})
            if secure:
                places['/etc/haproxy/inside-ca.pem'] = self.ca
        return self.start(heading, kind, places)

    def behind(self, kind, to):
        """A proxy before an engine at `to`."""
        places = {'127.0.0.1:8000': f'{to[0]}:{to[1]}'}
        if kind == 'nginx':
            places.update({'listen 8443': 'listen 127.0.0.1:{port}', '/etc/ssl/engine.inside.pem': self.cert,
                           '/etc/ssl/engine.inside.key': self.key})
        else:
            places.update({'bind :8443': 'bind 127.0.0.1:{port}', '/etc/haproxy/engine.inside.pem': self.both,
                           'inter 2s': 'inter 1h'})
        return self.start(f'An engine behind {TITLES[kind]}', kind, places)
