# SPDX-License-Identifier: MIT
"""`tidegate explain` and x-tidegate-why: what the program says of requests that waited and moved on, over, in
work and unknown; and that no key and no word of a prompt gets into it."""
import concurrent.futures
import json
import re
import subprocess

import pytest

from kit import config, http, until
from kit.process import PROGRAM, free_port

SECRET, PROMPT = 'sk-upstream-secret-0123456789', 'the prompt nobody else may read'


def explain(*arguments, gw=None):
    """(exit code, standard output, standard error)"""
    admin = ['--admin', 'http://{}:{}'.format(*gw.admin)] if gw is not None else []
    done = subprocess.run([PROGRAM, 'explain', *admin, *arguments], capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout, done.stderr


def records(gw, request_id):
    code, out, err = explain('--json', request_id, gw=gw)
    assert (code, err) == (0, ''), (code, err)
    page = json.loads(out)
    assert page['request_id'] == request_id and page['silent_workers'] == 0
    return page['records']


@pytest.fixture
def failing(gateway, simulator):
    """A gateway whose model "m" fails at "one" and is answered by "two"; "slow" has one slot."""
    one, two = simulator(), simulator()
    return gateway({
        'keys': [{'name': 'web', 'key': 'sk-client-secret-0123456789'}],
        'accounts': [{'name': 'main', 'slots': {'*': 1}}],
        'endpoints': [config.endpoint('one', one.v1, key=SECRET, account='main'),
                      config.endpoint('two', two.v1, key=SECRET)],
        'models': [{'name': 'm', 'tiers': [[{'endpoint': 'one', 'model': 'sim~500'}],
                                           [{'endpoint': 'two', 'model': 'sim~tokens=3'}]]},
                   {'name': 'slow', 'tiers': [[{'endpoint': 'one', 'model': 'sim~ttft=1s,tokens=3'}]]}]},
        workers=4)


KEY = {'Authorization': 'Bearer sk-client-secret-0123456789'}


def test_a_fallback_is_explained_in_words_and_in_json(failing):
    answer = failing.chat('m', content=PROMPT, headers={**KEY, 'x-tidegate-why': '1'})
    request_id = answer.headers['x-request-id']
    line = answer.headers['x-tidegate-why']
    assert re.search(r'chosen one/sim~500\b.*; [\d.]+ called one/sim~500 outcome=server_error status=500 '
                     r'took_ms=[\d.]+.*; [\d.]+ chosen two/sim~tokens=3', line), line
    record, = records(failing, request_id)
    assert (record['key'], record['model'], record['status'], record['result']) == ('web', 'm', 200, 'full')
    assert record['attempts'] == 2 and record['running'] is False and record['stream'] is False
    called = [s for s in record['steps'] if s['step'] == 'called']
    assert [(s['endpoint'], s['outcome'], s['status']) for s in called] == [
        ('one/sim~500', 'server_error', 500), ('two/sim~tokens=3', 'ok', 200)]
    times = [s['at_ms'] for s in record['steps']]
    assert times == sorted(times) and 0 <= times[-1] <= record['duration_ms']
    code, out, err = explain(request_id, gw=failing)
    assert (code, err) == (0, '') and out.startswith(f'request {request_id}\n\nover\n')
    assert re.search(r'^ +[\d.]+ ms  called +endpoint=one/sim~500  outcome=server_error  status=500  took_ms',
                     out, re.M), out
    for text in (line, out, json.dumps(record)):
        assert SECRET not in text and 'sk-client' not in text and 'prompt' not in text
    failing.settle()


def test_every_worker_is_asked_and_a_request_in_work_is_known(failing):
    """Eight at a time for one slot: they wait, on all workers, and are explained while they do."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(failing.chat, 'slow', headers={**KEY, 'x-request-id': f'mine-{i}'})
                 for i in range(8)]

        def waiting():
            codes = [explain('--json', f'mine-{i}', gw=failing) for i in range(8)]
            found = [json.loads(out)['records'][0] for code, out, _ in codes if code == 0]
            return [r for r in found if r['running'] and r['steps'][-1]['step'] == 'queued']
        assert len(until(waiting, 'one of them waits')) > 0
        assert {a.result().status for a in asked} == {200}
    workers = set()
    for i in range(8):
        record, = records(failing, f'mine-{i}')
        assert record['running'] is False and record['result'] == 'full'
        workers.add(record['worker'])
    waits = [records(failing, f'mine-{i}')[0]['wait_ms'] for i in range(8)]
    assert max(waits) > 1000
    assert len(workers) > 1
    failing.settle()


def test_an_id_that_was_used_twice_has_two_records(failing):
    for _ in range(2):
        assert failing.chat('m', headers={**KEY, 'x-request-id': 'again'}).status == 200
    assert len(records(failing, 'again')) == 2


def test_refusals_are_known_too(failing):
    assert http.chat(failing.at, 'm', headers={'x-request-id': 'no-key'}).status == 401
    assert failing.chat('unknown', headers={**KEY, 'x-request-id': 'no-model'}).status == 404
    errors = [records(failing, i)[0]['error'] for i in ('no-key', 'no-model')]
    assert errors == ['api_key_required', 'model_not_found']


def test_what_is_not_known(failing, origin):
    code, out, err = explain('nobody', gw=failing)
    assert (code, out) == (1, '')
    assert err.startswith('tidegate explain: Nothing is known of a request with this id.')
    code, out, err = explain('--json', 'nobody', gw=failing)
    assert (code, out) == (1, '') and 'Nothing is known' in err
    code, out, err = explain('--admin', f'127.0.0.1:{free_port()}', 'nobody')
    assert (code, out) == (1, '') and 'no answer from 127.0.0.1:' in err
    code, out, err = explain('--admin', failing.root, 'nobody')
    assert (code, out) == (1, '') and 'No such route here' in err, 'its public address'
    for more in ([], ['--json']):
        code, out, err = explain('--admin', origin().root, 'nobody', *more)
        assert (code, out) == (1, '') and err.endswith(' answered is not understood\n')
    assert http.ask(failing.admin, path='/api/explain/nobody').error()['code'] == 'request_unknown'


WRONG = [[], ['a', 'b'], ['--what', 'a'], ['a b'], ['--admin'], ['a', '--admin']]


@pytest.mark.parametrize('arguments', WRONG)
def test_usage(arguments):
    code, out, err = explain(*arguments)
    assert (code, out) == (2, '') and 'usage: tidegate explain' in err


def test_a_url_that_is_none():
    code, _, err = explain('--admin', 'ftp://127.0.0.1', 'a')
    assert code == 2 and err.startswith('tidegate explain: --admin: ')


def test_admin_at_a_unix_socket(gateway, simulator, tmp_path):
    gw = gateway(simulator(), admin=f'unix:{tmp_path}/admin')
    assert gw.chat(headers={'x-request-id': 'there'}).status == 200
    code, out, err = explain('--admin', f'unix:{tmp_path}/admin', 'there')
    assert (code, err) == (0, '') and 'endpoint=up' in out
