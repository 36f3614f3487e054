# SPDX-License-Identifier: MIT
"""Who may call, with which credential calls go up, and that no credential is ever shown."""
import json

import pytest

from kit import config, http
from kit.origin import STREAM_HEAD, answer, event, response
from kit.process import PROGRAM, environment, run

WEB, BATCH, UP = 'sk-canary-web-1234567890', 'sk-canary-batch-1234567890', 'sk-canary-up-1234567890'


def bearer(key):
    return {'Authorization': f'Bearer {key}'}


def with_keys(url, **more):
    return {
        'keys': [{'name': 'web', 'key': '${WEB}', 'priority': 'high'},
                 {'name': 'batch', 'key': '${BATCH}', 'priority': 'bulk', 'models': ['small']}],
        'endpoints': [config.endpoint('up', url, key='${UP}')],
        'models': [{'name': name, 'tiers': [[{'endpoint': 'up'}]]} for name in ('small', 'large')], **more}


ENV = {'WEB': WEB, 'BATCH': BATCH, 'UP': UP}


def said(gw):
    """All that a gateway has ever written or shown."""
    return gw.stdout() + gw.stderr() + http.ask(gw.admin, path='/metrics').body.decode()


# -- who may call --------------------------------------------------------------------------------------------


def test_keys_are_required(gateway, origin):
    up = origin()
    gw = gateway(with_keys(up.v1), env=ENV)
    for headers, status, code in [
            ({}, 401, 'api_key_required'),
            (bearer(''), 401, 'api_key_required'),
            (bearer('sk-wrong'), 401, 'invalid_api_key'),
            (bearer(WEB[:-1]), 401, 'invalid_api_key'),
            (bearer(WEB + 'x'), 401, 'invalid_api_key'),
            ({'Authorization': f'Basic {WEB}'}, 401, None),
            ({'Authorization': WEB}, 401, None)]:
        refused = gw.chat('small', headers=headers)
        assert refused.status == status and (code is None or refused.error()['code'] == code), headers
        assert refused.headers['x-should-retry'] == 'false'
        assert http.ask(gw.at, path='/v1/models', headers=headers).status == 401
    assert not up.requests, 'nothing went up'
    assert gw.chat('small', headers=bearer(WEB)).status == 200
    assert gw.chat('small', headers={'authorization': f'bearer  {WEB} '}).status == 200
    assert gw.chat('small', headers={'x-api-key': WEB}).status == 200
    assert http.ask(gw.at, path='/healthz').status == 200, 'probes need no key'
    line = gw.access(3, result='full')[0]
    assert line['key'] == 'web'


def test_a_refused_body_is_not_read(gateway, origin):
    """Nobody without a key makes the gateway hold his 40 MB."""
    gw = gateway(with_keys(origin().v1), env=ENV)
    with http.Wire(gw.at) as w:
        w.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 40000000\r\n\r\n')
        refused = w.answer()
    assert refused.status == 401 and refused.headers['connection'] == 'close'


def test_a_key_may_use_its_models_only(gateway, origin):
    gw = gateway(with_keys(origin().v1), env=ENV)
    assert gw.chat('small', headers=bearer(BATCH)).status == 200
    refused = gw.chat('large', headers=bearer(BATCH))
    assert refused.status == 403 and refused.error()['code'] == 'model_not_allowed'
    listed = [[m['id'] for m in http.ask(gw.at, path='/v1/models', headers=bearer(k)).json()['data']]
              for k in (WEB, BATCH)]
    assert listed == [['small', 'large'], ['small']]


# -- with which credential calls go up -----------------------------------------------------------------------


@pytest.mark.parametrize('source', ['environment', 'file', 'none', 'client', 'written'])
def test_the_credential_that_goes_up(gateway, origin, tmp_path, source):
    file = tmp_path / 'secret'
    file.write_text(UP + '\n')
    key = {'environment': '${UP}', 'file': {'file': str(file)}, 'written': UP}.get(source, source)
    up = origin()
    gw = gateway({'endpoints': [config.endpoint('up', up.v1, key=key)],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]}, env=ENV)
    assert gw.chat(headers=bearer('sk-canary-client')).status == 200
    expected = {'none': None, 'client': 'Bearer sk-canary-client'}.get(source, f'Bearer {UP}')
    assert up.requests[0].headers.get('authorization') == expected
    assert ('sk-canary-client' in up.seen.decode()) == (source == 'client')
    assert 'canary' not in said(gw)


