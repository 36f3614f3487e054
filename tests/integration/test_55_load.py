# SPDX-License-Identifier: MIT
"""tidegate load, the real program: against the simulator, through a gateway, over TLS, interrupted; its
counts are those of whoever answered."""
import json
import os
import pty
import re
import select
import signal
import subprocess

import pytest

from kit import ROOT, config, until
from kit.certs import Authority
from kit.origin import answer, event, response
from kit.process import PROGRAM, environment, run

AZURE = ROOT / 'tests/data/azure2023_conv_10min.csv'
MOONCAKE = ROOT / 'tests/data/mooncake_conversation_1min.jsonl'
SERVEGEN = ROOT / 'tests/data/servegen_deepseek_r1'
TIMED = {'first_token_ms', 'gap_ms', 'answer_ms', 'late_ms'}
TIMES = {'n', 'mean', 'p50', 'p90', 'p99', 'p99_9', 'max'}
ENDS = {'full', 'degraded', 'deferred', 'templated', 'failed', 'refused', 'cancelled'}
GROUP = ENDS | TIMED | {'requests', 'sent', 'held', 'attempts', 'answered_rate', 'tokens', 'usage_tokens',
                        'bytes', 'failures', 'other_failures'}
RESULT = {'format', 'target', 'model', 'schedule', 'seed', 'seconds', 'interrupted', 'connections',
          'all', 'classes'}


def load(*options, env=None):
    """(exit code, result, standard error)"""
    code, out, err = run(PROGRAM, 'load', '--json', '-', '--quiet', '--seed', '1', *options, env=env)
    return code, json.loads(out) if out else None, err


def check_shape(result):
    """The members that docs/load.md promises, no more and no less."""
    assert set(result) == RESULT and result['format'] == 1
    for group in [result['all'], *result['classes'].values()]:
        assert set(group) == GROUP
        for name in TIMED:
            t = group[name]
            assert set(t) == TIMES
            assert 0 <= t['p50'] <= t['p90'] <= t['p99'] <= t['p99_9'] <= t['max']
        for failure in group['failures']:
            assert set(failure) == {'status', 'code', 'n'}
        assert sum(group[e] for e in ENDS) == group['requests']
        told = sum(f['n'] for f in group['failures']) + group['other_failures']
        assert told == group['failed'] + group['refused']
    return result['all']


def failures(group):
    return {(f['status'], f['code']): f['n'] for f in group['failures']}


def test_counts_are_the_simulators(simulator):
    sim = simulator('--fault', '503=0.1', '--fault', 'cut=0.1', '--fault', 'nodone=0.1', '--seed', '5')
    code, result, _ = load(sim.v1, '--rate', '400', '--limit', '600', '--answer', '10',
                           '--class', 'high=0.3,bulk=0.7')
    found = check_shape(result)
    assert code == 0
    stats = sim.stats()
    assert found['requests'] == found['sent'] == found['attempts'] == stats['requests'] == 600
    kinds = failures(found)
    assert kinds[503, 'overloaded'] == stats['refused'] > 0
    assert kinds[200, 'truncated'] == stats['cut'] > 0
    assert kinds[200, 'no_done'] == stats['faults']['nodone'] > 0
    assert found['full'] == stats['answered'] - stats['faults']['nodone']
    assert found['tokens'] == stats['tokens']
    assert found['first_token_ms']['n'] == stats['requests'] - stats['refused']
    assert abs(found['answered_rate'] - found['full'] / 600) < 1e-6
    assert set(result['classes']) == {'high', 'bulk'}
    for name in ('requests', 'full', 'failed', 'tokens'):
        assert sum(group[name] for group in result['classes'].values()) == found[name]


def test_through_the_gateway(gateway, simulator):
    """The gateway moves on where one provider fails: the client sees whole answers alone."""
    first = simulator('--fault', '503=0.5', '--seed', '5')
    second = simulator()
    gw = gateway(config.tiers(first.v1, second.v1))
    code, result, _ = load(gw.v1, '--model', 'm', '--rate', '300', '--limit', '300', '--answer', '10',
                           '--streams', '0.5')
    found = check_shape(result)
    assert code == 0
    assert (found['full'], found['answered_rate']) == (300, 1)
    assert first.stats()['requests'] == 300
    assert first.stats()['refused'] == second.stats()['requests'] > 100
    gw.settle()
    page = gw.metrics()
    assert page.value('tidegate_requests_total', outcome='full') == 300
    assert page.value('tidegate_upstream_calls_total', endpoint='e2') == second.stats()['requests']


