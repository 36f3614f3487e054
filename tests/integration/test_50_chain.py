# SPDX-License-Identifier: MIT
"""Endpoints that are no plain HTTP on this machine: a second tidegate, and TLS with a private authority."""
import shutil
import socket
import ssl

import pytest

from kit import config, http, until
from kit.certs import Authority
from kit.origin import STREAM_HEAD, Origin, answer, event, response
from kit.process import PROGRAM, free_port, run

TOKENS = 20


# -- a second tidegate ---------------------------------------------------------------------------------------


@pytest.fixture
def chain(gateway, simulator):
    """(outer, inner, sim): the client talks to the outer one, which has the inner one as its endpoint."""
    def make(inner_more=None, **more):
        sim = simulator()
        inner = gateway(sim, **(inner_more or {}))
        return gateway(inner, **more), inner, sim
    return make


def test_a_chain_answers_as_one(chain):
    outer, inner, sim = chain()
    for gw in (sim, inner, outer):
        with http.Stream(gw.at, f'sim~tokens={TOKENS}', content='chained') as s:
            said = http.joined(s.whole())
        assert http.chat(gw.at, f'sim~tokens={TOKENS}', 'chained').text() == said
        text = said if gw is sim else text
        assert said == text
    assert outer.access(2)[0]['tokens_out'] == inner.access(4)[0]['tokens_out'] == TOKENS


def test_the_request_id_goes_down_the_chain(chain):
    outer, inner, _ = chain()
    answered = outer.chat(headers={'x-request-id': 'one-and-the-same'})
    assert answered.headers['x-request-id'] == 'one-and-the-same'
    assert len(inner.access(request_id='one-and-the-same')) == 1


def test_an_error_in_band_goes_through_a_chain(chain):
    outer, inner, sim = chain()
    with outer.stream(f'sim~tokens={TOKENS},cut=5') as s:
        chunks, error = s.failure()
    assert len(http.joined(chunks)) > 0 and error['type'] == 'server_error'
    assert inner.access()[0]['error'] == 'upstream_truncated'
    assert outer.access()[0]['result'] == 'failed'
    assert sim.stats()['requests'] == 1, 'nobody tries again after the first text'


@pytest.mark.parametrize('fault, status, code', [
    ('429', 429, 'upstream_rate_limited'), ('503', 503, 'upstream_busy'), ('500', 502, 'upstream_error')])
def test_a_refusal_goes_through_a_chain(chain, fault, status, code):
    outer, _, _ = chain()
    refused = outer.chat(f'sim~{fault}')
    assert refused.status == status and refused.error()['code'] == code


def test_comments_of_the_inner_one_are_no_progress_of_the_outer(chain):
    """The inner one keeps its waiting stream alive with comments; to the outer one they are signs of life."""
    quick = {'timeouts': {'hold': '50ms', 'comment': '100ms'}}
    outer, _, _ = chain(quick, timeouts={'transport': '600ms', 'hold': '50ms', 'comment': '100ms'})
    with outer.stream(f'sim~tokens={TOKENS},ttft=1500ms') as s:
        assert http.joined(s.whole())
    assert outer.metrics().value('tidegate_keepalive_bytes_total', endpoint='up') > 0


def test_leaving_ends_the_whole_chain(chain):
    outer, inner, sim = chain()
    s = outer.stream('sim~tokens=100000,gap=10ms')
    next(iter(s))
    s.close()
    until(lambda: sim.stats()['cancelled'] == 1 and sim.is_idle(), 'the last one is told')
    outer.settle()
    until(lambda: not inner.balances(), 'the inner one has nothing left')


def test_an_inner_one_that_drains_is_left(gateway, simulator):
    """A pooled connection that the inner one closes while draining costs no request."""
    sim = simulator()
    inner, spare = gateway(sim), gateway(sim)
    outer = gateway(config.tiers(inner.v1, spare.v1, models=['sim', 'sim']))
    assert outer.chat('m').headers['x-tidegate-endpoint'] == 'e1'
    assert inner.stop() == []
    for _ in range(5):
        assert outer.chat('m').headers['x-tidegate-endpoint'] == 'e2'


def test_a_gateway_is_not_its_own_endpoint(tmp_path):
    (tmp_path / 'c.yaml').write_text('''
listen: 127.0.0.1:18080
endpoints: [{name: e, provider: openai, url: "http://127.0.0.1:18080/v1"}]
models: [{name: m, tiers: [[{endpoint: e}]]}]
''')
    status, _, complaint = run(PROGRAM, 'check', 'c.yaml', cwd=tmp_path)
    assert status == 1 and 'c.yaml:3:' in complaint


def test_a_circle_of_gateways_is_found(gateway):
    """Each is fine by itself; together they lead a call round and round, but not for long."""
    port = free_port()
    inner = gateway(config.tiers(f'http://127.0.0.1:{port}/v1'))
    outer = gateway(config.tiers(inner.v1), listen=f'127.0.0.1:{port}')
    found = outer.chat('m')
    assert found.status == 508 and found.error()['code'] == 'loop_detected'
    assert found.headers['x-should-retry'] == 'false'
    assert len(inner.access()) < 10
    for gw in (outer, inner):  # their pooled connections to each other may stay
        until(lambda gw=gw: not gw.balances(), 'nothing is left under way')


# -- TLS -----------------------------------------------------------------------------------------------------


needs_openssl = pytest.mark.skipif(not shutil.which('openssl'),
                                   reason="openssl's command line is not installed: it makes certificates")


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('certs'))