def test_with_key_client_a_refusal_is_the_clients_own(gateway, origin):
    """Passed on as such: the next endpoint is not tried with a credential that is not for it."""
    error = {'error': {'message': 'Incorrect API key provided: sk-canary-client.', 'code': 'invalid_api_key'}}
    one, two = origin(lambda peer, rq: response(error, '401 Unauthorized')), origin()
    what = config.tiers(one.v1, two.v1)
    what['endpoints'][0]['key'] = 'client'
    gw = gateway(what)
    for status in ('401 Unauthorized', '402 Payment Required', '403 Forbidden'):
        one.script = lambda peer, rq, status=status: response(error, status)
        refused = gw.chat('m', headers=bearer('sk-canary-client'))
        assert refused.status == int(status[:3]) and refused.error()['code'] == 'invalid_api_key'
        assert b'sk-canary-client' not in refused.body
    assert not two.requests and 'canary' not in said(gw)


def test_without_one_the_clients_key_stays_here(gateway, origin):
    """Two endpoints, one takes the client's credential, the other its own: never the wrong one."""
    one, two = origin(lambda peer, rq: response({}, '500 Oops')), origin()
    what = config.tiers(one.v1, two.v1)
    what['endpoints'][0]['key'], what['endpoints'][1]['key'] = 'client', '${UP}'
    gw = gateway(what, env=ENV)
    assert gw.chat('m', headers=bearer('sk-canary-client')).status == 200
    assert one.requests[0].headers['authorization'] == 'Bearer sk-canary-client'
    assert two.requests[0].headers['authorization'] == f'Bearer {UP}'


@pytest.mark.parametrize('status, code', [('401 Unauthorized', 'upstream_credential_refused'),
                                          ('403 Forbidden', 'upstream_credential_refused'),
                                          ('402 Payment Required', 'upstream_balance_exhausted')])
def test_our_own_credential_refused_never_looks_like_the_clients(gateway, origin, status, code):
    error = {'error': {'message': f'Incorrect API key provided: {UP}. Pay.', 'code': 'invalid_api_key'}}
    one, two = origin(lambda peer, rq: response(error, status)), origin()
    what = config.tiers(one.v1, two.v1)
    for e in what['endpoints']:
        e['key'] = '${UP}'
    gw = gateway(what, env=ENV)
    assert gw.chat('m').headers['x-tidegate-endpoint'] == 'e2', 'another endpoint may have a better one'
    two.script = one.script
    refused = gw.chat('m')
    assert refused.status == 502 and refused.error()['code'] == code
    assert refused.headers['x-should-retry'] == 'false'
    assert b'canary' not in refused.body and 'canary' not in said(gw)


# -- canaries on every path of failure -----------------------------------------------------------------------


