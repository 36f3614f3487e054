# SPDX-License-Identifier: MIT
"""Real servers as endpoints: nginx with certificates on both sides, HAProxy that lets no connection rest."""
import shutil

import pytest

from kit import config, until
from kit.certs import Authority
from kit.process import free_port

CALLS = 60


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f'{program} is not installed')


def one(url, **more):
    return {'endpoints': [config.endpoint('far', url, **more)],
            'models': [{'name': '*', 'tiers': [[{'endpoint': 'far'}]]}]}


def listens(program, port):
    """Waits until the program has its port; its own words when it has ended instead."""
    def there():
        assert program.child.poll() is None, program.tail()
        with open('/proc/net/tcp', encoding='ascii') as table:
            return any(f':{port:04X} 00000000:0000 0A' in line for line in table)
    until(there, f'port {port} is open')


NGINX = '''
daemon off; master_process off; pid nginx.pid; error_log nginx.err;
events {{ worker_connections 256; }}
http {{
    log_format way '$ssl_protocol $ssl_session_reused $ssl_client_s_dn $status';
    access_log nginx.log way;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {cert}; ssl_certificate_key {key};
        ssl_client_certificate {ca}; ssl_verify_client on;
        ssl_protocols {protocol}; ssl_session_cache shared:s:1m;
        keepalive_requests 3;
        location / {{ proxy_pass {to}; proxy_buffering off; }}
    }}
}}
'''


@needs('nginx')
@needs('openssl')
@pytest.mark.parametrize('protocol', ['TLSv1.2', 'TLSv1.3'])
def test_nginx_with_certificates_on_both_sides_and_resumed_sessions(gateway, yard, tmp_path, protocol):
    authority, sim, port = Authority(tmp_path), yard.simulator(), free_port()
    theirs = authority.identity('nginx', 'subjectAltName=DNS:inside.test\nbasicConstraints=CA:FALSE')
    ours = authority.identity('gateway')
    (tmp_path / 'nginx.conf').write_text(NGINX.format(
        port=port, cert=theirs.cert, key=theirs.key, ca=authority.file, protocol=protocol, to=sim.root))
    nginx = yard.program('nginx', '-p', tmp_path, '-c', tmp_path / 'nginx.conf', '-e', tmp_path / 'nginx.err')
    listens(nginx, port)
    gw = gateway(one(f'https://127.0.0.1:{port}/v1', ca_file=str(authority.file), server_name='inside.test',
                     client_cert=str(ours.cert), client_key=str(ours.key)), workers=1)
    for _ in range(12):  # three on each connection
        assert gw.chat().status == 200
    log = tmp_path / 'nginx.log'
    until(lambda: log.read_text().count('\n') == 12, 'its log is written')
    lines = log.read_text().splitlines()
    assert all(line.startswith(protocol) and line.endswith('CN=gateway 200') for line in lines), lines
    reused = [line.split()[1] for line in lines]
    assert reused == ['.'] * 3 + ['r'] * 9, 'every connection after the first resumes its session'


HAPROXY = '''
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 1ms
frontend in
    bind 127.0.0.1:{port}
    default_backend out
backend out
    server sim {to}
'''


@needs('haproxy')
def test_haproxy_that_closes_what_rests_for_a_millisecond(gateway, yard, tmp_path):
    """Each request meets a connection that is being closed, or has been, or is not yet."""
    sim, port = yard.simulator(), free_port()
    (tmp_path / 'haproxy.cfg').write_text(HAPROXY.format(port=port, to='%s:%d' % sim.at))
    haproxy = yard.program('haproxy', '-db', '-f', tmp_path / 'haproxy.cfg')
    haproxy.may_fail = True  # its status after SIGTERM is its own matter
    listens(haproxy, port)
    gw = gateway(one(f'http://127.0.0.1:{port}/v1'), workers=1)
    for i in range(CALLS):
        if i % 3 == 2:
            with gw.stream() as stream:
                assert stream.whole()
        else:
            asked = gw.chat()
            assert asked.status == 200 and asked.headers['x-tidegate-attempts'] == '1'
    assert sim.stats()['answered'] == CALLS
