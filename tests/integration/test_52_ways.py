# SPDX-License-Identifier: MIT
"""Ways to an endpoint: through proxies of the environment and of the file, over Unix sockets, with a client
certificate, with resumed TLS sessions, over connections that end at the wrong moment."""
import base64
import shutil
import signal
import socket
import ssl

import pytest

from kit import config, until
from kit.certs import Authority
from kit.origin import Origin, Peer, answer, response
from kit.process import PROGRAM, free_port, run
from kit.proxy import Proxy

needs_openssl = pytest.mark.skipif(not shutil.which('openssl'),
                                   reason="openssl's command line is not installed: it makes certificates")


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('trusted'))


@pytest.fixture
def proxy(yard):
    return lambda *args, **more: yard.closing(Proxy(*args, **more))


def one(url, **more):
    return {'endpoints': [config.endpoint('far', url, **more)],
            'models': [{'name': '*', 'tiers': [[{'endpoint': 'far'}]]}]}


# -- proxies -------------------------------------------------------------------------------------------------
# No name server knows tide.test: who reaches it got there through the proxy, which resolves it.


@needs_openssl
@pytest.mark.parametrize('variable', ['HTTPS_PROXY', 'https_proxy'])
def test_https_through_the_environments_proxy(gateway, origin, proxy, authority, variable):
    up = origin(tls=authority.server('DNS:tide.test'))
    via = proxy({'tide.test': up.at}, user='me:canary')
    gw = gateway(one('https://tide.test/v1', ca_file=str(authority.file)), env={variable: via.url})
    for _ in range(3):
        assert gw.chat().status == 200
    assert set(via.heads) == {'CONNECT tide.test:443'}
    assert len(via.heads) <= 2, 'tunnels are kept: there are two workers'
    assert 'proxy-authorization' not in up.requests[0].headers
    assert up.requests[0].headers['host'] == 'tide.test'
    assert 'canary' not in gw.stdout() + gw.stderr()


def test_http_through_the_environments_proxy(gateway, origin, proxy):
    up = origin()
    via = proxy({'tide.test': up.at}, user='me:canary')
    gw = gateway(one('http://tide.test:81/v1', key='none'), env={'HTTP_PROXY': via.url})
    assert gw.chat().status == 200
    assert via.heads == ['POST http://tide.test:81/v1/chat/completions']
    assert up.requests[0].path == '/v1/chat/completions'
    assert up.requests[0].headers['host'] == 'tide.test:81'


def test_this_machine_is_never_behind_the_environments_proxy(gateway, origin, proxy):
    up, via = origin(), proxy({})
    gw = gateway(up, env={'HTTP_PROXY': via.url, 'HTTPS_PROXY': via.url})
    assert gw.chat().status == 200 and not via.heads


def test_the_file_overrules_the_environment(gateway, origin, proxy):
    up = origin()
    own, other = proxy({'127.0.0.1': up.at}), proxy({})
    gw = gateway(one(up.v1, proxy=own.url), env={'HTTP_PROXY': other.url, 'NO_PROXY': '*'})
    assert gw.chat().status == 200
    assert len(own.heads) == 1 and not other.heads


def test_excluded_names_go_directly(gateway, origin, proxy):
    up, via = origin(), proxy({})
    env = {'HTTP_PROXY': via.url, 'NO_PROXY': 'a.test, localhost'}
    gw = gateway(one(f'http://localhost.:{up.at[1]}/v1'), env=env)
    assert gw.chat().status == 200 and not via.heads


@pytest.mark.parametrize('how, said', [
    ({'user': 'me:right'}, 'wants other credentials \\(407'),
    ({'refuse': '403 Forbidden'}, 'answered CONNECT with 403'),
    ({'refuse': '502 Bad Gateway'}, 'answered CONNECT with 502'),
], ids=['407', '403', '502'])
def test_a_proxy_that_refuses_is_the_operators_matter(gateway, proxy, how, said):
    via = proxy({}, **how)
    url = via.url.replace('right', 'canary')
    gw = gateway(one('https://tide.test/v1', proxy=url, key='sk-canary-key'))
    refused = gw.chat()
    assert refused.status == 502 and refused.error()['code'] == 'upstream_proxy_failed'
    gw.wait_for(f'ended as proxy.*The proxy 127.0.0.1:{via.at[1]} {said}')
    secret = base64.b64encode(b'me:canary').decode()
    for text in (refused.body.decode(), gw.stdout(), gw.stderr()):
        assert 'canary' not in text and secret not in text


