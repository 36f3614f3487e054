# SPDX-License-Identifier: MIT
"""A real engine that comes and goes: while it loads its model it is busy, not broken; when it dies in the
middle of an answer, the client is told."""
import pytest

from kit import LIMIT, config, http, until
from kit.engine import Engine, fetch, make_model
from kit.origin import answer, response
from kit.process import free_port

WORD = {'max_tokens': 1}


@pytest.fixture(scope='module')
def large(tmp_path_factory):
    """A model that takes a moment to load."""
    fetch()
    model = make_model(tmp_path_factory.mktemp('model'), '0.5b')
    yield model
    model.unlink()


def behind(port, *others):
    """Model "alone" at the engine, model "both" with something behind it."""
    what = config.tiers(f'http://127.0.0.1:{port}', *others)
    what['endpoints'][0]['provider'] = 'llama'
    return {**what, 'models': [{'name': 'alone', 'tiers': [[{'endpoint': 'e1'}]]},
                               {'name': 'both', 'tiers': what['models'][0]['tiers']}]}


def test_loading_is_not_a_failure(yard, gateway, origin, large):
    """From before it listens until it answers, asked without a pause: alone it is refused for a moment, with
    something behind it every request is answered."""
    port, spare = free_port(), origin(lambda peer, rq: response(answer('spare')))
    gw = gateway(behind(port, spare.v1))
    engine = yard.add(Engine(yard.folder, 'engine', port=port, key=None, model=large, wait=False))
    refused = []

    def is_there():
        assert engine.child.poll() is None, engine.tail()
        alone, both = gw.chat('alone', **WORD), gw.chat('both', **WORD)
        assert both.status == 200, both
        if alone.status == 200:
            return both.headers['x-tidegate-endpoint'] == 'e1'
        refused.append(alone)
        return False
    until(is_there, 'the engine answers', 4 * LIMIT)
    codes = [r.error()['code'] for r in refused]
    assert set(codes) <= {'upstream_unreachable', 'upstream_loading'}, codes
    for r in refused:
        assert r.status == 503 and int(r.headers['retry-after']) >= 1 and 'x-should-retry' not in r.headers
    page = gw.metrics()
    calls = {dict(k)['outcome']: v for k, v in page.samples('tidegate_upstream_calls_total').items()
             if dict(k)['endpoint'] == 'e1' and v > 0}
    assert set(calls) <= {'ok', 'refused', 'loading'}, calls
    assert calls.get('loading', 0) >= codes.count('upstream_loading')
    if not calls.get('loading'):
        pytest.skip('THE ENGINE WAS LOADED BEFORE IT COULD BE ASKED; all else held')


def test_a_crash_in_the_middle_of_a_stream(yard, gateway):
    engine = yard.add(Engine(yard.folder, 'engine', key=None))
    gw = gateway(behind(engine.at[1]))
    with gw.stream('alone', ignore_eos=True, max_tokens=100_000_000) as stream:
        events = iter(stream)
        for _ in range(5):
            next(events)
        engine.may_fail = True
        engine.child.kill()
        try:
            for event in events:
                last = event
            raise AssertionError(f'the stream ended as if it were whole: {last}')
        except http.Broken:
            assert '"code":"upstream_truncated"' in last, last
    engine.wait()
    assert gw.chat('alone').error()['code'] == 'upstream_unreachable'
    gw.settle()
