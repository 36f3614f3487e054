# SPDX-License-Identifier: MIT
"""Who is where when the end comes: in a stream, in the line with and without a head, in an upload, at a
client that takes nothing. Each is served to the end or told the truth."""
import json
import signal
import socket
import threading

import pytest

from kit import LIMIT, config, http, until
from kit.origin import STREAM_HEAD, answer, event, response

LONG = '5m'  # longer than any test: who waits for it fails


class Gated:
    """A script: a stream says one word and everything else nothing until the gate opens."""
    def __init__(self):
        self.gate = threading.Event()

    def __call__(self, peer, request):
        if not request.json().get('stream'):
            self.gate.wait(LIMIT)
            return response(answer('whole'))
        peer.send(STREAM_HEAD + event('one '))
        self.gate.wait(LIMIT)
        peer.send(event('two') + event(finish='stop') + b'data: [DONE]\n\n')
        peer.close()
        return None


@pytest.fixture
def gated():
    script = Gated()
    yield script
    script.gate.set()


@pytest.fixture
def slow(origin, gated):
    return origin(gated)


def narrow(up, **timeouts):
    """One call at a time: the others wait in the line."""
    return {'accounts': [{'name': 'one', 'slots': {'*': 1}}],
            'endpoints': [config.endpoint('up', up.v1, account='one')],
            'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}], 'timeouts': timeouts}


def asking(gw, **fields):
    wire = http.Wire(gw.at)
    return wire.send(http.request('POST', http.CHAT, http.chat_body('m', **fields)))


def begun(gw, **fields):
    """A stream that has said its first word, and the iterator to go on with."""
    stream = gw.stream('m', **fields)
    events = iter(stream)
    assert json.loads(next(events))['choices'][0]['delta']['content'] == 'one '
    return stream, events


def waiting(gw, n):
    until(lambda: gw.metrics().value('tidegate_queue_depth') == n, f'{n} wait in the line')


def term(gw):
    gw.drain_delay = True  # should the test fail now, a second signal ends it
    gw.signal(signal.SIGTERM)
    gw.wait_for('draining')


def term_twice(gw):
    term(gw)
    gw.signal(signal.SIGTERM)


def refuses(gw):
    try:
        socket.create_connection(gw.at, LIMIT).close()
    except ConnectionError:
        return True
    return False


def well_ended(gw):
    assert gw.wait() == 0
    assert gw.stderr().rstrip().endswith('"msg":"stopped"}')
    return True


def test_open_work_is_finished_and_nothing_else_begun(gateway, slow, gated):
    gw = gateway(narrow(slow), timeouts={'drain_delay': '0s', 'drain': LONG})
    stream, events = begun(gw)
    idle = http.Wire(gw.at)
    assert idle.send(http.request('GET', '/v1/models')).answer().status == 200
    plain = asking(gw)
    waiting(gw, 1)
    term(gw)
    until(lambda: refuses(gw), 'new connections are refused')
    assert idle.rest() == b'', 'a connection without a request is closed'
    assert gw.child.poll() is None and len(slow.requests) == 1
    gated.gate.set()
    assert [json.loads(e)['choices'][0]['delta'] for e in list(events)[:-1]] == [{'content': 'two'}, {}]
    answered = plain.answer()
    assert answered.text() == 'whole', 'who stood in the line has had its turn'
    assert answered.headers['connection'] == 'close'
    assert plain.rest() == stream.wire.rest() == b''
    assert well_ended(gw)
    assert sorted(line['result'] for line in gw.access(3)) == ['full', 'full', 'local']


def test_a_hundred_streams_outlive_the_signal(gateway, slow, gated):
    gw = gateway(slow, timeouts={'drain_delay': '0s', 'drain': LONG})
    streams = [begun(gw) for _ in range(100)]
    term(gw)
    until(lambda: refuses(gw), 'new connections are refused')
    gated.gate.set()
    for stream, events in streams:
        assert list(events)[-1] == '[DONE]'
        stream.close()
    assert well_ended(gw)
    assert len(gw.access(100, result='full', stream=True)) == 100


def test_the_second_signal_ends_it_at_once_and_tells_everybody(gateway, slow):
    """In a stream that flows, in the line with and without a head, and in the middle of an upload."""
    gw = gateway(narrow(slow, hold='100ms', comment='100ms', drain_delay=LONG, drain=LONG))
    flowing, events = begun(gw)
    held = gw.stream('m').begin()
    assert held.status == 200, 'it has waited for so long that it has its head'
    plain = asking(gw)
    upload = http.Wire(gw.at).send(http.request('POST', http.CHAT, http.chat_body('m'))[:-1])
    waiting(gw, 2)
    until(lambda: gw.metrics().value('tidegate_exchanges_inflight') == 4, 'the upload has begun')
    term_twice(gw)
    for stream in (flowing, held):
        chunks, error = stream.failure()
        assert chunks == [] and error['code'] == 'gateway_draining' and error['type'] == 'server_error'
    assert held.comments[0].startswith('queued position=')
    for wire in (plain, upload):
        answered = wire.answer('POST')
        assert answered.status == 503 and answered.error()['code'] == 'gateway_draining'
        assert int(answered.headers['retry-after']) > 0 and answered.headers['connection'] == 'close'
        assert wire.rest() == b''
    assert well_ended(gw)
    lines = gw.access(4)
    assert [(line['result'], line['error']) for line in lines] == [('failed', 'gateway_draining')] * 4
    assert sorted(line['status'] for line in lines) == [200, 200, 503, 503]


def test_a_stream_that_has_no_head_yet_gets_a_status(gateway, slow):
    gw = gateway(narrow(slow, drain_delay=LONG, drain=LONG))
    flowing, _ = begun(gw)
    held = gw.stream('m')
    waiting(gw, 1)
    term_twice(gw)
    assert held.begin().status == 503 and held.answer.error()['code'] == 'gateway_draining'
    assert flowing.failure()[1]['code'] == 'gateway_draining'
    assert well_ended(gw)


def test_a_drain_is_bounded(gateway, slow):
    gw = gateway(narrow(slow, drain_delay='0s', drain='300ms'))
    flowing, _ = begun(gw)
    plain = asking(gw)
    waiting(gw, 1)
    term(gw)
    assert well_ended(gw)
    assert "the drain's time is over" in gw.stderr()
    assert flowing.failure()[1]['code'] == plain.answer().error()['code'] == 'gateway_draining'


def test_a_client_that_takes_nothing_does_not_hold_up_the_end(gateway, simulator):
    """Megabytes wait for it when the gateway is told to stop."""
    gw = gateway(simulator(), timeouts={'drain_delay': '0s', 'drain': '300ms'})
    with gw.stream('sim~tokens=2000,gap=1ms,size=65536') as stream:
        stream.begin()
        term(gw)
        assert well_ended(gw)


def test_a_hangup_changes_nothing(gateway, simulator):
    gw = gateway(simulator())
    with gw.stream('sim~tokens=200,gap=5ms') as stream:
        stream.begin()
        gw.signal(signal.SIGHUP)
        gw.wait_for('SIGHUP')
        assert len(stream.whole()) > 200
    assert http.ask(gw.at, path='/readyz').status == 200 and gw.chat().status == 200
    term(gw)
    assert well_ended(gw)
