# SPDX-License-Identifier: MIT
"""The official OpenAI SDK for Node, unmodified but for baseURL."""
import json
import shutil

import pytest

from kit import ROOT, config, http, until
from kit.origin import answer, response
from kit.process import run

FOLDER = ROOT / 'tests/integration/node'
pytestmark = pytest.mark.skipif(
    not shutil.which('node') or not (FOLDER / 'node_modules/openai').is_dir(),
    reason='Node and the SDK of node/package.json are not installed: tools/test_deps.sh installs them when '
           'the registry is in reach')
TEXT = 'Tell me of the tide.'


@pytest.fixture(scope='module')
def sim(shared):
    return shared.simulator('--keepalive', '50ms')


@pytest.fixture(scope='module')
def gw(shared, sim):
    return shared.gateway(config.whole(sim))


def sdk(gw, case, model='sim', **options):
    status, said, complaint = run('node', FOLDER / 'sdk.mjs', gw.v1, case, model, json.dumps(options))
    assert status == 0, complaint
    return json.loads(said)


def direct(sim, model):
    return http.chat(sim.at, model, TEXT).text()


def test_plain(gw, sim):
    got = sdk(gw, 'plain', 'sim~tokens=30')
    assert got['data']['choices'][0]['message']['content'] == direct(sim, 'sim~tokens=30')
    assert got['data']['usage']['completion_tokens'] == 30 and got['id'].startswith('req_')


def test_stream_and_usage(gw, sim):
    bare, full = (sdk(gw, case, 'sim~tokens=30')['chunks'] for case in ('stream', 'usage'))
    assert http.joined(bare) == http.joined(full) == direct(sim, 'sim~tokens=30')
    assert not any(c.get('usage') for c in bare) and all(c['choices'] for c in bare)
    assert full[-1]['choices'] == [] and full[-1]['usage']['completion_tokens'] == 30


def test_models(gateway, sim):
    assert sdk(gateway(config.tiers(sim.v1)), 'models') == {'ids': ['m']}


@pytest.mark.parametrize('model, kind, status, code', [
    ('sim~429', 'RateLimitError', 429, 'upstream_rate_limited'),
    ('sim~500', 'InternalServerError', 502, 'upstream_error'),
    ('sim~odd', 'BadRequestError', 400, 'invalid_request'),
])
def test_error_classes(gw, model, kind, status, code):
    e = sdk(gw, 'plain', model)['error']
    assert (e['kind'], e['status'], e['code']) == (kind, status, code)
    assert e['requestID'].startswith('req_') and e['message']


def test_error_classes_of_keys_and_models(gateway, sim):
    gw = gateway(config.tiers(sim.v1, keys=[{'name': 'k', 'key': 'sk-good'}]))
    assert sdk(gw, 'plain', 'm')['error']['kind'] == 'AuthenticationError'
    assert sdk(gw, 'plain', 'none', apiKey='sk-good')['error']['kind'] == 'NotFoundError'
    assert sdk(gw, 'plain', 'm', apiKey='sk-good')['data']


@pytest.mark.parametrize('fault, code', [
    ('cut=3', 'upstream_truncated'), ('malformed=3', 'upstream_malformed'), ('nodone', 'upstream_truncated')])
def test_a_stream_that_breaks_throws(gw, fault, code):
    got = sdk(gw, 'broken', f'sim~tokens=9,{fault}')
    assert http.joined(got['chunks']) and got['error']['api'] and got['error']['code'] == code


def test_comments_of_a_waiting_stream_are_no_chunks(gateway, sim):
    gw = gateway(sim, timeouts={'hold': '100ms', 'comment': '100ms'})
    got = sdk(gw, 'stream', 'sim~tokens=5,queue=1s')
    assert http.joined(got['chunks']) == direct(sim, 'sim~tokens=5')


def test_leaving_a_stream_cancels_the_call(gateway, sim):
    gw, before = gateway(sim), sim.stats()['cancelled']
    assert sdk(gw, 'close', 'sim~tokens=100000,gap=10ms')['chunks']
    until(lambda: sim.stats()['cancelled'] == before + 1, 'the endpoint is told')
    gw.settle()


def test_a_client_that_loses_patience(gateway, sim):
    gw, before = gateway(sim), sim.stats()['cancelled']
    e = sdk(gw, 'plain', 'sim~hang', timeout=500)['error']
    assert e['timedOut'] or e['code'] == 'deadline_exceeded'
    until(lambda: sim.stats()['cancelled'] == before + 1, 'the call is given up')
    gw.settle()


def test_retries_where_they_can_help_and_only_there(gateway, origin):
    replies = [response({}, '500 Oops'), response(answer('at last'))]
    up = origin(lambda peer, rq: replies.pop(0))
    gw = gateway(up)
    got = sdk(gw, 'plain', maxRetries=2)
    assert got['data']['choices'][0]['message']['content'] == 'at last' and len(up.requests) == 2
    assert gw.metrics().value('tidegate_client_retries_total') == 1
    up.script = lambda peer, rq: response({}, '401 Unauthorized')
    assert sdk(gw, 'plain', maxRetries=2)['error']['code'] == 'upstream_credential_refused'
    assert len(up.requests) == 3, 'x-should-retry: false was heeded'
