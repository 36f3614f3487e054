# SPDX-License-Identifier: MIT
"""A real engine whose slots are an account's: it never has to make a request wait, since those wait here. And
what else it does behind tidegate: embeddings, and dying before it has said anything."""
import concurrent.futures
import signal
import threading

import pytest

from kit import LIMIT, config, http, until
from kit.engine import KEY, Engine, seen
from kit.origin import STREAM_HEAD, Tap, answer, event, response

SLOTS, CROWD = 2, 10
SPARE = (STREAM_HEAD.replace(b'Connection: close', b'Transfer-Encoding: chunked')
         + b''.join(b'%x\r\n%s\r\n' % (len(e), e) for e in (
             event('spare'), event(finish='stop'), b'data: [DONE]\n\n')) + b'0\r\n\r\n')
HEADERS = {'Authorization': f'Bearer {KEY}'}


@pytest.fixture(scope='module')
def engine(shared):
    return shared.add(Engine(shared.folder, 'engine', '-np', SLOTS, '--embeddings', '--pooling', 'mean'))


@pytest.fixture(scope='module')
def tap(shared, engine):
    return shared.closing(Tap(engine.at))


@pytest.fixture(scope='module')
def gw(shared, tap):
    """The account has as many slots as the engine."""
    up = config.endpoint('engine', tap.v1, provider='llama', key=KEY, account='machine')
    model = {'name': 'tide', 'tiers': [[{'endpoint': 'engine', 'model': 'tiny'}]]}
    return shared.gateway({'accounts': [{'name': 'machine', 'slots': {'tiny': SLOTS}}], 'endpoints': [up],
                           'models': [model]})


def gauge(engine, name):
    page = http.ask(engine.at, path='/metrics', headers=HEADERS).body.decode()
    return next(int(line.split()[1]) for line in page.splitlines() if line.startswith(f'llamacpp:{name} '))


def endless(gw):
    return gw.stream('tide', ignore_eos=True, max_tokens=100_000_000)


def test_one_request_more_than_slots_waits_here_and_not_there(gw, engine):
    working = [endless(gw) for _ in range(SLOTS)]
    for stream in working:
        next(iter(stream))
    with gw.stream('tide', max_tokens=3) as waiting:
        until(lambda: gw.metrics().value('tidegate_queue_depth') == 1, 'it waits in the line')
        assert gauge(engine, 'requests_processing') == SLOTS and gauge(engine, 'requests_deferred') == 0
        working.pop().close()
        assert waiting.whole()
    working.pop().close()
    until(lambda: gauge(engine, 'requests_processing') == 0, 'the engine has stopped')
    gw.settle()


def test_a_crowd_never_waits_at_the_engine(gw, engine):
    """Asked again and again how many requests it has put off, the engine says none."""
    over, put_off = threading.Event(), []

    def watch():
        while not over.is_set():
            put_off.append(gauge(engine, 'requests_deferred'))

    def ask(i):
        return gw.chat('tide', content=f'Wave {i}', ignore_eos=True, max_tokens=400)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(CROWD) as pool:
            got = list(pool.map(ask, range(CROWD)))
    finally:
        over.set()
        watcher.join(LIMIT)
    assert [a.status for a in got] == [200] * CROWD
    assert max(int(a.headers['x-tidegate-wait-ms']) for a in got) > 0, 'some had to wait here'
    assert put_off and max(put_off) == 0
    gw.settle()


@pytest.mark.parametrize('form', ['float', 'base64'])
def test_embeddings_are_the_engines(gw, tap, form):
    ask = {'model': 'tide', 'input': ['flood', 'ebb'], 'encoding_format': form}
    got = http.ask(gw.at, 'POST', '/v1/embeddings', ask, {'x-request-id': f'embed-{form}'})
    request, said = seen(tap, f'embed-{form}')
    assert (got.status, got.body) == (200, said.body)
    assert request.path == '/v1/embeddings' and request.json() == {**ask, 'model': 'tiny'}
    first, second = [d['embedding'] for d in got.json()['data']]
    assert first != second and isinstance(first, str if form == 'base64' else list)
    line, = gw.access(request_id=f'embed-{form}')
    assert line['tokens_in'] == got.json()['usage']['prompt_tokens'] > 0 and line['result'] == 'full'


def test_embeddings_by_the_sdk(gw):
    openai = pytest.importorskip('openai', reason='the SDK of tests/requirements.txt is not installed')
    with openai.OpenAI(base_url=gw.v1, api_key='unused', max_retries=0, timeout=LIMIT) as client:
        by_default = client.embeddings.create(model='tide', input='flood').data[0].embedding
        numbers = client.embeddings.create(model='tide', input='flood', encoding_format='float')
    assert by_default == pytest.approx(numbers.data[0].embedding, rel=1e-5)


@pytest.mark.parametrize('stream', [False, True], ids=['plain', 'stream'])
def test_an_engine_that_dies_before_it_answers_is_left_for_another(yard, gateway, origin, stream):
    """It is held still with the request in hand, and killed."""
    spare = origin(lambda peer, rq: response(answer('spare')) if not stream else SPARE)
    engine = yard.add(Engine(yard.folder, 'engine', key=None))
    gw = gateway(config.tiers(f'http://127.0.0.1:{engine.at[1]}/v1', spare.v1))
    engine.signal(signal.SIGSTOP)
    with http.Wire(gw.at) as w:
        w.send(http.request('POST', http.CHAT, http.chat_body('m', stream=stream)))
        until(lambda: gw.metrics().value('tidegate_upstream_inflight', endpoint='e1') == 1, 'it is asked')
        engine.may_fail = True
        engine.child.kill()
        got = w.answer()
    assert got.status == 200 and got.headers['x-tidegate-endpoint'] == 'e2'
    assert got.headers['x-tidegate-attempts'] == '2'
    assert b'spare' in got.body and b'error' not in got.body
    engine.wait()
    gw.settle()
