# SPDX-License-Identifier: MIT
"""T20: made-up secrets of every kind in one gateway, every way in which it can fail or tell of itself, and a
search for them in all that came out: answers, both logs, metrics, the configuration shown, reloads, check."""
import base64
import json
import os
import resource
import shutil
import signal
import subprocess

import pytest

from kit import config, http, until
from kit.certs import Authority
from kit.origin import STREAM_HEAD, answer, event, response
from kit.process import PROGRAM, environment, free_port, run
from kit.proxy import Proxy

pytestmark = pytest.mark.skipif(not shutil.which('openssl'),
                                reason="openssl's command line is not installed: it makes certificates")
ENV = {name: f'sk-canary-{name.lower()}-0123456789' for name in
       ('WEB', 'UP', 'ALIAS', 'PROXY_PASSWORD', 'UNUSED')}
FILED = {name: f'sk-canary-file-{name}-0123456789' for name in ('web', 'up')}
WRITTEN = {name: f'sk-canary-written-{name}-0123456789' for name in ('web', 'up')}
PROMPT, SAID = 'canary-prompt', 'canary-said'  # no secrets, but nothing that a log may hold


def echo(status, **headers):
    """An endpoint that repeats the credential that it got, wherever it can."""
    def script(peer, request):
        sent = request.headers.get('authorization', 'none')
        words = {'message': f'I got {sent}.', 'type': sent, 'param': sent, 'code': sent}
        return response({'error': words}, f'{status} {sent}', **{k: v or sent for k, v in headers.items()})
    return script


def cut(peer, request):
    sent = request.headers['authorization']
    peer.send(STREAM_HEAD + event(SAID) + f'data: {{"error": {{"message": "{sent}"}}}}\n\n'.encode())
    peer.close()


WAYS = {
    'ok': lambda peer, rq: response(answer(SAID)), 'cut': cut,
    'silent': lambda peer, rq: peer.more() and None,
    'bytes': lambda peer, rq: rq.headers['authorization'].encode() + b'\r\n\r\n',
    '302': echo(302, location=''), '400': echo(400, x_request_id=''), '401': echo(401, www_authenticate=''),
    '402': echo(402), '403': echo(403), '404': echo(404), '422': echo(422), '429': echo(429, retry_after=''),
    '500': echo(500, set_cookie=''), '503': echo(503, server=''),
}


class Found:
    """All that came out, by where."""
    def __init__(self, *more):
        self.outputs, self.words = {}, [b'canary', *more]

    def add(self, where, data):
        data = data.encode() if isinstance(data, str) else data
        self.outputs[where] = self.outputs.get(where, b'') + data

    def leaks(self):
        return [(where, word, data[max(0, data.find(word) - 80):][:200])
                for where, data in self.outputs.items() for word in self.words if word in data]


@pytest.fixture
def files(tmp_path):
    for name, secret in FILED.items():
        (tmp_path / name).write_text(secret + '\n')
    return tmp_path


def written(files, up, proxy_port, tls):
    """The configuration: secrets of the environment, of files and its own, behind every kind of endpoint."""
    keys = ['${UP}', {'file': str(files / 'up')}, WRITTEN['up']]
    ends = [config.endpoint(f'{way}-{i}', f'{up.root}/{way}', key=key)
            for way in WAYS for i, key in enumerate(keys)]
    ends += [config.endpoint('refused', f'http://127.0.0.1:{free_port()}/v1', key='${UP}'),
             config.endpoint('no-tls', f'https://127.0.0.1:{up.at[1]}/v1', key='${UP}', **tls),
             config.endpoint('proxy', 'https://far.test/v1', key='${UP}',
                             proxy=f'http://me:${{PROXY_PASSWORD}}@127.0.0.1:{proxy_port}'),
             config.endpoint('no-proxy', 'http://far.test/v1', key='${UP}',
                             proxy=f'http://me:${{PROXY_PASSWORD}}@127.0.0.1:{free_port()}')]
    models = [{'name': e['name'], 'tiers': [[{'endpoint': e['name']}]],
               'aliases': [{'name': f'alias-{e["name"]}', 'set': {'user': '${ALIAS}'}}]} for e in ends]
    return {'keys': [{'name': 'env', 'key': '${WEB}'}, {'name': 'file', 'key': {'file': str(files / 'web')}},
                     {'name': 'written', 'key': WRITTEN['web']}],
            'endpoints': ends, 'models': models, 'log_level': 'debug',
            'timeouts': {'transport': '300ms', 'progress': '300ms'}, 'limits': {'head': '16KiB'}}


def bad_files(good):
    """Configurations with a mistake beside, in or instead of a secret."""
    text = json.dumps(good)
    yield 'cut in a secret', text[:text.index(WRITTEN['web']) + 20]
    yield 'a key that is none', json.dumps({**good, ENV['UNUSED']: 1})
    for name, value in {'keys': WRITTEN['web'], 'endpoints': [WRITTEN['up']], 'workers': WRITTEN['web'],
                        'listen': WRITTEN['web'], 'admin': '${UNUSED}', 'workers ': '${UNUSED}',
                        'log_level': '${UNUSED}', 'access_log': '${UNUSED}'}.items():
        yield f'{name}: {value}', json.dumps({**good, name.strip(): value})
    for key in (WRITTEN['web'] + ' with a blank', '${NOT_SET}', {'file': '/nowhere/secret'}, '',
                'a\tb' + WRITTEN['web'], '${UNUSED', {'path': WRITTEN['web']}, [WRITTEN['web']],
                ENV['UNUSED'] + 'ключ'):
        yield f'key: {key}', json.dumps({**good, 'keys': [{'name': 'k', 'key': key}]})
    first, *rest = good['endpoints']
    for member, value in {'url': f'http://u:{WRITTEN["up"]}@h/v1', 'proxy': f'socks5://u:{WRITTEN["up"]}@h',
                          'key': WRITTEN['up'] + '\n', 'provider': '${UNUSED}', 'account': '${UNUSED}',
                          'ca_file': '${UNUSED}', 'server_name': '${UNUSED} '}.items():
        yield f'{member}: {value!r}', json.dumps({**good, 'endpoints': [{**first, member: value}, *rest]})