def test_priorities_and_keys_by_class(origin):
    up = origin()
    env = environment(ONE='key-one', TWO='key-two')
    code, result, _ = load(up.v1, '--rate', '200', '--limit', '60', '--streams', '0', '--class',
                           'critical=0.5,bulk=0.5', '--key-env', 'ONE', '--key-env', 'bulk=TWO',
                           '--header', 'x-tenant: t1', '--set', 'temperature=0', '--set', 'user="u"', env=env)
    assert code == 0
    check_shape(result)
    seen = {(r.headers['x-tidegate-priority'], r.headers['authorization']) for r in up.requests}
    assert seen == {('critical', 'Bearer key-one'), ('bulk', 'Bearer key-two')}
    for r in up.requests:
        body = r.json()
        assert r.headers['x-tenant'] == 't1' and r.path == '/v1/chat/completions'
        assert (body['model'], body['temperature'], body['user']) == ('sim', 0, 'u')
        assert 'stream' not in body and 'max_tokens' not in body
    assert len({r.body for r in up.requests}) == 60  # no two alike
    code, _, err = load(up.v1, '--key-env', 'NOT_SET')
    assert code == 1 and 'the variable NOT_SET is not set' in err


def test_bodies_have_their_length_and_repeat_with_the_seed(origin):
    up = origin()
    options = ['--rate', '500', '--limit', '20', '--streams', '0', '--prompt', '300', '--answer', '7',
               '--shared', '0.5:200:2']
    assert load(up.v1, *options)[0] == 0
    first = sorted(r.body for r in up.requests)
    assert load(up.v1, *options)[0] == 0
    assert sorted(r.body for r in up.requests[20:]) == first
    prompts = [json.loads(b)['messages'][0]['content'] for b in first]
    assert {len(p) for p in prompts} == {1200}
    assert {json.loads(b)['max_tokens'] for b in first} == {7}
    begun = [p[:800] for p in prompts]
    shared = {b for b in begun if begun.count(b) > 1}
    assert len(shared) == 2
    assert len({p[:40] for p in prompts if p[:800] not in shared}) == sum(b not in shared for b in begun)


def test_retries_like_the_sdk(origin):
    """Twice, after what Retry-After says, with the count in the header; x-should-retry: false ends it."""
    asked = {}

    def script(peer, request):
        n = asked.setdefault(request.body, []).append(request.headers['x-stainless-retry-count'])
        n = len(asked[request.body])
        if n < 3:
            return response({'error': {'message': 'no', 'code': 'busy'}}, '503 Busy', retry_after_ms=20)
        return response(answer())
    up = origin(script)
    code, result, _ = load(up.v1, '--rate', '100', '--limit', '10', '--streams', '0', '--retry', 'sdk')
    found = check_shape(result)
    assert (code, found['full'], found['attempts']) == (0, 10, 30)
    assert list(asked.values()) == [['0', '1', '2']] * 10
    up = origin(lambda peer, request: response({'error': {'message': 'no', 'code': 'over'}}, '503 Busy',
                                               x_should_retry='false'))
    code, result, err = load(up.v1, '--rate', '100', '--limit', '10', '--retry', 'sdk')
    assert (code, result['all']['attempts']) == (1, 10)
    assert failures(result['all']) == {(503, 'over'): 10}
    assert 'no request was answered' in err


def test_an_answer_that_is_not_full_says_so(origin):
    rungs = iter(['short', 'template', 'ticket', 'full'] * 5)
    up = origin(lambda peer, request: response(answer(), x_tidegate_rung=next(rungs)))
    code, result, _ = load(up.v1, '--rate', '100', '--limit', '20', '--streams', '0')
    found = check_shape(result)
    assert [found[k] for k in ('full', 'degraded', 'templated', 'deferred')] == [5, 5, 5, 5]
    assert (code, found['answered_rate']) == (0, 0.75)


def test_the_answered_rate_that_is_needed(origin):
    good = iter([True, True, True, False] * 5)
    up = origin(lambda peer, request: response(answer()) if next(good) else response({}, '500 Oh'))
    code, result, err = load(up.v1, '--rate', '100', '--limit', '20', '--streams', '0', '--need', '0.8')
    assert (code, result['all']['answered_rate']) == (1, 0.75)
    assert '--need asks for 0.8' in err
    assert failures(result['all']) == {(500, 'http_500'): 5}


