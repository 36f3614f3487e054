# SPDX-License-Identifier: MIT
"""A budget and what was found: the rows of the table at the end of the bench."""
import dataclasses

# Kept by tests rather than by a stopwatch; named so that the table holds every row of the budgets.
BY_TESTS = [
    ("allocations, copies, locks per request and event", "exact, in CI", "tests/unit/gateway/cost_test.c"),
    ("system calls per request and event", "an upper bound, in CI", "tests/integration/test_85_syscalls.py"),
    ("CPU per request beside LLM gateways", "see docs/bench.md", "bench/peers.py"),
]


@dataclasses.dataclass
class Budget:
    """One row. `kept` is None where nothing could be measured."""
    what: str
    limit: str
    found: str
    kept: bool | None = None

    @property
    def verdict(self):
        return {True: "kept", False: "MISSED", None: "not measured"}[self.kept]


def at_most(what, limit, value, unit="", digits=2):
    """A row whose value must not be larger than its limit; value None: it could not be measured."""
    text = "-" if value is None else f"{value:,.{digits}f}{unit}"
    return Budget(what, f"<= {limit:,.{digits}f}{unit}", text, None if value is None else value <= limit)


def print_table(rows):
    cells = [(b.what, b.limit, b.found, b.verdict) for b in rows]
    cells += [(what, limit, where, "by tests" if "tests/" in where else "apart")
              for what, limit, where in BY_TESTS]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    print("\nbudgets")
    for what, limit, found, verdict in cells:
        print(f"  {what:{widths[0]}}  {limit:>{widths[1]}}  {found:>{widths[2]}}  {verdict}")
