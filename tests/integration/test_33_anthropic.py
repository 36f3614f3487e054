# SPDX-License-Identifier: MIT
"""The official Anthropic SDK for Python, unmodified but for base_url, in front of scripted origins."""
import json
import threading

import pytest

from kit import LIMIT, config, http
from kit.origin import STREAM_HEAD, response

anthropic = pytest.importorskip('anthropic', reason='the SDK of tests/requirements.txt is not installed: '
                                'tools/test_deps.sh installs it when the registry is in reach')
ASK = {'model': 'm', 'max_tokens': 100, 'messages': [{'role': 'user', 'content': 'When does it ebb?'}]}


def message(said='Soon.', reason='end_turn', **more):
    return {'id': 'msg_1', 'type': 'message', 'role': 'assistant', 'model': 'origin', 'stop_reason': reason,
            'stop_sequence': None, 'content': [{'type': 'text', 'text': said}],
            'usage': {'input_tokens': 8, 'cache_read_input_tokens': 3, 'output_tokens': 2}, **more}


def stream(*events):
    return STREAM_HEAD + b''.join(b'event: %s\ndata: %s\n\n' % (e['type'].encode(), json.dumps(e).encode())
                                  for e in events)


START = {'type': 'message_start', 'message': {**message(), 'content': [], 'stop_reason': None,
                                              'usage': {'input_tokens': 8, 'output_tokens': 1}}}
BLOCK = {'type': 'content_block_start', 'index': 0, 'content_block': {'type': 'text', 'text': ''}}
BLOCK_END = {'type': 'content_block_stop', 'index': 0}
END = {'type': 'message_delta', 'delta': {'stop_reason': 'end_turn', 'stop_sequence': None},
       'usage': {'output_tokens': 2}}
STOP = {'type': 'message_stop'}
PING = {'type': 'ping'}


def delta(said):
    return {'type': 'content_block_delta', 'index': 0, 'delta': {'type': 'text_delta', 'text': said}}


def failure(kind, words='No.'):
    return {'type': 'error', 'error': {'type': kind, 'message': words}}


def closing(reply):
    def script(peer, request):
        peer.send(reply)
        peer.close()
    return script


def whole(up, key='sk-ant-ours', provider='anthropic', **more):
    return {'endpoints': [{'name': 'up', 'provider': provider, 'url': up.root, 'key': key}],
            'models': [{'name': 'm', 'tiers': [[{'endpoint': 'up'}]]}], **more}


@pytest.fixture
def client_of():
    clients = []

    def make(gw, **more):
        clients.append(anthropic.Anthropic(base_url=gw.root, **{'api_key': 'sk-gw', 'max_retries': 0,
                                                                'timeout': 60,
                                                                **more}))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


KEYS = {'keys': [{'name': 'web', 'key': 'sk-gw'}]}


def test_a_message(gateway, origin, client_of):
    up = origin(lambda peer, rq: response(message()))
    gw = gateway(whole(up, **KEYS))
    done = client_of(gw).messages.create(**ASK, system='Be brief.', stop_sequences=['\n'],
                                         extra_headers={'anthropic-beta': 'some-beta'})
    assert done.content[0].text == 'Soon.' and done.stop_reason == 'end_turn'
    assert done._request_id.startswith('req_')
    sent = up.requests[0]
    assert sent.path == '/v1/messages'
    assert sent.json() == {**ASK, 'system': 'Be brief.', 'stop_sequences': ['\n']}
    assert sent.headers['x-api-key'] == 'sk-ant-ours' and 'authorization' not in sent.headers
    assert sent.headers['anthropic-version'] and sent.headers['anthropic-beta'] == 'some-beta'
    assert b'sk-gw' not in up.seen
    line = gw.access(1, path='/v1/messages')[0]
    assert (line['key'], line['tokens_in'], line['tokens_out'], line['result']) == ('web', 11, 2, 'full')


