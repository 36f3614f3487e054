# SPDX-License-Identifier: MIT
"""Reloading the real program: by signal, by request and by a changed file; nothing that has begun is touched,
nothing that is refused changes anything."""
import json
import os
import re
import signal
import socket
import ssl
import threading

from kit import LIMIT, config, http, until
from kit.certs import Authority
from kit.process import PROGRAM, environment, free_port, run

RELOADS = 'tidegate_config_reloads_total'


def bearer(key):
    return {'Authorization': f'Bearer {key}'}


def reloads(gw):
    page = gw.metrics()
    return page.value(RELOADS, result='done'), page.value(RELOADS, result='refused')


def reload(gw, **more):
    return http.ask(gw.admin, 'POST', '/api/reload', **more)


class File:
    """The configuration file of a gateway that was started with one, to be written again."""
    def __init__(self, gw):
        self.path, self.first = gw.file, json.loads(gw.file.read_text())

    def text(self, **changes):
        return json.dumps({**self.first, **changes}, indent=1)

    def write(self, **changes):
        self.path.write_text(self.text(**changes))

    def replace(self, **changes):
        beside = self.path.with_suffix('.new')
        beside.write_text(self.text(**changes))
        beside.rename(self.path)


def to(sim, name='up', **more):
    return {'endpoints': [config.endpoint(name, sim.v1)],
            'models': [{'name': '*', 'tiers': [[{'endpoint': name}]]}], **more}


# -- by request and by signal --------------------------------------------------------------------------------


def test_a_reload_by_request_says_what_came_of_it(gateway, simulator):
    one, two = simulator(), simulator()
    gw = gateway(one)
    file = File(gw)
    file.write(**to(two, 'other'))
    answer = reload(gw)
    assert answer.status == 200
    assert answer.json() == {'ok': True, 'file': str(gw.file), 'edition': 2, 'warnings': [],
                             'restart_needed': []}
    assert gw.chat().headers['x-tidegate-endpoint'] == 'other'
    assert two.stats()['answered'] == 1 and one.stats()['answered'] == 0
    file.write(workers=1, listen=f'127.0.0.1:{free_port()}', access_log='off')
    assert reload(gw).json()['restart_needed'] == ['listen', 'workers', 'access_log']
    gw.wait_for('`listen` has changed, which takes a restart')
    assert gw.chat().headers['x-tidegate-endpoint'] == 'up'
    assert reloads(gw) == (2, 0)


def test_a_file_that_is_refused_changes_nothing_and_its_mistakes_are_named(gateway, simulator):
    gw = gateway(simulator())
    gw.file.write_text('listen: 127.0.0.1:0\nworkers: 0\nnonsense: 1\n')
    answer = reload(gw)
    said = answer.json()
    assert answer.status == 422 and said['ok'] is False and said['edition'] == 1
    assert said['error']['code'] == 'config_refused'
    assert f'{gw.file}:2:10: error: workers is 0, it must be from 1 to 1024' in said['findings']
    assert any(f.startswith(f'{gw.file}:3:1: error: unknown key "nonsense"') for f in said['findings'])
    gw.wait_for(r'3:1: error: unknown key')
    assert gw.chat().status == 200
    assert reloads(gw) == (0, 1)
    assert gw.metrics().value('tidegate_config_last_reload_success') == 0
    gw.file.unlink()
    gw.signal(signal.SIGHUP)
    gw.wait_for('cannot be read: No such file')
    gw.wait_for('The configuration in force stays')
    assert gw.chat().status == 200


def test_a_file_that_cannot_be_built_changes_nothing_either(gateway, simulator, tmp_path):
    """What shows only when TLS settings are made: files that hold no certificate, or another one's key."""
    gw = gateway(simulator())
    file, none = File(gw), tmp_path / 'none.pem'
    none.write_text('no PEM')
    up = config.endpoint('bad', 'https://localhost/v1', ca_file=str(none))
    file.write(endpoints=[up], models=[{'name': '*', 'tiers': [[{'endpoint': 'bad'}]]}])
    said = reload(gw).json()
    assert said['error']['code'] == 'config_refused'
    assert said['findings'] == [f'{gw.file}: error: endpoint bad: the CA file cannot be read or holds no '
                                'certificate']
    pair = {'cert': str(none), 'key': str(none)}
    file.write(listen={'address': '127.0.0.1:0', 'tls': pair})
    finding, = reload(gw).json()['findings']
    assert re.match(rf'{gw.file}:\d+:\d+: error: {none}: ', finding)
    assert gw.chat().status == 200 and reloads(gw) == (0, 2)


