# SPDX-License-Identifier: MIT
"""T8: the comments that tidegate writes into a stream are accepted by the official SDKs: before the first
event, between events, behind an id line inside of an event, before [DONE]. The simulator writes them in
exactly the forms of the gateway, so each place is tried without one, and then the gateway's own are."""
import json
import shutil

import pytest

from kit import ROOT, http
from kit.process import run

openai = pytest.importorskip('openai', reason='the SDK of tests/requirements.txt is not installed: '
                                              'tools/test_deps.sh installs it when the registry is in reach')
FOLDER = ROOT / 'tests/integration/node'
NODE = pytest.mark.skipif(
    not shutil.which('node') or not (FOLDER / 'node_modules/openai').is_dir(),
    reason='Node and the SDK of node/package.json are not installed: tools/test_deps.sh installs them when '
           'the registry is in reach')
PLACES = ['first', 'between', 'id', 'done', 'all']
TEXT = 'Tell me of the tide.'
MARKS = {'first': b': waiting\n: queued position=3 eta=4s\ndata: ', 'between': b'\n\n: waiting\ndata: ',
         'id': b'id: 1\n: waiting\ndata: ',
         'done': b': tidegate endpoint=sim attempts=1 wait_ms=0\ndata: [DONE]'}


@pytest.fixture(scope='module')
def sim(shared):
    return shared.simulator('--keepalive', '50ms')


def expected(sim):
    return http.chat(sim.at, 'sim~tokens=9', TEXT).text()


def streamed(where, model):
    """The bytes of a stream's body."""
    return http.ask(where.at, 'POST', http.CHAT, http.chat_body(model, TEXT, stream=True)).body


def with_python(base):
    """All texts of a stream, and how many chunks had choices."""
    def read(model):
        with openai.OpenAI(base_url=base, api_key='sk-any', max_retries=0, timeout=60) as client:
            stream = client.chat.completions.create(model=model, stream=True,
                                                    messages=[{'role': 'user', 'content': TEXT}])
            chunks = list(stream)
        assert all(c.choices for c in chunks), 'no chunk is made of a comment'
        return ''.join(c.choices[0].delta.content or '' for c in chunks)
    return read


def with_node(base):
    def read(model):
        status, said, complaint = run('node', FOLDER / 'sdk.mjs', base, 'stream', model)
        assert status == 0, complaint
        got = json.loads(said)
        assert 'error' not in got, got
        return http.joined(got['chunks'])
    return read


SDKS = [pytest.param(with_python, id='python'), pytest.param(with_node, id='node', marks=NODE)]


@pytest.mark.parametrize('place', PLACES)
def test_t08_the_simulator_writes_what_it_is_asked_for(sim, place):
    raw = streamed(sim, f'sim~tokens=3,comments={place}')
    for name, mark in MARKS.items():
        if place == name:
            assert mark in raw
        elif place != 'all':
            assert mark not in raw
    if place == 'all':
        assert raw.count(b': waiting\n') == 12 and raw.count(b'\nid: ') == 6 and b'\n\n\n' not in raw


@pytest.mark.parametrize('sdk', SDKS)
@pytest.mark.parametrize('place', PLACES)
def test_t08_sdks_accept_every_place(sim, sdk, place):
    assert sdk(sim.v1)(f'sim~tokens=9,comments={place}') == expected(sim)


@pytest.mark.parametrize('sdk', SDKS)
def test_t08_sdks_accept_the_gateways_own(gateway, sim, sdk):
    """It writes them while it waits, and one before the end mark for what came too late for the head."""
    gw = gateway(sim, timeouts={'hold': '100ms', 'comment': '100ms'})
    raw = streamed(gw, 'sim~tokens=9,queue=1s')
    assert raw.startswith(b': waiting\n') and b'\n: tidegate endpoint=up attempts=1 ' in raw
    assert sdk(gw.v1)('sim~tokens=9,queue=1s') == expected(sim)


@pytest.mark.parametrize('sdk', SDKS)
@pytest.mark.parametrize('place', PLACES)
def test_t08_an_endpoints_comments_do_not_reach_a_client_twice(gateway, sim, sdk, place):
    gw = gateway(sim)
    raw = streamed(gw, f'sim~tokens=9,comments={place}')
    assert b': waiting' not in raw and b': queued' not in raw and b'endpoint=sim' not in raw
    assert sdk(gw.v1)(f'sim~tokens=9,comments={place}') == expected(sim)
