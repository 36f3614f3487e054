# SPDX-License-Identifier: MIT
"""The simulator as a program: faults on real sockets as curl sees them, TLS, several listeners, timelines."""
import json
import re
import shutil
import socket
import ssl

import pytest

from kit import config, http, until
from kit.certs import Authority
from kit.process import PROGRAM, run

CURL = pytest.mark.skipif(not shutil.which('curl'), reason='curl is not installed')
QUIET = 0.3  # seconds in which nothing may happen where something never does


def places(sim, n):
    """The addresses of a simulator's listeners, in the order of the options; the kit's own is the first."""
    line = r'listening at https?://127\.0\.0\.1:(\d+)/v1'

    def all_of_them():
        found = re.findall(line, sim.stderr())
        return found if len(found) == n else None
    return [('127.0.0.1', int(port)) for port in until(all_of_them, 'all listen')]


def curl(base, model, stream=False, *options):
    """(exit code, status, body)"""
    body = json.dumps(http.chat_body(model, stream=stream))
    code, said, _ = run('curl', '-sS', '-N', '-w', '\n%{http_code}', '-d', body, *options,
                        f'{base}/v1/chat/completions')
    said, status = said.rsplit('\n', 1)
    return code, int(status), said


# -- one connection ------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def sim(shared):
    return shared.simulator()


@CURL
@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
@pytest.mark.parametrize('fault, code, status', [
    ('drop', 56, 0), ('halfclose', 52, 0), ('garbage', 1, 0), ('reset_head', 56, 200),
    ('slow_head=300ms', 0, 200), ('bytewise', 0, 200), ('cut=2', 18, 200), ('reset=2', 56, 200),
    ('too_long', 18, 200), ('401', 0, 401), ('402', 0, 402), ('422', 0, 422), ('502', 0, 502),
    ('529', 0, 529), ('loading', 0, 503)])
def test_what_curl_sees_of_a_fault(sim, fault, code, status, stream):
    assert curl(sim.root, f'any~tokens=5,{fault}', stream)[:2] == (code, status)


def test_a_length_that_is_too_short_leaves_bytes_behind(sim):
    """Seven of them, which a client that goes on with the connection takes for the next answer."""
    with http.Wire(sim.at) as wire:
        wire.send(http.request('POST', http.CHAT, http.chat_body('any~tokens=5,too_short')))
        answer = wire.answer()
        assert answer.status == 200 and not answer.body.endswith(b'}')
        assert len(wire.exactly(7)) == 7
        wire.send(http.request('POST', http.CHAT, http.chat_body('any~tokens=5')))
        assert wire.answer().text()


@pytest.mark.parametrize('value, header', [('30', '30'), ('-5', '-5'), ('huge', '9' * 20), ('none', None)])
def test_retry_after(sim, value, header):
    refused = http.chat(sim.at, f'any~429,retry_after={value}')
    assert refused.status == 429 and refused.headers.get('retry-after') == header


@pytest.mark.parametrize('path, body', [
    ('/v1/completions', {'model': 'm', 'prompt': ['a', 'b']}),
    ('/v1/embeddings', {'model': 'm', 'input': 'a'}),
    ('/v1/messages', {'model': 'm', 'max_tokens': 5, 'messages': [{'role': 'user', 'content': 'x'}]}),
    ('/v1/responses', {'model': 'm', 'input': 'a'}),
    ('/beta/completions', {'model': 'm', 'prompt': [1, 2]})])
def test_every_api_answers(sim, path, body):
    answer = http.ask(sim.at, 'POST', path, body)
    assert answer.status == 200 and answer.json()['model'] == 'm'


@pytest.mark.parametrize('path', ['/health', '/props', '/slots', '/metrics', '/v1/loads', '/user/balance',
                                  '/v1/models', '/v1/models/any'])
def test_every_page_answers(sim, path):
    assert http.ask(sim.at, path=path).status == 200


# -- listeners -----------------------------------------------------------------------------------------------


def nothing_happens(at):
    """A connection that neither comes about nor fails."""
    with socket.socket() as s:
        s.settimeout(QUIET)
        with pytest.raises(TimeoutError):
            s.connect(at)


def test_listeners_refuse_or_are_deaf(simulator):
    sim = simulator('--listen', '127.0.0.1:0,fault=refuse', '--listen', '127.0.0.1:0,fault=connect_hang',
                    '--listen', '127.0.0.1:0,fault=503,retry_after=9')
    good, closed, deaf, busy = places(sim, 4)
    assert http.chat(good, 'any~tokens=3').status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(closed)
    nothing_happens(deaf)
    nothing_happens(deaf)
    assert http.chat(busy, 'any').headers['retry-after'] == '9'
    assert sim.stats()['faults']['refuse'] == sim.stats()['faults']['connect_hang'] == 1


