# SPDX-License-Identifier: MIT
"""A start without any configuration where engines run: which are used, and what is said of it."""
import re
import socket
import threading

import pytest

from kit import config, http, until
from kit.engine import Engine
from kit.origin import Origin, answer, response
from kit.process import PROGRAM, environment, ready, run

USUAL = 9931  # llama-server's own port
PATIENT = '30000'  # ms: fakes in Python on a busy machine


def engine(models, more=None, answers=None, **headers):
    """A script: /v1/models, one more path, and chats."""
    def script(peer, rq):
        if rq.path == '/v1/models':
            return response({'object': 'list', 'data': models}, **headers)
        if more and rq.path == more[0]:
            return response(more[1])
        if rq.path == '/v1/chat/completions':
            return response(answer(answers or 'It is answered.'))
        return response({}, '404 Not Found')
    return script


def model(name, owner, **more):
    return {'id': name, 'object': 'model', 'created': 1, 'owned_by': owner, **more}


VLLM = engine([model('Qwen/Qwen3-8B', 'vllm', max_model_len=40960)], answers='vllm')
SGLANG = engine([model('glm', 'sglang', max_model_len=131072)], ('/api/version', {'version': '1'}), 'sglang')
OLLAMA = engine([model('qwen3:8b', 'library'), model('glm', 'library')],
                ('/api/version', {'version': '0.12'}), 'ollama')


def start(yard, *ports, patience=PATIENT, **more):
    env = environment(TIDEGATE_PROBE_PORTS=','.join(map(str, ports)), TIDEGATE_PROBE_MS=patience, **more)
    program = yard.program(PROGRAM, 'serve', env=env)
    banner, at = ready(program)
    return banner, at, program


def shown(banner):
    """The configuration in the banner."""
    return re.search(r'as a file it would be:\n\n(.*?)\n\n', banner, re.DOTALL).group(1)


def names(at):
    return [m['id'] for m in http.ask(at, path='/v1/models').json()['data']]


def test_a_real_engine_on_its_usual_port(yard, built_in_ports, tmp_path):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(('127.0.0.1', USUAL))
        except OSError as e:
            pytest.skip(f'the usual port of llama-server, {USUAL}, is taken: {e}')
    yard.add(Engine(tmp_path, 'engine', '--alias', 'tiny', port=USUAL, key=None))
    env = environment(TIDEGATE_PROBE_MS=PATIENT)
    del env['TIDEGATE_PROBE_PORTS']
    banner, at = ready(yard.program(PROGRAM, 'serve', env=env))
    assert re.search(rf'\n  engines +llama at http://127\.0\.0\.1:{USUAL}/v1, 4 slots\n', banner)
    assert re.search(rf' tiny \(context 512, llama at 127\.0\.0\.1:{USUAL}\)\n', banner)
    assert 'SIMULATOR' not in banner and 'tiny' in names(at)
    for name in ('tiny', 'gpt-4o'):
        got = http.chat(at, name, max_tokens=4)
        assert got.status == 200 and got.json()['model'] == 'tiny', got
    events = http.Stream(at, 'tiny', max_tokens=4).whole()
    assert events[0]['object'] == 'chat.completion.chunk'
    (tmp_path / 'copied.yaml').write_text(shown(banner))
    assert run(PROGRAM, 'check', tmp_path / 'copied.yaml')[::2] == (0, '')


def test_a_real_engine_that_wants_a_key_is_told_of_and_not_used(yard, built_in_ports, tmp_path):
    locked = yard.add(Engine(tmp_path, 'engine'))
    banner, at, _ = start(yard, locked.at[1])
    assert f'what answers at 127.0.0.1:{locked.at[1]} wants a key' in banner and 'SIMULATOR' in banner
    assert http.chat(at, 'any').status == 200