def test_a_stream(gateway, origin, client_of):
    up = origin(closing(stream(START, PING, BLOCK, delta('So'), PING, delta('on.'), BLOCK_END, END, STOP)))
    gw = gateway(whole(up, **KEYS))
    with client_of(gw).messages.stream(**ASK) as s:
        assert ''.join(s.text_stream) == 'Soon.'
        done = s.get_final_message()
    assert done.stop_reason == 'end_turn' and done.usage.output_tokens == 2
    raw = list(client_of(gw).messages.create(**ASK, stream=True))
    assert [e.type for e in raw] == ['message_start', 'content_block_start', 'content_block_delta',
                                     'content_block_delta', 'content_block_stop', 'message_delta',
                                     'message_stop']
    for line in gw.access(2, path='/v1/messages'):
        assert (line['tokens_in'], line['tokens_out']) == (8, 2)


def test_deepseek_speaks_it_under_a_path_of_its_own(gateway, origin, client_of):
    up = origin(lambda peer, rq: response(message()))
    gw = gateway(whole(up, key='sk-deep', provider='deepseek', **KEYS))
    assert client_of(gw).messages.create(**ASK).content[0].text == 'Soon.'
    assert up.requests[0].path == '/anthropic/v1/messages'
    assert up.requests[0].headers['x-api-key'] == 'sk-deep'


@pytest.mark.parametrize('status, body, error, seen', [
    ('400 Bad', failure('invalid_request_error'), 'BadRequestError', 400),
    ('404 None', failure('not_found_error'), 'NotFoundError', 404),
    ('413 Large', failure('request_too_large'), 'APIStatusError', 413),
    ('429 Slow', failure('rate_limit_error'), 'RateLimitError', 429),
    ('500 Oops', failure('api_error'), 'InternalServerError', 502),
    ('529 Full', failure('overloaded_error'), 'APIStatusError', 529),
    ('503 Full', failure('overloaded_error'), 'APIStatusError', 529),
    ('401 Who', failure('authentication_error', 'sk-ant-ours is wrong'), 'InternalServerError', 502),
    ('200 OK', message(content=[]), 'InternalServerError', 502),
    ('200 OK', failure('overloaded_error'), 'APIStatusError', 529),
])
def test_error_classes(gateway, origin, client_of, status, body, error, seen):
    up = origin(lambda peer, rq: response(body, status))
    with pytest.raises(getattr(anthropic, error)) as raised:
        client_of(gateway(whole(up, **KEYS))).messages.create(**ASK)
    e = raised.value
    assert e.status_code == seen and e.request_id.startswith('req_')
    assert e.body['type'] == 'error' and set(e.body['error']) == {'type', 'message', 'code'}
    assert 'sk-ant-ours' not in str(e.body)


def test_error_classes_of_our_own(gateway, origin, client_of):
    gw = gateway(whole(origin(), **KEYS))
    for key, more, error, code in [('sk-bad', {}, 'AuthenticationError', 'invalid_api_key'),
                                   ('sk-gw', {'model': 'none'}, 'NotFoundError', 'model_not_found'),
                                   ('sk-gw', {'messages': []}, 'BadRequestError', 'invalid_field')]:
        with pytest.raises(getattr(anthropic, error)) as raised:
            client_of(gw, api_key=key).messages.create(**{**ASK, **more})
        body = raised.value.body
        assert body['error']['code'] == code and body['request_id'].startswith('req_')


@pytest.mark.parametrize('end, code', [
    ([], 'upstream_truncated'),
    ([END], 'upstream_truncated'),
    ([STOP], 'upstream_truncated'),
    ([failure('overloaded_error', 'Full.')], 'upstream_busy'),
], ids=['cut', 'no message_stop', 'no stop_reason', 'error'])
def test_a_stream_that_breaks_raises(gateway, origin, client_of, end, code):
    up, got = origin(closing(stream(START, BLOCK, delta('So'), *end))), []
    with pytest.raises(anthropic.APIError) as raised:
        for event in client_of(gateway(whole(up, **KEYS))).messages.create(**ASK, stream=True):
            got.append(event.type)
    assert raised.value.body['error']['code'] == code and got[:3] == [START['type'], BLOCK['type'],
                                                                      delta('')['type']]