@CURL
def test_a_deaf_listener_is_a_connect_timeout_to_curl(simulator):
    sim = simulator('--listen', '127.0.0.1:0,fault=connect_hang')
    host, port = places(sim, 2)[1]
    assert curl(f'http://{host}:{port}', 'any', False, '--connect-timeout', '1')[:2] == (28, 0)


def shake_hands(at, ca=None, limit=None):
    tls = ssl.create_default_context(cafile=ca)
    with socket.create_connection(at) as s:
        s.settimeout(limit)
        with tls.wrap_socket(s, server_hostname='127.0.0.1') as wrapped:
            return wrapped.version()


def test_tls_and_its_faults(simulator, tmp_path):
    ca, other = tmp_path / 'made.pem', Authority(tmp_path)
    files = '{}:{}'.format(*other.pair())
    sim = simulator('--listen', '127.0.0.1:0,tls', '--listen', f'127.0.0.1:0,tls={files}',
                    '--listen', '127.0.0.1:0,tls,fault=tls_hang',
                    '--listen', '127.0.0.1:0,tls,fault=tls_close',
                    '--listen', '127.0.0.1:0,tls,fault=tls_wrong', '--tls-out', str(ca))
    _, made, given, hangs, closes, wrong = places(sim, 6)
    assert shake_hands(made, ca).startswith('TLSv1.')
    assert shake_hands(given, other.file).startswith('TLSv1.')
    with pytest.raises(TimeoutError):
        shake_hands(hangs, ca, QUIET)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        shake_hands(closes, ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(wrong, ca)
    until(lambda: sim.stats()['faults']['tls_close'] == 1, 'it is counted')


def test_the_gateway_over_the_simulators_tls(gateway, simulator, tmp_path):
    ca = tmp_path / 'made.pem'
    sim = simulator('--listen', '127.0.0.1:0,tls', '--listen', '127.0.0.1:0,tls,fault=tls_wrong',
                    '--tls-out', str(ca))
    _, (_, good), (_, bad) = places(sim, 3)

    def one(port):
        up = {**config.endpoint('up', f'https://127.0.0.1:{port}/v1'), 'ca_file': str(ca)}
        return gateway({'endpoints': [up], 'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]})
    assert one(good).chat('any~tokens=3').text() == http.chat(sim.at, 'any~tokens=3').text()
    assert one(bad).chat('any').error()['code'] == 'upstream_tls_failed'


# -- timelines -----------------------------------------------------------------------------------------------


def test_an_outage_is_scripted(simulator, tmp_path):
    script = tmp_path / 'day.timeline'
    script.write_text('# one model from the beginning, then nobody for half a second\n'
                      'at=0s fault=429,retry_after=7 model=bad\n'
                      'at=1500ms for=500ms fault=refuse\n')
    sim = simulator('--timeline', str(script))

    def counted():
        try:
            return sim.stats()['faults']['refuse']
        except (OSError, http.Broken):
            return 0  # it is refusing just now, or the listener closed on a connection that waited
    until(counted, 'the outage has been')
    assert counted() == 1
    assert http.chat(sim.at, 'bad').headers['retry-after'] == '7'
    assert http.chat(sim.at, 'good~tokens=2').status == 200


@pytest.mark.parametrize('text, where', [
    ('at=1s fault=503\nat=5 fault=503\n', '2:1: "at=5" is not understood'),
    ('at=1s fault=nothing\n', '1:7: "fault=nothing" is not understood'),
    ('for=1s fault=503\n', '1:1: the row does not say at which time')])
def test_mistakes_in_a_timeline_end_the_program(tmp_path, text, where):
    script = tmp_path / 'bad.timeline'
    script.write_text(text)
    status, _, said = run(PROGRAM, 'sim', '--listen', '127.0.0.1:0', '--timeline', script)
    assert status == 1 and said.startswith(f'{script}:{where}')


@pytest.mark.parametrize('options', [
    ['--listen', '127.0.0.1:0,fault=tls_hang'], ['--listen', '127.0.0.1:0,fault=odd'],
    ['--listen', '127.0.0.1:0,tls=only-one-file'], ['--listen', '127.0.0.1:0,odd'], ['--balance', 'much'],
    ['--listen', '127.0.0.1:0,name='], ['--fault', 'refuse=2']])
def test_options_that_cannot_be(options):
    status, _, said = run(PROGRAM, 'sim', *options)
    assert status == 2 and options[0] in said


@pytest.mark.parametrize('options', [
    ['--timeline', '/nowhere'], ['--listen', '127.0.0.1:0,tls=/nowhere:/nowhere'],
    ['--listen', '127.0.0.1:0,tls', '--tls-out', '/nowhere/ca.pem']])
def test_files_that_are_not_there(options):
    status, _, said = run(PROGRAM, 'sim', *options)
    assert status == 1 and '/nowhere' in said
