# SPDX-License-Identifier: MIT
"""Both official OpenAI SDKs on the same matters: what each makes of every status that an endpoint can answer
with, tool calls that are streamed in pieces, embeddings in each form, patience, leaving. curl beside them."""
import asyncio
import base64
import json
import shutil
import struct
import subprocess

import pytest

from kit import LIMIT, ROOT, config, http, until
from kit.origin import Origin, response
from kit.process import environment, run

openai = pytest.importorskip('openai', reason='the SDK of tests/requirements.txt is not installed: '
                                              'tools/test_deps.sh installs it when the registry is in reach')
FOLDER = ROOT / 'tests/integration/node'
NODE = pytest.mark.skipif(
    not shutil.which('node') or not (FOLDER / 'node_modules/openai').is_dir(),
    reason='Node and the SDK of node/package.json are not installed: tools/test_deps.sh installs them when '
           'the registry is in reach')
TEXT = 'Tell me of the tide.'
ASK = {'messages': [{'role': 'user', 'content': TEXT}]}
TOOLS = [{'type': 'function', 'function': {'name': 'tide', 'parameters': {
    'type': 'object', 'properties': {'when': {'type': 'string'}}}}}]


@pytest.fixture(scope='module')
def sim(shared):
    return shared.simulator()


@pytest.fixture(scope='module')
def gw(shared, sim):
    return shared.gateway(config.whole(sim))


def client_of(gw, **more):
    return openai.OpenAI(base_url=gw.v1, **{'api_key': 'sk-any', 'max_retries': 0, 'timeout': 60, **more})


def node(gw, case, model='sim', **options):
    status, said, complaint = run('node', FOLDER / 'sdk.mjs', gw.v1, case, model, json.dumps(options))
    assert status == 0, complaint
    got = json.loads(said)
    assert 'error' not in got, got
    return got


# -- every status --------------------------------------------------------------------------------------------


# An endpoint's status, the status and code that a client gets, whether a retry may help, the SDKs' class.
REFUSED = 'the_providers_own'
STATUSES = [
    (400, 400, REFUSED, False, 'BadRequestError'),
    (401, 502, 'upstream_credential_refused', False, 'InternalServerError'),
    (402, 502, 'upstream_balance_exhausted', False, 'InternalServerError'),
    (403, 502, 'upstream_credential_refused', False, 'InternalServerError'),
    (404, 404, REFUSED, False, 'NotFoundError'),
    (405, 405, REFUSED, False, None),
    (408, 502, 'upstream_error', True, 'InternalServerError'),
    (409, 409, REFUSED, False, 'ConflictError'),
    (413, 413, REFUSED, False, None),
    (422, 422, REFUSED, False, 'UnprocessableEntityError'),
    (429, 429, 'upstream_rate_limited', True, 'RateLimitError'),
    (500, 502, 'upstream_error', True, 'InternalServerError'),
    (502, 502, 'upstream_error', True, 'InternalServerError'),
    (503, 503, 'upstream_busy', True, 'InternalServerError'),
    (504, 502, 'upstream_error', True, 'InternalServerError'),
    (529, 503, 'upstream_busy', True, 'InternalServerError'),
]
# With key: client these are the client's own and passed on.
OWN = [(401, 'AuthenticationError'), (402, None), (403, 'PermissionDeniedError')]


def statuses(peer, request):
    """Answers with the status that the model's name ends in."""
    return response({'error': {'message': 'No.', 'type': 'some_error', 'param': None, 'code': REFUSED}},
                    f'{request.json()["model"][1:]} Status')


@pytest.fixture(scope='module')
def refusing(shared):
    return shared.closing(Origin(statuses))


@pytest.fixture(scope='module')
def refused(shared, refusing):
    return shared.gateway(config.whole(refusing))


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
@pytest.mark.parametrize('theirs, ours, code, retry, kind', STATUSES, ids=[str(row[0]) for row in STATUSES])
def test_python_on_every_status(refused, theirs, ours, code, retry, kind, stream):
    with client_of(refused) as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model=f's{theirs}', stream=stream, **ASK)
    e = raised.value
    assert (e.status_code, e.code) == (ours, code)
    assert type(e).__name__ == (kind or 'APIStatusError')
    assert (e.response.headers.get('x-should-retry') != 'false') is retry
    assert e.request_id.startswith('req_') and e.message


