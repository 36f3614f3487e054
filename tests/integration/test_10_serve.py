# SPDX-License-Identifier: MIT
"""Starting, asking how it is, and the command line."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from kit import ROOT, config, http, until
from kit.origin import answer, response
from kit.process import PROGRAM, environment, free_port, ready, run

# -- starting ------------------------------------------------------------------------------------------------


def test_the_first_minute_without_any_configuration(yard, built_in_ports):
    """No file, no key: the simulator answers, and the banner's curl works as it is printed."""
    program = yard.program(PROGRAM, 'serve')
    banner, at = ready(program)
    assert at[1] == 8080 and 'THE BUILT-IN SIMULATOR' in banner and 'DEEPSEEK_API_KEY' in banner
    assert 'base_url="http://127.0.0.1:8080/v1"' in banner
    command = re.search(r'try it +(curl (?:.*\\\n)*.*)', banner).group(1)
    status, said, complaint = run('sh', '-c', command)
    assert status == 0, complaint
    events = [line[6:] for line in said.splitlines() if line.startswith('data: ')]
    assert len(events) > 10 and events[-1] == '[DONE]'
    assert [m['id'] for m in http.ask(at, path='/v1/models').json()['data']] == [
        'deepseek-flash', 'deepseek-chat', 'deepseek-reasoner']
    assert http.chat(at, 'any-other-name').text()


def test_a_start_from_the_environment(yard, simulator, built_in_ports):
    sim = simulator()
    program = yard.program(PROGRAM, 'serve', env=environment(OPENAI_BASE_URL=sim.v1))
    banner, at = ready(program)
    assert 'from the environment' in banner and 'SIMULATOR' not in banner
    assert http.chat(at, 'gpt-4o-mini').status == 200
    assert sim.stats()['answered'] == 1


def test_the_environments_key_goes_up_and_is_not_shown(yard, origin, built_in_ports):
    up = origin()
    program = yard.program(PROGRAM, 'serve', env=environment(
        OPENAI_BASE_URL=up.v1, OPENAI_API_KEY='sk-canary-openai', DEEPSEEK_API_KEY='sk-canary-deepseek'))
    banner, at = ready(program)
    assert http.chat(at, 'gpt-4o-mini', headers={'Authorization': 'Bearer sk-canary-client'}).status == 200
    assert up.requests[0].headers['authorization'] == 'Bearer sk-canary-openai'
    assert b'sk-canary-client' not in up.seen and b'sk-canary-deepseek' not in up.seen
    names = [m['id'] for m in http.ask(at, path='/models').json()['data']]
    assert names == ['deepseek-flash', 'deepseek-chat', 'deepseek-reasoner', 'deepseek-v4-pro']
    assert program.stop() == []
    assert 'sk-canary' not in program.stderr() + program.stdout()


def test_what_the_banner_shows_is_a_configuration(yard, simulator, built_in_ports, tmp_path):
    sim = simulator()
    program = yard.program(PROGRAM, 'serve', env=environment(OPENAI_BASE_URL=sim.v1))
    banner, _ = ready(program)
    text = re.search(r'as a file it would be:\n\n(.*?)\n\n', banner, re.DOTALL).group(1)
    (tmp_path / 'copied.yaml').write_text(text)
    env = environment(OPENAI_BASE_URL=sim.v1)
    status, said, complaints = run(PROGRAM, 'check', tmp_path / 'copied.yaml', env=env)
    assert (status, complaints) == (0, '')
    assert '*' in said


def test_a_file_in_the_folder_is_found(yard, simulator, tmp_path):
    sim = simulator()
    (tmp_path / 'tidegate.yaml').write_text(f'''
listen: 127.0.0.1:0   # any free port
endpoints:
  - {{name: sim, provider: openai, url: "{sim.v1}"}}
models:
  - name: chat
    aliases: [talk]
    tiers: [[{{endpoint: sim, model: other}}]]
''')
    banner, at = ready(yard.program(PROGRAM, 'serve'))
    assert 'tidegate.yaml' in banner and '"model":"chat"' in banner
    assert http.chat(at, 'talk').json()['model'] == 'other'
    assert http.chat(at, 'other').error()['code'] == 'model_not_found'
    assert sim.stats()['requests'] == 1


