# SPDX-License-Identifier: MIT
"""TLS on the client's side: both versions, several certificates by name, and what becomes of peers that do
not speak it."""
import json
import os
import signal
import socket
import ssl

import pytest

from kit import http, until
from kit.certs import Authority
from kit.process import PROGRAM, free_port, run

VERSIONS = pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
                                   ids=['1.2', '1.3'])


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def files(pair):
    return {'cert': str(pair[0]), 'key': str(pair[1])}


@pytest.fixture
def secure(gateway, simulator):
    """secure(tls, ...): a gateway with a plain address and one with TLS, as `.tls_at`."""
    def make(tls, first='127.0.0.1:0', **more):
        port = free_port()
        gw = gateway(simulator(), listen=[first, {'address': f'127.0.0.1:{port}', 'tls': tls}], **more)
        gw.tls_at = ('127.0.0.1', port)
        return gw
    return make


def shown_names(at, client, name):
    """The names in the certificate that a client who asks for `name` gets to see."""
    client.check_hostname = False
    with http.Wire(at, tls=client, name=name) as wire:
        return [value for kind, value in wire.socket.getpeercert()['subjectAltName'] if kind == 'DNS']


@VERSIONS
def test_requests_and_streams(secure, authority, version):
    gw = secure(files(authority.pair()))
    client = authority.client(version)
    client.set_alpn_protocols(['h2', 'http/1.1'])
    with http.Wire(gw.tls_at, tls=client) as wire:
        assert wire.socket.version() == version.name.replace('v1_', 'v1.')
        assert wire.socket.selected_alpn_protocol() == 'http/1.1'
        for _ in range(3):
            wire.send(http.request('POST', http.CHAT, http.chat_body('sim', 'x' * 50000)))
            assert wire.answer('POST').status == 200
        wire.send(http.request('POST', http.CHAT, http.chat_body('sim', stream=True)))
        assert wire.answer('POST').body.endswith(b'data: [DONE]\n\n')
    gw.settle()


def test_curl_with_tls_of_the_top_level(gateway, simulator, authority):
    """The short form: every address of `listen` speaks TLS, /healthz too."""
    port = free_port()
    gw = gateway(simulator(), listen=[{'address': '127.0.0.1:0', 'tls': 'off'}, f'127.0.0.1:{port}'],
                 tls=files(authority.pair()))
    status, out, err = run('curl', '-sS', '--cacert', authority.file, f'https://127.0.0.1:{port}/healthz')
    assert (status, out) == (0, 'ok\n'), err
    assert http.ask(gw.at, path='/healthz').status == 200


def test_the_name_decides_which_certificate_is_shown(secure, authority):
    pairs = [authority.pair(names) for names in ('DNS:first.test', 'DNS:*.wild.test',
                                                 'DNS:exact.wild.test,DNS:other.test')]
    gw = secure({'certs': [files(p) for p in pairs]})
    for name, shown in [
            ('first.test', 'first.test'), ('nobody.test', 'first.test'), ('127.0.0.1', 'first.test'),
            ('some.wild.test', '*.wild.test'), ('deep.some.wild.test', 'first.test'),
            ('exact.wild.test', 'exact.wild.test'), ('OTHER.test', 'exact.wild.test')]:
        assert shown_names(gw.tls_at, authority.client(), name)[0] == shown, name


@pytest.mark.filterwarnings('ignore:ssl.OP_NO')
def test_old_protocols_are_refused(secure, authority):
    gw = secure(files(authority.pair()))
    client = authority.client()
    client.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
    client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    client.set_ciphers('ALL:@SECLEVEL=0')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        http.Wire(gw.tls_at, tls=client)
    until(lambda: gw.metrics().value('tidegate_connections_refused_total', reason='tls_handshake') == 1,
          'the failure is counted')
    gw.settle()


def test_a_client_that_distrusts_us_is_no_trouble(secure, authority, tmp_path):
    gw = secure(files(authority.pair()))
    for _ in range(3):
        with pytest.raises(ssl.SSLError):
            http.Wire(gw.tls_at, tls=Authority(tmp_path, 'other').client())
    gw.settle()
    assert http.ask(gw.tls_at, path='/healthz', tls=authority.client()).status == 200


@pytest.mark.parametrize('request_bytes', [
    http.request('GET', '/v1/models'), http.request('POST', http.CHAT, http.chat_body('sim', 'x' * 300000)),
    b'GET / HTTP/1.1\r\n\r\n', b'POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc'],
    ids=['get', 'upload', 'malformed', 'old'])
def test_plain_http_gets_a_helpful_answer(secure, authority, request_bytes):
    gw = secure(files(authority.pair()))
    with http.Wire(gw.tls_at) as wire:
        told = wire.send(request_bytes).answer()
        assert told.status == 400 and told.error()['code'] == 'tls_required'
        assert 'https://' in told.error()['message']
        assert wire.rest() == b''
    gw.settle()


