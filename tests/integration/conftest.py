# SPDX-License-Identifier: MIT
"""Fixtures: every program that a test or module starts is stopped by its id, and has to end well. The program
under test is named by TIDEGATE (the Makefile sets it to the flavour that was built)."""
import contextlib
import fcntl
import os
import pathlib
import socket
import tempfile

import pytest

from kit import config
from kit.origin import Origin
from kit.process import Yard, environment

for name in set(os.environ) - set(environment()):
    del os.environ[name]  # the SDKs read keys and proxies from here too


def work_in(folder):
    yard = Yard(folder)
    yield yard
    found = yard.close()
    assert not found, '\n'.join(found)


@contextlib.contextmanager
def alone():
    """One process of a parallel run at a time: for ports that are the same for everybody."""
    with open(pathlib.Path(tempfile.gettempdir()) / 'tidegate-built-in-ports', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def yard(request, tmp_path):
    with alone() if 'built_in_ports' in request.fixturenames else contextlib.nullcontext():
        yield from work_in(tmp_path)


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """A yard whose programs serve all tests of a module."""
    yield from work_in(tmp_path_factory.mktemp('shared'))


@pytest.fixture(autouse=True)
def nothing_crashed(request):
    """Blames the test in which a shared program has ended or complained."""
    yield
    if 'shared' in request.fixturenames:
        found = request.getfixturevalue('shared').trouble()
        assert not found, '\n'.join(found)


BUILT_IN = (8080, 8081)  # where a start without a file listens


@pytest.fixture
def built_in_ports():
    for port in BUILT_IN:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
            except OSError as e:
                pytest.skip(f'a start without a file listens on {BUILT_IN}, and {port} is taken: {e}')


@pytest.fixture
def gateway(yard):
    """gateway(config or what calls go to, ...): starts one."""
    return lambda what, env=None, sockets=None, **more: yard.gateway(config.whole(what, **more), env, sockets)


@pytest.fixture
def simulator(yard):
    return yard.simulator


@pytest.fixture
def origin(yard):
    return lambda script=None, tls=None: yard.closing(Origin(script, tls))