def test_ipv6_and_several_listeners(gateway, simulator):
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError as e:
        pytest.skip(f'no IPv6 on this machine: {e}')
    port = free_port()
    gw = gateway(simulator(), listen=['127.0.0.1:0', f'[::1]:{port}'])
    assert gw.chat().status == 200
    assert http.ask(('::1', port), path='/healthz').body == b'ok\n'


@pytest.mark.parametrize('which', ['listen', 'admin', 'metrics'])
def test_a_port_in_use_is_named(tmp_path, which):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        address = f'127.0.0.1:{taken.getsockname()[1]}'
        lines = {'listen': '127.0.0.1:0', which: address}
        file = tmp_path / 'c.yaml'
        file.write_text(''.join(f'{k}: {v}\n' for k, v in lines.items()) + '''
endpoints: [{name: e, provider: openai, url: "http://127.0.0.1:1/v1"}]
models: [{name: m, tiers: [[{endpoint: e}]]}]
''')
        status, said, complaint = run(PROGRAM, 'serve', file)
    assert (status, said) == (1, '')
    assert complaint.startswith(f'tidegate: cannot listen at {address}: ') and 'another tidegate' in complaint


def test_a_second_gateway_on_the_same_port_is_refused(gateway, simulator, tmp_path):
    """Although both would bind with SO_REUSEPORT."""
    gw = gateway(simulator())
    file = tmp_path / 'second.yaml'
    file.write_text(gw.file.read_text().replace('127.0.0.1:0', '%s:%d' % gw.at))
    status, _, complaint = run(PROGRAM, 'serve', file)
    assert status == 1 and 'cannot listen at %s:%d' % gw.at in complaint
    assert gw.chat().status == 200


def test_a_second_simulator_on_the_same_port_is_refused(simulator):
    sim = simulator()
    status, _, complaint = run(PROGRAM, 'sim', '--listen', '%s:%d' % sim.at)
    assert status == 1 and 'cannot listen at %s:%d' % sim.at in complaint


# -- the command line ----------------------------------------------------------------------------------------


@pytest.mark.parametrize('arguments, status, stream, says', [
    (['--help'], 0, 'out', 'usage: tidegate COMMAND'),
    (['help'], 0, 'out', 'usage: tidegate COMMAND'),
    (['--version'], 0, 'out', 'tidegate 0.'),
    ([], 2, 'err', 'usage: tidegate COMMAND'),
    (['sevre'], 2, 'err', 'there is no command "sevre"'),
    (['serve', '--help'], 0, 'out', 'usage: tidegate serve'),
    (['check', '--help'], 0, 'out', 'usage: tidegate check'),
    (['sim', '--help'], 0, 'out', 'usage: tidegate sim'),
    (['serve', '--wrong'], 2, 'err', 'usage: tidegate serve'),
    (['serve', 'a', 'b'], 2, 'err', 'usage: tidegate serve'),
    (['check', '--wrong'], 2, 'err', 'usage: tidegate check'),
    (['check', 'a', 'b'], 2, 'err', 'usage: tidegate check'),
    (['sim', '--wrong'], 2, 'err', '--wrong'),
    (['sim', '--slots'], 2, 'err', '--slots needs a value'),
    (['sim', '--fault', 'cut=2'], 2, 'err', 'cut=2'),
    (['sim', '--listen', 'somewhere'], 2, 'err', 'somewhere'),
    (['serve', '/no/such/file.yaml'], 1, 'err', '/no/such/file.yaml'),
    (['check', '/no/such/file.yaml'], 1, 'err', '/no/such/file.yaml'),
])
def test_exit_codes(tmp_path, arguments, status, stream, says):
    got, out, err = run(PROGRAM, *arguments, cwd=tmp_path)
    assert got == status
    assert says in (out if stream == 'out' else err)
    assert (err if stream == 'out' else out) == ''


