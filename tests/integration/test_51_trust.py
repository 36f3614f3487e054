# SPDX-License-Identifier: MIT
"""Whom the gateway trusts and who trusts it: the system's store of authorities, reasons in the log, and the
keys of a second tidegate."""
import shutil

import pytest

from kit import config, http
from kit.certs import Authority

needs_openssl = pytest.mark.skipif(not shutil.which('openssl'),
                                   reason="openssl's command line is not installed: it makes certificates")


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('trusted'))


@pytest.fixture(scope='module')
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('stranger'), 'stranger')


def one(name, url, **more):
    return {'endpoints': [config.endpoint(name, url, **more)],
            'models': [{'name': '*', 'tiers': [[{'endpoint': name}]]}]}


# -- TLS -----------------------------------------------------------------------------------------------------


@needs_openssl
def test_the_store_that_ssl_cert_file_names_is_used(gateway, origin, authority, stranger):
    """Where an endpoint has no ca_file; where it has one, that alone counts."""
    up = origin(tls=authority.server())
    known, unknown = {'SSL_CERT_FILE': str(authority.file)}, {'SSL_CERT_FILE': str(stranger.file)}
    assert gateway(one('tls', up.v1), env=known).chat().status == 200
    assert gateway(one('tls', up.v1), env=unknown).chat().error()['code'] == 'upstream_tls_failed'
    own = one('tls', up.v1, ca_file=str(stranger.file))
    assert gateway(own, env=known).chat().error()['code'] == 'upstream_tls_failed'
    assert len(up.requests) == 1


@needs_openssl
@pytest.mark.parametrize('names, days, known, reason', [
    ('IP:127.0.0.1', 2, False, 'unable to get local issuer certificate'),
    ('IP:127.0.0.2', 2, True, 'IP address mismatch'),
    ('IP:127.0.0.1', -1, True, 'certificate has expired'),
], ids=['authority', 'name', 'time'])
def test_the_log_says_why_it_was_refused(gateway, origin, authority, stranger, names, days, known, reason):
    up = origin(tls=authority.server(names, days))
    gw = gateway(one('tls', up.v1, ca_file=str((authority if known else stranger).file)))
    refused = gw.chat()
    assert refused.status == 503 and refused.error()['code'] == 'upstream_tls_failed'
    assert reason not in refused.body.decode(), 'that is for the operator'
    gw.wait_for('ended as tls.*\n')
    line, = [text for text in gw.stderr().splitlines() if 'ended as tls' in text]
    assert reason in line and 'endpoint tls' in line and '"level":"warn"' in line


@needs_openssl
def test_a_host_name_that_the_certificate_is_not_for(gateway, origin, authority):
    up = origin(tls=authority.server('DNS:tide.example'))
    gw = gateway(one('tls', f'https://localhost:{up.at[1]}/v1', ca_file=str(authority.file)))
    assert gw.chat().error()['code'] == 'upstream_tls_failed'
    gw.wait_for('ended as tls.*hostname mismatch')
    assert up.seen == b''


@needs_openssl
def test_the_next_tier_answers_when_one_is_not_trusted(gateway, origin, simulator, authority, stranger):
    up, sim = origin(tls=authority.server()), simulator()
    gw = gateway({'endpoints': [config.endpoint('doubtful', up.v1, ca_file=str(stranger.file)),
                                config.endpoint('known', sim.v1)],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'doubtful'}], [{'endpoint': 'known'}]]}]})
    answered = gw.chat()
    assert answered.status == 200 and answered.headers['x-tidegate-endpoint'] == 'known'
    assert http.joined(gw.stream().whole())


# -- the keys of a second tidegate ---------------------------------------------------------------------------


@pytest.fixture
def inner(gateway, simulator):
    return gateway(simulator(), keys=[{'name': 'outer', 'key': '${KEY}'}], env={'KEY': 'sk-canary-inner'})


def outer_with(inner, key, **more):
    return {**one('inner', inner.v1, key=key), **more}


def test_the_outer_one_has_a_key_of_the_inner_one(gateway, inner):
    what = outer_with(inner, '${UP}', keys=[{'name': 'client', 'key': '${DOWN}'}])
    outer = gateway(what, env={'UP': 'sk-canary-inner', 'DOWN': 'sk-canary-outer'})
    mine = {'Authorization': 'Bearer sk-canary-outer'}
    assert outer.chat(headers=mine).status == 200
    with outer.stream(headers=mine) as stream:
        assert http.joined(stream.whole())
    theirs = {'Authorization': 'Bearer sk-canary-inner'}
    assert outer.chat(headers=theirs).status == 401, 'it is not for clients'
    outer.access(3)
    for gw in (outer, inner):
        assert 'sk-canary' not in gw.stdout() + gw.stderr()


def test_a_wrong_key_of_the_outer_one_is_not_the_clients_matter(gateway, inner):
    outer = gateway(outer_with(inner, '${UP}'), env={'UP': 'sk-canary-wrong'})
    refused = outer.chat()
    assert refused.status == 502 and refused.error()['code'] == 'upstream_credential_refused'
    assert inner.access()[0]['status'] == 401
    outer.wait_for('ended as credential')
    assert 'sk-canary' not in outer.stdout() + outer.stderr() + inner.stdout() + inner.stderr()


def test_a_clients_own_key_goes_through_both(gateway, inner):
    outer = gateway(outer_with(inner, 'client'))
    assert outer.chat(headers={'Authorization': 'Bearer sk-canary-inner'}).status == 200
    refused = outer.chat(headers={'Authorization': 'Bearer sk-canary-wrong'})
    assert refused.status == 401 and refused.error()['code'] == 'invalid_api_key'
    missing = outer.chat()
    assert missing.status == 401 and missing.error()['code'] == 'api_key_required'
    assert 'sk-canary' not in outer.stdout() + outer.stderr()
