# SPDX-License-Identifier: MIT
"""The official OpenAI SDK for Python, unmodified but for base_url."""
import asyncio
import json

import pytest

from kit import config, http, until
from kit.origin import answer, response

openai = pytest.importorskip('openai', reason='the SDK of tests/requirements.txt is not installed: '
                                              'tools/test_deps.sh installs it when the registry is in reach')
TEXT = [{'role': 'user', 'content': 'Tell me of the tide.'}]


@pytest.fixture(scope='module')
def sim(shared):
    return shared.simulator('--keepalive', '50ms')


@pytest.fixture(scope='module')
def gw(shared, sim):
    return shared.gateway(config.whole(sim))


def client_of(gw, **more):
    return openai.OpenAI(base_url=gw.v1, **{'api_key': 'sk-any', 'max_retries': 0, 'timeout': 60, **more})


@pytest.fixture
def client(gw):
    with client_of(gw) as c:
        yield c


def direct(sim, model, **more):
    return http.ask(sim.at, 'POST', http.CHAT, {'model': model, 'messages': TEXT, **more}).text()


def text_of(chunks, member='content'):
    return ''.join(getattr(c.choices[0].delta, member, None) or '' for c in chunks if c.choices)


# -- answers -------------------------------------------------------------------------------------------------


def test_plain(client, sim):
    done = client.chat.completions.create(model='sim~tokens=30', messages=TEXT)
    assert done.choices[0].message.content == direct(sim, 'sim~tokens=30')
    assert done.choices[0].finish_reason == 'stop' and done.usage.completion_tokens == 30
    assert done._request_id.startswith('req_')


def test_stream(client, sim):
    with client.chat.completions.create(model='sim~tokens=30', messages=TEXT, stream=True) as stream:
        chunks = list(stream)
        assert stream.response.headers['x-request-id'].startswith('req_')
    assert text_of(chunks) == direct(sim, 'sim~tokens=30')
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ['stop']
    assert all(c.usage is None for c in chunks), 'usage was not asked for'


def test_stream_with_usage(client, sim):
    chunks = list(client.chat.completions.create(model='sim~tokens=30', messages=TEXT, stream=True,
                                                 stream_options={'include_usage': True}))
    assert text_of(chunks) == direct(sim, 'sim~tokens=30')
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 30
    assert all(c.usage is None for c in chunks[:-1])


def test_the_streaming_helper(client, sim):
    with client.chat.completions.stream(model='sim~tokens=9', messages=TEXT) as stream:
        kinds = {e.type for e in stream}
        assert {'chunk', 'content.delta', 'content.done'} <= kinds
        assert stream.get_final_completion().choices[0].message.content == direct(sim, 'sim~tokens=9')


def test_models(gateway, sim):
    with client_of(gateway(config.tiers(sim.v1))) as client:
        assert [m.id for m in client.models.list()] == ['m']


def test_async_and_many_at_once(gw, sim):
    async def run():
        async with openai.AsyncOpenAI(base_url=gw.v1, api_key='sk-any', max_retries=0) as client:
            async def one(i):
                ask = [{'role': 'user', 'content': f'question {i}'}]
                plain = await client.chat.completions.create(model='sim~tokens=5', messages=ask)
                stream = await client.chat.completions.create(model='sim~tokens=5', messages=ask, stream=True)
                return plain.choices[0].message.content == text_of([c async for c in stream])
            return await asyncio.gather(*[one(i) for i in range(20)])
    assert asyncio.run(run()) == [True] * 20


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
def test_every_field_goes_up_as_it_is(gateway, origin, stream):
    """Tools, formats, fields that nobody knows: only model names and asking for usage are the gateway's."""
    up = origin(lambda peer, rq: response({'error': {'message': 'seen'}}, '400 Seen'))
    tools = [{'type': 'function', 'function': {'name': 'tide', 'parameters': {
        'type': 'object', 'properties': {'when': {'type': 'string', 'enum': ['flood', 'ebb 🌊']}}}}}]
    fields = {'messages': TEXT, 'tools': tools, 'tool_choice': 'auto', 'temperature': 0.1,
              'seed': 2 ** 53 - 1, 'logit_bias': {'50256': -100}, 'stop': ['\n', '\u2028'],
              'response_format': {'type': 'json_object'}}
    extra = {'x_new_field': {'deep': [1.0, 1e-7, None, 'ключ']}, 'empty': {}}
    with client_of(gateway(up)) as client, pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model='gpt', stream=stream, extra_body=extra, **fields)
    sent = up.requests[0].json()
    if stream:
        assert sent.pop('stream_options') == {'include_usage': True}
    assert sent.pop('stream') is stream
    assert sent == {'model': 'gpt', **fields, **extra}