def test_an_endpoint_that_breaks_off_before_its_first_word_is_replaced(gateway, origin, client_of):
    first = origin(closing(stream(START, PING, failure('overloaded_error'))))
    second = origin(closing(stream(START, BLOCK, delta('Soon.'), BLOCK_END, END, STOP)))
    what = whole(first, **KEYS)
    what['endpoints'].append({'name': 'two', 'provider': 'llama', 'url': second.v1, 'key': 'none',
                              'signals': False})
    what['models'][0]['tiers'].append([{'endpoint': 'two', 'model': 'qwen'}])
    with client_of(gateway(what)).messages.stream(**ASK) as s:
        assert s.get_final_text() == 'Soon.'
        assert s.response.headers['x-tidegate-attempts'] == '2'
    assert second.requests[0].json()['model'] == 'qwen'


def test_retries_are_the_sdks_where_they_can_help(gateway, origin, client_of):
    replies = [response(failure('overloaded_error'), '529 Full', retry_after='0'), response(message())]
    up = origin(lambda peer, rq: replies.pop(0))
    gw = gateway(whole(up, **KEYS))
    assert client_of(gw, max_retries=1).messages.create(**ASK).content[0].text == 'Soon.'
    assert gw.metrics().value('tidegate_client_retries_total') == 1


def test_comments_of_a_waiting_stream_are_no_events(gateway, origin, client_of):
    """The endpoint pings and says nothing: our own comments come first, late labels before message_stop."""
    go_on = threading.Event()

    def script(peer, request):
        peer.send(STREAM_HEAD + PINGS)
        go_on.wait(LIMIT)
        peer.send(stream(START, BLOCK, delta('Soon.'), BLOCK_END, END, STOP)[len(STREAM_HEAD):])
        peer.close()
    PINGS = 3 * stream(PING)[len(STREAM_HEAD):]
    gw = gateway(whole(origin(script), timeouts={'hold': '50ms', 'comment': '100ms'}, **KEYS))
    with client_of(gw).messages.create(**ASK, stream=True) as s:
        go_on.set()  # the head is there although nothing was said: it was held open
        assert [e.type for e in s] == ['message_start', 'content_block_start', 'content_block_delta',
                                       'content_block_stop', 'message_delta', 'message_stop']


@pytest.mark.parametrize('header, value', [('x-api-key', 'sk-theirs'), ('authorization', 'Bearer sk-theirs')])
def test_the_clients_own_key_goes_up_as_it_came(gateway, origin, header, value):
    """With key: client a refusal of it is the client's own matter."""
    up = origin(lambda peer, rq: response(failure('authentication_error', 'bad key'), '401 No'))
    answered = http.ask(gateway(whole(up, key='client')).at, 'POST', '/v1/messages', ASK,
                        headers={header: value})
    assert answered.status == 401 and up.requests[0].headers[header] == value
    error = answered.json()['error']
    assert error['type'] == 'authentication_error' and 'bad key' in error['message']


@pytest.mark.parametrize('header, value', [('x-api-key', 'sk-gw'), ('authorization', 'Bearer sk-gw')])
def test_our_own_key_in_either_header(gateway, origin, header, value):
    up = origin(lambda peer, rq: response(message()))
    answered = http.ask(gateway(whole(up, **KEYS)).at, 'POST', '/v1/messages', ASK, headers={header: value})
    assert answered.status == 200 and answered.json() == message()
    assert answered.headers['request-id'] == answered.headers['x-request-id']


def test_a_model_of_another_api(gateway, origin, client_of):
    up = origin()
    with pytest.raises(anthropic.NotFoundError) as raised:
        client_of(gateway(config.tiers(up.v1)), max_retries=2).messages.create(**ASK)
    assert raised.value.body['error']['code'] == 'route_not_spoken' and not up.requests


def test_other_methods(gateway, origin):
    gw = gateway(whole(origin(), **KEYS))
    answered = http.ask(gw.at, 'GET', '/v1/messages')
    assert answered.status == 405 and answered.json()['error']['code'] == 'method_not_allowed'
    assert http.ask(gw.at, 'OPTIONS', '/v1/messages').headers['allow'] == 'POST, OPTIONS'