@NODE
def test_node_on_every_status(refused):
    got = node(refused, 'statuses', ','.join(f's{row[0]}' for row in STATUSES))
    for theirs, ours, code, _, kind in STATUSES:
        plain, stream = got[f's{theirs}']
        for e in plain, stream:
            assert (e['status'], e['code'], e['kind']) == (ours, code, kind or 'APIError'), theirs
            assert e['requestID'].startswith('req_') and e['api']


def test_what_concerns_the_clients_own_key_has_the_class_of_its_status(gateway, refusing):
    what = config.whole(refusing)
    what['endpoints'][0]['key'] = 'client'
    own = gateway(what)
    with client_of(own) as client:
        for status, kind in OWN:
            with pytest.raises(openai.APIStatusError) as raised:
                client.chat.completions.create(model=f's{status}', **ASK)
            assert raised.value.status_code == status
            assert type(raised.value).__name__ == (kind or 'APIStatusError')
    if not NODE.args[0]:
        got = node(own, 'statuses', ','.join(f's{status}' for status, _ in OWN))
        for status, kind in OWN:
            assert {(e['status'], e['kind']) for e in got[f's{status}']} == {(status, kind or 'APIError')}


# -- tools, embeddings, completions --------------------------------------------------------------------------


def called(message):
    return [(c.function.name, c.function.arguments) for c in message.tool_calls]


def expected_call(sim, model='sim~tool'):
    asked = http.ask(sim.at, 'POST', http.CHAT, {'model': model, 'tools': TOOLS, **ASK}).json()
    call, = asked['choices'][0]['message']['tool_calls']
    assert call['function']['name'] == 'tide' and json.loads(call['function']['arguments'])
    return call['function']['name'], call['function']['arguments']


def test_python_on_tool_calls(gw, sim):
    name, arguments = expected_call(sim)
    with client_of(gw) as client:
        plain = client.chat.completions.create(model='sim~tool', tools=TOOLS, **ASK).choices[0]
        chunks = list(client.chat.completions.create(model='sim~tool', tools=TOOLS, stream=True, **ASK))
        with client.chat.completions.stream(model='sim~tool', tools=TOOLS, **ASK) as stream:
            done = [e for e in stream if e.type == 'tool_calls.function.arguments.done']
            whole = stream.get_final_completion().choices[0]
    pieces = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices and c.choices[0].delta.tool_calls]
    assert len(pieces) > 2, 'it came in pieces'
    assert ''.join(p.function.arguments or '' for p in pieces) == arguments
    assert pieces[0].id and pieces[0].function.name == name
    assert plain.finish_reason == whole.finish_reason == 'tool_calls'
    assert called(plain.message) == called(whole.message) == [(name, arguments)]
    assert [(e.name, e.arguments) for e in done] == [(name, arguments)]


@NODE
def test_node_on_tool_calls(gw, sim):
    got = node(gw, 'tools', 'sim~tool')
    deltas = [c['choices'][0]['delta'] for c in got['chunks'] if c['choices']]
    pieces = [d['tool_calls'][0]['function'].get('arguments') or '' for d in deltas if d.get('tool_calls')]
    assert len(pieces) > 2 and ''.join(pieces) == expected_call(sim)[1]
    for choice in got['plain'], got['helper']:
        calls = [(c['function']['name'], c['function']['arguments']) for c in choice['message']['tool_calls']]
        assert calls == [expected_call(sim)] and choice['finish_reason'] == 'tool_calls'


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
def test_a_tool_call_that_breaks_off_raises(gw, stream):
    with client_of(gw) as client, pytest.raises(openai.APIError) as raised:
        got = client.chat.completions.create(model='sim~tool,cut=2', tools=TOOLS, stream=stream, **ASK)
        list(got)
    assert raised.value.code == 'upstream_truncated'


