# SPDX-License-Identifier: MIT
"""tidegate drill: the command line, the JSON, and the exit codes."""
import json
import subprocess

import pytest

from kit.process import PROGRAM, TROUBLE, run

MEMBERS = ['scenario', 'seed', 'requests', 'answered', 'full', 'degraded', 'deferred', 'templated', 'failed',
           'amplification', 'failover_ms', 'recovery_ms', 'wait_p99_ms', 'ttft_p99_ms', 'direct', 'kept',
           'bounds']


def drill(*argv):
    """(exit code, standard output, standard error)"""
    return run(PROGRAM, 'drill', *argv)


def in_real_time(*argv):
    """The same of a drill that takes its minute."""
    done = subprocess.run([PROGRAM, 'drill', '--real', *argv], capture_output=True, text=True, timeout=300)
    assert not TROUBLE.search(done.stderr), done.stderr
    return done.returncode, done.stdout, done.stderr


def result(*argv, play=drill):
    code, out, _ = play('--json', *argv)
    told = json.loads(out)
    assert code == (0 if told['kept'] else 1)
    return told


def test_the_list_names_every_scenario():
    code, out, _ = drill('--list')
    names = [line.split()[0] for line in out.splitlines()]
    assert code == 0 and len(names) == len(set(names))
    assert {'account-limit', 'queued-keepalives', 'random-503', 'outage-3s', 'outage-10m', 'flapping',
            'brown-out', 'stalls', 'region-gone', 'partition', 'key-revoked', 'balance-gone',
            'flooding-tenant', 'overload-10x', 'herd', 'tide'} <= set(names)


def test_the_json_has_its_members_and_adds_up():
    told = result('region-gone')
    direct = told['direct']
    assert list(told) == MEMBERS
    assert told['scenario'] == 'region-gone' and told['seed'] == 1
    for of in (told, direct):
        assert of['requests'] == sum(of[k] for k in ('full', 'degraded', 'deferred', 'templated', 'failed'))
        assert of['answered'] == of['full'] + of['degraded'] + of['deferred']
    assert told['requests'] == direct['requests'] > direct['answered']
    assert told['answered'] > direct['answered']
    assert set(told['wait_p99_ms']) == set(told['ttft_p99_ms']) == {'normal'}
    for bound in told['bounds']:
        low, high = bound.get('at_least', float('-inf')), bound.get('at_most', float('inf'))
        assert bound['kept'] == (low <= bound['value'] <= high), bound
    assert told['kept'] == all(b['kept'] for b in told['bounds'])


def test_a_seed_repeats_a_drill_and_another_does_not():
    first, again, other = (drill('outage-3s', '--json', '--seed', n)[1] for n in ('3', '3', '4'))
    assert first == again != other


def test_the_page_shows_both_and_the_bounds():
    code, out, _ = drill('account-limit')
    assert 'tidegate' in out and 'direct' in out
    assert 'kept    answered at least 1: 1' in out
    assert code == 0


def test_the_same_happens_over_real_sockets():
    """24 seconds with the gateway, as many without it; what the clock decides is not asserted."""
    virtual, real = result('outage-3s'), result('outage-3s', play=in_real_time)
    assert list(real) == MEMBERS
    for of in (lambda told: told, lambda told: told['direct']):
        assert of(real)['requests'] == of(virtual)['requests']
        assert of(real)['answered'] + of(real)['failed'] == of(real)['requests']
    assert real['answered'] >= real['direct']['answered'] > 0
    assert real['amplification'] >= 1
    assert {bound['what'] for bound in real['bounds']} == {bound['what'] for bound in virtual['bounds']}


def test_what_takes_long_is_not_played_in_real_time():
    code, out, err = drill('--real', 'outage-10m')
    assert (code, out) == (1, '')
    assert 'outage-10m lasts 780 s' in err and 'at most 300 s' in err


@pytest.mark.parametrize('argv, said', [
    ([], 'which scenario'), (['nowhere'], 'there is no scenario nowhere'),
    (['--seed', 'x', 'tide'], '--seed'),
    (['--seed'], '--seed'), (['tide', 'herd'], 'not understood: herd'),
    (['--fast', 'tide'], 'not understood: --fast')])
def test_what_is_not_understood_is_told(argv, said):
    code, out, err = drill(*argv)
    assert code == 2 and out == '' and said in err
