# SPDX-License-Identifier: MIT
"""What happens when an endpoint fails: another one answers while nothing has been said, an honest error comes
after that, nobody is asked in vain, and a client that leaves takes everything with it. Test names carry the
ids of the failures that users of other gateways reported (T1, T2, T4, T6, T7, T26)."""
import socket
import threading

import pytest

from kit import config, http, until
from kit.origin import STREAM_HEAD, event, response

QUICK = {'transport': '400ms', 'progress': '600ms'}
TOKENS = 12


@pytest.fixture
def pair(gateway, simulator):
    """pair(model at the first, ...): a gateway, its first endpoint and its spare."""
    def make(first, **more):
        one, two = simulator(), simulator()
        name = first.replace('~', f'~tokens={TOKENS},')
        what = config.tiers(one.v1, two.v1, models=[name, f'sim~tokens={TOKENS}'], **more)
        return gateway(what), one, two
    return make


def asked(sim):
    return sim.stats()['requests']


def calls(gw, endpoint, outcome):
    return gw.metrics().value('tidegate_upstream_calls_total', endpoint=endpoint, outcome=outcome)


# -- before the first text another endpoint answers ----------------------------------------------------------


BEFORE = [('sim~500', 'server_error'), ('sim~503', 'server_busy'), ('sim~429', 'account_busy'),
          ('sim~cut=0', None), ('sim~empty', 'empty'), ('sim~malformed=0', 'malformed')]


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
@pytest.mark.parametrize('first, outcome', BEFORE, ids=[b[0] for b in BEFORE])
def test_t01_a_failure_before_the_first_text_moves_on(pair, first, outcome, stream):
    gw, one, two = pair(first)
    if stream:
        with gw.stream('m') as s:
            text = http.joined(s.whole())
            headers = s.headers
    else:
        answered = gw.chat('m')
        text, headers = answered.text(), answered.headers
    assert text == two_text(two)
    assert headers['x-tidegate-endpoint'] == 'e2' and headers['x-tidegate-attempts'] == '2'
    assert (asked(one), asked(two)) == (1, 2)  # the second of them asked here, for the text
    assert outcome is None or calls(gw, 'e1', outcome) == 1
    assert gw.metrics().value('tidegate_fallbacks_total', endpoint='e1') == 1
    line, = gw.access()
    assert line['result'] == 'full' and line['attempts'] == 2 and line['endpoint'] == 'e2'
    gw.settle()


def two_text(sim):
    """What a simulator says to the same prompt, without a gateway."""
    return http.chat(sim.at, f'sim~tokens={TOKENS}').text()


@pytest.mark.parametrize('first', ['sim~cut=5', 'sim~stall=5', 'sim~malformed=5'])
def test_t01_a_plain_answer_that_breaks_moves_on_however_late(pair, first):
    """A plain answer is held back until it is whole, so nothing was said yet."""
    gw, one, two = pair(first, timeouts={'deadline': '60s'})
    if 'stall' in first:  # only the deadline ends a silent plain call: nothing is left for the spare
        refused = gw.chat('m', headers={'x-tidegate-deadline-ms': '700'})
        assert refused.status == 504 and refused.error()['code'] == 'deadline_exceeded'
        assert (asked(one), asked(two)) == (1, 0)
    else:
        assert gw.chat('m').headers['x-tidegate-endpoint'] == 'e2'
        assert (asked(one), asked(two)) == (1, 1)
    gw.settle()


def test_t01_a_refused_connection_moves_on(gateway, simulator):
    with socket.socket() as nobody:
        nobody.bind(('127.0.0.1', 0))  # bound, not listening: nobody else gets the port
        two = simulator()
        gw = gateway(config.tiers('http://127.0.0.1:%d/v1' % nobody.getsockname()[1], two.v1))
        assert gw.chat('m').status == 200
        assert calls(gw, 'e1', 'refused') == 1 and asked(two) == 1


def test_t01_at_most_three_are_asked(gateway, simulator):
    sims = [simulator() for _ in range(4)]
    gw = gateway(config.tiers(*[s.v1 for s in sims], models=['sim~empty'] * 3 + ['sim']))
    refused = gw.chat('m')
    assert refused.status == 502 and refused.error()['code'] == 'upstream_empty'
    assert refused.headers['x-tidegate-attempts'] == '3'
    assert [asked(s) for s in sims] == [1, 1, 1, 0]


