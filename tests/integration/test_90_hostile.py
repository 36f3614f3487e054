# SPDX-License-Identifier: MIT
"""Clients, endpoints and surroundings that mean no good, against the real program."""
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest

from kit import config, http, until
from kit.origin import STREAM_HEAD, answer, event, response
from kit.process import PROGRAM, environment, free_port, run


def in_pieces(peer, data, size):
    """Sends so that the gateway reads it in several turns."""
    for at in range(0, len(data), size):
        peer.send(data[at:at + size])
        time.sleep(0.02)


DONE = b'data: [DONE]\n\n'


@pytest.mark.parametrize('version', ['1.1', '1.0'])
def test_large_events_that_come_in_pieces_arrive_as_they_were(gateway, origin, version):
    """An event that is larger than one read is kept until it is whole; what goes to the client must not be
    the memory in which it was kept."""
    texts = [chr(ord('a') + i) * (20000 + 700 * i) for i in range(6)]

    def script(peer, request):
        peer.send(STREAM_HEAD)
        in_pieces(peer, b''.join(event(t) for t in texts) + event('', 'stop') + DONE, 7001)
        peer.close()

    up = gateway(origin(script))
    with http.Wire(up.at) as wire:
        sent = http.request('POST', http.CHAT, http.chat_body('m', stream=True))
        wire.send(sent.replace(b'HTTP/1.1', b'HTTP/' + version.encode(), 1))
        got = wire.answer().body
    chunks = [json.loads(e[6:]) for e in got.decode().split('\n\n') if e.startswith('data: {')]
    assert [c['choices'][0]['delta'].get('content') for c in chunks] == texts + ['']
    assert got.endswith(b'data: [DONE]\n\n')


def test_a_large_answer_until_close_that_is_cut_is_no_success(gateway, origin):
    """Nothing in HTTP says that it is cut, and it is too large to be held back and checked whole."""
    whole = json.dumps(answer('x' * 3000000)).encode()
    head = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n'

    def script(peer, request):
        peer.send(head + (whole[:2500000] if 'cut' in request.json()['model'] else whole))
        peer.close()

    up = gateway(origin(script))
    assert len(http.chat(up.at, 'whole').text()) == 3000000
    with pytest.raises(http.Broken):
        http.chat(up.at, 'cut')
    line, = up.access(asked='cut')
    assert (line['result'], line['error']) == ('failed', 'upstream_truncated')


def test_a_request_that_an_endpoint_died_of_is_not_sent_again_in_secret(gateway, origin):
    """On a connection that was used before. Only one that ends at once can have been closed before the
    request came; every other sending is an attempt, and is said to be one."""
    def script(peer, request):
        if request.json()['model'] == 'poison':
            time.sleep(1.5)
            peer.close()
            return None
        return response(answer())

    end = origin(script)
    up = gateway(end, workers=1)
    assert up.chat('food').status == 200
    got = up.chat('poison')
    assert (got.status, got.error()['code']) == (502, 'upstream_reset')
    assert got.headers['x-tidegate-attempts'] == '1'
    assert [r.json()['model'] for r in end.requests] == ['food', 'poison']


@pytest.mark.parametrize('limit, status', [('64KiB', 502), ('256KiB', 200)])
def test_the_head_of_an_endpoints_answer_is_bounded(gateway, origin, limit, status):
    end = origin(lambda peer, request: response(answer(), x_much='x' * 100000))
    up = gateway(end, limits={'head': limit})
    got = up.chat('m')
    assert got.status == status
    if status == 502:
        assert got.error()['code'] == 'upstream_too_large' and 'limits.head' in got.error()['message']


def test_a_plain_answer_that_breaks_off_is_no_whole_one_for_http_10_either(gateway, origin):
    """Its only end mark is the end of the connection, so that must not be an orderly one."""
    whole = json.dumps(answer('x' * 3000000)).encode()

    def script(peer, request):
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
                  + b'%x\r\n' % len(whole) + whole[:2500000])
        peer.close()

    up = gateway(origin(script))
    with http.Wire(up.at) as wire:
        wire.send(http.request('POST', http.CHAT, http.chat_body('m')).replace(b'HTTP/1.1', b'HTTP/1.0', 1))
        assert wire.head()[0] == 200
        with pytest.raises(ConnectionResetError):
            while wire.socket.recv(65536):
                pass


SECRET = 'zz9plural7z0alpha'  # no shape of a key that anybody knows


