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


# -- Anthropic's route ---------------------------------------------------------------------------------


MESSAGES = '/v1/messages'
MESSAGE = {'id': 'msg_1', 'type': 'message', 'role': 'assistant', 'model': 'c', 'stop_reason': 'end_turn',
           'stop_sequence': None, 'content': [{'type': 'text', 'text': 'Yes.'}],
           'usage': {'input_tokens': 1, 'output_tokens': 1}}


def messages(gw, headers=None, **more):
    body = {'model': 'm', 'max_tokens': 9, 'messages': [{'role': 'user', 'content': 'Hello'}], **more}
    return http.ask(gw.at, 'POST', MESSAGES, body, headers)


@pytest.mark.parametrize('provider, base, path, name', [
    ('anthropic', '', '/v1/messages', 'x-api-key'),
    ('deepseek', '', '/anthropic/v1/messages', 'x-api-key'),
    ('deepseek', '/beta', '/anthropic/v1/messages', 'x-api-key'),
    ('llama', '', '/v1/messages', 'authorization'),
    ('tidegate', '', '/v1/messages', 'authorization')])
def test_messages_go_up_with_the_headers_of_the_provider(gateway, origin, provider, base, path, name):
    up = origin(lambda peer, rq: response(MESSAGE, request_id='req_theirs'))
    gw = gateway(through(provider, up.root + base, key='${UP}'), env={'UP': KEY})
    got = messages(gw, {'anthropic-beta': 'b1', 'x-request-id': 'mine'})
    assert got.status == 200 and got.body == json.dumps(MESSAGE).encode()
    sent, = up.requests
    other = {'x-api-key': 'authorization', 'authorization': 'x-api-key'}[name]
    assert sent.path == path and sent.headers[name].endswith(KEY) and other not in sent.headers
    assert sent.headers['anthropic-beta'] == 'b1'
    assert sent.headers.get('anthropic-version') == ('2023-06-01' if name == 'x-api-key' else None)
    assert got.headers['request-id'] == got.headers['x-request-id'] == 'mine'
    if provider == 'anthropic':
        assert got.headers['x-tidegate-upstream-id'] == 'req_theirs'
    messages(gw, {'anthropic-version': '2099-01-01'})
    assert up.requests[-1].headers['anthropic-version'] == '2099-01-01'


@pytest.mark.parametrize('headers, sent', [
    ({'x-api-key': 'sk-canary-client'}, ('x-api-key', 'sk-canary-client')),
    ({'authorization': 'Bearer sk-canary-client'}, ('authorization', 'Bearer sk-canary-client')),
    ({'authorization': 'Bearer sk-canary-client', 'x-api-key': 'sk-canary-other'},
     ('authorization', 'Bearer sk-canary-client'))])
def test_the_clients_own_key_goes_up_as_it_came(gateway, origin, headers, sent):
    """With key: client; what the provider then says of it is the client's own and repeats nothing of it."""
    up = origin(lambda peer, rq: response(MESSAGE))
    gw = gateway(through('anthropic', up.root, key='client'))
    assert messages(gw, headers).status == 200
    name, value = sent
    assert up.requests[0].headers[name] == value and b'canary-other' not in up.seen
    assert ('authorization' in up.requests[0].headers) == (name == 'authorization')
    error = {'type': 'error', 'error': {'type': 'authentication_error', 'message': f'invalid {value} !'}}
    up.script = lambda peer, rq: response(error, '401 Unauthorized', request_id=value)
    refused = messages(gw, headers)
    assert refused.status == 401 and b'canary' not in refused.body + str(refused.headers).encode()
    assert gw.stop() == [] and 'canary' not in gw.stdout() + gw.stderr()


def sse(*events):
    return b''.join(f'event: {e["type"]}\ndata: {json.dumps(e)}\n\n'.encode() for e in events)


START = {'type': 'message_start', 'message': {**MESSAGE, 'content': [], 'stop_reason': None}}


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
def test_an_overloaded_anthropic_is_busy(gateway, origin, stream):
    """Also inside a stream that has not said anything yet: the next one answers."""
    error = {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}

    def busy(peer, rq):
        if not stream:
            return response(error, '529 Overloaded')
        return (b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n'
                + sse(START, error))
    one, two = origin(busy), origin(busy)
    gw = gateway(through('anthropic', one.root, two.root))
    refused = messages(gw, stream=stream)
    assert refused.status == 529 and refused.headers['retry-after'] == '1', refused
    assert json.loads(refused.body)['error']['code'] == 'upstream_busy'
    assert len(one.requests) == len(two.requests) == 1
    page = gw.metrics()
    for name in ('e1', 'e2'):
        assert page.value('tidegate_upstream_calls_total', endpoint=name, outcome='server_busy') == 1
