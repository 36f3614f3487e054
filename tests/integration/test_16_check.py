# SPDX-License-Identifier: MIT
"""tidegate check: the form of the file as a JSON Schema, and failures of endpoints tried out."""
import json
import re

import pytest

from kit import ROOT
from kit.process import PROGRAM, environment, run

jsonschema = pytest.importorskip('jsonschema', reason='python3-jsonschema is not installed')
yaml = pytest.importorskip('yaml', reason='python3-yaml is not installed')


class Yaml12(yaml.SafeLoader):
    """YAML as editors read it: YAML 1.2's core schema, in which `off` is a text."""


Yaml12.yaml_implicit_resolvers = {}
for tag, pattern, first in [('bool', r'true|false', 'tf'), ('int', r'[-+]?[0-9]+', '-+0123456789'),
                            ('float', r'[-+]?[0-9]*\.[0-9]+', '-+.0123456789'), ('null', r'null|~|', 'n~\0')]:
    Yaml12.add_implicit_resolver(f'tag:yaml.org,2002:{tag}', re.compile(f'^(?:{pattern})$'), list(first))


@pytest.fixture(scope='module')
def validator():
    status, out, err = run(PROGRAM, 'check', '--schema')
    assert (status, err) == (0, '')
    schema = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def faults(validator, text):
    return [e.message for e in validator.iter_errors(yaml.load(text, Yaml12))]


def samples():
    """Every whole configuration in the repository."""
    examples = sorted(f'examples/{p.name}' for p in ROOT.glob('examples/*.yaml'))
    for path in ['tidegate.example.yaml', *examples]:
        yield pytest.param((ROOT / path).read_text(), id=path)
    for path in [*sorted(ROOT.glob('*.md')), *sorted(ROOT.glob('docs/*.md'))]:
        blocks = re.findall(r'^```ya?ml\n(.*?)^```$', path.read_text(), re.MULTILINE | re.DOTALL)
        for i, block in enumerate(blocks):
            if re.search(r'^endpoints:', block, re.MULTILINE) and re.search(r'^models:', block, re.MULTILINE):
                yield pytest.param(block, id=f'{path.name}-{i}')


@pytest.mark.parametrize('text', samples())
def test_what_check_accepts_the_schema_accepts(validator, text):
    assert faults(validator, text) == []


def test_the_effective_configuration_is_of_that_form_too(validator, tmp_path):
    (tmp_path / 't.yaml').write_text((ROOT / 'examples/deepseek.yaml').read_text())
    env = environment(DEEPSEEK_API_KEY='x')
    status, out, _ = run(PROGRAM, 'check', '--print', tmp_path / 't.yaml', env=env)
    assert status == 0
    assert faults(validator, out) == []


BASE = '''endpoints: [{name: a, provider: openai, url: "http://127.0.0.1:1/v1"}]
models: [{name: m, tiers: [[{endpoint: a}]]}]
'''
WRONG = {
    'unknown key': BASE + 'lisen: 127.0.0.1:1\n',
    'unknown option': BASE + 'timeouts: {conect: 1s}\n',
    'no unit': BASE + 'timeouts: {connect: 5}\n',
    'wrong unit': BASE + 'limits: {body: 5s}\n',
    'no models': BASE.splitlines()[0] + '\n',
    'no endpoints': BASE.splitlines()[1] + '\n',
    'endpoint without url': BASE.replace(', url: "http://127.0.0.1:1/v1"', ''),
    'unknown provider': BASE.replace('openai', 'opnai'),
    'no scheme': BASE.replace('http://', ''),
    'tiers not nested': BASE.replace('[[{endpoint: a}]]', '[{endpoint: a}]'),
    'tier empty': BASE.replace('[[{endpoint: a}]]', '[[]]'),
    'weight 0': BASE.replace('endpoint: a}]]', 'endpoint: a, weight: 0}]]'),
    'weight not whole': BASE.replace('endpoint: a}]]', 'endpoint: a, weight: 1.5}]]'),
    'key without secret': BASE + 'keys: [{name: k}]\n',
    'unknown priority': BASE + 'keys: [{name: k, key: s, priority: urgent}]\n',
    'secret of a list': BASE + 'keys: [{name: k, key: [s]}]\n',
    'limits of no kind': BASE + 'keys: [{name: k, key: s, limits: {rpd: 5}}]\n',
    'limit 0': BASE + 'keys: [{name: k, key: s, limits: {rpm: 0}}]\n',
    'slots 0': BASE + 'accounts: [{name: c, slots: {m: 0}}]\n',
    'slots empty': BASE + 'accounts: [{name: c, slots: {}}]\n',
    'alias sets the model': BASE.replace('tiers:', 'aliases: [{name: b, set: {model: x}}], tiers:'),
    'origins empty': BASE + 'cors: {origins: []}\n',
    'log level': BASE + 'log_level: verbose\n',
    'workers 0': BASE + 'workers: 0\n',
    'watch sometimes': BASE + 'watch: sometimes\n',
    'pair without key': BASE + 'tls: {cert: a.pem}\n',
    'mode of letters': BASE + 'listen: [{address: "unix:/tmp/x", mode: rw-rw----}]\n',
    'a list': '- a\n',
}


