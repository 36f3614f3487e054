# SPDX-License-Identifier: MIT
"""The official OpenAI SDK for Python on every route but chat completions, in front of scripted origins."""
import base64
import json
import struct

import pytest

from kit import config
from kit.origin import STREAM_HEAD, response

openai = pytest.importorskip('openai', reason='the SDK of tests/requirements.txt is not installed: '
                                              'tools/test_deps.sh installs it when the registry is in reach')


@pytest.fixture
def client_of():
    clients = []

    def make(gw, **more):
        clients.append(openai.OpenAI(base_url=gw.v1, **{'api_key': 'sk-any', 'max_retries': 0, 'timeout': 60,
                                                        **more}))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


def events(*chunks, end=b'data: [DONE]\n\n'):
    return STREAM_HEAD + b''.join(b'data: ' + json.dumps(c).encode() + b'\n\n' for c in chunks) + end


def named(*events_):
    """Typed events, as the Responses API streams them."""
    return STREAM_HEAD + b''.join(b'event: %s\ndata: %s\n\n' % (e['type'].encode(), json.dumps(e).encode())
                                  for e in events_)


def closing(reply):
    """Sends it and closes, as a server does whose streams end with the connection."""
    def script(peer, request):
        peer.send(reply)
        peer.close()
    return script


# -- text completions ----------------------------------------------------------------------------------------


def text(choices, **more):
    return {'id': 'cmpl-1', 'object': 'text_completion', 'created': 1, 'model': 'origin',
            'choices': [{'index': i, 'text': t, 'logprobs': None, 'finish_reason': f} for i, t,
                        f in choices], **more}


@pytest.mark.parametrize('prompt', ['one', ['one', 'two'], [1, 2, 3], [[1, 2], [3]]],
                         ids=['text', 'texts', 'tokens', 'lists of tokens'])
def test_completions(gateway, origin, client_of, prompt):
    whole = text([(0, 'a', 'stop'), (1, 'b', 'length')], usage={'prompt_tokens': 3, 'completion_tokens': 2,
                                                               'total_tokens': 5})
    up = origin(lambda peer, rq: response(whole))
    gw = gateway(up)
    done = client_of(gw).completions.create(model='m', prompt=prompt, n=2, echo=True, max_tokens=7,
                                            suffix='!')
    assert [(c.index, c.text, c.finish_reason) for c in done.choices] == [(0, 'a', 'stop'), (1, 'b',
                                                                                             'length')]
    assert done._request_id.startswith('req_')
    sent = up.requests[0]
    assert sent.path == '/v1/completions'
    assert sent.json() == {'model': 'm', 'prompt': prompt, 'n': 2, 'echo': True, 'max_tokens': 7,
                           'suffix': '!'}
    line = gw.access(1, path='/v1/completions')[0]
    assert (line['tokens_in'], line['tokens_out'], line['result']) == (3, 2, 'full')


@pytest.mark.parametrize('asked', [False, True], ids=['', 'with usage'])
def test_completions_stream(gateway, origin, client_of, asked):
    usage = {'prompt_tokens': 3, 'completion_tokens': 2, 'total_tokens': 5}
    up = origin(closing(events(text([(0, 'a', None)], usage=None), text([(1, 'x', None)], usage=None),
                               text([(0, 'b', 'stop')], usage=None), text([(1, 'y', 'stop')], usage=None),
                               text([], usage=usage))))
    gw = gateway(up)
    more = {'stream_options': {'include_usage': True}} if asked else {}
    chunks = list(client_of(gw).completions.create(model='m', prompt=['p', 'q'], stream=True, **more))
    said = ''.join(c.text for chunk in chunks for c in chunk.choices if c.index == 0)
    assert said == 'ab' and len(chunks) == 4 + asked
    assert (chunks[-1].usage is not None) is asked
    assert up.requests[0].json()['stream_options'] == {'include_usage': True}
    assert gw.access(1, path='/v1/completions')[0]['tokens_out'] == 2


def test_a_stream_of_completions_that_breaks_raises(gateway, origin, client_of):
    up = origin(closing(events(text([(0, 'a', None)]), end=b'')))
    got = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in client_of(gateway(up)).completions.create(model='m', prompt='p', stream=True):
            got.append(chunk.choices[0].text)
    assert raised.value.code == 'upstream_truncated' and got == ['a']


