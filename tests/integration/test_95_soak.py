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
from slope import floors, is_flat, line  # noqa: E402

MIB = 2**20


def resident(hours, leak_per_hour, seed):
    """A sample each two seconds of a program with bursts, and a floor that wanders a little."""
    dice, wander, out = random.Random(seed), 0.0, []
    for i in range(int(hours * 1800)):
        wander = 0.95 * wander + dice.gauss(0, 0.02 * MIB)
        burst = 8 * MIB * dice.random()**4
        out.append((2 * i, 40 * MIB + leak_per_hour * i / 1800 + wander + burst))
    return out


@pytest.mark.parametrize('seed', range(5))
def test_a_leak_is_a_slope_and_bursts_are_none(seed):
    bound = MIB / 4
    for leak, flat in [(0, True), (0.1 * MIB, True), (2 * MIB, False), (20 * MIB, False)]:
        slope, error, mean = line(floors(resident(1, leak, seed), 30))
        assert is_flat(slope * 3600, error * 3600, bound) == flat, (leak, slope * 3600, error * 3600)
        assert 40 * MIB < mean + MIB and abs(slope * 3600 - leak) < 4 * error * 3600 + MIB / 10


def test_the_lowest_of_each_window_counts():
    assert floors([(0, 5), (1, 3), (9, 7), (10, 2), (25, 8), (29, 9)], 10) == [(5, 3), (15, 2), (25, 8)]


def test_a_line_is_exact_without_noise():
    slope, error, mean = line([(x, 3 + 2 * x) for x in range(10)])
    assert (round(slope, 9), round(error, 9), mean) == (2, 0, 12)
    assert not is_flat(slope, error, 1) and is_flat(slope, error, 2)


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