def test_over_tls(origin, tmp_path):
    ca = Authority(tmp_path)
    up = origin(tls=ca.server())
    code, result, _ = load(up.v1, '--ca-file', ca.file, '--rate', '100', '--limit', '20', '--streams', '0')
    assert (code, check_shape(result)['full']) == (0, 20)
    code, result, err = load(up.v1, '--rate', '100', '--limit', '3', '--streams', '0')
    assert code == 1
    assert failures(result['all']) == {(0, 'tls'): 3}
    assert 'TLS failed: ' in err and 'certificate' in err


def test_an_interrupt_ends_it_with_the_result_so_far(yard, simulator):
    sim = simulator('--ttft', '10s')
    result = yard.folder / 'result.json'
    program = yard.program(PROGRAM, 'load', sim.v1, '--rate', '50', '--duration', '1h', '--json', result)
    program.may_fail = True  # nothing was answered
    until(lambda: sim.stats()['working'] > 5, 'requests are under way')
    program.signal(signal.SIGINT)
    assert program.wait() == 1
    found = json.loads(result.read_text())
    group = check_shape(found)
    assert found['interrupted'] and group['cancelled'] == group['requests'] > 5
    assert group['answered_rate'] is None
    assert '(interrupted)' in program.stdout()
    until(sim.is_idle, 'the simulator has nothing to do')
    assert sim.stats()['cancelled'] == sim.stats()['requests'] == group['attempts']


def test_progress_in_lines_and_on_a_terminal(simulator):
    sim = simulator()
    options = [PROGRAM, 'load', sim.v1, '--rate', '20', '--duration', '2500ms']
    code, out, err = run(*options)
    assert code == 0
    line = r'^ +[\d.]+ s  sent \d+  in flight \d+  answered \d+  failed 0(?:  ttft .*)?$'
    assert len(re.findall(line, err, re.M)) >= 2 and '\r' not in err
    assert out.startswith('target    http://127.0.0.1:') and 'first token' in out
    master, slave = pty.openpty()
    child = subprocess.Popen(options, stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=environment())
    os.close(slave)
    seen = b''
    while True:
        ready, _, _ = select.select([master], [], [], 45)
        assert ready
        try:
            piece = os.read(master, 4096)
        except OSError:
            break  # the other side is closed
        if not piece:
            break
        seen += piece
    os.close(master)
    child.stdout.close()
    assert child.wait() == 0
    assert seen.count(b'\r\x1b[K') >= 2 and seen.endswith(b'\r\n')


@pytest.mark.parametrize('options, code, words', [
    (['--help'], 0, ''),
    (['--rate', '0'], 2, '--rate: "0" is not understood'),
    (['--rat', '5'], 2, 'did you mean --rate?'),
    (['--rate'], 2, '--rate needs a value'),
    (['--speed', '0.0001'], 2, '--speed'),
    (['--scale', '1001'], 2, '--scale'),
    (['--leave', '0.5'], 2, '--leave'),
    (['--shared', '0.5:0'], 2, '--shared'),
    (['--over-limit', 'x'], 2, '--over-limit'),
    (['--dry-run=yes'], 2, '--dry-run takes no value'),
    (['--class', 'high=0.5'], 2, '--class'),
    (['--class', 'urgent=1'], 2, '--class'),
    (['--arrivals', 'gamma'], 2, '--arrivals'),
    (['--set', 'model="x"'], 2, '--set'),
    (['--set', 'a={'], 2, '--set'),
    (['--header', 'content-length: 5'], 2, '--header'),
    (['--duration', '10'], 2, '--duration'),
    (['--ca-file', '/dev/null'], 2, '--ca-file is of use with an https URL only'),
    (['ftp://x'], 2, 'the URL'),
    (['http://a', 'http://b'], 2, 'there is one URL'),
    (['--trace', '/nowhere/at/all'], 1, 'No such file'),
    (['--trace', ROOT / 'README.md'], 1, 'README.md:3: This is no trace'),
    (['--trace', AZURE, '--trace', AZURE], 1, 'only ServeGen'),
    (['--trace', ROOT / 'docs'], 1, 'no chunk-*-trace.csv'),
    (['--trace', AZURE, '--from', '1h'], 1, 'the schedule holds no request'),
    (['--limit', '1', '--ca-file', '/nowhere', 'https://127.0.0.1:9/v1'], 1, '/nowhere'),
    (['--json', '/nowhere/at/all', 'http://127.0.0.1:9/v1'], 1, '/nowhere/at/all: No such file'),
    (['--limit', '1', 'http://127.0.0.1:9/v1'], 1, 'no request was answered'),
])
def test_exit_codes(options, code, words):
    got, out, err = run(PROGRAM, 'load', '--quiet', *options)
    assert (got, words in err) == (code, True), err
    assert code != 0 or 'usage: tidegate load' in out