def test_a_hangup_reloads(gateway, simulator):
    gw = gateway(simulator())
    File(gw).write(**to(simulator(), 'other'))
    gw.signal(signal.SIGHUP)
    gw.wait_for(r'reload \(SIGHUP\): .* is in force, as edition 2')
    until(lambda: gw.chat().headers['x-tidegate-endpoint'] == 'other', 'every worker is at the new edition')
    assert gw.metrics().value('tidegate_config_last_reload_success') == 1


def test_no_web_page_can_reload_and_no_scraper(gateway, simulator):
    scrapers = free_port()
    gw = gateway(simulator(), metrics=f'127.0.0.1:{scrapers}')
    refused = reload(gw, headers={'Origin': 'http://evil.example'})
    assert refused.status == 403 and refused.error()['code'] == 'foreign_origin'
    for method, path, allow in (('POST', '/api/config', 'GET, HEAD'), ('DELETE', '/api/reload', 'POST')):
        assert http.ask(gw.admin, method, path, b'').headers['allow'] == allow
    for host, status in (('evil.example', 403), ('evil.example:80', 403), ('127.0.0.1.nip.example', 403),
                         ('localhost', 200), ('LOCALHOST:81', 200), ('127.0.0.1', 200), ('[::1]:8081', 200)):
        with http.Wire(gw.admin) as wire:
            wire.send(f'GET /api/config HTTP/1.1\r\nHost: {host}\r\n\r\n'.encode())
            assert wire.answer().status == status, host
    assert http.ask(gw.admin, path='/api/reload').status == 405
    for method, path in (('POST', '/api/reload'), ('GET', '/api/config')):
        assert http.ask(('127.0.0.1', scrapers), method, path).status == 404
        assert http.ask(gw.at, method, path).status == 404
    assert reloads(gw) == (0, 0)


def test_what_came_from_the_environment_cannot_be_read_again(yard, simulator, built_in_ports):
    sim = simulator()
    env = environment(OPENAI_API_KEY='sk-canary-env', OPENAI_BASE_URL=sim.v1)
    gw = yard.program(PROGRAM, 'serve', env=env)
    gw.wait_for('in your code')
    gw.drain_delay = True
    answer = http.ask(('127.0.0.1', 8081), 'POST', '/api/reload')
    assert answer.status == 409 and answer.json()['error']['code'] == 'reload_impossible'
    assert 'made from the environment' in answer.json()['error']['message']
    gw.signal(signal.SIGHUP)
    gw.wait_for('made from the environment')
    shown = http.ask(('127.0.0.1', 8081), path='/api/config').body.decode()
    assert '${OPENAI_API_KEY}' in shown and 'canary' not in shown


# -- secrets and the effective configuration -----------------------------------------------------------------


def test_secrets_in_files_are_read_again(gateway, origin, tmp_path):
    up, ours, theirs = origin(), tmp_path / 'web.key', tmp_path / 'up.key'
    ours.write_text('sk-canary-old\n')
    theirs.write_text('sk-canary-up-old\n')
    gw = gateway({'keys': [{'name': 'web', 'key': {'file': str(ours)}}],
                  'endpoints': [config.endpoint('up', up.v1, key={'file': str(theirs)})],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]})
    assert gw.chat(headers=bearer('sk-canary-old')).status == 200
    ours.write_text('sk-canary-new\n')
    theirs.write_text('sk-canary-up-new\n')
    assert gw.chat(headers=bearer('sk-canary-new')).status == 401
    assert reload(gw).status == 200
    until(lambda: gw.chat(headers=bearer('sk-canary-new')).status == 200, 'the new key is good')
    until(lambda: gw.chat(headers=bearer('sk-canary-old')).status == 401, 'the old one is not')
    assert 'sk-canary-up-new' in up.requests[-1].raw.decode('latin-1')
    ours.write_text('\n')
    refused = reload(gw)
    assert refused.status == 422 and 'is empty' in refused.body.decode()
    assert gw.chat(headers=bearer('sk-canary-new')).status == 200
    assert 'canary' not in gw.stderr() + refused.body.decode()