# -- embeddings ----------------------------------------------------------------------------------------------


FLOATS = [0.5, -1.0, 0.25]


def embedding(request):
    """As OpenAI does: base64 of little-endian float32 when that is asked for, else numbers."""
    asked = request.json()
    many = asked['input'] if isinstance(asked['input'], list) else [asked['input']]
    vector = FLOATS
    if asked.get('encoding_format') == 'base64':
        vector = base64.b64encode(struct.pack('<3f', *FLOATS)).decode()
    return response({'object': 'list', 'model': 'origin', 'usage': {'prompt_tokens': 4, 'total_tokens': 4},
                     'data': [{'object': 'embedding', 'index': i,
                               'embedding': vector} for i in range(len(many))]})


@pytest.mark.parametrize('form', [None, 'float', 'base64'], ids=['the default', 'float', 'base64'])
def test_embeddings(gateway, origin, client_of, form):
    up = origin(lambda peer, rq: embedding(rq))
    gw = gateway(up)
    more = {'encoding_format': form} if form else {}
    done = client_of(gw).embeddings.create(model='m', input=['a', 'b'], dimensions=3, **more)
    got = done.data[1].embedding
    if form == 'base64':  # asked for by name, the SDK leaves it alone
        got = list(struct.unpack('<3f', base64.b64decode(got)))
    assert got == FLOATS and len(done.data) == 2 and done.usage.prompt_tokens == 4
    sent = up.requests[0]
    assert sent.path == '/v1/embeddings'
    assert sent.json()['encoding_format'] == (form or 'base64') and sent.json()['dimensions'] == 3
    assert gw.access(1, path='/v1/embeddings')[0]['tokens_in'] == 4


def test_an_answer_larger_than_what_is_held_back(gateway, origin, client_of):
    """2,048 vectors are several MiB: past limits.answer they pass as they come."""
    vector = [0.123456789] * 512
    whole = {'object': 'list', 'model': 'o', 'usage': {'prompt_tokens': 1, 'total_tokens': 1},
             'data': [{'object': 'embedding', 'index': i, 'embedding': vector} for i in range(512)]}
    up = origin(lambda peer, rq: response(whole))
    done = client_of(gateway(up)).embeddings.create(model='m', input=['a'] * 512, encoding_format='float')
    assert len(done.data) == 512 and done.data[511].embedding == vector


def test_an_embedding_that_is_none_is_asked_for_elsewhere(gateway, origin, client_of):
    first = origin(lambda peer, rq: response({'object': 'list', 'data': []}))
    second = origin(lambda peer, rq: embedding(rq))
    done = client_of(gateway(config.tiers(first.v1, second.v1))).embeddings.create(model='m', input='a')
    assert done.data[0].embedding == FLOATS and len(first.requests) == 1


# -- models --------------------------------------------------------------------------------------------------


def test_models_one_by_one(gateway, origin, client_of):
    what = config.tiers(origin().v1, keys=[{'name': 'k', 'key': 'sk-any', 'models': ['m', 'org/name:7b']}])
    tiers = what['models'][0]['tiers']
    what['models'] = [{'name': 'm', 'aliases': ['nick'], 'tiers': tiers}, {'name': 'org/name:7b',
                                                                           'tiers': tiers},
                      {'name': 'other', 'tiers': tiers}]
    client = client_of(gateway(what))
    for name in 'm', 'nick', 'org/name:7b':
        model = client.models.retrieve(name)
        assert (model.id, model.object) == (name, 'model')
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve('none')
    assert raised.value.code == 'model_not_found'
    with pytest.raises(openai.PermissionDeniedError):
        client.models.retrieve('other')
    with pytest.raises(openai.AuthenticationError):
        client_of(gateway(what), api_key='sk-bad').models.retrieve('m')


# -- responses -----------------------------------------------------------------------------------------------


def whole_response(said, status='completed', **more):
    return {'id': 'resp_1', 'object': 'response', 'created_at': 1, 'status': status, 'model': 'origin',
            'error': None,
            'parallel_tool_calls': True, 'tool_choice': 'auto', 'tools': [],
            'output': [{'type': 'message', 'id': 'msg_1', 'status': 'completed', 'role': 'assistant',
                        'content': [{'type': 'output_text', 'text': said, 'annotations': []}]}],
            'usage': {'input_tokens': 3, 'input_tokens_details': {'cached_tokens': 0}, 'output_tokens': 2,
                      'output_tokens_details': {'reasoning_tokens': 0}, 'total_tokens': 5}, **more}