@pytest.mark.parametrize('whose', ['own', 'client'])
def test_a_credential_of_any_shape_that_an_endpoint_repeats_is_hidden(gateway, origin, whose):
    def script(peer, request):
        words = {'message': f'not with {SECRET}!', 'param': SECRET, 'code': SECRET}
        model = request.json()['model']
        assert request.headers['authorization'] == f'Bearer {SECRET}'
        if model == 'stream':
            peer.send(STREAM_HEAD + event('a') + b'data: ' + json.dumps({'error': words}).encode() + b'\n\n')
            peer.close()
            return None
        if model == 'long':
            words['message'] = 'x' * 290 + SECRET  # cut in its middle
        return response({'error': words}, f'{500 if model == "500" else 400} No')

    end = origin(script)
    up = gateway({'endpoints': [config.endpoint('e', end.v1, key=SECRET if whose == 'own' else 'client')],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'e'}]]}]})
    headers = {'Authorization': f'Bearer {SECRET}'} if whose == 'client' else {}
    got = up.chat('400', headers=headers)
    assert got.status == 400 and got.error()['message'].startswith('not with ' + '*' * len(SECRET) + '!')
    bodies = [got.body] + [up.chat(m, headers=headers).body for m in ('500', 'long')]
    with up.stream('stream', headers=headers) as stream:
        stream.failure()
        bodies.append(stream.raw)
    assert up.stop() == []
    for where in [*bodies, up.stdout().encode(), up.stderr().encode()]:
        assert SECRET[:6].encode() not in where


# -- clients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('body, status, code', [
    (b'Content-Length: 100\r\n\r\n{', 408, 'request_timeout'),
    (b'Transfer-Encoding: chunked\r\n\r\nzz\r\n', 400, 'bad_request'),
    (b'Transfer-Encoding: chunked\r\n\r\n' + b'1;' + b'x' * 70000, 431, 'head_too_large'),
])
def test_a_body_that_breaks_is_one_refused_request(gateway, origin, body, status, code):
    """It is counted once, under the error that was sent and with the same request id in both places."""
    up = gateway(origin(), timeouts={'body': '200ms'})
    with http.Wire(up.at) as wire:
        wire.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n' + body)
        got = wire.answer()
    assert (got.status, got.error()['code']) == (status, code)
    line, = up.access(path=http.CHAT)
    assert (line['status'], line['result'], line['error']) == (status, 'refused', code)
    assert line['request_id'] == got.headers['x-request-id']
    page = up.metrics()
    for name in ('requests', 'responses', 'errors'):
        found = {k: v for k, v in page.samples(f'tidegate_{name}_total').items() if v}
        assert list(found.values()) == [1], (name, found)


def is_open(s):
    """Whether the other side, which says nothing by itself, has not closed it."""
    return not select.select([s], [], [], 0)[0]


def test_the_limit_of_connections_is_that_of_the_process(gateway, origin):
    up = gateway(origin(), workers=3, limits={'connections': 10})
    held = [socket.create_connection(up.at) for _ in range(30)]
    until(lambda: sum(map(is_open, held)) == 10, 'ten of them are left')
    for s in held:
        s.close()
    until(lambda: up.metrics().value('tidegate_connections') == 0, 'they are gone')
    assert up.chat('m').status == 200


def test_many_connections_to_the_admin_address_lock_nobody_out(gateway, origin):
    up = gateway(origin())
    held = [socket.create_connection(up.admin) for _ in range(200)]
    assert http.ask(up.admin, path='/healthz').status == 200
    until(lambda: sum(map(is_open, held)) < 64, 'the oldest were closed')
    for s in held:
        s.close()