def test_a_listener_shows_its_new_certificate_and_keeps_what_is_open(gateway, simulator, tmp_path):
    authority, port = Authority(tmp_path), free_port()
    cert, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'

    def renew():
        for new, old in zip(authority.pair(), (cert, key)):
            new.rename(old)
        return ssl.PEM_cert_to_DER_cert(cert.read_text())

    def connect():
        raw = socket.create_connection(('127.0.0.1', port), LIMIT)
        return authority.client().wrap_socket(raw, server_hostname='localhost')

    first = renew()
    gw = gateway(simulator(), listen=['127.0.0.1:0', {'address': f'127.0.0.1:{port}',
                                                      'tls': {'cert': str(cert), 'key': str(key)}}])
    with connect() as before:
        assert before.getpeercert(True) == first
        second = renew()
        assert reload(gw).json()['restart_needed'] == []
        with connect() as after:
            assert after.getpeercert(True) == second != first
        before.sendall(b'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
        assert before.recv(4096).startswith(b'HTTP/1.1 200 ')


def test_the_effective_configuration_reads_back_to_itself_and_shows_no_secret(gateway, simulator, tmp_path):
    gw = gateway({'keys': [{'name': 'web', 'key': 'sk-canary-literal'}, {'name': 'b', 'key': '${BATCH}'},
                           {'name': 'c', 'key': '${UNSET:-sk-canary-default}'}],
                  'endpoints': [config.endpoint('up', simulator().v1, key='pre-${UP}')],
                  'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]},
                 env={'BATCH': 'sk-canary-batch', 'UP': 'sk-canary-up'})
    shown = http.ask(gw.admin, path='/api/config')
    assert shown.status == 200 and shown.headers['content-type'].startswith('application/yaml')
    assert b'canary' not in shown.body and b'pre-' not in shown.body
    for part in (b'"${BATCH}"', b'drain_delay: "0s"', b'progress: 2m30s'):
        assert part in shown.body
    again = tmp_path / 'again.yaml'
    again.write_bytes(shown.body)
    env = environment(BATCH='sk-other', UP='sk-another')
    status, printed, said = run(PROGRAM, 'check', '--print', again, env=env)
    assert status == 0 and printed == shown.body.decode(), said
    assert run(PROGRAM, 'check', again, env=env)[0] == 0


# -- a watched file ------------------------------------------------------------------------------------------


def test_a_watched_file_is_read_again_when_it_changes(gateway, simulator):
    gw = gateway(simulator(), watch=True)
    file = File(gw)
    file.replace(**to(simulator(), 'renamed', watch=True))
    until(lambda: gw.chat().headers['x-tidegate-endpoint'] == 'renamed', 'a rename over the file is seen')
    file.write(**to(simulator(), 'written', watch=True))
    until(lambda: gw.chat().headers['x-tidegate-endpoint'] == 'written', 'a file written in place is seen')
    file.path.write_text('nonsense')
    gw.wait_for(r'reload \(the file has changed\): The configuration was refused')
    file.write(**to(simulator(), 'good', watch=False))
    until(lambda: gw.chat().headers['x-tidegate-endpoint'] == 'good', 'a good file is taken after a bad one')
    done, _ = reloads(gw)
    file.write(**to(simulator(), 'unseen', watch=False))
    assert reload(gw).json()['edition'] == 1 + done + 1, 'nobody else has read it'


def test_the_swapped_links_of_a_config_map_are_seen(yard, simulator, tmp_path):
    """As kubelet does it: ..data leads to a folder of the day, and is replaced by a rename."""
    mount, admin = tmp_path / 'mount', f'127.0.0.1:{free_port()}'
    mount.mkdir()

    def version(name, sim):
        (mount / f'..{name}').mkdir()
        (mount / f'..{name}/tidegate.yaml').write_text(json.dumps(
            {'listen': '127.0.0.1:0', 'admin': admin, 'workers': 2, 'timeouts': {'drain_delay': '0s'},
             **to(sim, name, watch=True)}))
        os.symlink(f'..{name}', mount / '..data_tmp')
        os.rename(mount / '..data_tmp', mount / '..data')

    version('first', simulator())
    os.symlink('..data/tidegate.yaml', mount / 'tidegate.yaml')
    gw = yard.program(PROGRAM, 'serve', mount / 'tidegate.yaml')
    port = int(gw.wait_for(r'listening at +http://127\.0\.0\.1:(\d+)').group(1))

    def endpoint():
        return http.chat(('127.0.0.1', port), 'sim').headers['x-tidegate-endpoint']

    until(lambda: endpoint() == 'first', 'it serves')
    for name in ('second', 'third'):
        version(name, simulator())
        until(lambda: endpoint() == name, f'the {name} version is in force')


# -- T25 -----------------------------------------------------------------------------------------------------


class Client:
    """Asks again and again until it is told to stop; remembers what was wrong with any answer."""
    def __init__(self, gw, stream):
        self.gw, self.stream, self.over, self.n, self.wrong = gw, stream, threading.Event(), 0, []
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.over.is_set():
            try:
                self.ask()
            except Exception as e:  # whatever it is, the test has to fail with it
                self.wrong.append(repr(e))
            self.n += 1

    def ask(self):
        if self.stream:
            with self.gw.stream('sim~tokens=30,gap=3ms', headers=bearer('sk-stays')) as s:
                if list(s)[-1] != '[DONE]':
                    self.wrong.append('a stream without its end')
        else:
            answer = self.gw.chat(headers=bearer('sk-stays'))
            if answer.status != 200:
                self.wrong.append(repr(answer))

    def end(self):
        self.over.set()
        self.thread.join()


def versions(sims):
    """Files that all serve the clients of the test, each in another way."""
    stays = {'name': 'stays', 'key': 'sk-stays'}
    one, two = (config.endpoint(n, s.v1, account='a') for n, s in zip(('one', 'two'), sims))
    uno = config.endpoint('uno', sims[0].v1, account='b')

    def whole(endpoints, models, keys=(), slots=20):
        used = sorted({e['account'] for e in endpoints})
        return {'keys': [stays, *keys], 'endpoints': endpoints, 'models': models,
                'accounts': [{'name': n, 'slots': {'*': slots}} for n in used]}
    return [
        whole([one, two], [{'name': '*', 'tiers': [[{'endpoint': 'one'}, {'endpoint': 'two'}]]}]),
        whole([two], [{'name': '*', 'tiers': [[{'endpoint': 'two'}]]}], [{'name': 'x', 'key': 'sk-x'}],
              slots=3),
        whole([uno, two], [{'name': 'sim', 'tiers': [[{'endpoint': 'uno'}], [{'endpoint': 'two'}]]},
                           {'name': '*', 'tiers': [[{'endpoint': 'two'}]]}], slots=50)]


def test_t25_a_thousand_reloads_under_load_drop_nothing(gateway, simulator):
    """Every hundredth file is a bad one, which is refused with its place and changes nothing."""
    sims = simulator(), simulator()
    ways = versions(sims)
    gw = gateway(ways[0])
    file = File(gw)
    clients = [Client(gw, stream=i % 2 == 0) for i in range(6)]
    done = bad = 0
    try:
        while done < 1000 or sum(c.n for c in clients) < 200:
            if done % 100 == 50:
                file.path.write_text('workers: none\n')
                refused = reload(gw)
                assert refused.status == 422
                assert any(f.startswith(f'{gw.file}:1:10: error: ') for f in refused.json()['findings'])
                bad += 1
            file.write(**ways[done % 3])
            answer = reload(gw)
            assert answer.status == 200, answer
            done += 1
    finally:
        for c in clients:
            c.end()
    assert [c.wrong for c in clients] == [[]] * len(clients)
    page = gw.metrics()
    assert page.value(RELOADS, result='done') == done and page.value(RELOADS, result='refused') == bad
    asked = sum(c.n for c in clients)
    assert page.value('tidegate_requests_total', outcome='full', route='chat_completions') == asked
    assert page.value('tidegate_responses_total', code='200') == asked
    gw.settle()
    assert sum(s.stats()['cancelled'] for s in sims) == 0