def test_more_connections_than_the_system_allows():
    code, _, err = run('sh', '-c', 'ulimit -n 256 && exec "$0" load --connections 300', PROGRAM)
    assert code == 1 and 'raise it with ulimit -n' in err


def test_dry_runs_sum_up_the_traces():
    def plan(*options):
        code, out, _ = run(PROGRAM, 'load', '--dry-run', '--json', '-', '--quiet', '--seed', '1', *options)
        assert code == 0
        return json.loads(out)
    azure = plan('--trace', AZURE)
    rows = [line.split(',') for line in AZURE.read_text().splitlines()[2:]]
    assert azure['requests'] == len(rows)
    assert azure['prompt_tokens']['sum'] == sum(int(r[1]) for r in rows)
    assert azure['answer_tokens']['max'] == max(int(r[2]) for r in rows)
    faster = plan('--trace', AZURE, '--speed', '10')
    assert faster['requests'] == len(rows) and abs(faster['last_s'] - azure['last_s'] / 10) < 0.001
    assert abs(faster['gap_cv'] - azure['gap_cv']) < 0.001
    more = plan('--trace', AZURE, '--scale', '2')
    assert more['requests'] == 2 * len(rows) and abs(more['last_s'] - azure['last_s']) < 1
    mooncake = plan('--trace', MOONCAKE)
    lines = [json.loads(line) for line in MOONCAKE.read_text().splitlines() if line.startswith('{')]
    blocks = [i for line in lines for i in line['hash_ids']]
    assert (mooncake['requests'], mooncake['blocks']) == (len(lines), len(blocks))
    assert mooncake['blocks_seen_before'] == len(blocks) - len(set(blocks))
    servegen = plan('--trace', SERVEGEN)
    expected = 0
    for file in SERVEGEN.glob('chunk-*-trace.csv'):
        windows = [line.split(',') for line in file.read_text().splitlines() if not line.startswith('#')]
        expected += sum(float(w[1]) * 600 for w in windows)
    assert abs(servegen['requests'] - expected) < 0.05 * expected


def test_a_trace_in_real_time(simulator):
    """Lengths reach the simulator, which makes exactly so many tokens."""
    sim = simulator('--ttft', '1ms', '--gap', '0')
    code, result, _ = load(sim.v1, '--trace', AZURE, '--speed', '100', '--limit', '150',
                           '--model', 'any~tokens={answer}')
    found = check_shape(result)
    rows = [line.split(',') for line in AZURE.read_text().splitlines()[2:152]]
    assert (code, found['full'], found['tokens']) == (0, 150, sum(int(r[2]) for r in rows))


def test_a_code_that_a_server_makes_up_is_harmless(origin):
    evil = {'error': {'code': '"}\x1b[31m' + 'x' * 100, 'message': ''}}
    up = origin(lambda peer, request: response(evil, '500 Oh'))
    _, result, _ = load(up.v1, '--rate', '100', '--limit', '2', '--streams', '0')
    assert failures(check_shape(result)) == {(500, ('____31m' + 'x' * 100)[:47]): 2}


def test_many_kinds_of_failure_are_bounded(origin):
    numbers = iter(range(1000))
    up = origin(lambda peer, request: response({'error': {'code': f'c{next(numbers)}'}}, '500 Oh'))
    _, result, _ = load(up.v1, '--rate', '200', '--limit', '50', '--streams', '0')
    found = check_shape(result)
    assert len(found['failures']) == 32 and found['other_failures'] == 18


def test_comments_and_what_follows_done_are_no_tokens(origin):
    def script(peer, request):
        body = b': queued position=1\n' + event('a') + b': keep-alive\n\n' + event('b') + event(finish='stop')
        body += b'data: [DONE]\n\ndata: {"error":{"message":"late"}}\n\n'
        return response(body, kind='text/event-stream')
    code, result, _ = load(origin(script).v1, '--rate', '100', '--limit', '5')
    found = check_shape(result)
    assert (code, found['full'], found['tokens'], found['gap_ms']['n']) == (0, 5, 10, 5)


def test_the_page_of_options_is_the_help():
    shown = run(PROGRAM, 'load', '--help')[1]
    named = set(re.findall(r'^  (--[\w-]+)', shown, re.M))
    page = (ROOT / 'docs/load.md').read_text()
    assert set(re.findall(r'^\| `(--[\w-]+)', page, re.M)) == named