def test_t01_all_busy_says_when_to_come_back(gateway, simulator):
    sims = [simulator(), simulator()]
    gw = gateway(config.tiers(*[s.v1 for s in sims], models=['sim~429'] * 2))
    refused = gw.chat('m')
    assert refused.status == 429 and refused.error()['code'] == 'upstream_rate_limited'
    assert refused.headers['retry-after'] == '1'
    assert [asked(s) for s in sims] == [1, 1]


def test_a_clients_own_mistake_is_never_retried(gateway, simulator):
    one, two = simulator(), simulator()
    gw = gateway(config.tiers(one.v1, two.v1))
    refused = gw.chat('m', n=1000)  # the simulator makes at most 128 choices
    assert refused.status == 400 and 'too large' in refused.error()['message']
    assert refused.headers['x-should-retry'] == 'false'
    assert (asked(one), asked(two)) == (1, 0)


@pytest.mark.parametrize('status', ['404 Not Found', '413 Too Large', '422 Unprocessable'])
def test_refusals_of_the_request_are_passed_on(gateway, origin, status):
    error = {'error': {'message': 'not like this', 'type': 'x', 'param': 'top_p', 'code': 'odd'}}
    up = origin(lambda peer, rq: response(error, status))
    refused = gateway(up).chat()
    assert refused.status == int(status[:3])
    told = refused.error()
    assert told.pop('message').startswith('not like this')
    assert told == {'type': 'invalid_request_error', 'param': 'top_p', 'code': 'odd'}
    assert len(up.requests) == 1


# -- after the first text an error event says so -------------------------------------------------------------


AFTER = [('sim~cut=5', 'upstream_truncated', 5), ('sim~malformed=5', 'upstream_malformed', 5),
         ('sim~stall=5', 'upstream_transport_timeout', 5), ('sim~nodone', 'upstream_truncated', TOKENS)]


@pytest.mark.parametrize('first, code, said', AFTER, ids=[a[0] for a in AFTER])
def test_t01_t02_a_failure_after_the_first_text_is_an_error_event(pair, first, code, said):
    """The status line has gone: no second answer, no [DONE], no clean end, and it counts as failed."""
    gw, one, two = pair(first, timeouts=QUICK)
    with gw.stream('m') as s:
        chunks, error = s.failure()
        assert s.status == 200
    assert error['code'] == code and error['type'] == 'server_error'
    assert sum(1 for c in chunks if c['choices'][0]['delta'].get('content')) == said
    assert two_text(two).startswith(http.joined(chunks))
    assert (asked(one), asked(two)) == (1, 1)  # that one was ours
    assert gw.metrics().value('tidegate_stream_truncated_total', endpoint='e1') == 1
    line, = gw.access()
    assert line['result'] == 'failed' and line['error'] == code
    gw.settle()


def test_t02_a_silent_end_in_the_middle_is_not_a_success(gateway, origin):
    """As DeepSeek did it: the connection ends well on the level of HTTP, in the middle of a thought."""
    def script(peer, _):
        chunk = event('half a tho')
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
                  b'%x\r\n%s\r\n0\r\n\r\n' % (len(chunk), chunk))
    with gateway(origin(script)).stream('m') as s:
        chunks, error = s.failure()
    assert http.joined(chunks) == 'half a tho' and error['code'] == 'upstream_truncated'


def test_t02_done_without_a_finish_reason_is_not_a_success(gateway, origin):
    def script(peer, _):
        peer.send(STREAM_HEAD + event('half') + b'data: [DONE]\n\n')
        peer.close()
    with gateway(origin(script)).stream('m') as s:
        assert s.failure()[1]['code'] == 'upstream_truncated'


def test_t02_an_error_event_of_the_endpoint_is_told_as_such(gateway, origin):
    def script(peer, _):
        peer.send(STREAM_HEAD + event('half') + b'data: {"error":{"message":"out of memory","code":500}}\n\n')
        peer.close()
    with gateway(origin(script)).stream('m') as s:
        chunks, error = s.failure()
    assert http.joined(chunks) == 'half' and error['code'] == 'upstream_error'


# -- silence -------------------------------------------------------------------------------------------------


def test_t04_an_endpoint_that_never_answers_is_left(pair):
    gw, one, two = pair('sim~hang', timeouts=QUICK)
    with gw.stream('m') as s:
        assert http.joined(s.whole()) == two_text(two)
        assert s.headers['x-tidegate-attempts'] == '2'
    assert calls(gw, 'e1', 'transport_timeout') == 1
    until(lambda: one.stats()['cancelled'] == 1 and one.is_idle(), 'the hanging call is given up')
    gw.settle()


