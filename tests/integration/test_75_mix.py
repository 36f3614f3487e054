# SPDX-License-Identifier: MIT
"""A thousand requests into endpoints that fail in every way they know, many of their clients killed at any
point: each answer is whole or an honest error, and afterwards nothing is left of anything."""
import collections
import json
import random
import re

from kit import ROOT, config, http, until
from kit.crowd import Visit, throng

# Those before a request is read have tests of their own, and so have the client's own mistakes.
FAULTS = ('hang', 'drop', 'halfclose', 'garbage', 'reset_head', '401', '402', '429', '500', '502', '503',
          '529', 'loading', 'cut', 'reset', 'stall', 'nodone', 'malformed', 'error', 'resource', 'empty',
          'too_long')
REQUESTS = 1000
PROMPTS = [f'Prompt {i}: what does the tide do?' for i in range(8)]
TOKENS = 24
SEED = 20261122


def documented():
    page = (ROOT / 'docs/errors.md').read_text()
    return dict(re.findall(r'^\| `(\w+)` \| (\d+) \|', page, re.MULTILINE))


class Guest(Visit):
    def __init__(self, dice, number):
        self.stream, self.prompt = dice.random() < 0.7, dice.choice(PROMPTS)
        body = http.chat_body('m', self.prompt, stream=self.stream)
        headers = {'x-request-id': f'guest-{number}', 'x-tidegate-priority': dice.choice(['normal', 'bulk'])}
        leave_at = int(dice.paretovariate(0.4)) - 1 if dice.random() < 0.3 else None
        super().__init__(http.request('POST', http.CHAT, body, headers), leave_at, dice.random() < 0.5)


def error_of(whole, codes, status=None):
    """The code of an error object, whose shape and status have to be those of the manual."""
    assert list(whole) == ['error'] and set(whole['error']) == {'message', 'type', 'param', 'code'}, whole
    assert whole['error']['code'] in codes, whole
    assert status is None or codes[whole['error']['code']] == str(status), whole
    return whole['error']['code']


def judge(guest, texts, codes):
    """How it ended for this guest; a lie is an assertion."""
    if guest.left:
        return 'left'
    answer, whole = guest.answer()
    assert answer is not None, bytes(guest.got)
    if answer.headers['content-type'] == 'application/json':
        assert whole
        if answer.status != 200:
            return error_of(json.loads(answer.body), codes, answer.status)
        assert answer.text() == texts[guest.prompt]
        return 'full'
    assert answer.status == 200 and guest.stream
    lines = answer.body.split(b'\n')
    events = [line[6:] for line in lines if line.startswith(b'data: ')]
    assert all(line.startswith((b'data: ', b':')) or not line for line in lines), lines
    if whole:
        assert events[-1] == b'[DONE]'
        assert http.joined([json.loads(e) for e in events[:-1]]) == texts[guest.prompt]
        return 'full'
    *said, error = [json.loads(e) for e in events]
    assert texts[guest.prompt].startswith(http.joined(said))
    return error_of(error, codes)


def test_a_thousand_requests_among_all_faults(gateway, simulator):
    faults = [option for name in FAULTS for option in ('--fault', f'{name}=0.02')]
    sims = [simulator('--seed', str(SEED + i), '--tokens', str(TOKENS), '--slots', '12',
                      '--keepalive', '20ms', *faults)
            for i in range(2)]
    quiet = simulator('--tokens', str(TOKENS))
    texts = {p: http.chat(quiet.at, 'm', p).text() for p in PROMPTS}
    gw = gateway({
        'accounts': [{'name': 'a', 'slots': {'*': 16}}, {'name': 'b', 'slots': {'*': 16}}],
        'endpoints': [config.endpoint('one', sims[0].v1, account='a'),
                      config.endpoint('two', sims[1].v1, account='b'),
                      config.endpoint('three', sims[1].v1, account='b')],
        'models': [{'name': 'm', 'deadline': '2s', 'tiers': [
            [{'endpoint': 'one', 'weight': 2}, {'endpoint': 'two', 'weight': 1}], [{'endpoint': 'three'}]]}],
        'timeouts': {'transport': '300ms', 'progress': '300ms', 'hold': '100ms', 'comment': '100ms',
                     'pool_idle': '200ms'}})
    descriptors = gw.metrics().value('process_open_fds')
    dice, codes, ends = random.Random(SEED), documented(), collections.Counter()
    guests = [(0, Guest(dice, i)) for i in range(REQUESTS)]
    throng(gw.at, guests, lambda g: ends.update([judge(g, texts, codes)]), limit=240, most=50)

    assert sum(ends.values()) == REQUESTS and ends['full'] > REQUESTS / 3 and ends['left'] > 50, ends
    assert len(ends) > 4, 'several ways to fail were seen'
    gw.settle()
    for sim in sims:
        until(lambda sim=sim: sim.is_idle(), 'a simulator has nothing to do')
    for name in FAULTS:
        assert any(sim.stats()['faults'][name] for sim in sims), f'{name} was met'
    until(lambda: gw.metrics().value('process_open_fds') <= descriptors, 'no descriptor is left open')

    page, stats = gw.metrics(), [sim.stats() for sim in sims]
    results = {dict(k)['outcome']: v for k, v in page.samples('tidegate_requests_total').items()
               if dict(k)['route'] == 'chat_completions'}
    lines = gw.access(int(sum(results.values())))
    assert len({line['request_id'] for line in lines}) == len(lines) <= REQUESTS
    assert collections.Counter(line['result'] for line in lines) == {k: v for k, v in results.items() if v}
    assert results['full'] >= ends['full'] and results['cancelled'] <= ends['left']
    assert max(line['attempts'] for line in lines) <= 3
    calls = {dict(k)['outcome']: 0 for k in page.samples('tidegate_upstream_calls_total')}
    for labels, n in page.samples('tidegate_upstream_calls_total').items():
        calls[dict(labels)['outcome']] += n
    assert sum(calls.values()) == sum(line['attempts'] for line in lines)
    arrived = sum(s['requests'] for s in stats)
    # A connection that had rested and ends without a byte is taken for stale: its request is sent once more.
    stale = sum(s['faults'][name] for s in stats for name in ('drop', 'halfclose'))
    assert arrived - stale <= sum(calls.values()) <= arrived + calls['cancelled'] + calls['deadline']
    assert 0 < calls['account_busy'] <= sum(s['faults']['429'] for s in stats)
    assert not {'client_error', 'refused', 'dns', 'memory'} & {k for k, v in calls.items() if v}