def delta(n, said):
    return {'type': 'response.output_text.delta', 'sequence_number': n, 'item_id': 'msg_1', 'output_index': 0,
            'content_index': 0, 'delta': said, 'logprobs': []}


def created():
    return {'type': 'response.created', 'sequence_number': 0,
            'response': {**whole_response(''), 'status': 'in_progress', 'output': [], 'usage': None}}


def test_responses(gateway, origin, client_of):
    up = origin(lambda peer, rq: response(whole_response('It ebbs.')))
    gw = gateway(up)
    done = client_of(gw).responses.create(model='m', input='When?', instructions='Be brief.', store=False,
                                          text={'format': {'type': 'text'}})
    assert done.output_text == 'It ebbs.' and done.status == 'completed'
    assert done._request_id.startswith('req_')
    sent = up.requests[0]
    assert sent.path == '/v1/responses' and sent.json()['instructions'] == 'Be brief.'
    line = gw.access(1, path='/v1/responses')[0]
    assert (line['tokens_in'], line['tokens_out'], line['result']) == (3, 2, 'full')


@pytest.mark.parametrize('end', ['completed', 'incomplete'])
def test_responses_stream(gateway, origin, client_of, end):
    last = {'type': f'response.{end}', 'sequence_number': 3, 'response': whole_response('It ebbs.',
                                                                                        status=end)}
    up = origin(closing(named(created(), delta(1, 'It '), delta(2, 'ebbs.'), last)))
    gw = gateway(up)
    got = list(client_of(gw).responses.create(model='m', input='When?', stream=True))
    assert [e.type for e in got] == ['response.created', 'response.output_text.delta',
                                     'response.output_text.delta', f'response.{end}']
    assert ''.join(e.delta for e in got[1:3]) == 'It ebbs.' and got[-1].response.usage.output_tokens == 2
    assert 'stream_options' not in up.requests[0].json()
    assert gw.access(1, path='/v1/responses')[0]['tokens_out'] == 2


@pytest.mark.parametrize('end, code', [
    ([], 'upstream_truncated'),
    ([{'type': 'response.failed', 'sequence_number': 2,
       'response': whole_response('', status='failed', error={'code': 'server_error', 'message': 'Oops.'})}],
     'upstream_error'),
    ([{'type': 'error', 'sequence_number': 2, 'code': 'rate_limit_exceeded', 'message': 'Slow down.'}],
     'upstream_rate_limited'),
], ids=['no end mark', 'response.failed', 'error'])
def test_a_stream_of_a_response_that_breaks_raises(gateway, origin, client_of, end, code):
    up, got = origin(closing(named(created(), delta(1, 'It '), *end))), []
    with pytest.raises(openai.APIError) as raised:
        for event in client_of(gateway(up)).responses.create(model='m', input='When?', stream=True):
            got.append(event.type)
    assert raised.value.code == code and got == ['response.created', 'response.output_text.delta']


def test_a_response_that_fails_before_its_first_word_is_had_elsewhere(gateway, origin, client_of):
    failed = {'type': 'response.failed', 'sequence_number': 1,
              'response': whole_response('', status='failed', error={'code': 'server_error',
                                                                     'message': 'Oops.'})}
    last = {'type': 'response.completed', 'sequence_number': 2, 'response': whole_response('Yes.')}
    first = origin(closing(named(created(), failed)))
    second = origin(closing(named(created(), delta(1, 'Yes.'), last)))
    client = client_of(gateway(config.tiers(first.v1, second.v1)))
    got = list(client.responses.create(model='m', input='?', stream=True))
    assert [e.type for e in got] == ['response.created', 'response.output_text.delta', 'response.completed']


def test_a_route_that_nobody_speaks(gateway, origin, client_of):
    up = origin()
    what = {'endpoints': [config.endpoint('ds', up.root, provider='deepseek')],
            'models': [{'name': 'm', 'tiers': [[{'endpoint': 'ds'}]]}]}
    with pytest.raises(openai.NotFoundError) as raised:
        client_of(gateway(what), max_retries=2).embeddings.create(model='m', input='a')
    assert raised.value.code == 'route_not_spoken' and '/embeddings' in str(raised.value) and not up.requests
