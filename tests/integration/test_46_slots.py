# SPDX-License-Identifier: MIT
"""Slots that are learned, in the real program: an account takes so many calls at a time and says so to
nobody. A crowd past that is answered whole, on one worker and on several, while few calls are wasted to find
out."""
import concurrent.futures
import re

import pytest

from kit import config, http

TAKES = 6


def metric(gw, pattern):
    found = re.search(pattern, http.ask(gw.admin, path='/metrics').body.decode())
    assert found, pattern
    return int(found.group(1))


@pytest.mark.parametrize('workers', [1, 4])
def test_a_crowd_at_an_account_of_unknown_limit_is_answered(simulator, gateway, workers):
    up = simulator('--account-limit', str(TAKES), '--ttft', '100ms', '--gap', '2ms', '--tokens', '10')
    gw = gateway({**config.PATIENT, 'accounts': [{'name': 'main', 'learn': True}],
                  'endpoints': [config.endpoint('up', up.v1, account='main')],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]}, workers=workers)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda i: gw.chat('any', stream=i % 2 == 0), range(200)))
    assert {a.status for a in answers} == {200}
    busy = metric(gw, r'upstream_calls_total\{endpoint="up",outcome="account_busy"\} (\d+)')
    assert 0 < busy < 60, 'without learning nearly every second call would be wasted'
    assert 1 <= metric(gw, r'tidegate_account_slots\{account="main",model="\*"\} (\d+)') <= 3 * TAKES