def test_embeddings_in_every_form_and_both_sdks(gw, sim):
    """The SDKs ask for base64 by themselves and make numbers of it; told to, they pass either form on."""
    asked = {'model': 'sim', 'input': ['flood', 'ebb'], 'encoding_format': 'float'}
    truth = [d['embedding'] for d in http.ask(sim.at, 'POST', '/v1/embeddings', asked).json()['data']]
    got = {}
    with client_of(gw) as client:
        for form in (None, 'float', 'base64'):
            more = {'encoding_format': form} if form else {}
            done = client.embeddings.create(model='sim', input=['flood', 'ebb'], **more)
            got[form or 'default'] = [d.embedding for d in done.data]
    for found in [got] if NODE.args[0] else [got, node(gw, 'embeddings')]:
        unpacked = [base64.b64decode(text) for text in found['base64']]
        found['base64'] = [list(struct.unpack(f'<{len(raw) // 4}f', raw)) for raw in unpacked]
        for form, vectors in found.items():
            assert len(vectors) == 2
            for mine, true in zip(vectors, truth):
                assert mine == pytest.approx(true, abs=1e-6), form


@NODE
def test_node_on_completions(gw, sim):
    direct = http.ask(sim.at, 'POST', '/v1/completions',
                      {'model': 'sim', 'prompt': TEXT, 'max_tokens': 12}).json()['choices'][0]['text']
    assert node(gw, 'completions') == {'plain': direct, 'stream': direct}


# -- patience and leaving ------------------------------------------------------------------------------------


def test_how_the_sdks_state_their_patience(origin):
    """Both names are read by the gateway (wishes.c); what it does with them is tested in virtual time."""
    up = origin()
    with client_of(up, timeout=7.5) as client:
        client.chat.completions.create(model='m', **ASK)
    assert up.requests[0].headers['x-stainless-read-timeout'] == '7.5'
    if not NODE.args[0]:
        node(up, 'patience')
        assert up.requests[1].headers['x-stainless-timeout'] == '7'


@NODE
def test_an_aborted_stream_of_node_cancels_the_call(gateway, sim):
    gw, before = gateway(sim), sim.stats()['cancelled']
    got = node(gw, 'abort', 'sim~tokens=100000,gap=10ms')
    assert len(got['chunks']) == 1 and got['aborted']
    until(lambda: sim.stats()['cancelled'] == before + 1, 'the endpoint is told')
    gw.settle()


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
def test_a_cancelled_task_of_python_cancels_the_call(gateway, sim, stream):
    """While it waits for a plain answer; and in the middle of a stream."""
    gw, before = gateway(sim), sim.stats()['cancelled']

    async def leave():
        async with openai.AsyncOpenAI(base_url=gw.v1, api_key='sk-any', max_retries=0) as client:
            first = asyncio.Event()

            async def ask():
                model = 'sim~tokens=100000,gap=10ms' if stream else 'sim~hang'
                got = await client.chat.completions.create(model=model, stream=stream, **ASK)
                async for _ in got:
                    first.set()
            task = asyncio.create_task(ask())
            if stream:
                await first.wait()
            else:
                await asyncio.to_thread(until, lambda: gw.metrics().value('tidegate_upstream_inflight') == 1,
                                        'the endpoint is asked')
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    asyncio.run(asyncio.wait_for(leave(), 2 * LIMIT))
    until(lambda: sim.stats()['cancelled'] == before + 1, 'the endpoint is told')
    gw.settle()


@pytest.mark.skipif(not shutil.which('curl'), reason='curl is not installed')
def test_curl_reads_a_stream_and_leaves_one(gateway, sim):
    gw, before = gateway(sim), sim.stats()['cancelled']

    def argv(model):
        body = json.dumps({'model': model, 'stream': True, **ASK})
        return ['curl', '-sSN', '--fail-with-body', gw.v1 + '/chat/completions', '-d', body]
    status, said, complaint = run(*argv('sim~tokens=9'))
    assert (status, complaint) == (0, '') and said.endswith('data: [DONE]\n\n')
    status, said, _ = run(*argv('sim~tokens=9,cut=3'))
    assert status == 18 and 'upstream_truncated' in said and '[DONE]' not in said, 'a partial transfer'
    endless = argv('sim~tokens=100000,gap=10ms')
    with subprocess.Popen(endless, stdout=subprocess.PIPE, env=environment()) as curl:
        assert curl.stdout.readline().startswith(b'data: {')
        curl.kill()
    until(lambda: sim.stats()['cancelled'] == before + 1, 'the endpoint is told')
    gw.settle()