def test_noise_and_silence_end(secure, authority):
    gw = secure(files(authority.pair()), timeouts={'handshake': '200ms'})
    for noise in (b'\x16\x03\x01\x00\x05hello', b'\x16' + os.urandom(200), b'\x00\x01\x02'):
        with http.Wire(gw.tls_at) as wire:
            wire.send(noise).rest()
    with http.Wire(gw.tls_at) as silent, http.Wire(gw.tls_at) as slow:
        slow.send(b'\x16\x03')
        assert silent.rest() == slow.rest() == b''
    until(lambda: gw.metrics().value('tidegate_connections_refused_total', reason='timeout') == 2,
          'silence is counted')
    gw.settle()


def test_a_handshake_of_single_bytes(secure, authority):
    """Everything the client says arrives byte by byte."""
    gw = secure(files(authority.pair()))
    client = authority.client()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.wrap_bio(into, out, server_hostname='127.0.0.1')
    with http.Wire(gw.tls_at) as wire:
        def exchange(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    flush()
                    into.write(wire.socket.recv(65536))

        def flush():
            for byte in out.read():
                wire.send(bytes([byte]))
        exchange(tls.do_handshake)
        tls.write(http.request('GET', '/healthz'))
        flush()
        assert exchange(lambda: tls.read(65536)).startswith(b'HTTP/1.1 200')


def test_sessions_are_resumed_in_tls_1_3_only(secure, authority):
    gw = secure(files(authority.pair()))
    for version, resumed in [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)]:
        client = authority.client(version)
        with http.Wire(gw.tls_at, tls=client) as wire:
            wire.send(http.request('GET', '/healthz')).answer()
            session = wire.socket.session
        again = client.wrap_socket(socket.create_connection(gw.tls_at), server_hostname='127.0.0.1',
                                   session=session)
        assert again.session_reused == resumed
        again.close()


def test_a_long_stream_to_a_slow_reader_arrives_whole(secure, authority):
    """Back-pressure goes through TLS."""
    gw = secure(files(authority.pair()))
    with http.Wire(gw.tls_at, tls=authority.client()) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(http.request('POST', http.CHAT, http.chat_body('sim~tokens=2000,gap=0ms', stream=True)))
        status, headers = wire.head()
        body = b''.join(wire.pieces(headers))
        assert status == 200 and body.endswith(b'data: [DONE]\n\n') and body.count(b'\n\n') > 2000


def test_drain_lets_a_stream_finish(secure, authority):
    gw = secure(files(authority.pair()))
    with http.Wire(gw.tls_at, tls=authority.client()) as wire, \
            http.Wire(gw.tls_at, tls=authority.client()) as idle, http.Wire(gw.tls_at) as arriving:
        arriving.send(b'\x16')
        idle.send(http.request('GET', '/healthz')).answer()
        wire.send(http.request('POST', http.CHAT, http.chat_body('sim~tokens=40,gap=30ms', stream=True)))
        status, headers = wire.head()
        gw.signal(signal.SIGTERM)
        assert idle.rest() == b'' and arriving.rest() == b''
        assert status == 200 and b''.join(wire.pieces(headers)).endswith(b'data: [DONE]\n\n')
    assert gw.wait() == 0
    line, = gw.access(result='full')
    assert line['status'] == 200


def test_the_admin_side_can_speak_tls(gateway, simulator, authority):
    port = free_port()
    gateway(simulator(), metrics={'address': f'127.0.0.1:{port}', 'tls': files(authority.pair())})
    page = http.ask(('127.0.0.1', port), path='/metrics', tls=authority.client())
    assert page.status == 200 and b'tidegate_connections' in page.body
    told = http.ask(('127.0.0.1', port), path='/metrics')
    assert told.status == 400 and told.error()['code'] == 'tls_required'


# -- new certificates --------------------------------------------------------------------------------------

def reload(gw, n):
    gw.signal(signal.SIGHUP)
    until(lambda: gw.metrics().value('tidegate_config_reloads_total', result='done') == n,
          'the reload is done')


def test_a_reload_shows_new_certificates_and_open_connections_go_on(secure, authority):
    old, new = authority.pair('DNS:old.test'), authority.pair('DNS:new.test')
    gw = secure(files(old))

    def names():
        return shown_names(gw.tls_at, authority.client(), 'any.test')
    client = authority.client()
    client.check_hostname = False
    with http.Wire(gw.tls_at, tls=client) as wire:
        wire.send(http.request('POST', http.CHAT, http.chat_body('sim~tokens=60,gap=20ms', stream=True)))
        status, headers = wire.head()
        assert names() == ['old.test']
        for ours, theirs in zip(old, new):
            ours.write_bytes(theirs.read_bytes())
        assert names() == ['old.test'], 'a file alone changes nothing'
        reload(gw, 1)
        assert names() == ['new.test']
        assert b''.join(wire.pieces(headers)).endswith(b'data: [DONE]\n\n')
        assert wire.send(http.request('GET', '/healthz')).answer().status == 200
    gw.settle()


