# SPDX-License-Identifier: MIT
"""What `make install` puts where: a program that runs, pages that render, completions that complete, units
that systemd accepts; and that uninstalling takes away what was installed and nothing else."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

from kit import ROOT, http, process
from kit.process import PROGRAM, environment, run

COMMANDS = ['serve', 'check', 'sim', 'load', 'explain', 'drill']
HEADS = ['NAME', 'DESCRIPTION', 'SEE ALSO']


def make(*args):
    """make with the program under test, which is built already: its flavour is the folder that it is in."""
    flavour = pathlib.Path(PROGRAM).resolve().parent.name
    san = [f'SAN={flavour}'] if flavour in ('address', 'thread') else []
    env = {k: v for k, v in environment().items() if k not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'SAN')}
    done = subprocess.run(['make', '-j1', *san, *args], cwd=ROOT, env=env, capture_output=True, text=True,
                          timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob('*') if not p.is_dir()}


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """An installation whose paths are real ones, as systemd wants to see them."""
    folder = tmp_path_factory.mktemp('installed')
    make('install', f'prefix={folder}/usr', f'sysconfdir={folder}/etc')
    return folder


def tool(name):
    found = shutil.which(name)
    if not found:
        pytest.skip(f'{name} is not installed: what it would say is not tested')
    return found


def test_the_installed_program_runs(place, tmp_path):
    program = place / 'usr/bin/tidegate'
    shown = run(PROGRAM, '--version')
    assert run(program, '--version') == shown and shown[0] == 0
    (tmp_path / 't.yaml').write_text((ROOT / 'examples/deepseek.yaml').read_text())
    assert run(program, 'check', tmp_path / 't.yaml', env=environment(DEEPSEEK_API_KEY='sk-x'))[0] == 0


def test_destdir_is_only_in_front(tmp_path):
    make('install', f'DESTDIR={tmp_path}', 'prefix=/opt/gate', 'sysconfdir=/opt/etc')
    assert 'opt/gate/bin/tidegate' in files(tmp_path)
    unit = (tmp_path / 'opt/gate/lib/systemd/system/tidegate.service').read_text()
    assert 'ExecStart=/opt/gate/bin/tidegate serve /opt/etc/tidegate/tidegate.yaml' in unit
    assert str(tmp_path) not in unit and not re.search(r'@\w+@', unit)


def test_uninstall_takes_what_was_installed_and_nothing_else(tmp_path):
    make('install', f'DESTDIR={tmp_path}')
    own = tmp_path / 'etc/tidegate/tidegate.yaml'
    other = tmp_path / 'usr/local/share/man/man1/other.1'
    for file in (own, other):
        file.write_text('mine\n')
    make('install', f'DESTDIR={tmp_path}')
    assert own.read_text() == 'mine\n'
    make('uninstall', f'DESTDIR={tmp_path}')
    assert files(tmp_path) == {str(f.relative_to(tmp_path)) for f in (own, other)}
    assert not (tmp_path / 'usr/local/share/doc/tidegate').exists()


# -- manual -------------------------------------------------------------------------------------------------

def pages():
    return sorted((ROOT / 'docs/man').glob('*.[158]'))


def test_pages_and_completions_say_what_the_program_says():
    done = subprocess.run([sys.executable, ROOT / 'tools/manual.py', '--check', '--program', PROGRAM],
                          capture_output=True, text=True, env=environment(), timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_a_page_that_differs_is_complained_about(tmp_path):
    """The tool looks at the tree that it stands in: here a copy with one word changed."""
    for name in ('tools', 'docs/man', 'deploy', 'src/config'):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / 'docs/reference.md', tmp_path / 'docs')
    page = tmp_path / 'docs/man/tidegate-load.1'
    page.write_text(page.read_text().replace('--rate', '--pace').replace('Fl -rate', 'Fl -pace'))
    done = subprocess.run([sys.executable, tmp_path / 'tools/manual.py', '--check', '--program', PROGRAM],
                          capture_output=True, text=True, env=environment(), timeout=120)
    assert done.returncode == 1
    assert done.stdout == 'docs/man/tidegate-load.1:1: differs from what the program says (run `make docs`)\n'


def test_a_key_that_only_the_reader_or_only_the_schema_knows_is_complained_about(tmp_path):
    for name in ('tools', 'docs', 'deploy', 'src/config'):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name, old, new in (('keys.c', '"priority", ', '"urgency", '), ('accounts.c', '"slots"', '"places"')):
        file = tmp_path / 'src/config' / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
    done = subprocess.run([sys.executable, tmp_path / 'tools/manual.py', '--check', '--program', PROGRAM],
                          capture_output=True, text=True, env=environment(), timeout=120)
    told = re.sub(r':\d+:', ':', done.stdout).splitlines()
    assert done.returncode == 1
    assert sorted(told) == ['src/config/accounts.c: fields: "places" is missing in src/config/schema.def',
                            'src/config/keys.c: fields: "urgency" is missing in src/config/schema.def',
                            'src/config/schema.def: account: accounts.c does not read "slots"',
                            'src/config/schema.def: key: keys.c does not read "priority"']


@pytest.mark.parametrize('page', pages(), ids=lambda p: p.name)
def test_a_page_renders_without_a_warning(page):
    done = subprocess.run([tool('man'), '--warnings', '-l', page], capture_output=True, text=True,
                          timeout=120, env=environment(MANWIDTH='100', MANROFFOPT='',
                                                       LC_ALL='C.UTF-8', MANPAGER='cat'))
    assert (done.returncode, done.stderr) == (0, '')
    shown = re.sub(r'.\x08', '', done.stdout)
    heads = re.findall(r'^([A-Z][A-Z ]+)$', shown, re.MULTILINE)
    assert set(HEADS) <= set(heads)


@pytest.mark.parametrize('page', pages(), ids=lambda p: p.name)
def test_mandoc_finds_nothing_in_a_page(page):
    done = subprocess.run([tool('mandoc'), '-T', 'lint', page], capture_output=True, text=True, timeout=120)
    # Whether the pages that it refers to are installed here says nothing about it.
    found = [line for line in done.stdout.splitlines() if 'referenced manual not found' not in line]
    assert found == []


@pytest.mark.parametrize('command', COMMANDS)
def test_every_option_has_its_place_in_the_manual(command):
    options = re.findall(r'^  (--[\w-]+)', run(PROGRAM, command, '--help')[1], re.MULTILINE)
    page = ROOT / ('docs/man/tidegate.8' if command == 'serve' else f'docs/man/tidegate-{command}.1')
    assert re.findall(r'^\.It Fl (-[\w-]+)', page.read_text(), re.MULTILINE) == [o[1:] for o in options]


# -- help and exit codes ------------------------------------------------------------------------------------

@pytest.mark.parametrize('args', [['--help']] + [[c, h] for c in COMMANDS for h in ('--help', '-h')])
def test_help_goes_to_standard_output(args):
    status, out, err = run(PROGRAM, *args)
    assert (status, err) == (0, '')
    assert f'usage: tidegate {args[0] if len(args) > 1 else "COMMAND"}' in out
    assert max(map(len, out.splitlines())) <= 112


@pytest.mark.parametrize('args', [[], ['nothing'], *[[c, '--no-such-option'] for c in COMMANDS]])
def test_wrong_usage_is_told_on_standard_error(args):
    status, out, err = run(PROGRAM, *args)
    assert (status, out) == (2, '')
    assert 'usage' in err or '--help' in err


# -- completions ---------------------------------------------------------------------------------------------

def complete(script, *words, cwd):
    """What bash offers for the last of the words."""
    ask = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
           '$(complete -p tidegate | sed "s/.*-F \\([^ ]*\\) .*/\\1/"); '
           'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(['bash', '--norc', '-c', ask, 'bash', script, 'tidegate', *words], cwd=cwd,
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, '')
    return done.stdout.split('\n')[:-1] if done.stdout != '\n' else []


def test_bash_completes(place, tmp_path):
    script = place / 'usr/share/bash-completion/completions/tidegate'
    (tmp_path / 'my gate.yaml').write_text('')
    assert set(complete(script, '', cwd=tmp_path)) == {*COMMANDS, '--help', '--version'}
    assert complete(script, 'si', cwd=tmp_path) == ['sim']
    assert complete(script, 'load', '--dry', cwd=tmp_path) == ['--dry-run']
    assert complete(script, 'load', '--rate', '', cwd=tmp_path) == []
    assert complete(script, 'load', '--json', 'my', cwd=tmp_path) == ['my gate.yaml']
    assert complete(script, 'serve', 'm', cwd=tmp_path) == ['my gate.yaml']
    assert complete(script, 'nothing', '', cwd=tmp_path) == []
    for command in COMMANDS:
        options = re.findall(r'^  (--[\w-]+)', run(PROGRAM, command, '--help')[1], re.MULTILINE)
        assert complete(script, command, '--', cwd=tmp_path) == [*options, '--help']


def test_zsh_and_fish_understand_their_completions(place):
    run(tool('zsh'), '-n', place / 'usr/share/zsh/site-functions/_tidegate')
    fish = tool('fish')
    script = place / 'usr/share/fish/vendor_completions.d/tidegate.fish'
    env = environment(HOME=str(place), XDG_DATA_HOME=str(place), XDG_CONFIG_HOME=str(place))
    status, out, err = run(fish, '--no-config', '-c', f'source {script}; complete -C "tidegate load --dry"',
                           env=env)
    assert (status, err) == (0, '') and out.startswith('--dry-run')
    assert re.findall(r'^(\w+)\t', run(fish, '--no-config', '-c', f'source {script}; complete -C "tidegate "',
                                       env=env)[1], re.MULTILINE) == sorted(COMMANDS)


# -- systemd -------------------------------------------------------------------------------------------------

def units(place):
    return sorted((place / 'usr/lib/systemd/system').glob('tidegate.*'))


def test_systemd_accepts_the_units(place):
    done = subprocess.run([tool('systemd-analyze'), '--man=no', 'verify', *units(place)], capture_output=True,
                          text=True, timeout=120, env=environment(SYSTEMD_LOG_LEVEL='warning'))
    told = [line for line in done.stderr.splitlines() if 'tidegate' in line]
    assert (done.returncode, told) == (0, []), done.stderr


def test_the_service_is_closed_tight(place):
    unit = place / 'usr/lib/systemd/system/tidegate.service'
    done = subprocess.run([tool('systemd-analyze'), 'security', '--offline=yes', '--json=short', unit],
                          capture_output=True, text=True, timeout=120)
    if done.returncode != 0 and not done.stdout:
        pytest.skip(f'systemd-analyze cannot judge a file here: {done.stderr.strip()}')
    exposed = {row['json_field'] for row in json.loads(done.stdout) if row['set'] is False}
    # It talks to the internet and to this machine; DeviceAllow is what ProtectClock adds, for reading only.
    assert exposed <= {'PrivateNetwork', 'RestrictAddressFamilies_AF_INET_INET6',
                       'RestrictAddressFamilies_AF_UNIX', 'IPAddressDeny', 'RootDirectoryOrRootImage',
                       'DeviceAllow'}, exposed


def test_the_checks_of_the_unit_are_what_they_say(place, tmp_path):
    """ExecStartPre and the first ExecReload, run as they stand there, refuse a bad file."""
    lines = (place / 'usr/lib/systemd/system/tidegate.service').read_text().splitlines()
    file = place / 'etc/tidegate/tidegate.yaml'
    checks = [line.partition('=')[2].split() for line in lines if re.match(r'Exec\w+=\S+ check ', line)]
    assert len(checks) == 2 and all(c[-1] == str(file) for c in checks)
    for text, status in ((ROOT / 'examples/deepseek.yaml').read_text(), 0), ('models: 1\n', 1):
        file.write_text(text)
        for check in checks:
            assert run(*check, env=environment(DEEPSEEK_API_KEY='sk-x'))[0] == status
    os.unlink(file)


def allowed_calls(unit):
    """What SystemCallFilter of a unit leaves: names of system calls."""
    listed = subprocess.run([tool('systemd-analyze'), '--no-pager', 'syscall-filter'], capture_output=True,
                            text=True, timeout=120, check=True).stdout
    sets, name = {}, None
    for line in listed.splitlines():
        if re.match(r'@[\w-]+', line):
            name = line.strip()
            sets[name] = []
        elif name and re.match(r' +[@\w]', line):
            sets[name].append(line.strip())

    def calls(word):
        return {c for member in sets[word] for c in calls(member)} if word in sets else {word}

    kept = set()
    for words in re.findall(r'^SystemCallFilter=(.*)$', unit.read_text(), re.MULTILINE):
        named = {c for word in words.lstrip('~').split() for c in calls(word)}
        kept = kept - named if words.startswith('~') else kept | named
    return kept


def test_the_service_can_do_what_the_program_does(place, yard, tmp_path, simulator):
    """Every system call and address family of a start, a request and an end is one that the unit allows."""
    binary = pathlib.Path(PROGRAM).read_bytes()
    if b'__asan_init' in binary or b'__tsan_init' in binary:
        pytest.skip('a sanitizer makes system calls of its own')
    if run(tool('strace'), '-o', '/dev/null', 'true')[0] != 0:
        pytest.skip('THE SANDBOX IS NOT TESTED: strace cannot trace here')
    unit = place / 'usr/lib/systemd/system/tidegate.service'
    trace, file = tmp_path / 'trace', tmp_path / 't.yaml'
    file.write_text(json.dumps({'listen': '127.0.0.1:0', 'workers': 2, 'timeouts': {'drain_delay': '0s'},
                                'endpoints': [{'name': 'up', 'provider': 'openai',
                                               'url': simulator().v1.replace('127.0.0.1', 'localhost')}],
                                'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}]}))
    gateway = yard.program(tool('strace'), '-f', '-qq', '-o', trace, PROGRAM, 'serve', file)
    at = process.ready(gateway)[1]
    assert http.chat(at, 'sim').status == 200
    os.kill(int(trace.read_text().split()[0]), signal.SIGTERM)
    assert gateway.wait() == 0
    made = set(re.findall(r'^\d+ +(\w+)\(', trace.read_text(), re.MULTILINE))
    assert len(made) > 20
    # Refused with EPERM by design: the unit has set the limit of open files already.
    assert made - allowed_calls(unit) <= {'prlimit64', 'setrlimit'}
    used = set(re.findall(r'^\d+ +socket\((AF_\w+)', trace.read_text(), re.MULTILINE))
    families = re.search(r'^RestrictAddressFamilies=(.*)$', unit.read_text(), re.MULTILINE)[1].split()
    assert used <= set(families)
