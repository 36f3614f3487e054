# SPDX-License-Identifier: MIT
"""What the integration tests are made of: programs, raw HTTP, scripted origins, the text format of metrics.

Nothing here sleeps for a fixed time or measures: `until` polls for what has to become true, with a deadline
that is only there so that a broken program fails a test instead of hanging it."""
import pathlib
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
LIMIT = 45  # seconds; generous, since sanitizer builds run on shared cores


def until(holds, what, limit=LIMIT):
    """Polls until `holds()` is true and returns what it returned."""
    end = time.monotonic() + limit
    while True:
        got = holds()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f'not within {limit} s: {what}; last seen: {got!r}')
        time.sleep(0.01)