PROVIDERS = ['openai', 'deepseek', 'llama', 'vllm', 'sglang', 'ollama', 'anthropic', 'tidegate']
ECHO = f'You sent Authorization: Bearer {UP}; api_key={UP} ({UP})'
PATHS = {
    'a refusal that echoes it': lambda p, r: response({'error': {'message': ECHO, 'code': UP, 'param': UP}},
                                                      '400 Bad Request'),
    'a failure that echoes it': lambda p, r: response({'error': {'message': ECHO}}, '500 Oops'),
    'text instead of JSON': lambda p, r: response(ECHO.encode(), '500 Oops', 'text/plain'),
    'a busy one that echoes it': lambda p, r: response({'error': ECHO}, '429 Busy', retry_after='1'),
    'an odd head': lambda p, r: f'HTTP/1.1 200 OK\r\nX-{UP}\r\n\r\n'.encode(),
    'headers that echo it': lambda p, r: response({}, '500 Oops', openai_version=ECHO,
                                                  openai_processing_ms=UP, x_request_id=UP, request_id=UP,
                                                  server=ECHO, set_cookie=UP, www_authenticate=ECHO,
                                                  retry_after=UP),
    'a status text': lambda p, r: response({}, f'503 {ECHO}'),
    'a status text that is no status': lambda p, r: f'HTTP/1.1 {UP} OK\r\n\r\n'.encode(),
    'no balance': lambda p, r: response(
        {'error': {'message': ECHO, 'type': UP, 'code': 'insufficient_quota'}}, '429 Busy', x_request_id=UP),
    'loading': lambda p, r: response({'error': {'code': 503, 'message': f'Loading model {UP}', 'param': UP,
                                                'type': 'unavailable_error'}}, '503 Busy'),
    'a flat error': lambda p, r: response(
        {'object': 'error', 'message': ECHO, 'type': UP, 'code': 503, 'param': UP}, '503 Busy'),
    'details of an error': lambda p, r: response({'type': 'error', 'request_id': UP, 'error': {
        'type': UP, 'message': ECHO, 'details': {'error_code': UP}}}, '429 Busy', request_id=UP),
    'a finish reason': lambda p, r: response(
        {'choices': [{'finish_reason': UP, 'message': {}}], 'error': ECHO}),
    'a trailer': lambda p, r: (b'HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Echo: '
                               + UP.encode() + b'\r\n\r\n'),
    'no HTTP at all': lambda p, r: ECHO.encode() + b'\r\n\r\n',
    'not JSON in a success': lambda p, r: response(ECHO.encode()),
    'an error in a success': lambda p, r: response({'error': {'message': ECHO}}),
    'an error event': lambda p, r: STREAM_HEAD + event('a') + b'data: ' + json.dumps(
        {'error': {'message': ECHO}}).encode() + b'\n\n',
    'an event of Anthropic': lambda p, r: STREAM_HEAD + b'event: error\ndata: ' + json.dumps(
        {'type': 'error', 'error': {'type': UP, 'message': ECHO, 'details': {'error_code': UP}}}).encode()
        + b'\n\n',
    'a malformed event': lambda p, r: STREAM_HEAD + event('a') + f'data: {ECHO}\n\n'.encode(),
    'a redirect': lambda p, r: response(b'', '302 Found', location=f'http://x/?key={UP}'),
    'compression': lambda p, r: response(ECHO.encode(), content_encoding='gzip'),
}


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
@pytest.mark.parametrize('name', PATHS)
def test_t20_no_credential_is_shown(gateway, origin, name, stream):
    """What an endpoint of any provider repeats of our credential reaches no client, log or metric."""
    what = with_keys(origin(PATHS[name]).v1, timeouts={'transport': '500ms', 'deadline': '1s'},
                     log_level='debug')
    what['endpoints'] = [{**what['endpoints'][0], 'name': p, 'provider': p} for p in PROVIDERS]
    what['models'] = [{'name': p, 'tiers': [[{'endpoint': p}]]} for p in PROVIDERS] + [
        {'name': 'small', 'tiers': [[{'endpoint': p} for p in PROVIDERS]]}]
    gw = gateway(what, env=ENV)
    asked = [(http.CHAT, model) for model in [*PROVIDERS, 'small']]
    asked += [('/v1/messages', model) for model in ('anthropic', 'deepseek', 'llama')]
    for path, model in asked:
        with http.Wire(gw.at) as w:
            body = http.chat_body(model, stream=stream, user=WEB, max_tokens=9)
            w.send(http.request('POST', path, body, {**bearer(WEB), 'Connection': 'close'}))
            got = w.rest()
        assert b'error' in got and b'canary' not in got, got
    gw.access(len(asked))
    assert b'canary' not in http.ask(gw.admin, path='/metrics').body
    assert gw.stop() == []
    assert 'canary' not in gw.stdout() + gw.stderr()


def test_a_credential_in_a_bad_configuration_is_not_shown(tmp_path):
    (tmp_path / 'c.yaml').write_text(f'''
endpoints: [{{name: e, provider: openai, url: "http://user:{UP}@127.0.0.1:1/v1", key: "{UP} x"}}]
models: [{{name: m, tiers: [[{{endpoint: e}}]]}}]
keys: [{{name: k, key: "${{WEB}}"}}, {{name: l, key: "${{WEB}}"}}]
{UP}: 1
''')
    status, out, err = run(PROGRAM, 'check', 'c.yaml', cwd=tmp_path, env=environment(WEB=WEB))
    assert status == 1 and 'error' in err and 'canary' not in out + err


def test_an_answer_is_not_censored(gateway, origin):
    """What a model says is its own, even if it looks like a key."""
    text = 'Use sk-proj-abcdef0123456789 as the key.'
    gw = gateway(origin(lambda p, r: response(answer(text))))
    assert gw.chat().text() == text
