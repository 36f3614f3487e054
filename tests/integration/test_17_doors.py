# SPDX-License-Identifier: MIT
"""What a connection passes before and while it asks: PROXY headers, counts by address, the pace of a body,
and the permission to send one."""
import json
import signal
import socket
import struct

import pytest

from kit import http, until
from kit.certs import Authority
from kit.process import free_port, run

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'


def v2(command=0x21, family=0x11, addresses=None, tlvs=b''):
    if addresses is None:
        addresses = b''.join(map(socket.inet_aton, ('203.0.113.9', '10.0.0.1')))
        addresses += struct.pack('>HH', 4321, 80)
    rest = addresses + tlvs
    return SIGNATURE + bytes([command, family]) + struct.pack('>H', len(rest)) + rest


@pytest.fixture
def behind(gateway, simulator):
    """behind(**more): a gateway with a plain address and one behind the PROXY protocol, as `.door`."""
    def make(tls=None, **more):
        port = free_port()
        door = {'address': f'127.0.0.1:{port}', 'proxy_protocol': True}
        gw = gateway(simulator(), listen=['127.0.0.1:0', {**door, 'tls': tls} if tls else door], **more)
        gw.door = ('127.0.0.1', port)
        return gw
    return make


def clients(gw, n):
    return [line['client'] for line in gw.access(n)]


# -- the PROXY protocol --------------------------------------------------------------------------------------

SIX = socket.inet_pton(socket.AF_INET6, '2001:db8::7') + socket.inet_pton(socket.AF_INET6, '::1')


@pytest.mark.parametrize('header,client', [
    (b'PROXY TCP4 203.0.113.9 10.0.0.1 4321 80\r\n', '203.0.113.9:4321'),
    (b'PROXY TCP6 2001:db8::7 ::1 4321 80\r\n', '[2001:db8::7]:4321'),
    (v2(), '203.0.113.9:4321'),
    (v2(family=0x21, addresses=SIX + struct.pack('>HH', 5, 80)), '[2001:db8::7]:5'),
    (v2(tlvs=b'\x04\0\3abc' + b'\xea\0\4\1\2\3\4'), '203.0.113.9:4321')],
    ids=['v1-4', 'v1-6', 'v2-4', 'v2-6', 'v2-extras'])
def test_the_address_in_the_header_is_the_clients(behind, header, client):
    gw = behind()
    assert http.ask(gw.door, path='/healthz', before=header).status == 200
    with http.Wire(gw.door) as wire:  # every byte on its own
        for byte in header + http.request('GET', '/healthz'):
            wire.send(bytes([byte]))
        assert wire.answer().status == 200
    assert clients(gw, 2) == [client, client]
    gw.settle()


@pytest.mark.parametrize('header', [
    b'PROXY UNKNOWN\r\n', b'PROXY UNKNOWN ffff::1 ::2 1 2\r\n', v2(command=0x20),
    v2(command=0x20, family=0, addresses=b''), v2(family=0, addresses=b'xyz')],
    ids=['v1', 'v1-long', 'v2-local', 'v2-short', 'v2-unspecified'])
def test_without_an_address_the_connections_own_stays(behind, header):
    gw = behind()
    assert http.ask(gw.door, path='/healthz', before=header).status == 200
    assert clients(gw, 1)[0].startswith('127.0.0.1:')


@pytest.mark.parametrize('header', [
    http.request('GET', '/healthz'), b'PROXY TCP4 203.0.113.9 10.0.0.1 4321 80\n',
    b'PROXY TCP4 nobody 10.0.0.1 1 2\r\n', b'PROXY TCP4 203.0.113.9 10.0.0.1 4321 99999\r\n',
    b'PROXY ' + b'x' * 200, v2(command=0x31), v2(command=0x22), v2(family=0x41), v2(addresses=b'short'),
    v2(tlvs=b'\xea' * 5000)],
    ids=['none', 'lf', 'name', 'port', 'endless', 'version', 'command', 'family', 'short', 'large'])
