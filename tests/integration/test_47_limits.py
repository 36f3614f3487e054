# SPDX-License-Identifier: MIT
"""Limits of keys and models in the real program: exactly N pass, on one and on all workers, and the official
SDK understands what it is told."""
import concurrent.futures
import json
import re

import pytest

from kit import config, http, until
from kit.origin import answer, response

KEY = {'Authorization': 'Bearer sk-limited'}
WORKERS = pytest.mark.parametrize('workers', [1, 4])


def limited(url, limits, **more):
    return {'keys': [{'name': 'limited', 'key': 'sk-limited', 'limits': limits},
                     {'name': 'free', 'key': 'sk-free'}],
            'endpoints': [config.endpoint('up', url)],
            'models': [{'name': name, 'tiers': [[{'endpoint': 'up'}]]} for name in ('small', 'large')],
            **more}


def ask_many(gw, n, model='small', **more):
    """n requests, each on a connection of its own, many at a time; the answers. Several models take turns."""
    models = [model] if isinstance(model, str) else model
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda i: gw.chat(models[i % len(models)], headers=KEY, **more),
                             range(n)))


def statuses(answers):
    return {status: sum(a.status == status for a in answers) for status in {a.status for a in answers}}


# -- how many ------------------------------------------------------------------------------------------------


@WORKERS
def test_exactly_n_of_many_pass(gateway, origin, workers):
    up = origin()
    gw = gateway(limited(up.v1, {'rph': 40, 'inflight': 1000}), workers=workers)
    assert statuses(ask_many(gw, 120)) == {200: 40, 429: 80}
    assert len(up.requests) == 40
    scraped = http.ask(gw.admin, path='/metrics').body.decode()
    assert 'tidegate_limit_refusals_total{scope="key",limit="rph"} 80\n' in scraped
    assert gw.chat('small', headers={'Authorization': 'Bearer sk-free'}).status == 200, 'others are free'


@WORKERS
def test_exactly_n_for_each_model_and_for_all_keys_of_one(gateway, origin, workers):
    up = origin()
    gw = gateway({**limited(up.v1, {'rph': 50, 'models': {'small': {'rph': 10}}}),
                  'models': [{'name': 'small', 'tiers': [[{'endpoint': 'up'}]]},
                             {'name': 'large', 'tiers': [[{'endpoint': 'up'}]], 'limits': {'rph': 25}}]},
                 workers=workers)
    answers = ask_many(gw, 120, model=['small', 'large'])
    assert statuses(answers[::2]) == {200: 10, 429: 50}
    assert statuses(answers[1::2]) == {200: 25, 429: 35}
    assert len(up.requests) == 35


def test_what_the_endpoint_never_saw_is_not_counted(gateway, origin):
    up = origin()
    gw = gateway(limited(up.v1, {'rph': 2}))
    for body in [b'{', b'{"model":"small","messages":[]}', b'{"model":"none","messages":[{}]}']:
        assert http.ask(gw.at, 'POST', http.CHAT, body, headers=KEY).status in (400, 404)
    assert statuses(ask_many(gw, 5)) == {200: 2, 429: 3}