def test_tool_calls_come_back(gateway, origin):
    call = {'id': 'call_1', 'type': 'function', 'function': {'name': 'tide', 'arguments': '{"when":"ebb"}'}}
    whole = answer()
    whole['choices'][0] = {'index': 0, 'finish_reason': 'tool_calls',
                           'message': {'role': 'assistant', 'content': None, 'tool_calls': [call]}}
    with client_of(gateway(origin(lambda p, r: response(whole)))) as client:
        got = client.chat.completions.create(model='gpt', messages=TEXT).choices[0]
    assert got.finish_reason == 'tool_calls' and got.message.tool_calls[0].function.name == 'tide'


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('model, kind, status, code', [
    ('sim~429', 'RateLimitError', 429, 'upstream_rate_limited'),
    ('sim~500', 'InternalServerError', 502, 'upstream_error'),
    ('sim~503', 'InternalServerError', 503, 'upstream_busy'),
    ('sim~empty', 'InternalServerError', 502, 'upstream_empty'),
    ('sim~malformed=3', 'InternalServerError', 502, 'upstream_malformed'),
    ('sim~cut=3', 'InternalServerError', 502, 'upstream_truncated'),
    ('sim~odd', 'BadRequestError', 400, 'invalid_request'),
    ('', 'BadRequestError', 400, 'model_required'),
])
def test_error_classes(client, model, kind, status, code):
    with pytest.raises(getattr(openai, kind)) as raised:
        client.chat.completions.create(model=model, messages=TEXT)
    e = raised.value
    assert (e.status_code, e.code) == (status, code)
    assert e.request_id.startswith('req_') and e.message and e.type


def test_error_classes_of_keys_and_models(gateway, sim):
    what = config.tiers(sim.v1, keys=[{'name': 'k', 'key': 'sk-good', 'models': ['m']}])
    what['models'].append({'name': 'other', 'tiers': [[{'endpoint': 'e1'}]]})
    gw = gateway(what)
    with client_of(gw, api_key='sk-bad') as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model='m', messages=TEXT)
    with client_of(gw, api_key='sk-good') as client:
        assert client.chat.completions.create(model='m', messages=TEXT).choices
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model='other', messages=TEXT)
        with pytest.raises(openai.NotFoundError) as raised:
            client.chat.completions.create(model='none', messages=TEXT)
        assert raised.value.code == 'model_not_found' and raised.value.param == 'model'


def test_a_client_that_loses_patience(gateway, sim):
    """The SDK states its patience: whoever is first, no call goes on behind the client's back."""
    gw, before = gateway(sim), sim.stats()['cancelled']
    with client_of(gw, timeout=0.5) as client:
        with pytest.raises((openai.APITimeoutError, openai.InternalServerError)) as raised:
            client.chat.completions.create(model='sim~hang', messages=TEXT)
        if isinstance(raised.value, openai.InternalServerError):
            assert raised.value.code == 'deadline_exceeded'
    until(lambda: sim.stats()['cancelled'] == before + 1, 'the call is given up')
    gw.settle()


def test_a_stream_that_breaks_raises(client):
    for model, code in [('sim~tokens=9,cut=3', 'upstream_truncated'),
                        ('sim~tokens=9,malformed=3', 'upstream_malformed'),
                        ('sim~tokens=9,nodone', 'upstream_truncated')]:
        got = []
        with pytest.raises(openai.APIError) as raised:
            for chunk in client.chat.completions.create(model=model, messages=TEXT, stream=True):
                got.append(chunk)
        assert raised.value.code == code and text_of(got)


# -- retries -------------------------------------------------------------------------------------------------


def test_retries_where_they_can_help(gateway, origin):
    """The SDK tries again, says so, and the gateway counts it."""
    replies = [response({}, '503 Busy', retry_after='0'), response({}, '500 Oops'), response(answer('well'))]
    gw = gateway(origin(lambda peer, rq: replies.pop(0)))
    with client_of(gw, max_retries=2) as client:
        done = client.chat.completions.create(model='m', messages=TEXT)
    assert done.choices[0].message.content == 'well'
    assert [line['status'] for line in gw.access(3)] == [503, 502, 200]
    assert gw.metrics().value('tidegate_client_retries_total') == 2


@pytest.mark.parametrize('status', ['401 Unauthorized', '402 Payment Required', '422 Odd'])
def test_no_retries_where_they_cannot(gateway, origin, status):
    """A 502 would be retried by every SDK; x-should-retry: false stops it."""
    up = origin(lambda peer, rq: response({'error': {'message': 'no'}}, status))
    what = config.whole(up)
    what['endpoints'][0]['key'] = 'sk-ours'
    gw = gateway(what)
    with client_of(gw, max_retries=2) as client, pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model='m', messages=TEXT)
    assert len(up.requests) == 1