def test_a_malformed_header_closes(behind, header):
    gw = behind()
    with http.Wire(gw.door) as wire:
        assert wire.send(header).rest() == b''
    until(lambda: gw.metrics().value('tidegate_connections_refused_total', reason='proxy_header') == 1,
          'it is counted')
    gw.settle()
    assert http.ask(gw.at, path='/healthz').status == 200


def test_a_header_that_does_not_come_closes(behind):
    gw = behind(timeouts={'handshake': '200ms'})
    with http.Wire(gw.door) as silent, http.Wire(gw.door) as slow:
        slow.send(SIGNATURE[:7])
        assert silent.rest() == slow.rest() == b''
    gw.settle()


def test_tls_behind_the_header(behind, tmp_path):
    authority = Authority(tmp_path)
    cert, key = authority.pair()
    gw = behind(tls={'cert': str(cert), 'key': str(key)})
    assert http.ask(gw.door, path='/healthz', before=v2(), tls=authority.client()).status == 200
    told = http.ask(gw.door, path='/healthz', before=v2())
    assert told.status == 400 and told.error()['code'] == 'tls_required'
    assert clients(gw, 1) == ['203.0.113.9:4321']


HAPROXY = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
{rows}
"""


@pytest.mark.parametrize('version', ['send-proxy', 'send-proxy-v2'])
def test_haproxy_in_front(behind, yard, tmp_path, version):
    haproxy = '/usr/sbin/haproxy'
    if run('sh', '-c', f'test -x {haproxy}')[0] != 0:
        pytest.skip('haproxy is not installed')
    authority = Authority(tmp_path)
    cert, key = authority.pair()
    plain, secure = behind(), behind(tls={'cert': str(cert), 'key': str(key)})
    rows, fronts = '', []
    for name, gw in (('plain', plain), ('secure', secure)):
        fronts.append(('127.0.0.1', free_port()))
        rows += (f'listen {name}\n  bind 127.0.0.1:{fronts[-1][1]}\n'
                 f'  server s 127.0.0.1:{gw.door[1]} {version} check\n')
    file = tmp_path / 'haproxy.cfg'
    file.write_text(HAPROXY.format(rows=rows))
    front = yard.program(haproxy, '-db', '-f', file)
    front.may_fail = True  # it ends with the signal's number

    def answers():
        try:
            return http.ask(fronts[0], path='/healthz').status == 200
        except (ConnectionError, http.Broken):
            return False
    until(answers, 'haproxy is up')
    n = len(plain.access())
    with http.Wire(fronts[0]) as wire:
        own = '127.0.0.1:%d' % wire.socket.getsockname()[1]
        wire.send(http.request('POST', http.CHAT, http.chat_body('sim', stream=True)))
        assert wire.answer('POST').body.endswith(b'data: [DONE]\n\n')
    assert clients(plain, n + 1)[-1] == own
    with http.Wire(fronts[1], tls=authority.client()) as wire:
        own = '127.0.0.1:%d' % wire.socket.getsockname()[1]
        assert wire.send(http.request('GET', '/healthz')).answer().status == 200
    assert clients(secure, 1)[-1] == own
    front.signal(signal.SIGTERM)
    front.wait()


# -- counts by address ---------------------------------------------------------------------------------------

def test_connections_of_one_address_are_bounded_over_all_workers(gateway, simulator, tmp_path):
    path = tmp_path / 'gw.sock'
    gw = gateway(simulator(), workers=4, limits={'connections_per_address': 3},
                 listen=['127.0.0.1:0', f'unix:{path}'])

    def ask(wire):
        try:
            return wire.send(http.request('GET', '/healthz')).answer().status
        except (http.Broken, ConnectionError):
            return 0
    wires = [http.Wire(gw.at) for _ in range(3)]
    assert [ask(w) for w in wires] == [200] * 3
    for _ in range(10):
        with http.Wire(gw.at) as late:
            assert ask(late) == 0
    local = [http.Wire(path) for _ in range(5)]
    assert [ask(w) for w in local] == [200] * 5, 'Unix sockets are not counted'
    assert gw.metrics().value('tidegate_connections_refused_total', reason='address_limit') == 10
    wires.pop().close()

    def there_is_room():
        with http.Wire(gw.at) as next_one:
            return ask(next_one) == 200
    until(there_is_room, 'who leaves makes room')
    for w in wires + local:
        w.close()
    gw.settle()


def test_behind_a_balancer_each_client_counts_for_itself(behind):
    gw = behind(limits={'connections_per_address': 1})

    wires = []

    def open_from(header):
        """Whether a client of that address gets an answer; its connection stays open."""
        wire = http.Wire(gw.door)
        wires.append(wire)
        try:
            return wire.send(header + b'\r\n' + http.request('GET', '/healthz')).answer().status == 200
        except (http.Broken, ConnectionError):
            return False
    assert open_from(b'PROXY TCP4 203.0.113.1 10.0.0.1 1 2')
    assert open_from(b'PROXY TCP4 203.0.113.2 10.0.0.1 1 2')
    assert not open_from(b'PROXY TCP4 203.0.113.1 10.0.0.1 3 4')
    assert open_from(b'PROXY TCP6 2001:db8::1 ::1 1 2')
    assert not open_from(b'PROXY TCP6 2001:db8::2 ::1 1 2'), 'one IPv6 network is one client'
    assert open_from(b'PROXY TCP6 2001:db8:0:1::2 ::1 1 2')
    for wire in wires:
        wire.close()
    gw.settle()


# -- the pace of a body --------------------------------------------------------------------------------------

def test_a_body_that_trickles_is_refused(gateway, simulator):
    """Never a pause as long as timeouts.body, and yet not to be waited for."""
    sim = simulator()
    gw = gateway(sim, timeouts={'body_grace': '300ms'}, limits={'body_rate': '100kB'})
    with http.Wire(gw.at) as wire:
        wire.socket.settimeout(0.02)
        wire.send(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
        got = b''
        while not got:
            wire.send(b' ')
            try:
                got = wire.socket.recv(65536)
            except TimeoutError:
                pass
        assert got.startswith(b'HTTP/1.1 408 ') and b'request_timeout' in got
    gw.settle()
    assert sim.stats()['answered'] == 0


# -- the permission to send a body ---------------------------------------------------------------------------

def upload(gw, key):
    """curl with a body of 2 MB and an expectation: status, and how many bytes of the body it sent."""
    body = json.dumps(http.chat_body('sim', 'x' * 2_000_000))
    status, out, err = run(
        'curl', '-sS', '-o', '/dev/null', '-w', '%{http_code} %{size_upload}', '--expect100-timeout', '40',
        '-H', 'Expect: 100-continue', '-H', f'Authorization: Bearer {key}', '--data-binary', '@-',
        gw.v1 + '/chat/completions', stdin=body)
    assert status == 0, err
    return tuple(map(int, out.split()))


def test_a_refused_upload_never_sends_its_body(gateway, simulator):
    keys = [{'name': 'good', 'key': 'good-key'}, {'name': 'few', 'key': 'few-key', 'limits': {'rph': 1}}]
    gw = gateway(simulator(), keys=keys)
    status, sent = upload(gw, 'good-key')
    assert status == 200 and sent > 2_000_000
    assert upload(gw, 'bad-key') == (401, 0)
    assert upload(gw, 'few-key')[0] == 200
    assert upload(gw, 'few-key') == (429, 0), 'a limit is known before the body comes'
    gw = gateway(simulator(), limits={'body': '1MB'})
    assert upload(gw, 'any') == (413, 0)


def test_other_expectations_and_old_clients(gateway, simulator):
    gw = gateway(simulator())
    body = b'{"model":"sim","messages":[{"role":"user","content":"Hi"}]}'
    told = http.ask(gw.at, 'POST', http.CHAT, body, {'Expect': '200-ok'})
    assert told.status == 417 and told.error()['code'] == 'expectation_failed'
    with http.Wire(gw.at) as old:
        old.send(b'POST /v1/chat/completions HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n'
                 % len(body))
        old.send(body)
        assert old.head()[0] == 200, 'no interim answer'