def test_t04_a_plain_call_that_hangs_ends_with_the_deadline(pair):
    gw, one, _ = pair('sim~hang')
    for headers in ({'x-tidegate-deadline-ms': '400'}, {'x-stainless-read-timeout': '0.6'}):
        refused = gw.chat('m', headers=headers)
        assert refused.status == 504 and refused.error()['code'] == 'deadline_exceeded'
    until(lambda: one.stats()['cancelled'] == 2 and one.is_idle(), 'the hanging calls are given up')
    gw.settle()


def test_t04_a_hanging_endpoint_hurts_nobody_else(gateway, simulator):
    """A hundred calls hang; another model answers as ever; then all that was held is given back."""
    dead, good = simulator(), simulator()
    gw = gateway({'endpoints': [config.endpoint('dead', dead.v1), config.endpoint('good', good.v1)],
                  'models': [{'name': 'dead', 'tiers': [[{'endpoint': 'dead', 'model': 'sim~hang'}]]},
                             {'name': 'good', 'tiers': [[{'endpoint': 'good'}]]}]})
    hanging = [gw.stream('dead', content='x' * 10_000) for _ in range(100)]
    until(lambda: dead.stats()['queued'] == 100, 'all hang')
    for _ in range(20):
        assert gw.chat('good').status == 200
    assert gw.metrics().value('tidegate_upstream_inflight', endpoint='dead') == 100
    for s in hanging:
        s.close()
    gw.settle()
    until(dead.is_idle, 'all were given up')
    assert dead.stats()['cancelled'] == 100


def test_t07_stall_after_first_token(gateway, simulator):
    """Silence after the first token is the transport clock's, and told as such."""
    sim = simulator()
    gw = gateway(sim, timeouts=QUICK)
    with gw.stream('sim~stall=1') as s:
        assert s.failure()[1]['code'] == 'upstream_transport_timeout'
    assert calls(gw, 'up', 'transport_timeout') == 1
    until(lambda: sim.is_idle() and sim.stats()['cancelled'] == 1, 'the stalled call is closed')


def test_t07_comments_without_payload_are_a_stall(gateway, origin):
    """Bytes keep coming, so the transport clock is content; but they are no part of an answer."""
    def script(peer, _):
        peer.send(STREAM_HEAD + event('one'))
        while not up.over.wait(0.05):
            peer.send(b': keep-alive\n\n')
    up = origin(script)
    gw = gateway(up, timeouts=QUICK)
    with gw.stream('m') as s:
        chunks, error = s.failure()
    assert http.joined(chunks) == 'one' and error['code'] == 'upstream_stalled'
    assert calls(gw, 'up', 'stalled') == 1
    assert gw.metrics().value('tidegate_keepalive_bytes_total', endpoint='up') > 0


def test_t07_a_deadline_does_not_kill_a_good_stream(gateway, simulator):
    """It bounds the wait for the first text, not the stream."""
    gw = gateway(simulator(), timeouts=QUICK)
    with gw.stream('sim~tokens=40,gap=50ms', headers={'x-tidegate-deadline-ms': '500'}) as s:
        assert len(s.whole()) == 42


def test_t07_a_stream_has_a_longest_life(gateway, simulator):
    gw = gateway(simulator(), timeouts={'stream_max': '1s'})
    with gw.stream('sim~tokens=1000,gap=50ms') as s:
        assert s.failure()[1]['code'] == 'deadline_exceeded'
    gw.settle()


# -- waiting, not progress -----------------------------------------------------------------------------------


def deepseek(sim, **more):
    return {'endpoints': [{'name': 'ds', 'provider': 'deepseek', 'url': sim.root}],
            'models': [{'name': '*', 'tiers': [[{'endpoint': 'ds'}]]}], **more}


def test_t26_blank_lines_before_a_plain_answer(gateway, simulator):
    """Queued at DeepSeek: blank lines, longer than any clock of ours but the deadline, then the answer."""
    sim = simulator('--keepalive', '20ms')
    gw = gateway(deepseek(sim, timeouts=QUICK))
    answered = gw.chat('deepseek-flash~queue=1s')
    assert answered.status == 200 and answered.body.startswith(b'{') and answered.text()
    assert gw.metrics().value('tidegate_keepalive_bytes_total', endpoint='ds') >= 5


