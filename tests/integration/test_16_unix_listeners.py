# SPDX-License-Identifier: MIT
"""Listening anywhere else than at a port of one's own: Unix sockets, inherited sockets, and what a service
manager hears."""
import os
import signal
import socket
import stat
import time

import pytest

from kit import LIMIT, http, until
from kit.process import PROGRAM, run


@pytest.fixture
def paths(tmp_path):
    """A short folder: the path of a socket has 107 bytes."""
    return tmp_path


def at_unix(path, **more):
    return ['127.0.0.1:0', {'address': f'unix:{path}', **more}]


# -- Unix sockets --------------------------------------------------------------------------------------------

def test_requests_and_streams_over_a_unix_socket(gateway, simulator, paths):
    path = paths / 'gw.sock'
    gw = gateway(simulator(), listen=at_unix(path), workers=4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    for _ in range(20):
        assert http.chat(path, 'sim').status == 200
    with http.Stream(path, 'sim') as stream:
        assert stream.whole()
    assert {line['client'] for line in gw.access(21)} == {'unix:'}
    gw.settle()
    gw.signal(signal.SIGTERM)
    assert gw.wait() == 0
    assert not path.exists(), 'the file goes with the program'


def test_curl_and_modes(gateway, simulator, paths):
    path, admin = paths / 'gw.sock', paths / 'admin.sock'
    gw = gateway(simulator(), listen=at_unix(path, mode='0600'), admin=f'unix:{admin}')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    status, out, err = run('curl', '-sS', '--unix-socket', path, 'http://localhost/healthz')
    assert (status, out) == (0, 'ok\n'), err
    assert gw.metrics().value('tidegate_connections_accepted_total') == 1


def test_an_abstract_name(gateway, simulator):
    name = f'tidegate-test-{os.getpid()}'
    gateway(simulator(), listen=['127.0.0.1:0', f'unix:@{name}'])
    assert http.ask(f'\0{name}', path='/healthz').status == 200


def test_a_file_left_behind_is_replaced_and_a_living_one_is_not(gateway, simulator, paths):
    path = paths / 'gw.sock'
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    gw = gateway(simulator(), listen=at_unix(path))
    assert http.ask(path, path='/healthz').status == 200
    status, _, err = run(PROGRAM, 'serve', gw.file)
    assert status == 1 and f'cannot listen at unix:{path}: Address already in use' in err
    assert http.ask(path, path='/healthz').status == 200


def test_a_file_that_is_no_socket_is_never_replaced(gateway, simulator, paths, tmp_path):
    path = paths / 'precious'
    path.write_text('precious')
    gw = gateway(simulator())
    bad = tmp_path / 'bad.json'
    bad.write_text(gw.file.read_text().replace('"127.0.0.1:0"', f'"unix:{path}"')
                   .replace('"admin"', '"access_log": "off", "admin"').replace(str(gw.admin[1]), '0'))
    status, _, err = run(PROGRAM, 'serve', bad)
    assert status == 1 and 'or the file is no socket' in err
    assert path.read_text() == 'precious'


def test_drain_over_a_unix_socket(gateway, simulator, paths):
    path = paths / 'gw.sock'
    gw = gateway(simulator(), listen=at_unix(path))
    with http.Stream(path, 'sim~tokens=40,gap=30ms') as stream, http.Wire(path) as idle:
        events = iter(stream)
        next(events)
        idle.send(http.request('GET', '/healthz')).answer()
        gw.signal(signal.SIGTERM)
        assert idle.rest() == b''

        def refused():
            with socket.socket(socket.AF_UNIX) as s:
                return s.connect_ex(str(path)) != 0
        until(refused, 'nobody is let in, nor kept waiting in a queue that nobody reads')
        assert list(events)[-1] == '[DONE]'
    assert gw.wait() == 0


# -- inherited sockets ---------------------------------------------------------------------------------------

def listening(family=socket.AF_INET, at=('127.0.0.1', 0)):
    s = socket.socket(family)
    s.bind(at)
    s.listen(100)
    return s


def test_inherited_sockets_by_name_and_by_address(gateway, simulator, paths):
    named, same, unix = listening(), listening(), listening(socket.AF_UNIX, str(paths / 'in.sock'))
    with named, same, unix:
        port = same.getsockname()[1]
        gw = gateway(simulator(), sockets=[('web', named), ('', same), ('local', unix)], workers=3,
                     keys=[{'name': 'k', 'key': 'key-for-tests'}],
                     listen=['127.0.0.1:0', 'fd:web', f'127.0.0.1:{port}', f'unix:{paths}/in.sock'])
        for at in (named.getsockname(), same.getsockname(), paths / 'in.sock'):
            for _ in range(5):
                assert http.ask(at, path='/healthz').status == 200
        assert 'is not used' not in gw.stderr()
        with http.Wire(named.getsockname()) as waiting:  # in the queue that outlives this gateway
            gw.signal(signal.SIGTERM)
            assert gw.wait() == 0
            again = gateway(simulator(), sockets=[('web', named)], listen=['127.0.0.1:0', 'fd:web'],
                            keys=[{'name': 'k', 'key': 'key-for-tests'}])
            with http.Wire(named.getsockname()) as late:
                assert late.send(http.request('GET', '/healthz')).answer().status == 200
            assert waiting.socket.fileno() >= 0 and again.child.poll() is None
    assert (paths / 'in.sock').exists(), 'its file belongs to whoever made it'


def test_connections_that_come_between_two_gateways_are_answered_by_the_second(gateway, simulator):
    with listening() as s:
        with http.Wire(s.getsockname()) as early:
            early.send(http.request('GET', '/healthz'))
            port = s.getsockname()[1]
            gateway(simulator(), sockets=[('web', s)], listen=['127.0.0.1:0', f'127.0.0.1:{port}'])
            assert early.answer().status == 200


def test_an_inherited_socket_that_nobody_uses_is_told(gateway, simulator):
    with listening() as s:
        gw = gateway(simulator(), sockets=[('spare', s)])
        assert f'an inherited socket is not used: 127.0.0.1:{s.getsockname()[1]}, named spare' in gw.stderr()


def test_a_name_that_was_not_passed_on(yard, simulator, tmp_path):
    file = tmp_path / 'fd.yaml'
    file.write_text('listen: "fd:web"\nkeys: [{name: k, key: key-for-tests}]\n'
                    'endpoints: [{name: a, provider: openai, url: "http://127.0.0.1:1/v1", key: none}]\n'
                    'models: [{name: m, tiers: [[{endpoint: a}]]}]\n')
    status, _, err = run(PROGRAM, 'serve', file)
    assert status == 1 and 'cannot listen at fd:web' in err and 'FileDescriptorName' in err


# -- the service manager -------------------------------------------------------------------------------------

class Manager:
    """The notify socket of a service manager, and what came on it, message by message."""
    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(LIMIT)

    def close(self):
        self.socket.close()

    def next(self, want):
        """The next message that has `want`; feedings of the watchdog are passed over."""
        while True:
            text = self.socket.recv(4096).decode()
            said = dict(line.split('=', 1) for line in text.split('\n'))
            if want in said:
                return said
            assert said == {'WATCHDOG': '1'}, said


@pytest.fixture
def manager(yard, tmp_path):
    return yard.closing(Manager(tmp_path / 'notify.sock'))


def test_ready_reloading_and_stopping(gateway, simulator, manager):
    gw = gateway(simulator(), env={'NOTIFY_SOCKET': str(manager.path)})
    ready = manager.next('READY')
    assert ready == {'READY': '1', 'STATUS': 'Serving 1 model at 127.0.0.1:0'}
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    gw.signal(signal.SIGHUP)
    reloading = manager.next('RELOADING')
    assert reloading['RELOADING'] == '1'
    assert before <= int(reloading['MONOTONIC_USEC']) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.next('READY')['READY'] == '1'
    gw.file.write_text('nonsense')
    gw.signal(signal.SIGHUP)
    assert manager.next('RELOADING')
    assert manager.next('READY')['READY'] == '1', 'a refused file leaves it as ready as it was'
    gw.signal(signal.SIGTERM)
    stopping = manager.next('STOPPING')
    assert stopping['STOPPING'] == '1' and stopping['STATUS'].startswith('Draining')
    assert int(stopping['EXTEND_TIMEOUT_USEC']) == 10_000_000  # the drain's 5 s, and as much again
    assert gw.wait() == 0


def test_the_watchdog_is_fed(gateway, simulator, manager):
    gw = gateway(simulator(), env={'NOTIFY_SOCKET': str(manager.path), 'WATCHDOG_USEC': '200000'})
    manager.next('READY')
    for _ in range(5):
        assert manager.next('WATCHDOG') == {'WATCHDOG': '1'}
    gw.signal(signal.SIGTERM)
    assert gw.wait() == 0


def test_a_watchdog_meant_for_another_process(gateway, simulator, manager):
    gw = gateway(simulator(), env={'NOTIFY_SOCKET': str(manager.path), 'WATCHDOG_USEC': '1000',
                                   'WATCHDOG_PID': str(os.getpid())})
    manager.next('READY')
    assert gw.chat().status == 200
    gw.signal(signal.SIGTERM)
    assert manager.socket.recv(4096).startswith(b'STOPPING=1')
    assert gw.wait() == 0


def test_a_manager_that_is_gone_harms_nothing(gateway, simulator, tmp_path):
    gw = gateway(simulator(), env={'NOTIFY_SOCKET': str(tmp_path / 'nobody'), 'WATCHDOG_USEC': '1000'})
    assert gw.chat().status == 200
