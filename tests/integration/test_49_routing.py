# SPDX-License-Identifier: MIT
"""Where requests may go, in the real program: rules, sensitive requests that stay local, slots of an endpoint
over several workers, and an engine that is asked for its load."""
import concurrent.futures
import re

import pytest

from kit import config, http, until

FAST = ('--ttft', '20ms', '--gap', '1ms', '--tokens', '10')
LOCAL_ONLY = {'x-tidegate-sensitive': 'local-only'}


def requests_at(up):
    return http.ask(up.at, path='/sim/stats').json()['requests']


def endpoint(name, up, **more):
    return {**config.endpoint(name, up.v1), **more}


def test_a_sensitive_request_stays_while_everything_local_fails(simulator, gateway):
    near, far = simulator('--fault', '500=1', *FAST), simulator(*FAST)
    gw = gateway({'endpoints': [endpoint('near', near, local=True), endpoint('far', far)],
                  'models': [{'name': 'both', 'tiers': [[{'endpoint': 'near'}], [{'endpoint': 'far'}]]},
                             {'name': '*', 'tiers': [[{'endpoint': 'far'}]]}],
                  'retry': {'outage': '0s'}, 'breaker': {'failures': 0}})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: gw.chat('both', stream=i % 2 == 0, headers=LOCAL_ONLY), range(40)))
    assert all(a.status >= 500 for a in answers)
    refused = gw.chat('any', headers=LOCAL_ONLY)
    assert (refused.status, refused.error()['code']) == (403, 'no_local_endpoint')
    assert requests_at(far) == 0
    assert gw.chat('both').headers['x-tidegate-endpoint'] == 'far'


def test_rules_send_requests_by_key_header_and_size(simulator, gateway):
    up = simulator(*FAST)
    names = ['one', 'two', 'three']
    gw = gateway({'keys': [{'name': 'web', 'key': 'key-web'}, {'name': 'batch', 'key': 'key-batch'}],
                  'endpoints': [endpoint(name, up) for name in names],
                  'models': [{'name': 'chat', 'tiers': [[{'endpoint': name}] for name in names]}],
                  'rules': [{'if': {'key': 'batch'}, 'use': 'three'},
                            {'if': {'header': {'x-team': 'a'}}, 'use': ['two', 'three']},
                            {'if': {'prompt_tokens': '>200'}, 'tier': 3}]})

    def goes_to(key, prompt='x', **headers):
        a = gw.chat('chat', content=prompt, headers={'authorization': f'Bearer {key}', **headers})
        assert a.status == 200, a
        return a.headers['x-tidegate-endpoint']
    assert goes_to('key-web') == 'one'
    assert goes_to('key-batch') == 'three'
    assert goes_to('key-web', **{'x-team': 'a'}) == 'two'
    assert goes_to('key-web', **{'x-team': 'b'}) == 'one'
    assert goes_to('key-web', 'many words, one after the other ' * 100) == 'three'


@pytest.mark.parametrize('workers', [1, 4])
def test_an_endpoint_gets_no_more_calls_than_its_own_slots(simulator, gateway, workers):
    up = simulator('--account-limit', '5', *FAST)  # refuses the sixth
    gw = gateway({'accounts': [{'name': 'main', 'slots': {'*': 50}}],
                  'endpoints': [endpoint('up', up, account='main', slots=5)],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}],
                  'retry': {'outage': '0s'}}, workers=workers)
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda i: gw.chat('any', stream=i % 2 == 0), range(150)))
    assert {a.status for a in answers} == {200}


def test_an_engine_is_asked_how_many_slots_it_has(simulator, gateway):
    up = simulator('--slots', '3', *FAST)
    gw = gateway({'endpoints': [{**endpoint('up', up), 'provider': 'llama'}],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}],
                  'timeouts': {'signals': '100ms'}}, workers=2)

    def known():
        page = http.ask(gw.admin, path='/metrics').body.decode()
        found = re.search(r'tidegate_account_slots\{account="endpoint:up",model="\*"\} (\d+)', page)
        return found is not None and found.group(1) == '3'
    until(known, 'the engine was asked')
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: gw.chat('any', stream=i % 2 == 0), range(60)))
    assert {a.status for a in answers} == {200}