def test_t26_keep_alive_comments_before_a_stream(gateway, simulator):
    """Any byte is a sign of life: the transport clock does not end the wait, and the client gets comments of
    our own, each one line, after the time to hold back the head."""
    sim = simulator('--keepalive', '20ms')
    gw = gateway(deepseek(sim, timeouts={**QUICK, 'hold': '100ms', 'comment': '100ms'}))
    with gw.stream('deepseek-flash~queue=1s') as s:
        assert s.whole()
        assert 'waiting' in s.comments and 'keep-alive' not in s.comments
        assert s.comments[-1].startswith('tidegate endpoint=ds attempts=1'), 'the labels that came too late'
        assert b'\n: ' in b'\n' + s.raw and b'\n\n: ' in s.raw
    for before, after in zip(s.raw.split(b'\n'), s.raw.split(b'\n')[1:]):
        assert not before.startswith(b':') or after, 'no blank line of its own behind a comment'


def test_t26_a_queue_of_many_does_not_burn(gateway, simulator):
    """Fifty calls queue with keep-alives at 1 kHz in all; the deadline ends every one of them."""
    sim = simulator('--keepalive', '50ms')
    gw = gateway(deepseek(sim))
    waiting = [gw.stream('deepseek-flash~queue=10m', headers={'x-tidegate-deadline-ms': '2000'})
               for _ in range(50)]
    for s in waiting:
        assert s.begin().answer.status == 504
        s.close()
    gw.settle()
    until(sim.is_idle, 'all were given up')


# -- a client that leaves ------------------------------------------------------------------------------------


@pytest.mark.parametrize('how', ['close', 'reset'])
@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
def test_t06_leaving_while_it_waits_for_the_endpoint(gateway, simulator, stream, how):
    sim = simulator()
    gw = gateway(sim)
    wire = http.Wire(gw.at)
    wire.send(http.request('POST', http.CHAT, http.chat_body('sim~hang', stream=stream)))
    until(lambda: asked(sim) == 1, 'the call is there')
    getattr(wire, how)()
    until(lambda: sim.stats()['cancelled'] == 1, 'the endpoint is told')
    gw.settle()
    line, = gw.access()
    assert line['result'] == 'cancelled' and line['error'] == 'client_closed_request'


def test_t06_leaving_in_the_middle_of_a_stream(gateway, simulator):
    sim = simulator()
    gw = gateway(sim)
    s = gw.stream('sim~tokens=100000,gap=10ms')
    events = iter(s)
    for _ in range(3):
        next(events)
    s.close()
    until(lambda: sim.stats()['cancelled'] == 1 and sim.is_idle(), 'the endpoint is told')
    gw.settle()
    assert calls(gw, 'up', 'cancelled') == 1


def test_t06_leaving_while_queued(gateway, simulator):
    """The one slot is taken: a client that leaves the line leaves nothing there, and the next one gets it."""
    sim = simulator()
    gw = gateway({'accounts': [{'name': 'a', 'slots': {'*': 1}}],
                  'endpoints': [config.endpoint('up', sim.v1, account='a')],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]})
    first = gw.stream('sim~tokens=100000,gap=10ms')
    next(iter(first))
    second, third = gw.stream('sim~tokens=2'), gw.stream('sim~tokens=3')
    until(lambda: gw.metrics().value('tidegate_queue_depth') == 2, 'two wait')
    second.close()
    until(lambda: gw.metrics().value('tidegate_queue_depth') == 1, 'one waits')
    assert asked(sim) == 1
    first.close()
    assert len(third.whole()) == 5
    third.close()
    gw.settle()
    assert sim.stats()['requests'] == 2 and sim.stats()['cancelled'] == 1


