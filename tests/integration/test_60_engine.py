# SPDX-License-Identifier: MIT
"""A real engine behind tidegate: what reaches the client is what the engine said, byte for byte, as a tap
between the two saw it on that very call."""
import concurrent.futures
import json

import pytest

from kit import config, http, until
from kit.engine import KEY, Engine, seen
from kit.origin import Tap

PATIENT = {'hold': '10m', 'comment': '10m'}  # no comment of ours between the events, however slow they are
WAYS = {
    'short': {'max_tokens': 5},
    'to its own end': {'temperature': 1.0, 'seed': 7, 'max_tokens': 2000},
    'stop word': {'stop': ['the'], 'max_tokens': 200},
    'probabilities': {'logprobs': True, 'top_logprobs': 3, 'max_tokens': 8},
    'two choices': {'n': 2, 'temperature': 1.0, 'seed': 8, 'max_tokens': 12},
    'reasoning off, unknown fields': {'max_tokens': 5, 'thinking': {'type': 'disabled'}, 'x_own': [1.0, 1e3]},
}


@pytest.fixture(scope='module')
def engine(shared):
    return shared.add(Engine(shared.folder, 'engine'))


@pytest.fixture(scope='module')
def tap(shared, engine):
    return shared.closing(Tap(engine.at))


def behind(tap, key=KEY):
    """The configuration for the engine behind the tap; its model has a name of our own."""
    up = config.endpoint('engine', tap.v1, key='${ENGINE_KEY}')
    model = {'name': 'tide', 'tiers': [[{'endpoint': 'engine', 'model': 'tiny'}]]}
    return {'endpoints': [up], 'models': [model], 'timeouts': PATIENT}, {'ENGINE_KEY': key}


@pytest.fixture(scope='module')
def gw(shared, tap):
    return shared.gateway(*behind(tap))


def sent(content='Tell me of the tide.', **fields):
    return {**http.chat_body('tide', content), 'temperature': 0, 'cache_prompt': False, **fields}


def ask(gw, request_id, body):
    """The client's answer, whole, and the call as the tap saw it follow by this id."""
    return http.ask(gw.at, 'POST', http.CHAT, body, {'x-request-id': request_id})


def without_usage(body, choices_n=1):
    """A stream without what answers `include_usage`: one event for each choice, with empty choices and usage
    (and timings beside it). Nothing else goes: no other event and no byte of one."""
    events = body.split(b'\n\n')
    extra = [e for e in events if b'"usage"' in e]
    assert len(extra) == choices_n and events[-3:] == [extra[-1], b'data: [DONE]', b'']
    for chunk in (json.loads(e.removeprefix(b'data: ')) for e in extra):
        assert chunk['choices'] == [] and chunk['usage']['completion_tokens'] > 0
    return b'\n\n'.join(e for e in events if e not in extra)


@pytest.mark.parametrize('way', WAYS)
def test_a_plain_answer_is_the_engines(gw, tap, way):
    body, name = sent(**WAYS[way]), f'plain-{way}'.replace(' ', '_').replace(',', '')
    got = ask(gw, name, body)
    request, said = seen(tap, name)
    assert (got.status, said.status) == (200, 200)
    assert got.body == said.body and got.text()
    assert request.body == json.dumps({**body, 'model': 'tiny'}).encode(), 'only the name has changed'
    assert request.headers['authorization'] == f'Bearer {KEY}'


@pytest.mark.parametrize('way', WAYS)
def test_a_stream_is_the_engines_less_the_usage_we_asked_for(gw, tap, way):
    body, name = sent(stream=True, **WAYS[way]), f'stream-{way}'.replace(' ', '_').replace(',', '')
    got = ask(gw, name, body)
    request, said = seen(tap, name)
    assert (got.status, got.headers['content-type']) == (200, 'text/event-stream')
    assert got.body == without_usage(said.body, body.get('n', 1))
    assert got.body.endswith(b'\n\ndata: [DONE]\n\n')
    assert request.json() == {**body, 'model': 'tiny', 'stream_options': {'include_usage': True}}


@pytest.mark.parametrize('way', WAYS)
def test_a_stream_whose_client_asks_for_usage_is_the_engines_whole(gw, tap, way):
    body = sent(stream=True, stream_options={'include_usage': True}, **WAYS[way])
    name = f'usage-{way}'.replace(' ', '_').replace(',', '')
    got = ask(gw, name, body)
    request, said = seen(tap, name)
    assert got.status == 200 and got.body == said.body and b'"usage":{' in got.body
    assert request.body == json.dumps({**body, 'model': 'tiny'}).encode()
    line, = gw.access(request_id=name)
    usage = json.loads(said.body.split(b'\n\n')[-3].removeprefix(b'data: '))['usage']
    assert (line['tokens_in'], line['tokens_out']) == (usage['prompt_tokens'], usage['completion_tokens'])


def test_more_requests_than_the_engine_has_slots(gw, tap):
    """All at once, plain and streaming mixed: each gets its own answer."""
    def one(i):
        body = sent(f'Wave number {i}.', stream=i % 2 == 1, max_tokens=30 + i)
        return ask(gw, f'crowd-{i}', body), body
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(16)))
    for i, (got, body) in enumerate(answers):
        request, said = seen(tap, f'crowd-{i}')
        assert request.json()['messages'] == body['messages']
        assert got.body == (without_usage(said.body) if body['stream'] else said.body)


def test_a_client_that_leaves_stops_the_engine(gw, engine):
    """In the middle of a stream that would not end for hours. (Of a plain answer this engine notices nothing,
    with or without a gateway, before it sends it.)"""
    with gw.stream('tide', ignore_eos=True, max_tokens=100_000_000) as stream:
        events = iter(stream)
        for _ in range(20):
            assert json.loads(next(events))['choices'][0]['finish_reason'] is None
        assert engine.processing() == 1
    until(lambda: engine.processing() == 0, 'the engine has stopped')
    gw.settle()


@pytest.mark.parametrize('stream', [False, True])
def test_the_engines_refusal_is_passed_on(gw, tap, stream):
    name = f'too-long-{stream}'
    got = ask(gw, name, sent('wave ' * 2000, stream=stream))
    said = seen(tap, name)[1]
    theirs, ours = json.loads(said.body)['error'], got.error()
    assert (got.status, said.status) == (400, 400)
    assert theirs['type'] == 'exceed_context_size_error'
    assert ours['code'] == 'exceed_context_size_error' and ours['type'] == 'invalid_request_error'
    assert ours['message'].startswith(theirs['message'] + '. ')
    assert got.headers['x-should-retry'] == 'false'


def test_the_models_are_the_gateways_own(gw):
    listed = http.ask(gw.at, path='/v1/models').json()
    assert [m['id'] for m in listed['data']] == ['tide']
    assert http.chat(gw.at, 'tiny').error()['code'] == 'model_not_found'


def test_a_refused_key_is_the_gateways_matter(gateway, engine, tap):
    gw = gateway(*behind(tap, key='sk-wrong'))
    got = http.chat(gw.at, 'tide')
    assert got.status == 502 and got.error()['code'] == 'upstream_credential_refused'
    assert 'sk-wrong' not in gw.stderr() + got.body.decode()