def test_a_407_to_a_plain_request_is_not_the_clients(gateway, proxy):
    via = proxy({}, user='me:right')
    gw = gateway(one('http://tide.test/v1', proxy=via.url.replace('right', 'wrong')))
    refused = gw.chat()
    assert refused.status == 502 and refused.error()['code'] == 'upstream_proxy_failed'


def test_a_proxy_that_is_not_there(gateway, simulator):
    sim = simulator()
    nowhere = f'http://127.0.0.1:{free_port()}'
    what = {'endpoints': [config.endpoint('far', 'https://tide.test/v1', proxy=nowhere),
                          config.endpoint('near', sim.v1)],
            'models': [{'name': '*', 'tiers': [[{'endpoint': 'far'}], [{'endpoint': 'near'}]]}]}
    gw = gateway(what)
    answered = gw.chat()
    assert answered.status == 200 and answered.headers['x-tidegate-endpoint'] == 'near'
    gw.wait_for('The proxy 127.0.0.1:[0-9]+ refused the connection')


def test_check_shows_the_proxy_and_not_its_password(tmp_path):
    file = tmp_path / 'c.yaml'
    file.write_text('endpoints: [{name: a, provider: openai, url: "https://tide.test/v1", key: none}]\n'
                    'models: [{name: "*", tiers: [[{endpoint: a}]]}]\n')
    env = {'HTTPS_PROXY': 'http://me:canary@10.0.0.9:3128'}
    status, said, complaint = run(PROGRAM, 'check', file, env=env)
    assert status == 0 and 'through the proxy 10.0.0.9:3128 (HTTPS_PROXY) with a password' in said
    assert 'canary' not in said + complaint


# -- Unix sockets --------------------------------------------------------------------------------------------


class UnixOrigin(Origin):
    def __init__(self, path):
        super().__init__()
        self.listener.close()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.spawn(self.accept)


@pytest.mark.parametrize('abstract', [False, True])
def test_an_endpoint_at_a_unix_socket(gateway, yard, tmp_path, abstract):
    path = f'@{tmp_path.name}-{free_port()}' if abstract else str(tmp_path / 'engine.sock')
    up = yard.closing(UnixOrigin(path.replace('@', '\0')))
    gw = gateway(one('http://engine/v1', socket=path), env={'HTTP_PROXY': 'http://127.0.0.1:9'})
    for _ in range(4):
        assert gw.chat().status == 200
    assert up.requests[0].headers['host'] == 'engine' and up.requests[0].path == '/v1/chat/completions'
    assert up.connections_n <= 2, 'they are kept'


def test_a_unix_socket_that_is_not_there(gateway, tmp_path):
    refused = gateway(one('http://engine/v1', socket=str(tmp_path / 'nothing.sock'))).chat()
    assert refused.status == 503 and refused.error()['code'] == 'upstream_unreachable'


# -- TLS -----------------------------------------------------------------------------------------------------


def demanding(authority):
    tls = authority.server()
    tls.load_verify_locations(authority.file)
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


@needs_openssl
def test_a_client_certificate(gateway, origin, authority):
    mine = authority.identity('gateway')
    up = origin(tls=demanding(authority))
    shown = {'client_cert': str(mine.cert), 'client_key': str(mine.key)}
    gw = gateway(one(up.v1, ca_file=str(authority.file), **shown))
    assert gw.chat().status == 200
    assert up.peers[0].socket.getpeercert()['subject'][0][0] == ('commonName', 'gateway')
    without = gateway(one(up.v1, ca_file=str(authority.file)))
    assert without.chat().error()['code'] == 'upstream_tls_failed'
    without.wait_for('ended as tls.*client_cert')


@needs_openssl
def test_check_finds_a_key_that_belongs_to_another_certificate(authority, tmp_path):
    mine, other = authority.identity('mine'), authority.identity('other')
    file = tmp_path / 'c.yaml'
    file.write_text('endpoints: [{name: far, provider: openai, url: "https://tide.test/v1", key: none, '
                    f'client_cert: {mine.cert}, client_key: {other.key}}}]\n'
                    'models: [{name: "*", tiers: [[{endpoint: far}]]}]\n')
    for command in ('check', 'serve'):
        status, _, said = run(PROGRAM, command, file)
        assert status == 1
        assert 'endpoint far: the client key does not belong to the client certificate' in said