MISTAKES = '''\
listen: 127.0.0.1:0
timeouts:
  conect: 5s
endpoints:
  - {name: mirror, provider: openai, url: "http://127.0.0.1:1/v1", key: "${NO_SUCH_VARIABLE}"}
models:
  - name: m
    deadline: 60
    tiers: [[{endpoint: mirorr}]]
'''


@pytest.mark.parametrize('command', ['check', 'serve'])
def test_every_mistake_is_named_with_line_and_column(tmp_path, command):
    (tmp_path / 'bad.yaml').write_text(MISTAKES)
    status, said, complaints = run(PROGRAM, command, 'bad.yaml', cwd=tmp_path)
    assert (status, said) == (1, '')
    found = re.findall(r'^bad\.yaml:(\d+):(\d+): error: (.*)$', complaints, re.MULTILINE)
    places = [(int(line), int(column)) for line, column, _ in found]
    assert places == [(3, 3), (5, 73), (8, 15), (9, 25)]
    assert command == 'serve' or complaints.endswith('\n4 errors, 0 warnings\n')
    texts = [text for _, _, text in found]
    assert 'did you mean "connect"?' in texts[0] and 'NO_SUCH_VARIABLE' in texts[1]
    assert '60s' in texts[2] and 'did you mean "mirror"?' in texts[3]


def test_check_shows_what_models_resolve_to_and_no_secret(tmp_path):
    (tmp_path / 'good.yaml').write_text('''\
keys: [{name: web, key: "${WEB_KEY}"}]
endpoints: [{name: one, provider: deepseek, url: "https://api.deepseek.com", key: "${UP_KEY}"}]
models:
  - name: chat
    aliases: [{name: deepseek-chat, set: {thinking: {type: disabled}}}]
    tiers: [[{endpoint: one, model: deepseek-flash}]]
''')
    env = environment(WEB_KEY='sk-canary-web', UP_KEY='sk-canary-up')
    status, said, complaints = run(PROGRAM, 'check', 'good.yaml', cwd=tmp_path, env=env)
    assert (status, complaints) == (0, '')
    for word in ('chat', 'deepseek-chat', 'one', 'deepseek-flash', 'thinking'):
        assert word in said
    assert 'canary' not in said
    again = run(PROGRAM, 'check', '-', env=env, stdin=(tmp_path / 'good.yaml').read_text())
    assert again == (status, said, complaints)


def test_the_example_is_good():
    env = environment(WEB_KEY='a', BATCH_KEY='b', DEEPSEEK_API_KEY='c', OPENAI_API_KEY='d')
    status, _, complaints = run(PROGRAM, 'check', ROOT / 'tidegate.example.yaml', env=env)
    assert (status, complaints) == (0, '')


@pytest.mark.parametrize('line, complaint', [
    ('listen: 0.0.0.0:0', 'keys'),
    ('listen: "[::]:0"', 'keys'),
    ('admin: 0.0.0.0:1', 'outside'),
])
def test_a_public_listener_without_keys_is_refused(tmp_path, line, complaint):
    (tmp_path / 'c.yaml').write_text(line + '''
endpoints: [{name: e, provider: openai, url: "http://127.0.0.1:1/v1"}]
models: [{name: m, tiers: [[{endpoint: e}]]}]
''')
    for command in ('check', 'serve'):
        status, _, complaints = run(PROGRAM, command, tmp_path / 'c.yaml')
        assert status == 1 and re.search(rf':1:\d+: error: .*{complaint}', complaints), complaints


# -- asking how it is ----------------------------------------------------------------------------------------


def test_health_and_readiness(gateway, simulator):
    metrics = f'127.0.0.1:{free_port()}'
    gw = gateway(simulator(), metrics=metrics)
    host, port = metrics.split(':')
    for at in (gw.at, gw.admin, (host, int(port))):
        assert (http.ask(at, path='/healthz').status, http.ask(at, path='/healthz').body) == (200, b'ok\n')
        assert (http.ask(at, path='/readyz').status, http.ask(at, path='/readyz').body) == (200, b'ready\n')
    assert http.ask(gw.at, path='/metrics').status == 404, 'the public listener does not show metrics'
    assert http.ask((host, int(port)), path='/metrics').status == 200
    for at in (gw.admin, gw.at):
        assert http.ask(at, path='/nothing').error()['code'] == 'route_not_found'
        assert http.ask(at, 'POST', '/healthz', b'').error()['code'] == 'method_not_allowed'


