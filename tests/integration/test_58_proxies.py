# SPDX-License-Identifier: MIT
"""Real nginx and HAProxy, in front of tidegate and behind it, with the configurations of
docs/behind-a-proxy.md as they stand there."""
import json
import shutil
import socket
import ssl
import threading

import pytest

from kit import LIMIT, config, fronts, http, until
from kit.certs import Authority
from kit.origin import answer, event, response
from kit.process import run

pytestmark = pytest.mark.skipif(not shutil.which('openssl'),
                                reason="openssl's command line is not installed: it makes certificates")
NAMES = 'IP:127.0.0.1,DNS:localhost,DNS:tidegate.inside'
KINDS = ['nginx', 'haproxy']
WAYS = [(kind, between) for kind in KINDS for between in ('plain', 'tls')]
EVENTS = 12
LARGE = 2_500_000  # past what every proxy takes by itself
CHUNKED = (b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n'
           b'Transfer-Encoding: chunked\r\n\r\n')


def chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data)


class Conversation:
    """An origin's script of a stream in which no event is sent before the client has confirmed the last one:
    where a single event is held back, it stands still. `breaks_off`: after that many it just ends."""
    def __init__(self, breaks_off=None):
        self.confirmed, self.left = threading.Semaphore(0), threading.Event()
        self.events_n, self.breaks_off = breaks_off or EVENTS, breaks_off

    def __call__(self, peer, request):
        if request.method == 'GET':  # a proxy asks for the health of what it takes for an engine
            return response({'status': 'ok'})
        if not request.json().get('stream'):
            return response(answer(str(len(request.body))))
        peer.send(CHUNKED)
        for i in range(self.events_n):
            peer.send(chunk(event(f'{i} ')))
            if not self.is_confirmed(peer):
                self.left.set()
                return None
        if self.breaks_off:
            peer.close()
            return None
        return chunk(event(finish='stop')) + chunk(b'data: [DONE]\n\n') + b'0\r\n\r\n'

    def is_confirmed(self, peer):
        """Waits for the client's word, or (False) for the end of the connection."""
        peer.socket.settimeout(0.02)
        try:
            while not self.confirmed.acquire(blocking=False):
                try:
                    if not peer.more():
                        return False
                except TimeoutError:
                    pass
        finally:
            peer.socket.settimeout(LIMIT)
        return True

    def with_client(self, stream, events_n=None):
        """The client's side of it; gives the events that follow."""
        events = iter(stream)
        for i in range(events_n or self.events_n):
            assert http.joined([json.loads(next(events))]) == f'{i} '
            self.confirmed.release()
        return events


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def site(yard, authority):
    return fronts.Site(yard, authority.pair(NAMES), authority.file)