def test_several_engines_are_all_used(yard, origin, built_in_ports, tmp_path):
    ollama, vllm, sglang = origin(OLLAMA), origin(VLLM), origin(SGLANG)
    banner, at, _ = start(yard, ollama.at[1], vllm.at[1], sglang.at[1])
    for name, up in (('ollama', ollama), ('vllm', vllm), ('sglang', sglang)):
        assert f'{name} at http://127.0.0.1:{up.at[1]}/v1\n' in banner
    assert f'Qwen/Qwen3-8B (context 40960, vllm at 127.0.0.1:{vllm.at[1]})' in banner
    assert 'any other name' not in banner
    assert names(at) == ['qwen3:8b', 'glm', 'Qwen/Qwen3-8B']
    assert http.chat(at, 'qwen3:8b').text() == 'ollama'
    assert http.chat(at, 'Qwen/Qwen3-8B').text() == 'vllm'
    assert {http.chat(at, 'glm').text() for _ in range(4)} == {'ollama', 'sglang'}, 'both have it'
    assert http.chat(at, 'gpt-4o').error()['code'] == 'model_not_found'
    (tmp_path / 'copied.yaml').write_text(shown(banner))
    assert run(PROGRAM, 'check', tmp_path / 'copied.yaml')[::2] == (0, '')


def test_an_engine_on_our_own_port_keeps_it(yard, built_in_ports):
    try:
        up = yard.closing(Origin(VLLM, port=8080))
    except OSError as e:
        pytest.skip(f'8080 is taken: {e}')
    banner, at, _ = start(yard, 8080)
    assert at[1] != 8080
    assert re.search(rf"\n  port +8080 is the engine's \(vllm\), .* 127\.0\.0\.1:{at[1]}\n", banner)
    assert f'base_url="http://127.0.0.1:{at[1]}/v1"' in banner and f'listen: 127.0.0.1:{at[1]}\n' in banner
    assert http.chat(at, 'Qwen/Qwen3-8B').text() == 'vllm'
    assert up.requests[-1].path == '/v1/chat/completions'


@pytest.mark.parametrize('listed', [['*'], ['*', 'named']])
def test_another_tidegate_is_not_used(yard, gateway, simulator, built_in_ports, listed):
    """With models in its list, and with an empty one."""
    what = config.whole(simulator())
    what['models'] = [{**what['models'][0], 'name': name} for name in listed]
    other = gateway(what)
    banner, _, _ = start(yard, other.at[1])
    assert 'SIMULATOR' in banner and 'engines' not in banner


@pytest.mark.parametrize('script', [
    lambda peer, rq: response({'status': 'ok'}),
    lambda peer, rq: response(b'<html>', kind='text/html'),
    lambda peer, rq: response({'error': 'no'}, '404 Not Found'),
    lambda peer, rq: b'220 mail.test ESMTP\r\n',
    lambda peer, rq: response(b'[' * 2_000_000),
    lambda peer, rq: peer.close(),
], ids=['other JSON', 'a page', '404', 'no HTTP', 'too much', 'closes'])
def test_what_is_no_engine_is_left_alone(yard, origin, built_in_ports, script):
    up = origin(script)
    banner, at, _ = start(yard, up.at[1])
    assert 'SIMULATOR' in banner and [r.path for r in up.requests] == ['/v1/models']
    assert http.chat(at, 'any').status == 200


def test_a_port_that_never_answers_holds_nothing_up(yard, origin, built_in_ports):
    hung = origin(lambda peer, rq: hung.over.wait(60) and None)
    good = origin(VLLM)
    banner, at, _ = start(yard, hung.at[1], good.at[1], patience='3000')
    assert hung.requests and f':{hung.at[1]}' not in banner
    assert 'SIMULATOR' in banner or http.chat(at, 'Qwen/Qwen3-8B').status == 200


def test_an_engine_that_still_loads(yard, origin, built_in_ports):
    loading = {'error': {'code': 503, 'message': 'Loading model', 'type': 'unavailable_error'}}
    up = origin(lambda peer, rq: response(loading, '503 Service Unavailable'))
    banner, at, _ = start(yard, up.at[1])
    assert f'llama at http://127.0.0.1:{up.at[1]}/v1, still loading its model' in banner
    refused = http.chat(at, 'any', headers={'x-tidegate-deadline-ms': '300'})
    assert refused.status == 503 and refused.error()['code'] == 'upstream_loading'
    assert refused.headers['retry-after'] == '1' and 'x-should-retry' not in refused.headers
    timer = threading.Timer(0.5, lambda: setattr(up, 'script', engine([])))
    timer.start()
    assert http.chat(at, 'any').status == 200, 'it is waited for'
    timer.join()


def test_keys_in_the_environment_win(yard, origin, simulator, built_in_ports):
    up, sim = origin(VLLM), simulator()
    banner, at, _ = start(yard, up.at[1], OPENAI_BASE_URL=sim.v1)
    assert 'from the environment' in banner and not up.requests
    assert http.chat(at, 'gpt-4o').status == 200