def test_t20_no_secret_comes_out_on_any_path(gateway, origin, yard, files):
    authority = Authority(files)
    mine = authority.identity('gateway')
    up = origin(lambda peer, rq: WAYS[rq.path.split('/')[1]](peer, rq))
    proxy = yard.closing(Proxy({'far.test': up.at}, refuse='403 Forbidden'))
    good = written(files, up, proxy.at[1], {'client_cert': str(mine.cert), 'client_key': str(mine.key)})
    gw = gateway(good, env=ENV)
    whole = json.loads(gw.file.read_text())
    found = Found(base64.b64encode(f'me:{ENV["PROXY_PASSWORD"]}'.encode())[4:-4],
                  mine.key.read_bytes().splitlines()[1])
    asked_n = 0
    for secret in (ENV['WEB'], FILED['web'], WRITTEN['web']):
        bearer = {'Authorization': f'Bearer {secret}', 'Connection': 'close'}
        for model in whole['models'] if secret == ENV['WEB'] else whole['models'][::7]:
            bearer['x-tidegate-deadline-ms'] = '300' if model['name'].startswith('silent') else '60000'
            for name in (model['name'], f'alias-{model["name"]}'):
                for stream in (False, True):
                    body = http.chat_body(name, PROMPT, stream=stream)
                    with http.Wire(gw.at) as w:
                        got = w.send(http.request('POST', http.CHAT, body, bearer)).rest()
                    asked_n += 1
                    found.add(f'answer of {name}', got.replace(SAID.encode(), b''))
                    assert b'HTTP/1.1 ' in got
    gw.access(asked_n)
    for headers in ({'Authorization': f'Bearer {ENV["UNUSED"]}'}, {'x-api-key': ENV['UNUSED']},
                    {'Authorization': f'Basic {ENV["UNUSED"]}'}, {'Cookie': 'x' * 20_000 + ENV['UNUSED']},
                    {'X Y': ENV['UNUSED']},
                    {'Authorization': f'Bearer {ENV["WEB"]}', 'Content-Encoding': 'gzip'},
                    {'Authorization': f'Bearer {ENV["WEB"]}', 'x-tidegate-priority': ENV['UNUSED']}):
        for path in (http.CHAT, f'/v1/messages?key={ENV["UNUSED"]}', '/v1/nothing'):
            with http.Wire(gw.at) as w:
                w.send(http.request('POST', path, b'{"key": "%s' % ENV['UNUSED'].encode(),
                                    {**headers, 'Connection': 'close'}))
                found.add(f'refusal at {path}', w.rest())
    for i, (what, text) in enumerate(bad_files(whole)):
        gw.file.write_text(text)
        said = http.ask(gw.admin, 'POST', '/api/reload')
        assert said.status in (200, 422), (what, said)
        found.add(f'reload: {what}', said.body)
        options = ([], ['--print'], ['--json'])[i % 3]
        _, out, err = run(PROGRAM, 'check', *options, gw.file, env=environment(**ENV))
        found.add(f'check {options}: {what}', out + err)
    gw.file.write_text(json.dumps(whole))
    assert http.ask(gw.admin, 'POST', '/api/reload').status == 200
    for options in ([], ['--print'], ['--json']):
        status, out, err = run(PROGRAM, 'check', *options, gw.file, env=environment(**ENV))
        assert status == 0 and out, err
        found.add(f'check {options}', out + err)
    for path in ('/metrics', '/api/config', '/healthz', '/readyz', '/'):
        found.add(path, http.ask(gw.admin, path=path).body)
    with open(f'/proc/{gw.child.pid}/cmdline', 'rb') as line:
        found.add('command line', line.read())
    assert gw.stop() == []
    found.add('access log', gw.stdout())
    found.add('log', gw.stderr())
    assert len(found.outputs['log']) > 1000 and found.outputs['/api/config'].count(b'redacted') >= 2
    leaks = found.leaks()
    assert not leaks, '\n'.join(map(str, leaks))
    for secret in (ENV['UP'], FILED['up'], WRITTEN['up'], ENV['ALIAS']):
        assert secret.encode() in up.seen, 'it went where it belongs'


@pytest.mark.parametrize('allowed', [False, True])
def test_a_crash_leaves_a_core_only_where_the_file_allows_it(tmp_path, allowed):
    """A core file holds every secret. Whether one was written is in the exit status, wherever it went."""
    (tmp_path / 't.yaml').write_text(f'''
listen: 127.0.0.1:{free_port()}
core_dumps: {str(allowed).lower()}
endpoints: [{{name: up, provider: openai, url: "http://127.0.0.1:9/v1", key: none}}]
models: [{{name: "*", tiers: [[{{endpoint: up}}]]}}]
''')
    with open(tmp_path / 'err', 'wb') as err:
        child = subprocess.Popen(
            [PROGRAM, 'serve', str(tmp_path / 't.yaml')], cwd=tmp_path, stdout=err, stderr=err,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2))
        until(lambda: b'is ready' in (tmp_path / 'err').read_bytes(), 'it to be ready')
        os.kill(child.pid, signal.SIGQUIT)
        status = os.waitpid(child.pid, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGQUIT
    if allowed and not os.WCOREDUMP(status):
        pytest.skip('this machine or flavour writes no core files at all')
    assert os.WCOREDUMP(status) == allowed