def test_a_body_that_comes_in_drops_ends_at_the_deadline(gateway, origin):
    """No pause is ever long enough for timeouts.body."""
    up = gateway(origin(), timeouts={'body': '5s', 'deadline': '1s'})
    with http.Wire(up.at) as wire:
        wire.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{')

        def drop():
            wire.send(b' ')
            return select.select([wire.socket], [], [], 0.05)[0]
        until(drop, 'it is refused')
        assert wire.answer().error()['code'] == 'request_timeout'
    assert up.access(path=http.CHAT)[0]['error'] == 'request_timeout'


# -- surroundings --------------------------------------------------------------------------------------------


class Unread:
    """A gateway whose standard output and error are one full pipe that nobody reads."""
    def __init__(self, yard, tmp_path, up):
        self.admin = ('127.0.0.1', free_port())
        self.at = ('127.0.0.1', free_port())
        file = tmp_path / 'unread.yaml'
        file.write_text(json.dumps(config.whole(
            up, listen='%s:%d' % self.at, admin='%s:%d' % self.admin, workers=1,
            timeouts={'drain_delay': '0s'})))
        self.read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        self.child = subprocess.Popen([PROGRAM, 'serve', file], stdin=subprocess.DEVNULL, stdout=write_end,
                                      stderr=write_end, env=environment())
        self.flags = lambda: fcntl.fcntl(write_end, fcntl.F_GETFL)
        yard.closing(self)
        until(self.listens, 'it listens')
        said = b''

        def has_greeted():
            nonlocal said
            said += self.clear()
            return b'(the one line to change)' in said
        until(has_greeted, 'the banner is out')

    def listens(self):
        try:
            return http.ask(self.at, path='/healthz').status == 200
        except ConnectionRefusedError:
            return False

    def clear(self):
        """Takes out what is there; returns it."""
        os.set_blocking(self.read_end, False)  # our own end
        got = b''
        try:
            while piece := os.read(self.read_end, 65536):
                got += piece
        except BlockingIOError:
            pass
        return got

    def close(self):
        self.child.kill()
        self.child.wait()


def test_an_access_log_that_nobody_reads_costs_lines_and_not_requests(yard, tmp_path, origin):
    up = Unread(yard, tmp_path, origin())
    flags = up.flags()
    assert flags & os.O_NONBLOCK == 0
    with http.Wire(up.at) as wire:
        for _ in range(900):  # over 300 bytes of log each: more than the pipe and what is kept beside it
            wire.send(http.request('GET', '/' + 'x' * 127))
            assert wire.answer().status == 404
    assert up.flags() == flags
    said = b''

    def has_told():
        nonlocal said
        http.ask(up.at, path='/healthz')
        said += up.clear()
        return b'"lines_lost_before":' in said
    until(has_told, 'the loss is told')
    lines = said.splitlines()[1:-1]  # the first may have begun behind the banner
    assert len(lines) > 2
    for line in lines:
        assert json.loads(line)
    up.child.send_signal(signal.SIGTERM)
    assert up.child.wait(20) == 0  # with a full pipe again


def test_a_named_pipe_without_reader_as_access_log_is_an_error_and_no_hang(yard, tmp_path, origin):
    fifo = tmp_path / 'log'
    os.mkfifo(fifo)
    file = tmp_path / 'fifo.yaml'
    file.write_text(json.dumps(config.whole(origin(), listen='127.0.0.1:0', access_log=str(fifo))))
    status, _, said = run(PROGRAM, 'serve', file)
    assert status == 1 and f'the access log {fifo} cannot be opened' in said


def slow_reader(at, data):
    """A client that asks and takes next to nothing of the answer."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(at)
    s.sendall(data)
    return s


@pytest.mark.parametrize('signals_n', [1, 2])
def test_a_client_that_does_not_read_cannot_keep_the_program_from_ending(gateway, origin, signals_n):
    """Its answer is complete and waits in the gateway: after timeouts.drain, or at the second signal, it is
    dropped."""
    up = gateway(origin(lambda peer, request: response(answer('x' * 4000000))), limits={'answer': '8MiB'},
                 timeouts={'drain': '1s' if signals_n == 1 else '1h'})
    with slow_reader(up.at, http.request('POST', http.CHAT, http.chat_body('m'), {'Connection': 'close'})):
        up.access(status=200)
        for _ in range(signals_n):
            up.signal(signal.SIGTERM)
            up.wait_for('draining')
        assert up.wait() == 0


def test_clients_cannot_take_the_descriptors_that_endpoints_need(yard, tmp_path, origin):
    at, file = ('127.0.0.1', free_port()), tmp_path / 'few.yaml'
    file.write_text(json.dumps(config.whole(origin(), listen='%s:%d' % at, workers=2,
                                            timeouts={'drain_delay': '0s'})))
    program = yard.program('sh', '-c', f'ulimit -n 120; exec "{PROGRAM}" serve "{file}"')
    program.wait_for('limit of 120 open files leaves room for 28 client connections')
    program.wait_for('is ready')
    held = [http.Wire(at) for _ in range(100)]
    until(lambda: sum(is_open(w.socket) for w in held) == 28, 'the others were refused')
    for wire in filter(lambda w: is_open(w.socket), held):
        wire.socket.settimeout(20)
        wire.send(http.request('POST', http.CHAT, http.chat_body('m')))
        assert wire.answer().status == 200
    for wire in held:
        wire.close()

    def comes_in():
        try:
            return http.chat(at, 'm').status == 200
        except (http.Broken, OSError):
            return False
    until(comes_in, 'others come in again')


@pytest.mark.parametrize('connection', ['keep-alive', 'close'])
@pytest.mark.parametrize('stream', [False, True])
def test_a_client_that_takes_nothing_is_let_go(gateway, origin, connection, stream):
    """timeouts.write, also when the answer is complete and nobody in the gateway waits for it any more."""
    def script(peer, request):
        if not stream:
            return response(answer('x' * 6000000))
        peer.send(STREAM_HEAD + b''.join(event('x' * 100000) for _ in range(60)) + event('', 'stop') + DONE)
        peer.close()

    up = gateway(origin(script), timeouts={'write': '500ms'}, limits={'answer': '8MiB', 'pending': '16MiB'})
    asked = http.request('POST', http.CHAT, http.chat_body('m', stream=stream), {'Connection': connection})
    with slow_reader(up.at, asked):
        up.access(asked='m')
        until(lambda: up.metrics().value('tidegate_memory_budget_used_bytes') == 0, 'what waited is gone',
              limit=20)