def test_retry_after_is_passed_on_and_bounded(gateway, origin):
    up = origin(lambda peer, rq: response({}, '429 Busy', retry_after='7'))
    gw = gateway(up)
    for given, told in [('7', '7'), ('100000', '60')]:
        up.script = lambda peer, rq, given=given: response({}, '429 Busy', retry_after=given)
        with client_of(gw) as client, pytest.raises(openai.RateLimitError) as raised:
            client.chat.completions.create(model='m', messages=TEXT)
        assert raised.value.response.headers['retry-after'] == told


# -- leaving and waiting -------------------------------------------------------------------------------------


def test_closing_a_stream_cancels_the_call(gateway, sim):
    gw, before = gateway(sim), sim.stats()['cancelled']
    with client_of(gw) as client:
        stream = client.chat.completions.create(model='sim~tokens=100000,gap=10ms', messages=TEXT,
                                                stream=True)
        assert next(iter(stream))
        stream.close()
        until(lambda: sim.stats()['cancelled'] == before + 1, 'the endpoint is told')
    gw.settle()


def test_comments_of_a_waiting_stream_are_no_chunks(gateway, sim):
    """T8, T26: keep-alives below, our own comments above: the SDK sees neither."""
    gw = gateway(sim, timeouts={'hold': '100ms', 'comment': '100ms'})
    with client_of(gw) as client:
        chunks = list(client.chat.completions.create(model='sim~tokens=5,queue=1s', messages=TEXT,
                                                     stream=True))
    assert text_of(chunks) == direct(sim, 'sim~tokens=5')


def test_a_failure_after_comments_raises(gateway, sim):
    """The head has gone, so the error comes in-band although nothing was said."""
    gw = gateway(sim, timeouts={'hold': '50ms', 'comment': '100ms', 'transport': '500ms'})
    with client_of(gw) as client, pytest.raises(openai.APIError) as raised:
        list(client.chat.completions.create(model='sim~hang', messages=TEXT, stream=True))
    assert raised.value.code == 'upstream_transport_timeout'


# -- DeepSeek ------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def deepseek(shared, sim):
    alias = {f'deepseek-{name}': kind for name, kind in (('chat', 'disabled'), ('reasoner', 'enabled'))}
    return shared.gateway({
        'endpoints': [{'name': 'ds', 'provider': 'deepseek', 'url': sim.root}],
        'models': [{'name': 'deepseek-flash', 'tiers': [[{'endpoint': 'ds'}]], 'aliases': [
            {'name': name, 'set': {'thinking': {'type': kind}}} for name, kind in alias.items()]},
                   {'name': '*', 'tiers': [[{'endpoint': 'ds'}]]}]})


@pytest.mark.parametrize('model, thinks', [('deepseek-flash', True), ('deepseek-chat', False),
                                           ('deepseek-reasoner', True)])
def test_deepseek_and_its_retired_names(deepseek, model, thinks):
    with client_of(deepseek) as client:
        plain = client.chat.completions.create(model=model, messages=TEXT)
        chunks = list(client.chat.completions.create(model=model, messages=TEXT, stream=True))
    message = plain.choices[0].message
    assert bool(getattr(message, 'reasoning_content', None)) is thinks
    assert text_of(chunks) == message.content
    assert text_of(chunks, 'reasoning_content') == (message.reasoning_content if thinks else '')
    assert plain.model == 'deepseek-flash'


def test_deepseek_usage_sits_on_the_last_content_chunk(deepseek, sim):
    """The gateway asks for it; a client that did not must lose the usage and not the words."""
    with client_of(deepseek) as client:
        ask = {'model': 'deepseek-flash~tokens=8', 'messages': TEXT, 'stream': True}
        bare = list(client.chat.completions.create(**ask))
        full = list(client.chat.completions.create(**ask, stream_options={'include_usage': True}))
        other = client.chat.completions.create(model='deepseek-flash~tokens=8', messages=TEXT)
    assert text_of(bare) == text_of(full) == other.choices[0].message.content
    assert all(c.usage is None for c in bare) and len(bare) == len(full)
    assert full[-1].usage.completion_tokens >= 8 and full[-1].choices[0].delta.content
    line = deepseek.access(3, asked='deepseek-flash~tokens=8')[0]
    assert line['tokens_out'] == full[-1].usage.completion_tokens, 'counted although not asked for'
    raw = json.dumps([c.model_dump(exclude_unset=True) for c in bare])
    assert '"usage"' not in raw