def test_a_reload_changes_how_long_a_handshake_may_take(secure, authority):
    gw = secure(files(authority.pair()), timeouts={'handshake': '10m'})
    gw.file.write_text(gw.file.read_text().replace('10m', '200ms'))
    reload(gw, 1)
    with http.Wire(gw.tls_at) as silent:
        assert silent.rest() == b''
    until(lambda: gw.metrics().value('tidegate_connections_refused_total', reason='timeout') == 1,
          'silence is counted')


def test_a_reload_with_a_wrong_key_changes_nothing(secure, authority):
    good, other = authority.pair('DNS:good.test'), authority.pair('DNS:other.test')
    gw = secure(files(good))
    good[1].write_bytes(other[1].read_bytes())
    gw.signal(signal.SIGHUP)
    gw.wait_for('the key does not belong to the certificate')
    assert shown_names(gw.tls_at, authority.client(), 'any.test') == ['good.test']


def test_what_a_listener_is_takes_a_restart(secure, authority):
    """TLS cannot be turned off by a reload: the listener goes on with what it has."""
    pair = authority.pair('DNS:here.test')
    gw = secure(files(pair))
    config = json.loads(gw.file.read_text())
    config['listen'][1]['tls'] = 'off'
    gw.file.write_text(json.dumps(config))
    reload(gw, 1)
    assert '`listen` has changed, which takes a restart' in gw.stderr()
    assert shown_names(gw.tls_at, authority.client(), 'any.test') == ['here.test']


# -- what check says -----------------------------------------------------------------------------------------

def checked(folder, listen_tls):
    """`tidegate check` of a file whose certificate stands in line 2 and key in line 3."""
    file = folder / 'check.yaml'
    file.write_text('tls:\n'
                    f'  cert: {listen_tls["cert"]}\n'
                    f'  key: {listen_tls["key"]}\n'
                    'endpoints: [{name: a, provider: openai, url: "http://127.0.0.1:1/v1", key: none}]\n'
                    'models: [{name: m, tiers: [[{endpoint: a}]]}]\n')
    return run(PROGRAM, 'check', file.name, cwd=folder)


def test_check_shows_listeners(authority, tmp_path):
    pair = authority.pair()
    status, out, _ = checked(tmp_path, files(pair))
    assert status == 0
    assert out.startswith(f'listen      127.0.0.1:8080, TLS with {pair[0]} (no keys')


def test_check_finds_files_that_cannot_work(authority, tmp_path):
    good, other = authority.pair(), authority.pair()
    for tls, place, why in [
            ({'cert': str(good[0]), 'key': str(other[1])}, f'3:8: error: {other[1]}',
             'the key does not belong to the certificate'),
            ({'cert': str(good[1]), 'key': str(good[1])}, f'2:9: error: {good[1]}',
             'the certificate cannot be read or is not in PEM form'),
            ({'cert': str(good[0]), 'key': str(good[0])}, f'3:8: error: {good[0]}',
             'the key cannot be read, is not in PEM form, or has a passphrase')]:
        status, out, err = checked(tmp_path, tls)
        assert (status, out) == (1, '')
        assert err.startswith(f'check.yaml:{place}: {why}') and err.endswith('1 error, 0 warnings\n'), err


def test_check_warns_of_what_clients_will_refuse(authority, tmp_path):
    """As `serve` does: it must not keep a service manager from starting the rest."""
    old = authority.pair(days=-1)
    status, out, err = checked(tmp_path, files(old))
    assert status == 0 and out
    assert f'check.yaml:2:9: warning: {old[0]}: the certificate expired on ' in err, err


def test_a_start_with_a_wrong_key_says_where(authority, tmp_path):
    good, other = authority.pair(), authority.pair()
    file = tmp_path / 'wrong.json'
    file.write_text(json.dumps({
        'listen': '127.0.0.1:0', 'tls': {'cert': str(good[0]), 'key': str(other[1])},
        'endpoints': [{'name': 'a', 'provider': 'openai', 'url': 'http://127.0.0.1:1/v1'}],
        'models': [{'name': 'm', 'tiers': [[{'endpoint': 'a'}]]}]}))
    status, _, err = run(PROGRAM, 'serve', file)
    assert status == 1 and f'{other[1]}: the key does not belong to the certificate' in err


def test_an_expired_certificate_is_warned_of_and_served(secure, authority):
    """Clients decide whether to accept it; a restart must not take the plain listeners down as well."""
    pair = authority.pair(days=-1)
    gw = secure(files(pair), log_level='debug')
    assert f'{pair[0]}: the certificate expired on ' in gw.stderr()
    with pytest.raises(ssl.SSLCertVerificationError):
        http.Wire(gw.tls_at, tls=authority.client())
    gw.wait_for('was not let in: tls_handshake: .*expired')
    answer = http.ask(gw.admin, 'POST', '/api/reload').json()
    assert answer['ok'] and any('the certificate expired on ' in w for w in answer['warnings']), answer
    gw.settle()
