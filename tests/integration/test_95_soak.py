# SPDX-License-Identifier: MIT
"""The soak and the memory checker, which are no part of a test run, still work; and a slope is told from
noise."""
import random
import shutil
import subprocess
import sys

import pytest

from kit import LIMIT, ROOT
from kit.process import PROGRAM

sys.path.insert(0, str(ROOT / 'tests/soak'))
from slope import line, rises  # noqa: E402

MIB = 2**20
REQUESTS = 90000  # of an hour's soak


def rests(leak_per_hour, noise, seed, n=9):
    """What a program holds at rest each five minutes, which is noise of some kind on top of what it leaks."""
    dice, level, out = random.Random(seed), 0.0, []
    for i in range(n):
        level = noise(dice, level)
        out.append((i / 12, 12 * MIB + leak_per_hour * i / 12 + level))
    return out


def ripples(dice, _):
    return dice.gauss(0, 0.03 * MIB)


def steps(dice, level):
    """An allocator's: now and then another one of up to 1.2 MiB, which stays until the next."""
    return 1.2 * MIB * dice.random() if dice.random() < 0.25 else level


def found(points, bound):
    return rises(points, *line(points), bound)


@pytest.mark.parametrize('noise', [ripples, steps])
def test_noise_is_no_rise(noise):
    assert sum(found(rests(0, noise, seed), MIB / 4) for seed in range(200)) <= 4


def test_a_large_leak_is_seen_in_resident_memory():
    assert all(found(rests(2 * MIB, ripples, seed), MIB / 4) for seed in range(200))
    assert sum(found(rests(20 * MIB, steps, seed), MIB / 4) for seed in range(200)) > 190


def test_sixteen_bytes_a_request_are_seen_in_what_is_allocated():
    """Malloc makes 24 of them. At rest what is allocated is the same to a few kilobytes."""
    for seed in range(50):
        points = [(at * REQUESTS, held) for at, held in
                  rests(24 * REQUESTS, lambda dice, _: dice.gauss(0, 4000), seed)]
        assert found(points, 2)
        points = [(at * REQUESTS, held) for at, held in rests(0, lambda dice, _: dice.gauss(0, 4000), seed)]
        assert not found(points, 2)


def test_a_soak_that_was_called_a_rise_is_none():
    mib = [12.0, 11.8, 11.9, 13.2, 13.1, 12.6, 12.6, 12.5]
    points = [(i * 5 / 60, m * MIB) for i, m in enumerate(mib)]
    assert not found(points, MIB / 4)


def test_a_line_is_exact_without_noise():
    points = [(x, 3 + 2 * x) for x in range(10)]
    slope, doubt = line(points)
    assert (round(slope, 9), round(doubt, 9)) == (2, 0)
    assert rises(points, slope, doubt, 1) and not rises(points, slope, doubt, 2)


def run(*argv):
    done = subprocess.run([sys.executable, *map(str, argv)],
                          capture_output=True,
                          text=True,
                          timeout=4 * LIMIT,
                          check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_a_soak_of_seconds_is_fine():
    said = run(ROOT / 'tests/soak/soak.py', '--time', '8s', '--program', PROGRAM, '--helper', PROGRAM)
    assert said.endswith('soak: fine\n') and 'load solid' in said


@pytest.mark.skipif(not shutil.which('valgrind'), reason='valgrind is not installed')
def test_memcheck_is_fine():
    with open(PROGRAM, 'rb') as file:
        program = file.read()
    if any(mark in program for mark in (b'__asan_init', b'__tsan_init')):
        pytest.skip('a sanitizer does not run under valgrind')
    said = run(ROOT / 'tests/soak/memcheck.py', '--program', PROGRAM, '--requests', '40')
    assert said.endswith('memcheck: fine\n') and 'ERROR SUMMARY: 0 errors' in said