def test_metrics_are_in_prometheus_format_and_count(gateway, simulator):
    gw = gateway(simulator())
    before = gw.metrics()
    assert gw.chat('sim~tokens=7', content='12345678').status == 200
    gw.stream('sim~tokens=5').whole()
    gw.chat('sim~500')
    http.ask(gw.at, path='/nothing')

    def settled():
        page = gw.metrics()
        return page if page.value('tidegate_exchanges_inflight') == 0 else None
    page = until(settled, 'all are counted')
    for name, labels, more in [
            ('tidegate_requests_total', {'route': 'chat_completions', 'outcome': 'full'}, 2),
            ('tidegate_requests_total', {'route': 'chat_completions', 'outcome': 'failed'}, 1),
            ('tidegate_requests_total', {'route': 'other', 'outcome': 'refused'}, 1),
            ('tidegate_responses_total', {'code': '200'}, 2),
            ('tidegate_responses_total', {'code': '502'}, 1),
            ('tidegate_responses_total', {'code': '404'}, 1),
            ('tidegate_errors_total', {'error': 'upstream_error'}, 1),
            ('tidegate_upstream_calls_total', {'endpoint': 'up', 'outcome': 'ok'}, 2),
            ('tidegate_upstream_calls_total', {'endpoint': 'up', 'outcome': 'server_error'}, 1),
            ('tidegate_completion_tokens_total', {'model': '*'}, 12),
            ('tidegate_request_duration_seconds_count', {'model': '*'}, 3),
            ('tidegate_time_to_first_token_seconds_count', {'model': '*'}, 2),
    ]:
        assert page.value(name, **labels) - before.value(name, **labels) == more, (name, labels)
    for name in ('process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_open_fds'):
        assert page.value(name) > 0
    assert page.value('tidegate_build_info') == 1


def test_every_metric_of_the_manual_is_shown_and_no_other(gateway, simulator):
    page = (ROOT / 'docs/metrics.md').read_text()
    table, behind = page.split('Behind them stand')
    rows = re.findall(r'^\| `(tidegate_\w+)` \| (\w+) \| (.*?) \|', table, re.MULTILINE)
    manual = {name: kind for name, kind, _ in rows}
    labels = {name: set(re.findall(r'`(\w+)`', cell)) for name, _, cell in rows}
    metrics = gateway(simulator()).metrics()
    shown = metrics.kinds
    assert len(manual) > 10
    beside = set(re.findall(r'`(tidegate_\w+)`', behind))
    assert {k: v for k, v in shown.items() if k.startswith('tidegate_') and k not in beside} == manual
    for (name, found), _ in metrics.values.items():
        if name in labels:  # a histogram's samples have names of their own
            assert {label for label, _ in found} == labels[name], name


def test_promtool_likes_the_metrics(gateway, simulator):
    if not shutil.which('promtool'):
        pytest.skip("promtool is not installed (it is in Debian's package prometheus); "
                    'test_metrics_are_in_prometheus_format_and_count reads the format strictly by itself')
    gw = gateway(simulator())
    gw.chat()
    text = http.ask(gw.admin, path='/metrics').body
    done = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b'')


def test_the_access_line(gateway, simulator):
    gw = gateway(simulator())
    gw.stream('sim~tokens=3', headers={'x-request-id': 'my-own-id-1'}).whole()
    gw.chat('sim~500', headers={'x-request-id': 'my-own-id-2'})
    http.ask(gw.at, path='/v1/models?x=secret', headers={'x-request-id': 'my-own-id-3'})
    full, = gw.access(request_id='my-own-id-1')
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', full.pop('ts'))
    assert full.pop('client').startswith('127.0.0.1:')
    assert full.pop('bytes') > 300 and full.pop('duration_ms') >= full.pop('ttft_ms') >= 0
    assert full == {'request_id': 'my-own-id-1', 'method': 'POST', 'path': '/v1/chat/completions',
                    'status': 200, 'result': 'full', 'model': '*', 'asked': 'sim~tokens=3', 'stream': True,
                    'endpoint': 'up', 'attempts': 1, 'wait_ms': 0, 'tokens_in': 2, 'tokens_out': 3}
    failed, = gw.access(request_id='my-own-id-2')
    assert failed['result'] == 'failed' and failed['error'] == 'upstream_error' and failed['status'] == 502
    assert 'ttft_ms' not in failed
    local, = gw.access(request_id='my-own-id-3')
    assert local['path'] == '/v1/models' and local['result'] == 'local' and 'model' not in local
    assert 'secret' not in gw.stdout()


