# SPDX-License-Identifier: MIT
"""Bytes: what the client gets is what the endpoint said, however it was framed, cut and sized."""
import json
import random

import pytest

from kit import config, http
from kit.origin import STREAM_HEAD, answer, event, response

SIZES = [0, 1, 4095, 4096, 4097, 65_536, 200_000, 1_048_000, 3_000_000]  # the last is more than is held back
DONE = b'data: [DONE]\n\n'


def framed(body, framing, dice):
    if framing == 'sized':
        return response(body)
    head = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
    if framing == 'until close':
        return head + b'Connection: close\r\n\r\n' + body
    out, at = [head + b'Transfer-Encoding: chunked\r\n\r\n'], 0
    while at < len(body):
        piece = body[at:at + dice.choice([1, 100, 5000, 70_000, 500_000])]
        out.append(b'%x\r\n%s\r\n' % (len(piece), piece))
        at += len(piece)
    return b''.join(out) + b'0\r\n\r\n'


@pytest.mark.parametrize('framing', ['sized', 'chunked', 'until close'])
def test_plain_answers_byte_by_byte(gateway, origin, framing):
    dice = random.Random(1)
    text = ''.join(dice.choices('abc "\\\n潮🌊', k=5000)) * 600
    bodies = [json.dumps(answer(text[:n] or '.'), indent=dice.choice([None, 1]),
                         ensure_ascii=dice.random() < 0.5).encode() for n in SIZES]
    todo = list(bodies)

    def script(peer, _):
        peer.send(framed(todo.pop(0), framing, dice))
        if framing == 'until close':
            peer.close()
    gw = gateway(origin(script))
    for body in bodies:
        got = gw.chat()
        assert got.status == 200 and got.body == body
    gw.settle()


@pytest.mark.parametrize('cut', ['whole', 'at any byte'])
def test_streams_event_by_event(gateway, origin, cut):
    """Events leave as they came; the comments of the endpoint stay here; odd forms become plain."""
    dice = random.Random(2)
    plain = [event('x' * n) for n in (0, 1, 3000, 5000, 40_000, 70_000, 200_000)] + [event('潮🌊"\\\n')]
    dice.shuffle(plain)
    odd = [(b'data: {"choices":[{"delta":\r\ndata: {"content":"two lines"}}]}\r\n\r\n',
            b'data: {"choices":[{"delta":\ndata: {"content":"two lines"}}]}\n\n'),
           (b'event: chunk\nid: 7\ndata:{"choices":[{"delta":{"content":"named"}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"named"}}]}\n\n')]
    sent, expected = [], []
    for e in plain:
        sent += [e, b': keep-alive\n\n', b'\r\n\r\n']
        expected.append(e)
    for before, after in odd:
        sent.append(before)
        expected.append(after)
    tail = event(finish='stop') + DONE
    data = STREAM_HEAD + b''.join(sent) + tail

    def script(peer, _):
        at = 0
        while at < len(data):
            n = len(data) if cut == 'whole' else dice.choice([1, 2, 7, 1000, 4096, 30_000])
            peer.send(data[at:at + n])
            at += n
        peer.close()
    with gateway(origin(script)).stream('m') as s:
        assert s.whole()
        assert s.raw == b''.join(expected) + tail


def test_an_event_past_the_limit_is_refused(gateway, origin):
    """Before the first text with a status, after it in-band; memory for it is never taken."""
    big = event('x' * 100_000)
    up = origin(lambda peer, rq: STREAM_HEAD + big)
    gw = gateway(up, limits={'event': '64KiB'})
    with gw.stream('m') as s:
        refused = s.begin().answer
    assert refused.status == 502 and refused.error()['code'] == 'upstream_too_large'
    up.script = lambda peer, rq: STREAM_HEAD + event('one') + big
    with gw.stream('m') as s:
        chunks, error = s.failure()
    assert http.joined(chunks) == 'one' and error['code'] == 'upstream_too_large'
    gw.settle()


def test_what_the_client_sends_goes_up_byte_by_byte(gateway, origin):
    """Blanks, order, escapes and doubled members included; only what has to be changed is."""
    up = origin()
    gw = gateway(config.tiers(up.v1, models=['there']))
    body = (b' \n{ "messages" : [ {"role":"user", "content":"\\u6f6e \\/ \xe6\xbd\xae"} ],\t"n":1.0, "x":1e5,'
            b'\r\n "model":\t"m" , "x":2, "stream" : false} \n')
    assert http.ask(gw.at, 'POST', http.CHAT, body).status == 200
    assert up.requests[0].body == body.replace(b'"m"', b'"there"')
    alias = config.tiers(up.v1)
    alias['models'][0]['aliases'] = [{'name': 'a', 'set': {'thinking': {'type': 'disabled'}, 'x': 7}}]
    assert http.ask(gateway(alias).at, 'POST', http.CHAT, body.replace(b'"m"', b'"a"')).status == 200
    sent = up.requests[1].json()
    assert sent['model'] == 'm' and sent['thinking'] == {'type': 'disabled'} and sent['x'] == 7
    assert up.requests[1].body.count(b'"x"') == 1, 'a member that is set stands there once'


def test_large_requests_go_up_whole(gateway, origin):
    """More than any buffer between: it goes up in steps, and none is lost."""
    up = origin(lambda peer, rq: response(answer(str(len(rq.json()['messages'][0]['content'])))))
    gw = gateway(up)
    for n in (65_000, 70_000, 1_000_000, 8_000_000):
        assert gw.chat(content='x' * n).text() == str(n)
    gw.settle()