class Door:
    """Where clients come in: a proxy with TLS."""
    def __init__(self, at, authority):
        self.at, self.tls = at, authority.client()

    def connect(self, source='127.0.0.1'):
        raw = socket.create_connection(self.at, LIMIT, (source, 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.tls.wrap_socket(raw, server_hostname='localhost')

    def stream(self):
        return http.Stream(self.connect(), 'm')


@pytest.fixture(params=WAYS, ids=' '.join)
def front(request, gateway, site, authority):
    """front(what is behind the gateway): (the gateway, the door of the proxy before it)."""
    def make(what):
        kind, between = request.param
        listen = {'address': '127.0.0.1:0', 'proxy_protocol': kind == 'haproxy'}
        if between == 'tls':
            cert, key = authority.pair(NAMES)
            listen['tls'] = {'cert': str(cert), 'key': str(key)}
        gw = gateway(what, listen=listen)
        return gw, Door(site.in_front(kind, gw.at, between == 'tls'), authority)
    return make


@pytest.fixture(params=KINDS)
def behind(request, gateway, site, authority):
    """behind(an origin, ...): a gateway whose first endpoint is a proxy before the origin."""
    def make(origin, *others):
        at = site.behind(request.param, origin.at)
        what = config.tiers(f'https://127.0.0.1:{at[1]}/v1', *others)
        what['endpoints'][0]['ca_file'] = str(authority.file)
        return gateway(what)
    return make


# -- in front ------------------------------------------------------------------------------------------------


def test_each_event_passes_before_the_next_is_made(front, origin):
    talk = Conversation()
    gw, door = front(origin(talk))
    with door.stream() as stream:
        rest = list(talk.with_client(stream))
    assert rest[-1] == '[DONE]' and len(rest) == 2
    assert gw.access(method='POST')[0]['result'] == 'full'


def test_a_client_that_leaves_the_proxy_leaves_the_endpoint(front, origin):
    talk = Conversation()
    gw, door = front(origin(talk))
    with door.stream() as stream:
        talk.with_client(stream, 3)
        talk.confirmed.acquire(blocking=False)  # nothing more is sent: only the leaving can end it
    until(talk.left.is_set, 'the endpoint is told that the client has left')
    until(lambda: not gw.balances(), 'every counter of things under way is zero again')


def test_a_stream_that_breaks_does_not_end_cleanly_behind_a_proxy(front, origin):
    talk = Conversation(breaks_off=3)
    _, door = front(origin(talk))
    with door.stream() as stream:
        talk.with_client(stream)
        rest = []
        with pytest.raises((http.Broken, ssl.SSLEOFError)):
            rest.extend(stream.split())
            for data in stream.body:
                stream.left += data
                rest.extend(stream.split())
    assert json.loads(rest[-1])['error']['code'] == 'upstream_truncated' and '[DONE]' not in rest


def test_connections_are_kept(front, origin):
    """The proxy's to the gateway: one for its requests, and perhaps one for its question for health."""
    gw, door = front(origin())
    with http.Wire(door.connect()) as w:
        for i in range(20):
            w.send(http.request('POST', http.CHAT, http.chat_body('m', f'question {i}')))
            assert w.answer().text() == 'It is answered.'
    assert gw.metrics().value('tidegate_connections_accepted_total') <= 2


def test_a_large_body_is_asked_for_and_passed_on(front, origin):
    up = origin(Conversation())
    _, door = front(up)
    body = json.dumps(http.chat_body('m', 'x' * LARGE)).encode()
    with http.Wire(door.connect()) as w:
        w.send(http.request('POST', http.CHAT, body, {'Expect': '100-continue'})[:-len(body)])
        assert w.head()[0] == 100
        w.send(body)
        assert int(w.answer().text()) == len(up.requests[-1].body) > LARGE


def test_errors_are_the_gateways_own(front, origin):
    _, door = front(origin(lambda peer, rq: response({}, '429 Busy', retry_after='7')))
    with http.Wire(door.connect()) as w:
        refused = w.send(http.request('POST', http.CHAT, http.chat_body('m'))).answer()
        assert refused.error()['code'] == 'upstream_rate_limited' and refused.headers['retry-after'] == '7'
        w.send(http.request('GET', '/v1/nothing'))
        assert w.answer().error()['code'] == 'route_not_found'


def test_http_2_before_the_proxy(front, origin, authority):
    """curl speaks HTTP/2 to the proxy and reads a stream."""
    done = b''.join(chunk(event(f'{i} ')) for i in range(EVENTS))
    up = origin(lambda peer, rq: CHUNKED + done + chunk(event(finish='stop')) + chunk(b'data: [DONE]\n\n')
                + b'0\r\n\r\n')
    _, door = front(up)
    url = f'https://localhost:{door.at[1]}{http.CHAT}'
    status, said, complaint = run('curl', '-sS', '--http2', '--cacert', authority.file, '-w',
                                  '%{http_version}', '-H', 'Content-Type: application/json', '-d',
                                  json.dumps(http.chat_body('m', stream=True)), url)
    assert (status, complaint) == (0, '')
    assert said.endswith('data: [DONE]\n\n2') and said.count('data: {') == EVENTS + 1


@pytest.mark.parametrize('between', ['plain', 'tls'])
def test_haproxy_tells_who_the_client_is(gateway, origin, site, authority, between):
    listen = {'address': '127.0.0.1:0', 'proxy_protocol': True}
    if between == 'tls':
        cert, key = authority.pair(NAMES)
        listen['tls'] = {'cert': str(cert), 'key': str(key)}
    gw = gateway(origin(), listen=listen)
    door = Door(site.in_front('haproxy', gw.at, between == 'tls'), authority)
    for source in ('127.0.0.7', '127.0.0.8'):
        with http.Wire(door.connect(source)) as w:
            assert w.send(http.request('POST', http.CHAT, http.chat_body('m'))).answer().status == 200
    clients = {line['client'].rsplit(':', 1)[0] for line in gw.access(2, method='POST')}
    assert clients == {'127.0.0.7', '127.0.0.8'}


# -- behind --------------------------------------------------------------------------------------------------


def test_each_event_of_an_engine_behind_a_proxy_passes_before_the_next(behind, origin):
    talk = Conversation()
    gw = behind(origin(talk))
    with gw.stream('m') as stream:
        rest = list(talk.with_client(stream))
    assert rest[-1] == '[DONE]' and len(rest) == 2


def test_a_client_that_leaves_the_gateway_leaves_an_engine_behind_a_proxy(behind, origin):
    talk = Conversation()
    gw = behind(origin(talk))
    with gw.stream('m') as stream:
        talk.with_client(stream, 3)
        talk.confirmed.acquire(blocking=False)
    until(talk.left.is_set, 'the engine is told that the client has left')
    gw.settle()


def test_an_engine_that_breaks_off_behind_a_proxy_is_told_of(behind, origin):
    talk = Conversation(breaks_off=3)
    gw = behind(origin(talk))
    with gw.stream('m') as stream:
        events = talk.with_client(stream)
        with pytest.raises(http.Broken):
            *_, last = events
            raise AssertionError(f'it ended as if it were whole: {last}')
    assert stream.raw.count(b'upstream_truncated') == 1 and b'[DONE]' not in stream.raw


def test_connections_to_a_proxy_are_kept(behind, origin):
    up = origin()
    gw = behind(up)
    with http.Wire(gw.at) as w:
        for i in range(20):
            w.send(http.request('POST', http.CHAT, http.chat_body('m', f'question {i}')))
            assert w.answer().text() == 'It is answered.'
    assert gw.metrics().value('tidegate_upstream_connects_total', endpoint='e1') == 1


def test_a_large_body_passes_a_proxy(behind, origin):
    up = origin(Conversation())
    asked = http.chat(behind(up).at, 'm', 'x' * LARGE)
    assert int(asked.text()) == len(up.requests[-1].body) > LARGE


def test_the_pages_that_a_proxy_makes_are_an_engines_failure(behind, origin):
    """Behind it nobody listens any more: 502 of nginx, 503 of HAProxy, both in HTML."""
    engine, spare = origin(), origin(lambda peer, rq: response(answer('spare')))
    gw = behind(engine, spare.v1)
    assert gw.chat('m').headers['x-tidegate-endpoint'] == 'e1'
    engine.close()
    moved = gw.chat('m')
    assert moved.text() == 'spare' and moved.headers['x-tidegate-attempts'] == '2'