def test_the_access_log_goes_where_it_should(gateway, simulator, tmp_path):
    sim, file = simulator(), tmp_path / 'access.log'
    gw = gateway(sim, access_log=str(file))
    assert gw.chat().status == 200
    until(lambda: file.exists() and file.read_text().count('\n') == 1, 'one line in the file')
    assert gw.stdout() == ''
    quiet = gateway(sim, access_log='off')
    assert quiet.chat().status == 200
    assert quiet.stop() == [] and quiet.stdout() == ''


def test_an_id_on_every_answer(gateway, origin):
    up = origin(lambda peer, rq: response(answer()))
    gw = gateway(up)
    headers = {'x-request-id': 'abc.DEF_123-4'}
    seen = set()
    for method, path, body in [
            ('GET', '/healthz', None), ('GET', '/readyz', None), ('GET', '/v1/models', None),
            ('POST', http.CHAT, http.chat_body('m')), ('POST', http.CHAT, b'{'),
            ('GET', '/nothing', None), ('GET', http.CHAT, None), ('BREW', '/', None)]:
        answered = http.ask(gw.at, method, path, body)
        assert re.fullmatch(r'req_[A-Za-z0-9]{20}', answered.headers['x-request-id']), answered
        seen.add(answered.headers['x-request-id'])
        if method != 'BREW':  # a refusal on the level of HTTP answers before there are headers to trust
            assert http.ask(gw.at, method, path, body, headers).headers['x-request-id'] == 'abc.DEF_123-4'
    assert len(seen) == 8, 'ids differ'
    assert [r.headers['x-request-id'] for r in up.requests][1] == 'abc.DEF_123-4', 'and goes up with the call'


@pytest.mark.parametrize('own', ['a b', 'x' * 200, 'a"b', "a';--", '<b>'])
def test_an_id_that_could_do_harm_is_replaced(gateway, simulator, own):
    answered = http.ask(gateway(simulator()).at, path='/healthz', headers={'x-request-id': own})
    assert answered.headers['x-request-id'].startswith('req_')


def test_models_with_and_without_v1(gateway, simulator):
    gw = gateway(config.tiers(simulator().v1))
    one, two = (http.ask(gw.at, path=p).json() for p in ('/v1/models', '/models'))
    assert one == two and one['object'] == 'list'
    assert [(m['id'], m['object'], m['owned_by']) for m in one['data']] == [('m', 'model', 'tidegate')]
    for path in (http.CHAT, '/chat/completions'):
        assert gw.chat('m', path=path).status == 200
    plain, stream = gw.chat('m', content='tide').text(), gw.stream('m', content='tide')
    assert http.joined(stream.whole()) == plain


def test_a_signal_before_it_is_ready_is_not_lost(yard, simulator, tmp_path):
    """Started and stopped at once, however far it has come: it ends well."""
    file = tmp_path / 'c.yaml'
    file.write_text(f'''
listen: 127.0.0.1:0
timeouts: {{drain_delay: 0s}}
endpoints: [{{name: e, provider: openai, url: "{simulator().v1}"}}]
models: [{{name: m, tiers: [[{{endpoint: e}}]]}}]
''')
    for _ in range(5):
        program = yard.program(PROGRAM, 'serve', file)
        os.kill(program.child.pid, signal.SIGTERM)
        program.may_fail = program.wait() == -signal.SIGTERM  # it came before the program could look
        assert program.child.returncode in (0, -signal.SIGTERM)
