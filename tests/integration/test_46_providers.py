# SPDX-License-Identifier: MIT
"""Each provider through the real program: where its calls go, with what, and what its refusals become."""
import json

import pytest

from kit import config, http
from kit.origin import answer, response

ENGINES = ['llama', 'vllm', 'sglang', 'ollama', 'tidegate']
KEY = 'sk-canary-up-1234567890'

BUSY = {  # provider: (status line, body, code for the client, outcome in the metrics)
    'openai': ('429 Too Many Requests',
               {'error': {'message': 'Quota.', 'type': 'insufficient_quota', 'code': 'insufficient_quota'}},
               'upstream_balance_exhausted', 'balance'),
    'deepseek': ('402 Payment Required',
                 {'error': {'message': 'Insufficient Balance', 'type': 'unknown_error', 'param': None,
                            'code': 'invalid_request_error'}}, 'upstream_balance_exhausted', 'balance'),
    'llama': ('503 Service Unavailable', {'error': {'code': 503, 'message': 'Loading model',
                                                    'type': 'unavailable_error'}},
              'upstream_loading', 'loading'),
    'vllm': ('503 Service Unavailable', b'', 'upstream_busy', 'server_busy'),
    'sglang': ('503 Service Unavailable', {'object': 'error', 'message': 'The request queue is full.',
                                           'type': 'ServiceUnavailableError', 'param': None, 'code': 503},
               'upstream_busy', 'server_busy'),
    'ollama': ('503 Service Unavailable',
               {'error': {'message': 'server busy, please try again.  maximum pending requests exceeded',
                          'type': 'api_error'}}, 'upstream_busy', 'server_busy'),
    'anthropic': ('529 Overloaded', {'type': 'error', 'error': {'type': 'overloaded_error',
                                                                'message': 'Overloaded'}},
                  'upstream_busy', 'server_busy'),
    'tidegate': ('503 Service Unavailable', {'error': {'message': 'm', 'type': 'server_error', 'param': None,
                                                       'code': 'upstream_loading'}},
                 'upstream_loading', 'loading'),
}


def of(provider, url, **more):
    return {**config.endpoint('up', url, **more), 'provider': provider}


def through(provider, *urls, **more):
    ends = [{**of(provider, url, **more), 'name': f'e{i}'} for i, url in enumerate(urls, 1)]
    return {'endpoints': ends, 'models': [{'name': '*', 'tiers': [[{'endpoint': e['name']}] for e in ends]}]}


@pytest.mark.parametrize('provider', ENGINES + ['anthropic'])
def test_a_url_without_a_path_means_v1(gateway, origin, provider):
    up = origin()
    gw = gateway(through(provider, up.root, key='${UP}'), env={'UP': KEY})
    assert gw.chat('m').text() == 'It is answered.'
    assert up.requests[0].path == '/v1/chat/completions'
    assert up.requests[0].headers['authorization'] == f'Bearer {KEY}'


@pytest.mark.parametrize('base, path', [('', '/chat/completions'), ('/beta', '/beta/chat/completions')])
def test_deepseeks_bases(gateway, origin, base, path):
    up = origin()
    gw = gateway(through('deepseek', up.root + base))
    assert gw.chat('m').status == 200
    assert up.requests[0].path == path


@pytest.mark.parametrize('provider', BUSY)
def test_what_a_provider_calls_busy(gateway, origin, provider):
    status, body, code, outcome = BUSY[provider]
    one, two = origin(lambda peer, rq: response(body, status)), origin()
    gw = gateway(through(provider, one.v1, two.v1))
    passed = gw.chat('m')
    assert (passed.status, passed.headers['x-tidegate-endpoint']) == (200, 'e2')
    two.script = one.script
    refused = gw.chat('m')
    assert refused.error()['code'] == code
    assert ('retry-after' in refused.headers) == (code != 'upstream_balance_exhausted')
    page = gw.metrics()
    assert page.value('tidegate_upstream_calls_total', endpoint='e1', outcome=outcome) == 2


@pytest.mark.parametrize('provider, role', [('deepseek', 'system'), ('llama', 'system'),
                                            ('openai', 'developer'), ('tidegate', 'developer')])
def test_the_developer_role(gateway, origin, provider, role):
    up = origin()
    gw = gateway(through(provider, up.v1))
    body = '{"model": "m", "messages": [{"role": "developer", "content": "1.50", "x": 1e3}], "n": 1.0}'
    got = http.ask(gw.at, 'POST', http.CHAT, body.encode(), {'Content-Type': 'application/json'})
    assert got.status == 200
    assert up.requests[0].body.decode() == body.replace('developer', role)


@pytest.mark.parametrize('name', ['reasoning', 'reasoning_content'])
@pytest.mark.parametrize('provider', BUSY)
def test_reasoning_passes_under_either_name(gateway, origin, provider, name):
    """Also alone: an answer that has only thought so far is no empty one."""
    said = answer('')
    said['choices'][0]['message'][name] = 'Hm.'
    up = origin(lambda peer, rq: response(said))
    got = gateway(through(provider, up.v1)).chat('m')
    assert got.status == 200 and got.body == json.dumps(said).encode()


def test_headers_from_the_provider(gateway, origin):
    up = origin(lambda peer, rq: response(answer(), openai_version='2020-10-01', openai_processing_ms='3',
                                          x_request_id='req_theirs', set_cookie='a=b', server='x',
                                          x_ratelimit_limit_requests='5', openai_organization='org'))
    gw = gateway(through('openai', up.v1))
    got = gw.chat('m', headers={'x-request-id': 'mine'})
    assert got.headers['openai-version'] == '2020-10-01' and got.headers['openai-processing-ms'] == '3'
    assert got.headers['x-request-id'] == 'mine' and got.headers['x-tidegate-upstream-id'] == 'req_theirs'
    for name in ('set-cookie', 'server', 'x-ratelimit-limit-requests', 'openai-organization'):
        assert name not in got.headers