def test_t06_leaving_while_it_connects(gateway):
    """A listener whose queue is full lets connections wait for ever."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for f in fillers:
            f.setblocking(False)
            f.connect_ex(full.getsockname())
        what = config.tiers('http://127.0.0.1:%d/v1' % full.getsockname()[1], timeouts={'connect': '1m'})
        gw = gateway(what)
        s = gw.stream('m')
        until(lambda: gw.metrics().value('tidegate_upstream_inflight', endpoint='e1') == 1, 'it connects')
        s.close()
        gw.settle()
        refused = gw.chat('m', headers={'x-tidegate-deadline-ms': '300'})
        assert refused.error()['code'] == 'deadline_exceeded'
        for f in fillers:
            f.close()


def test_a_connect_that_takes_too_long(gateway, simulator):
    two = simulator()
    with socket.create_server(('127.0.0.1', 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for f in fillers:
            f.setblocking(False)
            f.connect_ex(full.getsockname())
        gw = gateway(config.tiers('http://127.0.0.1:%d/v1' % full.getsockname()[1], two.v1,
                                  timeouts={'connect': '200ms'}))
        assert gw.chat('m').headers['x-tidegate-endpoint'] == 'e2'
        assert calls(gw, 'e1', 'connect_timeout') == 1
        for f in fillers:
            f.close()


def test_t06_half_closing_is_leaving(gateway, simulator):
    """A client that shuts its writing side has left, as with every server of HTTP."""
    sim = simulator()
    gw = gateway(sim)
    wire = http.Wire(gw.at)
    wire.send(http.request('POST', http.CHAT, http.chat_body('sim~hang')))
    until(lambda: asked(sim) == 1, 'the call is there')
    wire.socket.shutdown(socket.SHUT_WR)
    until(lambda: sim.stats()['cancelled'] == 1, 'the endpoint is told')
    wire.close()
    gw.settle()


# -- slots ---------------------------------------------------------------------------------------------------


def test_slots_of_an_account_are_never_passed(gateway, simulator):
    """Forty clients, three slots, two workers: the endpoint never sees a fourth call, nobody is refused."""
    sim = simulator('--account-limit', '3')
    gw = gateway({'accounts': [{'name': 'a', 'slots': {'sim~tokens=3': 3}}],
                  'endpoints': [config.endpoint('up', sim.v1, account='a')],
                  'models': [{'name': 'm', 'tiers': [[{'endpoint': 'up', 'model': 'sim~tokens=3'}]]}]})
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(gw.chat('m').status)) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [200] * 40
    assert sim.stats()['refused'] == 0 and sim.stats()['answered'] == 40
    gw.settle()


def test_a_full_line_says_so(gateway, simulator):
    sim = simulator()
    gw = gateway({'accounts': [{'name': 'a', 'slots': {'*': 1}}], 'limits': {'line': 1},
                  'endpoints': [config.endpoint('up', sim.v1, account='a')],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]})
    first = gw.stream('sim~tokens=100000,gap=10ms')
    next(iter(first))
    second = gw.stream('sim~tokens=2')
    until(lambda: gw.metrics().value('tidegate_queue_depth') == 1, 'one waits')
    refused = gw.chat()
    assert refused.status == 429 and refused.error()['code'] == 'queue_full'
    assert 0 < int(refused.headers['retry-after']) <= 60
    first.close()
    assert second.whole()
    second.close()
    gw.settle()


def test_weights_split(gateway, simulator):
    one, two = simulator('--ttft', '0ms', '--gap', '0ms'), simulator('--ttft', '0ms', '--gap', '0ms')
    gw = gateway({'endpoints': [config.endpoint('a', one.v1), config.endpoint('b', two.v1)],
                  'models': [{'name': 'm', 'tiers': [[{'endpoint': 'a', 'weight': 75},
                                                      {'endpoint': 'b', 'weight': 25}]]}]})
    with http.Wire(gw.at) as w:
        for _ in range(100):
            assert w.send(http.request('POST', http.CHAT, http.chat_body('m'))).answer().status == 200
    assert (asked(one), asked(two)) == (75, 25)


# -- nobody else is there ------------------------------------------------------------------------------------
def test_t11_an_outage_is_waited_out(gateway, simulator, tmp_path):
    script = tmp_path / 'outage.timeline'
    script.write_text('at=0s for=2s fault=500\n')
    up = simulator('--timeline', str(script))
    gw = gateway(config.whole(up, **config.PATIENT))
    answers = [gw.chat('sim', content=str(i)) for i in range(3)]
    assert [a.status for a in answers] == [200] * 3
    assert int(answers[0].headers['x-tidegate-attempts']) > 1


def test_the_metrics_say_which_endpoint_is_left_alone(gateway, simulator):
    one, two = simulator(), simulator()
    gw = gateway(config.tiers(one.v1, two.v1, models=['sim~500', 'sim'], **config.PATIENT))

    def value(name, endpoint, model):
        return gw.metrics().value(f'tidegate_endpoint_{name}', endpoint=endpoint, model=model)
    assert value('well', 'e1', 'sim~500') == 1
    assert {gw.chat('m').status for _ in range(10)} == {200}
    assert value('well', 'e1', 'sim~500') == 0 and value('openings_total', 'e1', 'sim~500') >= 1
    assert value('well', 'e2', 'sim') == 1 and value('openings_total', 'e2', 'sim') == 0
    assert asked(one) < 10
