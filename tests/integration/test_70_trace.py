# SPDX-License-Identifier: MIT
"""Ten minutes of what people really asked a model (arrival times and lengths of the Azure trace), forty times
as fast, through gateway and simulator: every stream complete, and afterwards nothing left."""
import datetime
import json
import re

import pytest

from kit import ROOT, config, http, until
from kit.crowd import Visit, throng
from kit.process import PROGRAM

SPEED = 40
SLOTS = 48  # fewer than its peaks need: some wait in the line
EVERY = 50  # of so many streams one is compared in full with what the simulator says to that prompt
CONTENT = b'"delta":{"content":"'
COMMENT, EVENTS = re.compile(rb'^:.*\n', re.MULTILINE), re.compile(rb'(?:data: [^\n]+\n\n)+')


def part_of_the_trace():
    """A sanitizer makes the program many times slower: it gets the first minute."""
    with open(PROGRAM, 'rb') as program:
        text = program.read()
    return 60 if b'__asan_init' in text or b'__tsan_init' in text else 600


def trace(seconds):
    """(arrival in seconds, tokens of the prompt, tokens of the answer), in order."""
    lines = (ROOT / 'tests/data/azure2023_conv_10min.csv').read_text().splitlines()[2:]
    began = None
    for line in lines:
        at, prompt, answer = line.split(',')
        at = datetime.datetime.fromisoformat(at[:26])
        began = began or at
        if (at - began).total_seconds() > seconds:
            return
        yield (at - began).total_seconds(), int(prompt), int(answer)


class Turn(Visit):
    nap = 0.02

    def __init__(self, prompt_n, answer_n, number):
        self.answer_n, self.number = answer_n, number
        self.content = (f'{number} ' + 'tide ' * prompt_n)[:4 * prompt_n]
        self.model = f'azure~tokens={answer_n}'
        body = http.chat_body(self.model, self.content, stream=True)
        super().__init__(http.request('POST', http.CHAT, body, {'x-request-id': f'turn-{number}'}))


def events_of(body):
    """The data of each event; comments, which only a stream that waited has, are left out. (Regular
    expressions, because there are 750,000 events.)"""
    if b'\n:' in body or body.startswith(b':'):
        body = COMMENT.sub(b'', body)
    assert EVENTS.fullmatch(body), body[:1000]
    return body[len(b'data: '):-len(b'\n\n')].split(b'\n\ndata: ')


@pytest.fixture
def sim(simulator):
    return simulator('--ttft', '5ms:0.5', '--gap', '1ms', '--seed', '7')


def test_ten_minutes_of_a_trace(gateway, sim):
    turns = [(at / SPEED, Turn(prompt, answer, i))
             for i, (at, prompt, answer) in enumerate(trace(part_of_the_trace()))]
    assert len(turns) in (191, 2867)
    up = config.endpoint('up', sim.v1, account='main')
    gw = gateway({'accounts': [{'name': 'main', 'slots': {'*': SLOTS}}], 'endpoints': [up],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]})
    texts, complete = {}, []

    def judge(turn):
        answer, whole = turn.answer()
        assert answer is not None and whole and answer.status == 200, (turn.model, bytes(turn.got[:2000]))
        role, *contents, finish, end = events_of(answer.body)
        assert end == b'[DONE]' and b'"finish_reason":"stop"' in finish and b'"role":"assistant"' in role
        assert len(contents) == answer.body.count(CONTENT) == turn.answer_n
        if turn.number % EVERY == 0:
            texts[turn] = http.joined([json.loads(event) for event in contents])
        complete.append(turn.number)
        turn.got = None
    throng(gw.at, turns, judge, limit=200)

    n, tokens = len(turns), sum(turn.answer_n for _, turn in turns)
    assert sorted(complete) == list(range(n))
    gw.settle()
    until(sim.is_idle, 'the simulator has nothing to do')
    stats, page = sim.stats(), gw.metrics()
    assert (stats['requests'], stats['answered'], stats['tokens']) == (n, n, tokens)
    for name, labels, value in [
            ('tidegate_requests_total', {}, n),
            ('tidegate_requests_total', {'route': 'chat_completions', 'outcome': 'full'}, n),
            ('tidegate_responses_total', {'code': '200'}, n),
            ('tidegate_upstream_calls_total', {}, n),
            ('tidegate_upstream_calls_total', {'endpoint': 'up', 'outcome': 'ok'}, n),
            ('tidegate_completion_tokens_total', {'model': '*'}, tokens),
            ('tidegate_prompt_tokens_total', {'model': '*'}, sum(len(t.content) // 4 for _, t in turns)),
            ('tidegate_request_duration_seconds_count', {'model': '*'}, n),
            ('tidegate_time_to_first_token_seconds_count', {'model': '*'}, n),
            ('tidegate_connections_accepted_total', {}, n),
    ]:
        assert page.value(name, **labels) == value, (name, labels)
    lines = gw.access(n, result='full', stream=True, attempts=1)
    assert len({line['request_id'] for line in lines}) == n
    for turn, text in texts.items():
        assert http.chat(sim.at, turn.model, turn.content).text() == text
