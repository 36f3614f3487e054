# SPDX-License-Identifier: MIT
"""A client that repeats an invalid request gets the provider's own refusal a few times, then the same words
from memory, which say so; nobody else does, and the official SDK does not go on."""
import concurrent.futures

import openai
import pytest

from kit import config, http

LET = 5  # limits.refusals
KEYS = [{'name': n, 'key': f'sk-{n}'} for n in ('agent', 'other')]
AGENT, OTHER = ({'Authorization': f'Bearer {k["key"]}'} for k in KEYS)


@pytest.fixture
def refusing(gateway, simulator):
    """refusing(fault, ...): a gateway whose model "m" is refused by its provider; "good" is not."""
    def make(fault, workers=2, **more):
        sim = simulator()
        targets = {'m': f'sim~{fault}', 'good': 'sim~tokens=3'}
        return gateway({'keys': KEYS, 'endpoints': [config.endpoint('up', sim.v1)],
                        'models': [{'name': n, 'tiers': [[{'endpoint': 'up', 'model': t}]]}
                                   for n, t in targets.items()], **more}, workers=workers), sim
    return make


REFUSALS = [('400', 400, 'invalid_value'), ('422', 422, 'invalid_parameter'), ('404', 404, 'model_not_found')]


@pytest.mark.parametrize('fault, status, code', REFUSALS, ids=[r[0] for r in REFUSALS])
def test_memory_repeats_what_the_provider_said(refusing, fault, status, code):
    gw, sim = refusing(fault)
    first = [gw.chat('m', headers=AGENT) for _ in range(LET)]
    again = gw.chat('m', headers=AGENT)
    assert sim.stats()['requests'] == LET
    for a in first:
        assert a.headers['x-tidegate-endpoint'] == 'up' and 'x-tidegate-cache' not in a.headers
    assert again.status == status == first[0].status
    told, remembered = first[0].error(), again.error()
    assert remembered['code'] == told['code'] == code and remembered['param'] == told['param']
    assert remembered['type'] == told['type'] == 'invalid_request_error'
    assert remembered['message'].split('.')[0] == told['message'].split('.')[0]
    assert 'again and again' in remembered['message'] and 'again and again' not in told['message']
    assert again.headers['x-tidegate-cache'] == 'refusal' and 'x-tidegate-endpoint' not in again.headers
    assert again.headers['x-should-retry'] == 'false' and again.headers['retry-after'] == '1'
    line, = gw.access(error='refused_before')
    assert line['attempts'] == 0 and 'endpoint' not in line
    assert gw.metrics().value('tidegate_refused_before_total', model='m') == 1
    gw.settle()


def test_a_storm_over_connections_and_workers_is_a_few_calls(refusing):
    gw, sim = refusing('400', workers=4)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: gw.chat('m', headers=AGENT), range(1000)))
    assert {a.status for a in answers} == {400}
    assert sim.stats()['requests'] < LET + 8 + 8, 'the first few, those under way, and one after each pause'
    assert gw.chat('m', headers=OTHER).headers['x-tidegate-endpoint'] == 'up', 'of others nothing is known'
    assert gw.chat('good', headers=AGENT).status == 200
    gw.settle()


def test_a_stream_is_refused_before_it_begins(refusing):
    gw, _ = refusing('422')
    body = http.chat_body('m', stream=True)
    answers = [http.ask(gw.at, 'POST', http.CHAT, body, headers=AGENT) for _ in range(LET + 1)]
    assert [a.status for a in answers] == [422] * (LET + 1)
    assert answers[-1].headers['x-tidegate-cache'] == 'refusal'
    gw.settle()


def test_the_sdk_raises_its_own_error_and_asks_once(refusing):
    gw, sim = refusing('400')
    client = openai.OpenAI(base_url=gw.v1, api_key='sk-agent', max_retries=3)
    for _ in range(LET + 3):
        with pytest.raises(openai.BadRequestError) as failed:
            client.chat.completions.create(model='m', messages=[{'role': 'user', 'content': 'hello'}])
        assert failed.value.code == 'invalid_value'
    assert sim.stats()['requests'] == LET
    assert gw.metrics().value('tidegate_refused_before_total', model='m') == 3, 'no retry of its own'
