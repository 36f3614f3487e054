# SPDX-License-Identifier: MIT
"""Locust drives the gateway with the example of the manual. LOCUST names the program, where it is not on the
path; it is not installed with the other test tools, because it brings thirty packages."""
import json
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
                         '-t', '4s', '--stop-timeout', '30', '--host', gw.root, '--json', cwd=folder,
                         env=environment())
    return code, {row['method']: row for row in json.loads(out)}, err


def test_the_example_drives_the_gateway(gateway, simulator, tmp_path):
    sim = simulator()
    gw = gateway(sim)
    code, rows, said = locust(gw, tmp_path)
    assert code == 0, said
    assert rows['POST']['num_requests'] == rows['TTFT']['num_requests'] == sim.stats()['requests'] > 0
    assert rows['POST']['num_failures'] == 0


def test_the_example_sees_a_stream_that_breaks_off(gateway, simulator, tmp_path):
    gw = gateway(simulator('--fault', 'cut=1', '--fault-after', '3'))
    code, rows, _ = locust(gw, tmp_path)
    assert code == 1
    assert rows['POST']['num_failures'] == rows['POST']['num_requests'] > 0
