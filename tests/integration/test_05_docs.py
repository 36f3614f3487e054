# SPDX-License-Identifier: MIT
"""The manual says what is: its configurations are accepted, its links and paths exist, its names are real."""
import re
import subprocess

import pytest

from kit import ROOT
from kit.process import PROGRAM, environment

READMES = ['README.md', 'README.zh.md']
SKIPPED = {'build', 'node_modules', '.git'}
PAGES = sorted(str(p.relative_to(ROOT)) for p in ROOT.rglob('*.md')
               if not SKIPPED & set(p.relative_to(ROOT).parts) and 'golden' not in p.parts)
MANUAL = [page for page in PAGES if page.startswith('docs/')]
EXAMPLES = ['tidegate.example.yaml'] + sorted(str(p.relative_to(ROOT)) for p in ROOT.glob('examples/*.yaml'))
FENCE = re.compile(r'^( *)```(\w*)\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
PATH = re.compile(r'`((?:src|tests|docs|tools|bench|examples)/[\w./-]*\w)`')


def text(page):
    return (ROOT / page).read_text(encoding='utf-8')


def blocks(page, language=None):
    """The fenced blocks of a page, in order: (language, text)."""
    return [(kind, body) for _, kind, body in FENCE.findall(text(page)) if language in (None, kind)]


def prose(page):
    return FENCE.sub('', text(page))


def section(page, heading):
    return re.search(rf'^## {heading}\n(.*?)(?=^## |\Z)', text(page), re.MULTILINE | re.DOTALL).group(1)


def check(config, folder):
    """Runs `tidegate check` on a configuration whose variables and secret files all exist."""
    secret = folder / 'secret'
    secret.write_text('sk-of-the-test\n')
    file = folder / 'tidegate.yaml'
    file.write_text(re.sub(r'\{file: [^}]*\}', '{file: %s}' % secret, config), encoding='utf-8')
    named = {name: f'sk-{name.lower()}' for name in re.findall(r'\$\{(\w+)\}', config)}
    return subprocess.run([PROGRAM, 'check', file], env=environment(**named), capture_output=True, text=True,
                          timeout=60)


def whole_configurations():
    found = [(page, body) for page in READMES + MANUAL for _, body in blocks(page, 'yaml')]
    # Pages of the manual also show parts of a file; a README shows only what can be used as it stands.
    return [(page, body) for page, body in found
            if page in READMES or ('endpoints:' in body and 'models:' in body)]


@pytest.mark.parametrize('page, config', whole_configurations())
def test_a_configuration_shown_is_accepted(page, config, tmp_path):
    done = check(config, tmp_path)
    assert (done.returncode, done.stderr) == (0, '')
    assert 'model ' in done.stdout


def test_every_provider_has_a_section_with_its_configuration():
    source = text('src/config/endpoints.c')
    providers = set(re.findall(r'\[PROVIDER_\w+\] = \{"(\w+)"', source))
    assert len(providers) == 8
    page = text('docs/providers.md')
    assert set(re.findall(r'^\| \[`(\w+)`\]', page, re.MULTILINE)) == providers
    for name in providers:
        assert f'provider: {name}' in section('docs/providers.md', name)


@pytest.mark.parametrize('file', EXAMPLES)
def test_an_example_is_accepted(file, tmp_path):
    done = check(text(file), tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'model ' in done.stdout


def bare(yaml):
    return [line for line in yaml.splitlines() if line.strip() and not line.lstrip().startswith('#')]


@pytest.mark.parametrize('page', READMES)
def test_the_readme_shows_the_example_file(page):
    assert bare(blocks(page, 'yaml')[0][1]) == bare(text('examples/deepseek.yaml'))


def test_a_mistake_in_an_example_would_be_found(tmp_path):
    done = check(text('examples/deepseek.yaml').replace('tiers:', 'teirs:'), tmp_path)
    assert done.returncode == 1 and 'did you mean "tiers"' in done.stderr


def anchors(page):
    """The fragments that GitHub makes of a page's headings."""
    heads = re.findall(r'^#+ (.*)$', prose(page), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', head.lower()).replace(' ', '-') for head in heads}


@pytest.mark.parametrize('page', PAGES)
def test_every_relative_link_resolves(page):
    for target in re.findall(r'\]\(([^)\s]+)\)', prose(page)):
        if re.match(r'[a-z]+:', target):
            continue
        path, _, fragment = target.partition('#')
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f'{page} links to {target}'
        if fragment:
            assert fragment in anchors(file.resolve().relative_to(ROOT)), f'{page} links to {target}'


@pytest.mark.parametrize('page', PAGES)
def test_every_file_named_exists(page):
    missing = [p for p in PATH.findall(prose(page)) if 'NN' not in p and not (ROOT / p).exists()]
    assert not missing


def test_where_to_start_reading_is_the_same_tour_in_both_languages():
    tours = [PATH.findall(section(page, head))
             for page, head in zip(READMES, ['Where to start reading', '从哪里读起'])]
    assert len(tours[0]) > 20
    assert tours[0] == tours[1]


def test_the_tables_of_architecture_name_files_that_exist():
    """Walks are written without `src/`, and name the neighbours of a file by name alone."""
    for row in re.findall(r'^\| \d+ \| (.*?) \|', text('docs/architecture.md'), re.MULTILINE):
        folder = None
        for name in re.findall(r'`([\w/.]+)`', row):
            folder = name.rpartition('/')[0] or folder
            file = ROOT / 'src' / folder / name.rpartition('/')[2]
            assert file.exists(), f'{name} in "{row}"'


@pytest.mark.parametrize('page', READMES)
def test_names_in_the_readme_are_real(page):
    heading = 'When things go wrong' if page == READMES[0] else '出问题的时候'
    rows = re.findall(r'^\| (`.*)$', section(page, heading), re.MULTILINE)
    errors, options, metrics = text('docs/errors.md'), text('docs/options.md'), text('docs/metrics.md')
    codes = [code for row in rows for code in re.findall(r'`([a-z_]+)`', row.split(' | ')[0]) if '_' in code]
    assert len(codes) > 10
    for code in codes:
        assert f'| `{code}` |' in errors
    for name in re.findall(r'`(?:timeouts|limits)\.(\w+)`', text(page)):
        assert f'| `{name}` |' in options
    for name in re.findall(r'\b(tidegate_\w+_total)\b', text(page)):
        assert f'`{name}`' in metrics


@pytest.mark.parametrize('page', READMES + MANUAL)
def test_options_and_codes_in_the_manual_are_real(page):
    options, errors = text('docs/options.md'), text('docs/errors.md')
    for name in re.findall(r'`(?:timeouts|limits)\.(\w+)`', prose(page)):
        assert f'| `{name}` |' in options or name in ('rps', 'rpm', 'rph', 'tpm', 'inflight'), name
    if page not in ('docs/providers.md', 'docs/routes.md'):  # which tell what others say
        for code in re.findall(r'\b[45]\d\d `([a-z]+_[a-z_]+)`', prose(page)):
            assert f'| `{code}` |' in errors


def test_the_proofs_of_a_note_are_tests_that_exist():
    """Modules as `U: folder/module_test` or `test_NN_topic`, tests by name behind them."""
    files = [*ROOT.glob('tests/unit/*/*_test.c'), *ROOT.glob('tests/integration/test_*.py')]
    modules = ' '.join(file.stem for file in files)
    named = '\n'.join(file.read_text(encoding='utf-8') for file in files)
    spans = re.findall(r'`([^`]+)`', text('docs/notes/2026-11-main-path.md'))
    proofs = [' '.join(span.split()) for span in spans if re.match(r'(?:[UVI]: |test_\d\d)', span)]
    assert len(proofs) > 100
    for proof in proofs:
        for word in re.findall(r'(?<![\w/.])(?:\w+/)?(\w*_\w+)', proof):
            module = re.search(rf'\b{word}(?:\b|_)', modules)
            assert module or re.search(rf'\b(?:def |TEST\(){word}\b', named), f'{word} in {proof}'


def test_the_status_of_each_error_is_the_one_in_the_manual():
    errors = dict(re.findall(r'^\| `(\w+)` \| (\d+) \|', text('docs/errors.md'), re.MULTILINE))
    for page in READMES:
        for names, status in re.findall(r'^\| (`\w+`(?:[,、] ?`\w+`)*) \| (\d+)', text(page), re.MULTILINE):
            for code in re.findall(r'`(\w+)`', names):
                assert errors[code] == status, f'{code} in {page}'


def test_both_readmes_have_the_same_parts():
    shapes = []
    for page in READMES:
        kinds = [kind for kind, _ in blocks(page)]
        tables = len(re.findall(r'^\| --- \|', text(page), re.MULTILINE))
        rows = len(re.findall(r'^\| ', text(page), re.MULTILINE))
        heads = re.findall(r'^(#+) ', prose(page), re.MULTILINE)
        links = sorted(re.findall(r'\]\((docs/\S+?|examples/\S+?)\)', text(page)))
        shapes.append((kinds, tables, rows, heads, links))
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize('page', READMES)
def test_the_banner_shown_has_the_words_of_the_program(page):
    banner = next(body for _, body in blocks(page) if 'is ready' in body)
    source = text('src/cmd/banner.c')
    for words in ['listening at', 'THE BUILT-IN SIMULATOR: its answers are made up', 'try it',
                  'the one line to change']:
        assert words in banner and words in source


def test_the_commands_named_exist():
    shown = subprocess.run([PROGRAM, '--help'], capture_output=True, text=True, timeout=60).stdout
    listed = re.findall(r'^  (\w+) ', shown, re.MULTILINE)
    for page in READMES:
        named = set(re.findall(r'^\| `tidegate (\w+)', text(page), re.MULTILINE))
        assert named == set(listed) - {'tidegate'}
