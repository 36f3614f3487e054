# SPDX-License-Identifier: MIT
"""Locust drives the gateway with the example of the manual. LOCUST names the program, where it is not on the
path; it is not installed with the other test tools, because it brings thirty packages."""
import csv
import os
import shutil

import pytest

from kit import ROOT
from kit.process import environment, run

LOCUST = os.environ.get('LOCUST') or shutil.which('locust')

pytestmark = pytest.mark.skipif(not LOCUST, reason='*** Locust is not installed (pip install locust): '
                                                   'examples/locustfile.py was not tried ***')


def locust(gw, folder):
    code, out, err = run(LOCUST, '-f', ROOT / 'examples/locustfile.py', '--headless', '-u', '4', '-r', '4',
                         '-t', '4s', '--stop-timeout', '30', '--host', gw.root, '--csv', folder / 'found',
                         cwd=folder, env=environment())
    with open(folder / 'found_stats.csv', newline='') as file:
        rows = {(row['Type'], row['Name']): row for row in csv.DictReader(file)}
    return code, rows, out + err


def test_the_example_drives_the_gateway(gateway, simulator, tmp_path):
    sim = simulator()
    gw = gateway(sim)
    code, rows, said = locust(gw, tmp_path)
    assert code == 0, said
    posts, first = rows['POST', 'chat'], rows['TTFT', 'chat']
    assert int(posts['Request Count']) == int(first['Request Count']) == sim.stats()['requests'] > 0
    assert posts['Failure Count'] == '0'


def test_the_example_sees_a_stream_that_breaks_off(gateway, simulator, tmp_path):
    gw = gateway(simulator('--fault', 'cut=1', '--fault-after', '3'))
    code, rows, _ = locust(gw, tmp_path)
    posts = rows['POST', 'chat']
    assert code == 1
    assert posts['Failure Count'] == posts['Request Count'] != '0'