def test_the_base_of_the_wrong_files_is_right(validator, tmp_path):
    (tmp_path / 't.yaml').write_text(BASE)
    assert run(PROGRAM, 'check', '--quiet', tmp_path / 't.yaml') == (0, '', '')
    assert faults(validator, BASE) == []


@pytest.mark.parametrize('name', WRONG)
def test_what_check_refuses_for_its_form_the_schema_refuses(validator, name, tmp_path):
    (tmp_path / 't.yaml').write_text(WRONG[name])
    assert run(PROGRAM, 'check', tmp_path / 't.yaml')[0] == 1
    assert faults(validator, WRONG[name])


def amount(text):
    """In the smallest unit of its kind, so that 1m15s is 75s; a number without a unit as it stands."""
    units = {'h': 3600000, 'm': 60000, 's': 1000, 'ms': 1, 'TiB': 1 << 40, 'GiB': 1 << 30, 'MiB': 1 << 20,
             'KiB': 1 << 10, 'B': 1}
    parts = re.findall(r'(\d+)([A-Za-z]+)', text)
    return sum(int(n) * units[unit] for n, unit in parts) if parts else text


def test_the_schema_knows_every_default_of_the_manual(validator):
    """options.md is made from the same table by another program."""
    page = (ROOT / 'docs/options.md').read_text()
    for section in ('timeouts', 'limits'):
        rows = re.search(rf'^## {section}:\n(.*?)(?=^## |\Z)', page, re.MULTILINE | re.DOTALL)[1]
        written = {n: amount(d) for n, d in re.findall(r'^\| `(\w+)` \| \w+ \| (\S+) \|', rows, re.MULTILINE)}
        known = validator.schema['$defs'][section]['properties']
        assert {n: amount(str(k['default'])) for n, k in known.items()} == written


# -- failures ------------------------------------------------------------------------------------------------

TWO = '''endpoints:
  - {name: main, provider: deepseek, url: "https://api.deepseek.com", key: "${SECRET}"}
  - {name: spare, provider: openai, url: "http://10.1.2.3:4/v1"}
models:
  - {name: safe, tiers: [[{endpoint: main}], [{endpoint: spare}]], deadline: 30s}
  - {name: also-safe, tiers: [[{endpoint: main}], [{endpoint: spare}]], deadline: 30s}
  - {name: alone, tiers: [[{endpoint: main}]], deadline: 30s}
'''


def checked(tmp_path, text, *options):
    (tmp_path / 't.yaml').write_text(text)
    env = environment(SECRET='sk-canary')
    status, out, err = run(PROGRAM, 'check', *options, tmp_path / 't.yaml', env=env)
    assert (status, err) == (0, '')
    assert 'sk-canary' not in out
    return out


