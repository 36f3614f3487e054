# SPDX-License-Identifier: MIT
"""Ending: SIGTERM drains, a second signal ends at once; no stream is dropped that could have finished."""
import signal
import socket
import threading

import pytest

from kit import http, until
from kit.origin import answer, response


def ready(at):
    return http.ask(at, path='/readyz').status


def refuses(at):
    """Nobody listens there any more."""
    try:
        socket.create_connection(at, 5).close()
    except ConnectionError:
        return True
    return False


@pytest.fixture
def slow(gateway, simulator):
    """slow(**timeouts): a gateway and an open stream of many small tokens through it."""
    def make(tokens=60, gap='30ms', **timeouts):
        sim = simulator()
        gw = gateway(sim, timeouts=timeouts)
        stream = gw.stream(f'sim~tokens={tokens},gap={gap}')
        events = iter(stream)
        next(events)
        return gw, sim, stream, events
    return make


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_ends_at_once(gateway, simulator, number):
    gw = gateway(simulator())
    assert gw.chat().status == 200
    gw.signal(number)
    assert gw.wait() == 0
    assert 'draining' in gw.stderr() and 'stopped' in gw.stderr()


def test_an_open_stream_finishes(slow):
    gw, sim, stream, events = slow()
    gw.signal(signal.SIGTERM)
    until(lambda: refuses(gw.at), 'new connections are refused')
    assert gw.child.poll() is None
    rest = list(events)
    assert rest[-1] == '[DONE]' and len(rest) > 30
    stream.close()
    assert gw.wait() == 0
    assert sim.stats()['answered'] == 1 and sim.stats()['cancelled'] == 0
    line, = gw.access()
    assert line['result'] == 'full'


def test_readiness_fails_first_while_connections_are_still_accepted(slow):
    """A load balancer needs some seconds to notice: until then nobody is turned away."""
    gw, _, stream, events = slow(tokens=100, drain_delay='1s500ms')
    assert ready(gw.at) == ready(gw.admin) == 200
    gw.signal(signal.SIGTERM)
    until(lambda: ready(gw.admin) == 503, '/readyz fails')
    failing = http.ask(gw.at, path='/readyz')
    assert failing.status == 503 and failing.error()['code'] == 'gateway_draining'
    assert http.ask(gw.at, path='/healthz').status == 200, 'it is alive'
    assert gw.chat('sim~tokens=2').status == 200, 'and still answers'
    until(lambda: refuses(gw.at), 'new connections are refused in the end')
    assert ready(gw.admin) == 503, 'the admin address still says why'
    assert list(events)[-1] == '[DONE]'
    stream.close()
    assert gw.wait() == 0


def test_a_request_under_way_is_answered_and_its_connection_closed(gateway, origin):
    go = threading.Event()

    def script(peer, rq):
        go.wait(30)
        return response(answer('late'))
    gw = gateway(origin(script))
    with http.Wire(gw.at) as w:
        w.send(http.request('POST', http.CHAT, http.chat_body('m')))
        until(lambda: gw.metrics().value('tidegate_upstream_inflight') == 1, 'the call is under way')
        gw.signal(signal.SIGTERM)
        until(lambda: refuses(gw.at), 'new connections are refused')
        go.set()
        answered = w.answer()
        assert answered.text() == 'late' and w.rest() == b''
    assert gw.wait() == 0


def test_idle_connections_are_closed(gateway, simulator):
    gw = gateway(simulator(), timeouts={'drain': '10m'})
    with http.Wire(gw.at) as w:
        assert w.send(http.request('GET', '/healthz')).answer().status == 200
        gw.signal(signal.SIGTERM)
        assert w.rest() == b''
    assert gw.wait() == 0


def test_a_drain_has_an_end(slow):
    """What is still open when its time is over is told so and cut."""
    gw, sim, stream, events = slow(tokens=100_000, drain='300ms')
    gw.signal(signal.SIGTERM)
    with pytest.raises(http.Broken):
        last = [event for event in events][-1]
        raise AssertionError(f'the stream ended as if it were whole: {last}')
    assert gw.wait() == 0
    until(lambda: sim.is_idle() and sim.stats()['cancelled'] == 1, 'the endpoint is told')
    stream.close()


@pytest.mark.parametrize('second', [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(slow, second):
    gw, sim, stream, _ = slow(tokens=100_000, drain='10m', drain_delay='5m')
    gw.signal(signal.SIGTERM)
    gw.wait_for('draining')
    assert gw.chat('sim~tokens=2').status == 200, 'the first one only drains'
    gw.signal(second)
    assert gw.wait() == 0
    until(lambda: sim.is_idle() and sim.stats()['cancelled'] == 1, 'the endpoint is told')
    with pytest.raises(http.Broken):
        for event in stream:
            assert event != '[DONE]'
    stream.close()


def test_an_upload_that_never_ends_does_not_keep_it(gateway, simulator):
    gw = gateway(simulator(), timeouts={'drain': '300ms'})
    with http.Wire(gw.at) as w:
        w.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{')
        until(lambda: gw.metrics().value('tidegate_exchanges_inflight') == 1, 'it has begun')
        gw.signal(signal.SIGTERM)
        assert gw.wait() == 0


def test_a_simulator_ends_too(simulator):
    sim = simulator()
    stream = http.Stream(sim.at, 'sim~tokens=100000,gap=10ms')
    next(iter(stream))
    sim.signal(signal.SIGTERM)
    assert sim.wait() == 0
    stream.close()


def test_kill_leaves_nothing_in_the_way(gateway, simulator):
    """After kill -9 the next start on the same port works."""
    sim = simulator()
    gw = gateway(sim)
    stream = gw.stream('sim~tokens=100000,gap=10ms')
    next(iter(stream))
    gw.may_fail = True
    gw.signal(signal.SIGKILL)
    assert gw.wait() == -signal.SIGKILL
    stream.close()
    again = gateway(sim, listen='%s:%d' % gw.at)
    assert again.at == gw.at and again.chat('sim~tokens=2').status == 200
    until(lambda: sim.is_idle() and sim.stats()['cancelled'] == 1, 'the endpoint has seen it go')