def behind_tls(up, ca_file, host='127.0.0.1', **more):
    url = f'https://{host}:{up.at[1]}/v1'
    return {'endpoints': [config.endpoint('tls', url, ca_file=str(ca_file))],
            'models': [{'name': '*', 'tiers': [[{'endpoint': 'tls'}]]}], **more}


@needs_openssl
@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=['1.2', '1.3'])
def test_tls_with_a_private_authority(gateway, origin, authority, version):
    """Plain and streaming, small and large, and one connection for all of them."""
    tls = authority.server()
    tls.minimum_version = tls.maximum_version = version
    up = origin(lambda peer, rq: response(answer(rq.json()['messages'][0]['content'])), tls=tls)
    gw = gateway(behind_tls(up, authority.file, workers=1))
    for content in ('short', 'long' * 500_000, 'short again'):
        assert gw.chat(content=content).text() == content
    assert up.connections_n == 1
    assert gw.metrics().value('tidegate_upstream_connects_total', endpoint='tls') == 1


@needs_openssl
def test_a_stream_over_tls(gateway, origin, authority):
    words = [f'word {i} ' + 'x' * (i * 97 % 5000) for i in range(200)]

    def script(peer, _):
        peer.send(STREAM_HEAD + b''.join(event(w) for w in words))
        peer.send(event(finish='stop') + b'data: [DONE]\n\n')
        peer.close()
    up = origin(script, tls=authority.server())
    with gateway(behind_tls(up, authority.file)).stream('m') as s:
        assert http.joined(s.whole()) == ''.join(words)


@needs_openssl
def test_the_name_is_checked_and_sent(gateway, origin, authority):
    """By name: SNI goes out, and the certificate has to be for it."""
    names = []
    tls = authority.server('DNS:localhost')
    tls.sni_callback = lambda connection, name, context: names.append(name)
    up = origin(tls=tls)
    assert gateway(behind_tls(up, authority.file, host='localhost')).chat().status == 200
    assert set(names) == {'localhost'}


def refused_tls(gw):
    refused = gw.chat()
    assert refused.status == 503 and refused.error()['code'] == 'upstream_tls_failed'
    with gw.stream() as s:
        assert s.begin().answer.error()['code'] == 'upstream_tls_failed'
    assert gw.metrics().value('tidegate_upstream_calls_total', endpoint='tls', outcome='tls') == 2
    gw.settle()


@needs_openssl
def test_another_authority_is_refused(gateway, origin, authority, tmp_path):
    """And not a byte of the request goes out."""
    up = origin(tls=authority.server())
    refused_tls(gateway(behind_tls(up, Authority(tmp_path, 'other').file)))
    assert not up.requests and up.seen == b''


@needs_openssl
@pytest.mark.parametrize('names, days', [('DNS:localhost', 2), ('IP:127.0.0.2', 2), ('IP:127.0.0.1', -1)],
                         ids=['a name instead of the address', 'another address', 'over'])
def test_a_certificate_that_does_not_fit_is_refused(gateway, origin, authority, names, days):
    up = origin(tls=authority.server(names, days))
    refused_tls(gateway(behind_tls(up, authority.file)))
    assert up.seen == b''


@needs_openssl
def test_the_systems_authorities_do_not_know_ours(gateway, origin, authority):
    up = origin(tls=authority.server())
    what = behind_tls(up, authority.file)
    del what['endpoints'][0]['ca_file']
    refused_tls(gateway(what))


@needs_openssl
def test_tls_towards_a_plain_port_and_the_other_way_round(yard, gateway, origin, authority):
    class Plain(Origin):
        def serve(self, connection):
            connection.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')  # as servers do when they get a handshake
            connection.close()
    refused_tls(gateway(behind_tls(yard.closing(Plain()), authority.file)))
    up = origin(tls=authority.server())
    plain = gateway({'endpoints': [config.endpoint('p', f'http://127.0.0.1:{up.at[1]}/v1')],
                     'models': [{'name': '*', 'tiers': [[{'endpoint': 'p'}]]}]})
    assert plain.chat().status == 502


@needs_openssl
def test_a_handshake_that_hangs(gateway, authority):
    """The connect clock covers it."""
    with socket.create_server(('127.0.0.1', 0)) as silent:  # the kernel accepts, nobody speaks
        url = 'https://127.0.0.1:%d/v1' % silent.getsockname()[1]
        gw = gateway({'endpoints': [config.endpoint('tls', url, ca_file=str(authority.file))],
                      'models': [{'name': '*', 'tiers': [[{'endpoint': 'tls'}]]}],
                      'timeouts': {'connect': '300ms'}})
        refused = gw.chat()
        assert refused.status == 504 and refused.error()['code'] == 'upstream_connect_timeout'
        gw.settle()


@needs_openssl
def test_an_end_without_close_notify_is_a_truncation(gateway, origin, authority):
    """Where the end of the connection is the end of the body, an attacker could cut it: it does not count."""
    def script(peer, _):
        peer.send(STREAM_HEAD + event('half'))
        peer.socket.shutdown(socket.SHUT_RDWR)  # below TLS, without its goodbye
    up = origin(script, tls=authority.server())
    with gateway(behind_tls(up, authority.file)).stream('m') as s:
        assert s.failure()[1]['code'] == 'upstream_truncated'


@needs_openssl
def test_a_missing_ca_file_is_found_before_serving(yard, tmp_path):
    (tmp_path / 'c.yaml').write_text('''
endpoints: [{name: e, provider: openai, url: "https://127.0.0.1:1/v1", ca_file: no-such.pem}]
models: [{name: m, tiers: [[{endpoint: e}]]}]
''')
    status, _, complaint = run(PROGRAM, 'serve', 'c.yaml', cwd=tmp_path)
    assert status == 1 and 'no-such.pem' in complaint