def test_t28_check_shows_what_becomes_of_a_request_when_endpoints_fail(tmp_path):
    """Nobody is called: the endpoints of this file do not exist."""
    out = checked(tmp_path, TWO)
    safe, messages, alone = out.split('when endpoints fail: model ')[1:]
    assert safe.startswith('safe, also-safe\n') and alone.startswith('alone\n')
    assert messages.startswith('safe, also-safe, asked at /v1/messages\n')  # which spare does not speak
    cases = dict(re.findall(r'^  (\S.*?)  +(\S.*)$', safe, re.MULTILINE))
    assert cases == {'nothing fails': 'main answers',
                     'main refuses connections': 'spare answers',
                     'main is busy (429)': 'spare answers',
                     'main refuses its key (401)': 'spare answers',
                     'main has no balance (402)': 'spare answers',
                     'main is silent (plain request)': 'the client gets 504 deadline_exceeded after 30s',
                     'every endpoint refuses connections':
                     'the client gets 503 upstream_unreachable after 30s',
                     'every endpoint is busy (429)': 'the client gets 429 upstream_rate_limited after 30s'}
    assert 'main refuses connections                 the client gets 503 upstream_unreachable' in alone


def test_t28_the_same_as_json(tmp_path):
    told = json.loads(checked(tmp_path, TWO, '--json'))
    chat = [m for m in told['models'] if m['api'] == '/v1/chat/completions']
    assert [m['names'] for m in chat] == [['safe', 'also-safe'], ['alone']]
    messages = next(m for m in told['models'] if m['api'] == '/v1/messages')
    assert messages['names'] == ['safe', 'also-safe']
    assert {r['answered_by'] for r in messages['rows'] if r['fails'] == 'first'} == {None}
    assert told['left_out'] == 0
    rows = {(r['fails'], r['how']): r for r in told['models'][0]['rows']}
    assert rows['first', 'key'] == {'fails': 'first', 'how': 'key', 'answered_by': 'spare', 'status': 200,
                                    'after_ms': 0}
    assert rows['all', 'busy']['code'] == 'upstream_rate_limited'
    assert rows['all', 'busy']['answered_by'] is None


def test_failures_can_be_left_out(tmp_path):
    out = checked(tmp_path, TWO, '--no-failover')
    assert 'model safe' in out and 'when endpoints fail' not in out


def test_t28_many_models_are_rehearsed_by_kinds_and_no_more_than_a_hundred_of_them(tmp_path):
    alike = [{'name': f'a{i}', 'tiers': [[{'endpoint': 'e'}]]} for i in range(400)]
    others = [{**model, 'name': f'b{i}', 'deadline': f'{i + 1}s'} for i, model in enumerate(alike[:150])]
    config = {'endpoints': [{'name': 'e', 'provider': 'openai', 'url': 'http://127.0.0.1:1/v1'}],
              'models': alike + others}
    told = json.loads(checked(tmp_path, json.dumps(config), '--json'))
    assert len(told['models']) == 100 and told['left_out'] == 51
    assert told['models'][0]['names'] == [f'a{i}' for i in range(400)]
    out = checked(tmp_path, json.dumps(config))
    assert 'model a0, a1, a2, a3, a4 and 395 more\n' in out
    assert '51 models more go to other places; the first 100 kinds were rehearsed' in out


def test_what_the_rehearsal_says_is_what_the_gateway_does(tmp_path, simulator, gateway):
    """The two cases that can be had at once in the real world: an account that is empty, nobody there."""
    empty = simulator('--fault', '402=1')
    text = {'endpoints': [{'name': 'empty', 'provider': 'deepseek', 'url': empty.root, 'key': 'none'},
                          {'name': 'well', 'provider': 'openai', 'url': simulator().v1}],
            'models': [{'name': 'both', 'tiers': [[{'endpoint': 'empty'}], [{'endpoint': 'well'}]]},
                       {'name': 'one', 'tiers': [[{'endpoint': 'empty'}]]}]}
    told = json.loads(checked(tmp_path, json.dumps(text), '--json'))
    both, one = ({(r['fails'], r['how']): r for r in m['rows']} for m in told['models']
                 if m['api'] == '/v1/chat/completions')
    g = gateway(text)
    answer = g.chat('both')
    assert answer.headers['x-tidegate-endpoint'] == both['first', 'balance']['answered_by'] == 'well'
    answer = g.chat('one')
    assert answer.status == one['first', 'balance']['status']
    assert answer.json()['error']['code'] == one['first', 'balance']['code']
