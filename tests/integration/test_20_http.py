# SPDX-License-Identifier: MIT
"""HTTP/1.1 as clients speak it, well and badly, over bare sockets."""
import json
import re
import socket
import threading

import pytest

from kit import ROOT, http, until
from kit.config import whole
from kit.origin import STREAM_HEAD, Origin, answer, event, response

CHAT = http.CHAT


@pytest.fixture(scope='module')
def up(shared):
    """Answers every call, and has recorded every byte that reached it."""
    return shared.closing(Origin(lambda peer, rq: response(answer(rq.json()['messages'][0]['content']))))


@pytest.fixture(scope='module')
def gw(shared, up):
    return shared.gateway(whole(up, limits={'head': '8KiB', 'body': '64KiB'}))


@pytest.fixture
def wire(gw):
    with http.Wire(gw.at) as w:
        yield w


def chat(content='Hello', **headers):
    return http.request('POST', CHAT, http.chat_body('m', content), headers)


def chunked(*pieces, trailer=b'', extension=b'', path=CHAT):
    head = f'POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'.encode()
    body = b''.join(b'%x%s\r\n%s\r\n' % (len(p), extension, p) for p in pieces)
    return head + body + b'0\r\n' + trailer + b'\r\n'


# -- what has to work ----------------------------------------------------------------------------------------


def test_keep_alive(wire):
    for i in range(5):
        assert wire.send(chat(f'turn {i}')).answer().text() == f'turn {i}'


def test_keep_alive_after_errors_of_the_request(wire):
    """A refusal that leaves no doubt about framing keeps the connection."""
    assert wire.send(http.request('POST', CHAT, b'{')).answer().error()['code'] == 'invalid_json'
    assert wire.send(http.request('GET', '/nothing')).answer().error()['code'] == 'route_not_found'
    assert wire.send(chat('still here')).answer().text() == 'still here'


def test_pipelined_requests_are_answered_in_order(wire):
    wire.send(b''.join(chat(f'turn {i}') for i in range(20)) + http.request('GET', '/healthz') + chat('last'))
    for i in range(20):
        assert wire.answer().text() == f'turn {i}'
    assert wire.answer().body == b'ok\n'
    assert wire.answer().text() == 'last'


def test_pipelined_behind_a_request_that_is_refused(wire, up):
    """Of a request whose framing is in doubt and of all behind it nothing is done."""
    before = len(up.seen)
    doubtful = b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc'
    wire.send(doubtful + chat('smuggled'))
    refusal = wire.answer()
    assert refusal.status == 400 and refusal.headers['connection'] == 'close'
    assert wire.rest() == b'' and len(up.seen) == before


@pytest.mark.parametrize('connection, goes_on', [('close', False), ('keep-alive', True)])
def test_connection_header(wire, connection, goes_on):
    answered = wire.send(chat(Connection=connection)).answer()
    assert answered.status == 200
    assert (answered.headers.get('connection') == 'close') is not goes_on
    if goes_on:
        assert wire.send(chat()).answer().status == 200
    else:
        assert wire.rest() == b''


def test_http_1_0(wire):
    wire.send(b'GET /healthz HTTP/1.0\r\n\r\n')
    answered = wire.answer()
    assert answered.body == b'ok\n' and answered.headers['connection'] == 'close' and wire.rest() == b''


def test_a_stream_for_http_1_0_ends_with_the_connection(gateway, simulator):
    gw = gateway(simulator())
    body = json.dumps(http.chat_body('sim~tokens=3', stream=True)).encode()
    with http.Wire(gw.at) as w:
        w.send(b'POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
        answered = w.answer()
    assert 'transfer-encoding' not in answered.headers and answered.body.endswith(b'data: [DONE]\n\n')


def test_chunked_request_bodies(wire):
    body = json.dumps(http.chat_body('m', 'in pieces')).encode()
    for pieces in ([body], [body[:1], body[1:]], [body[i:i + 7] for i in range(0, len(body), 7)]):
        assert wire.send(chunked(*pieces)).answer().text() == 'in pieces'
    assert wire.send(chunked(body, extension=b';a=b')).answer().text() == 'in pieces'
    assert wire.send(chunked(body, trailer=b'X-Sum: 1\r\n')).answer().text() == 'in pieces'


@pytest.mark.parametrize('form', ['sized', 'chunked'])
def test_byte_by_byte(wire, form):
    body = json.dumps(http.chat_body('m', 'slowly but surely')).encode()
    whole_request = chunked(body[:20], body[20:]) if form == 'chunked' else chat('slowly but surely')
    for i in range(len(whole_request)):
        wire.send(whole_request[i:i + 1])
    assert wire.answer().text() == 'slowly but surely'


def test_head_has_the_heads_of_get_and_no_body(wire):
    for path in ('/v1/models', '/healthz', '/readyz'):
        get = wire.send(http.request('GET', path)).answer()
        head = wire.send(http.request('HEAD', path)).answer('HEAD')
        assert (head.status, head.body) == (200, b'')
        assert head.headers['content-length'] == str(len(get.body))
    assert wire.send(chat('after')).answer().text() == 'after'


def test_absolute_form_and_query(wire):
    assert wire.send(http.request('GET', 'http://tidegate.test/healthz')).answer().status == 200
    assert wire.send(http.request('GET', '/healthz?probe=1')).answer().status == 200
    assert wire.send(http.request('GET', '/v1/models/')).answer().status == 200


def test_expect_100_continue(wire):
    body = json.dumps(http.chat_body('m', 'may I')).encode()
    wire.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n'
              b'Content-Length: %d\r\n\r\n' % len(body))
    assert wire.head() == (100, [])
    assert wire.send(body).answer().text() == 'may I'