def test_calls_in_flight(gateway, simulator):
    sim = simulator()
    gw = gateway(limited(sim.v1, {'inflight': 2}, models=[{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: gw.chat('sim~ttft=3s,tokens=2', headers=KEY), range(8)))
    assert 200 in statuses(answers)
    for refused in [a for a in answers if a.status == 429]:
        assert refused.headers['retry-after'] == '1' and 'limits.inflight' in refused.error()['message']
    assert gw.chat('sim~tokens=2', headers=KEY).status == 200, 'all were given back'


# -- reloading -----------------------------------------------------------------------------------------------


def reload_with(gw, limits):
    whole = json.loads(gw.file.read_text())
    whole['keys'][0]['limits'] = limits
    gw.file.write_text(json.dumps(whole))
    assert http.ask(gw.admin, 'POST', '/api/reload').status == 200


@WORKERS
def test_counts_go_on_over_a_reload(gateway, origin, workers):
    gw = gateway(limited(origin().v1, {'rph': 10}), workers=workers)
    assert statuses(ask_many(gw, 6)) == {200: 6}
    reload_with(gw, {'rph': 8})
    assert statuses(ask_many(gw, 6)) == {200: 2, 429: 4}
    reload_with(gw, {'rph': 9, 'tpm': 100000})
    assert statuses(ask_many(gw, 6)) == {200: 1, 429: 5}


def test_what_was_in_work_at_a_reload_is_given_back(gateway, simulator):
    models = [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]
    gw = gateway(limited(simulator().v1, {'inflight': 1}, models=models))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(gw.chat, 'sim~ttft=4s,tokens=2', headers=KEY)
        until(lambda: gw.metrics().value('tidegate_upstream_inflight', endpoint='up') == 1, 'a call is made')
        reload_with(gw, {'inflight': 1, 'rph': 1000})
        assert first.result().status == 200
    assert gw.chat('sim~tokens=2', headers=KEY).status == 200


# -- tokens --------------------------------------------------------------------------------------------------


def test_tokens_are_settled_to_what_the_endpoint_reports(gateway, origin):
    usage = {'prompt_tokens': 300, 'completion_tokens': 100, 'total_tokens': 400}
    gw = gateway(limited(origin(lambda p, r: response({**answer(), 'usage': usage})).v1, {'tpm': 10000}))
    left = [int(gw.chat('small', headers=KEY).headers['x-ratelimit-remaining-tokens']) for _ in range(3)]
    assert left[0] < 10000 - 500, 'nobody knows yet how long answers are'
    assert 9600 - 120 - 310 <= left[1] < 9600, 'the first was settled; the second reserves what was learned'
    assert left[1] - left[2] == pytest.approx(400, abs=20)


@pytest.mark.parametrize('path, body, usage', [
    ('/v1/embeddings', {'input': 'one two'}, {'prompt_tokens': 900, 'total_tokens': 900}),
    ('/v1/completions', {'prompt': 'one', 'max_tokens': 9}, {'prompt_tokens': 800, 'completion_tokens': 100}),
    ('/v1/responses', {'input': 'one'}, {'input_tokens': 700, 'output_tokens': 200})])
def test_tokens_of_other_routes(gateway, origin, path, body, usage):
    message = {'role': 'assistant', 'content': 'x'}
    whole = {'id': 'x', 'object': 'list', 'status': 'completed', 'model': 'm', 'usage': usage,
             'choices': [{'index': 0, 'text': 'x', 'finish_reason': 'stop', 'message': message}],
             'output': [{'type': 'message', 'content': [{'type': 'output_text', 'text': 'x'}]}],
             'data': [{'object': 'embedding', 'index': 0, 'embedding': [0.5]}]}
    gw = gateway(limited(origin(lambda p, r: response(whole)).v1, {'tpm': 5000}))
    asked = [http.ask(gw.at, 'POST', path, {'model': 'small', **body}, headers=KEY) for _ in range(2)]
    assert [a.status for a in asked] == [200, 200], asked[0].body
    left = int(asked[1].headers['x-ratelimit-remaining-tokens'])
    assert 3700 < left < 5000 - 900, 'the first as it was settled, the second as it is estimated'


def test_more_tokens_than_ever_fit(gateway, origin):
    up = origin()
    gw = gateway(limited(up.v1, {'tpm': 1000}))
    refused = gw.chat('small', headers=KEY, max_tokens=1001)
    assert refused.status == 413 and refused.error()['code'] == 'request_exceeds_limit'
    assert refused.headers['x-should-retry'] == 'false' and 'retry-after' not in refused.headers
    assert not up.requests and gw.chat('small', headers=KEY, max_tokens=900).status == 200


# -- the official SDK ----------------------------------------------------------------------------------------


def sdk(gw, **more):
    openai = pytest.importorskip('openai', reason='the SDK of tests/requirements.txt is not installed')
    return openai, openai.OpenAI(base_url=gw.v1, api_key='sk-limited',
                                 **{'max_retries': 0, 'timeout': 45, **more})


def test_the_sdk_sees_the_headers_and_raises_its_rate_limit_error(gateway, origin):
    gw = gateway(limited(origin().v1, {'rph': 2, 'tpm': 5000}))
    openai, client = sdk(gw)
    ask = {'model': 'small', 'messages': [{'role': 'user', 'content': 'Hello'}], 'max_tokens': 10}
    with client:
        seen = client.chat.completions.with_raw_response.create(**ask).headers
        assert (seen['x-ratelimit-limit-requests'], seen['x-ratelimit-remaining-requests']) == ('2', '1')
        assert re.fullmatch(r'1h0m0s|59m5\d(\.\d+)?s', seen['x-ratelimit-reset-requests'])
        assert seen['x-ratelimit-limit-tokens'] == '5000' and int(seen['x-ratelimit-remaining-tokens']) < 4990
        assert re.fullmatch(r'1m0s|5\d(\.\d+)?s', seen['x-ratelimit-reset-tokens'])
        client.chat.completions.create(**ask)
        with pytest.raises(openai.RateLimitError) as e:
            client.chat.completions.create(**ask, stream=True)
    assert e.value.code == 'rate_limit_exceeded' and e.value.status_code == 429
    head = e.value.response.headers
    assert head['retry-after'] == '60' and head['retry-after-ms'] == '60000', 'never more than a minute'
    assert head['x-ratelimit-remaining-requests'] == '0' and 'x-should-retry' not in head
    assert 'this key may have 2 requests per hour (limits.rph). The next fits in' in e.value.message


def test_the_sdk_retries_by_itself_until_it_fits(gateway, origin):
    up = origin()
    openai, client = sdk(gateway(limited(up.v1, {'rps': 2}), workers=2), max_retries=9)
    with client:
        for i in range(6):
            client.chat.completions.create(model='small', messages=[{'role': 'user', 'content': f'{i}'}])
    assert len(up.requests) == 6