@needs_openssl
def test_another_server_name(gateway, origin, authority):
    up = origin(tls=authority.server('DNS:inside.test'))
    gw = gateway(one(up.v1, ca_file=str(authority.file), server_name='inside.test'))
    assert gw.chat().status == 200
    assert gateway(one(up.v1, ca_file=str(authority.file))).chat().error()['code'] == 'upstream_tls_failed'


@needs_openssl
def test_reconnects_resume_the_session(gateway, origin, authority):
    resumed = []

    def script(peer, _):
        resumed.append(peer.socket.session_reused)
        return response(answer(), Connection='close')
    up = origin(script, tls=authority.server())
    gw = gateway(one(up.v1, ca_file=str(authority.file)), workers=1)
    for _ in range(5):
        assert gw.chat().status == 200
    assert resumed == [False, True, True, True, True]


# -- connections that end at the wrong moment ----------------------------------------------------------------


def test_a_connection_that_closes_as_the_next_request_comes_is_replaced_unseen(gateway, origin):
    """The endpoint's idle time ends exactly when we send: it closes with our request unread."""
    def script(peer, request):
        peer.send(response(answer()))
        peer.socket.recv(1, socket.MSG_PEEK)  # the next request is here: nobody looks at it
        peer.socket.close()
    up = origin(script)
    gw = gateway(one(up.v1), workers=1)
    large = 'x' * 3_000_000
    for text in ('small', large, 'small', large):
        asked = gw.chat(messages=[{'role': 'user', 'content': text}])
        assert asked.status == 200 and asked.headers['x-tidegate-attempts'] == '1'
    assert len(up.requests) == 4, 'each was understood once'


def test_a_first_byte_forbids_the_second_try(gateway, origin):
    """A "100 Continue" nobody asked for says that the request is being read: then it is not sent twice."""
    turns = []

    def script(peer, request):
        turns.append(request.path)
        if len(turns) == 1:
            return response(answer())
        peer.send(b'HTTP/1.1 100 Continue\r\n\r\n')
        peer.close()
    up = origin(script)
    gw = gateway(one(up.v1), workers=1)
    assert gw.chat().status == 200
    assert gw.chat().status == 502
    assert len(turns) == 2


class Hasty(Origin):
    """Answers as soon as it has the head, reads no body, and closes."""
    def serve(self, connection):
        peer = Peer(connection)
        self.peers.append(peer)
        peer.until(b'\r\n\r\n')
        peer.send(response({'error': {'message': 'far too much'}}, '413 Too Large'))
        connection.close()


def test_an_answer_before_the_request_is_read_whole_is_passed_on(gateway, yard):
    up = yard.closing(Hasty())
    refused = gateway(one(up.v1)).chat(messages=[{'role': 'user', 'content': 'x' * 3_000_000}])
    assert refused.status == 413 and 'far too much' in refused.error()['message']
    assert up.connections_n == 1


@needs_openssl
def test_a_reload_reads_certificates_again(gateway, origin, authority, tmp_path):
    mine, other = authority.identity('mine'), authority.identity('other')
    shown = {name: tmp_path / name for name in ('ca', 'cert', 'key')}
    shown['ca'].write_bytes(other.cert.read_bytes())
    shown['cert'].write_bytes(mine.cert.read_bytes())
    shown['key'].write_bytes(mine.key.read_bytes())
    up = origin(tls=demanding(authority))
    gw = gateway(one(up.v1, ca_file=str(shown['ca']), client_cert=str(shown['cert']),
                     client_key=str(shown['key'])))
    assert gw.chat().error()['code'] == 'upstream_tls_failed'
    shown['ca'].write_bytes(authority.file.read_bytes())
    gw.signal(signal.SIGHUP)
    until(lambda: gw.chat().status == 200, 'the new authority is trusted')
    shown['key'].write_bytes(other.key.read_bytes())
    gw.signal(signal.SIGHUP)
    gw.wait_for('the client key does not belong to the client certificate')
    assert gw.chat().status == 200, 'the last good configuration stays'