def test_expect_100_continue_for_a_body_that_is_too_large(wire):
    wire.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n'
              b'Content-Length: 65537\r\n\r\n')
    answered = wire.answer()
    assert answered.error()['code'] == 'body_too_large' and answered.headers['connection'] == 'close'


def test_a_body_up_to_the_limit(wire, up):
    frame = len(json.dumps(http.chat_body('m', '')).encode())
    content = 'x' * (64 * 1024 - frame)
    assert wire.send(chat(content)).answer().text() == content
    wire.send(chat(content + 'x'))
    assert wire.answer().error()['code'] == 'body_too_large'


# -- what is refused, each with its documented error ---------------------------------------------------------


REFUSED = [
    ('no such route', http.request('GET', '/v2/models'), 404, 'route_not_found'),
    ('a route below another', http.request('POST', CHAT + '/x', b'{}'), 404, 'route_not_found'),
    ('twice v1', http.request('GET', '/v1/v1/models'), 404, 'route_not_found'),
    ('GET of POST', http.request('GET', CHAT), 405, 'method_not_allowed'),
    ('PUT', http.request('PUT', CHAT, b'{}'), 405, 'method_not_allowed'),
    ('DELETE of GET', http.request('DELETE', '/v1/models'), 405, 'method_not_allowed'),
    ('a long head', http.request('GET', '/healthz', None, {'X-Long': 'x' * 9000}), 431, 'head_too_large'),
    ('many fields', http.request('GET', '/healthz', None, {f'X-{i}': 'y' for i in range(2000)}), 431,
     'head_too_large'),
    ('a long line', http.request('GET', '/' + 'x' * 9000), 431, 'head_too_large'),
    ('a large body', http.request('POST', CHAT, b' ' * 65537), 413, 'body_too_large'),
    ('a large chunked body', chunked(b' ' * 40000, b' ' * 40000), 413, 'body_too_large'),
    ('gzip', http.request('POST', CHAT, b'{}', {'Content-Encoding': 'gzip'}), 415, 'unsupported_media_type'),
    ('an odd expectation', http.request('POST', CHAT, b'{}', {'Expect': 'tea'}), 417, 'expectation_failed'),
    ('HTTP/2.0', b'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505, 'http_version_not_supported'),
    ('a coding', b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501,
     'transfer_coding_not_supported'),
    ('no body', http.request('POST', CHAT, b''), 400, 'invalid_json'),
    ('blanks', http.request('POST', CHAT, b' \r\n\t '), 400, 'invalid_json'),
    ('half of an object', http.request('POST', CHAT, b'{"model":"m"'), 400, 'invalid_json'),
    ('two objects', http.request('POST', CHAT, b'{}{}'), 400, 'invalid_json'),
    ('broken UTF-8', http.request('POST', CHAT, b'{"model":"\xff"}'), 400, 'invalid_json'),
    ('half a surrogate', http.request('POST', CHAT, b'{"model":"\\ud800"}'), 400, 'invalid_json'),
    ('NUL', http.request('POST', CHAT, b'\0'), 400, 'invalid_json'),
    ('very deep', http.request('POST', CHAT, b'[' * 60000), 400, 'invalid_json'),
    ('deep and closed', http.request('POST', CHAT, b'[' * 30000 + b']' * 30000), 400, None),
    ('a list', http.request('POST', CHAT, b'[]'), 400, None),
    ('null', http.request('POST', CHAT, b'null'), 400, None),
    ('no model', http.request('POST', CHAT, {'messages': [{}]}), 400, 'model_required'),
    ('an empty model', http.request('POST', CHAT, http.chat_body('')), 400, 'model_required'),
    ('a number as model', http.request('POST', CHAT, http.chat_body(7)), 400, 'invalid_field'),
    ('a very long model', http.request('POST', CHAT, http.chat_body('m' * 300)), 400, 'invalid_field'),
    ('a line feed in the model', http.request('POST', CHAT, http.chat_body('m\nx')), 400, 'invalid_field'),
    ('no messages', http.request('POST', CHAT, {'model': 'm'}), 400, 'invalid_field'),
    ('messages as text', http.request('POST', CHAT, {'model': 'm', 'messages': 'hi'}), 400, 'invalid_field'),
    ('stream as text', http.request('POST', CHAT, http.chat_body('m', stream='yes')), 400, 'invalid_field'),
    ('an odd priority', chat(**{'x-tidegate-priority': 'urgent'}), 400, 'invalid_field'),
    ('an odd deadline', chat(**{'x-tidegate-deadline-ms': 'soon'}), 400, 'invalid_field'),
    ('a deadline of nothing', chat(**{'x-tidegate-deadline-ms': '0'}), 400, 'invalid_field'),
]


@pytest.mark.parametrize('data, status, code', [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(wire, gw, up, data, status, code):
    before = len(up.seen)
    answered = wire.send(data).answer()
    error = answered.error()
    assert answered.status == status, answered
    assert error['code'] == code or (code is None and error['code'] in ('invalid_json', 'invalid_field'))
    assert error['type'] == 'invalid_request_error'
    assert answered.headers.get('x-should-retry') == 'false'
    if status == 405:
        methods = 'POST' if CHAT.encode() in data else 'GET, HEAD'
        assert answered.headers['allow'] == methods + ', OPTIONS'
    assert len(up.seen) == before, 'nothing went up'
    assert http.ask(gw.at, path='/healthz').status == 200


def test_every_refusal_is_documented():
    page = (ROOT / 'docs/errors.md').read_text()
    documented = dict(re.findall(r'^\| `(\w+)` \| (\d+) \|', page, re.MULTILINE))
    for _, _, status, code in REFUSED:
        assert code is None or documented[code] == str(status)


def goldens():
    """The cases of tests/golden/http/refused.md, aimed at the chat route: (name, bytes, refusal)."""
    text = (ROOT / 'tests/golden/http/refused.md').read_text()
    case = r'^## (.*?)\n\n```in\n(.*?)\n```\n\n```log\n(.*?)\n```'
    found = re.findall(case, text, re.MULTILINE | re.DOTALL)
    assert len(found) == len(re.findall('^## ', text, re.MULTILINE)) > 90
    letters = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0', '\\': '\\'}
    for name, source, log in found:
        data = re.sub(r'\\(?:x([0-9A-Fa-f]{2})|(.))',
                      lambda m: chr(int(m[1], 16)) if m[1] else letters[m[2]], source.replace('\n', ''))
        data = data.encode('latin-1').replace(b'POST / ', f'POST {CHAT} '.encode())
        data = data.replace(b'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', chat('smuggled'))
        yield name, data, re.search(r'^refused (\w+)$', log, re.MULTILINE)[1]


STATUS = {'bad_request': 400, 'http_version': 505, 'method_not_allowed': 405, 'transfer_coding': 501,
          'expectation': 417}


@pytest.mark.parametrize('data, refusal', [g[1:] for g in goldens()], ids=[g[0] for g in goldens()])
def test_nothing_is_smuggled(gw, up, wire, data, refusal):
    """The origin behind never sees a byte of a request that two readers could read differently."""
    before, connections = len(up.seen), up.connections_n
    answered = wire.send(data).answer()
    assert answered.status == STATUS[refusal] and answered.error()
    assert answered.headers['connection'] == 'close' and wire.rest() == b''
    assert (len(up.seen), up.connections_n) == (before, connections)


def test_the_origin_would_have_recorded_it(gw, up):
    before = len(up.seen)
    assert http.ask(gw.at, 'POST', CHAT, http.chat_body('m', 'a lawful request')).status == 200
    assert len(up.seen) > before and b'a lawful request' in up.seen


def test_what_goes_up_is_framed_once(gw, up):
    """However a body came, it goes up sized, with one Host, and without the client's private headers."""
    body = json.dumps(http.chat_body('m', 'framed')).encode()
    head = ('POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nCookie: c=1\r\n'
            'Authorization: Bearer sk-mine\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: keep-alive, X-Hop\r\n'
            'X-Hop: 1\r\nX-Client-Request-Id: mine\r\nProxy-Authorization: Basic eA==\r\n\r\n').encode()
    with http.Wire(gw.at) as w:
        assert w.send(head + b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body)).answer().status == 200
    rq = up.requests[-1]
    assert (rq.method, rq.path, rq.version) == ('POST', '/v1/chat/completions', 'HTTP/1.1')
    assert rq.body == body
    assert {k.lower() for k, _ in rq.headers} == {
        'host', 'content-type', 'accept', 'accept-encoding', 'user-agent', 'x-request-id',
        'x-client-request-id', 'x-tidegate-hops', 'content-length'}
    assert rq.headers['host'] == up.root.split('//')[1] and rq.headers['x-client-request-id'] == 'mine'


# -- time and memory -----------------------------------------------------------------------------------------


def test_a_slow_head_is_told_so(gateway, up):
    gw = gateway(up, timeouts={'head': '200ms'})
    with http.Wire(gw.at) as w:
        w.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow')
        answered = w.answer()
        assert answered.status == 408 and answered.error()['code'] == 'request_timeout'
        assert answered.headers['connection'] == 'close' and w.rest() == b''


def test_a_slow_body_is_told_so(gateway, up):
    gw = gateway(up, timeouts={'body': '200ms'})
    with http.Wire(gw.at) as w:
        w.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"model"')
        answered = w.answer()
        assert answered.status == 408 and answered.error()['code'] == 'request_timeout'
        assert w.rest() == b''


def test_an_idle_connection_is_closed_without_a_word(gateway, up):
    gw = gateway(up, timeouts={'idle': '200ms'})
    with http.Wire(gw.at) as w:
        assert w.rest() == b''
    with http.Wire(gw.at) as w:
        assert w.send(chat()).answer().status == 200
        assert w.rest() == b''


def test_connections_are_bounded_and_come_back(gateway, up):
    """Past the bound a new connection is closed; when one has gone there is room again."""
    gw = gateway(up, limits={'connections': 4}, workers=1)
    held = [http.Wire(gw.at).send(chat()) for _ in range(4)]
    assert all(w.answer().status == 200 for w in held)
    with http.Wire(gw.at) as w:
        assert w.rest() == b''
    held.pop().close()

    def again():
        try:
            return http.ask(gw.at, path='/healthz').status == 200
        except (http.Broken, OSError):
            return False
    until(again, 'there is room for a connection')
    for w in held:
        w.close()


def test_the_memory_budget_refuses_new_work_only(gateway, simulator):
    """Bodies under way fill the budget: what comes then gets 503; what was there is served."""
    gw = gateway(simulator(), limits={'memory': '1MiB', 'body': '1MiB'}, workers=1)
    part = json.dumps(http.chat_body('sim~tokens=2', 'x' * 600_000)).encode()
    first, second = http.Wire(gw.at), http.Wire(gw.at)
    head = b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n' % len(part)
    first.send(head + part[:-1])
    until(lambda: gw.metrics().value('tidegate_memory_budget_used_bytes') >= 600_000, 'the first is held')
    second.send(head + part[:-1])
    refused = second.answer()
    assert refused.status == 503 and refused.error()['code'] == 'memory_budget_exhausted'
    assert int(refused.headers['retry-after']) <= 60
    assert first.send(part[-1:]).answer().status == 200
    first.close()
    second.close()
    gw.settle()


def test_a_client_that_does_not_read_pauses_the_endpoint(gateway, origin):
    """With one subscriber its back-pressure reaches the endpoint: the gateway holds little."""
    sent, filler = [0], 'x' * 8000

    def endless(peer, _):
        peer.send(STREAM_HEAD)
        for i in range(2000):  # 16 MB
            peer.send(event(filler))
            sent[0] = i + 1
        peer.send(event(finish='stop') + b'data: [DONE]\n\n')
        peer.socket.shutdown(socket.SHUT_WR)
    gw = gateway(origin(endless), limits={'pending': '64KiB'})
    stream = gw.stream('m')
    stream.begin()
    looks = []

    def stands_still():
        looks.append(sent[0])
        return len(looks) > 20 and len(set(looks[-20:])) == 1
    until(stands_still, 'the endpoint is not read any more')
    assert sent[0] < 2000
    assert gw.metrics().value('tidegate_memory_budget_used_bytes') < 2 << 20
    assert len(http.joined(stream.whole())) == 2000 * len(filler)
    stream.close()
    gw.settle()


def test_many_connections_at_once(gw, up):
    """Every answer belongs to its request."""
    wrong = []

    def client(i):
        with http.Wire(gw.at) as w:
            for j in range(10):
                if w.send(chat(f'{i}/{j}')).answer().text() != f'{i}/{j}':
                    wrong.append((i, j))
    threads = [threading.Thread(target=client, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
