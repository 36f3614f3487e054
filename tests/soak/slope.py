# SPDX-License-Identifier: MIT
"""Whether a curve rises: the slope of a straight line through it, and how sure that is.

A soak's memory goes up and down with its bursts, so a line is laid through the lowest value of each window:
what is never given back lifts these. Neighbouring windows are alike, which makes an ordinary error too
small; it is widened by their correlation (the usual factor (1 + r) / (1 - r) for the number of independent
values)."""
import math


def floors(samples, window):
    """[(seconds, value)] -> the lowest value of each whole window, at its middle."""
    lowest = {}
    for at, value in samples:
        part = int(at // window)
        lowest[part] = min(value, lowest.get(part, value))
    return [((part + 0.5) * window, value) for part, value in sorted(lowest.items())]


def line(points):
    """(slope, its standard error, the line's mean), per unit of x."""
    n = len(points)
    assert n >= 4, f'{n} points make no line'
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x)**2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = [y - mean_y - slope * (x - mean_x) for x, y in points]
    square = sum(r * r for r in rest)
    if square <= 1e-12 * max(1.0, mean_y * mean_y):
        return slope, 0.0, mean_y
    alike = min(0.9, max(0.0, sum(a * b for a, b in zip(rest, rest[1:])) / square))
    error = math.sqrt(square / (n - 2) / spread * (1 + alike) / (1 - alike))
    return slope, error, mean_y


def is_flat(slope, error, bound):
    """No rise that is both certain (two errors above zero) and of any size (above the bound)."""
    return slope - 2 * error <= 0 or slope <= bound
