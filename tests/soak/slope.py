# SPDX-License-Identifier: MIT
"""Whether a curve rises: the slope of a straight line through it, and between which bounds it lies.

The points are a program at rest, minutes apart, behind its first bursts. Their residuals may still be alike
(what an allocator keeps, it keeps for a while), which makes an ordinary error too small: it is widened by
their correlation, by the usual factor (1 + r) / (1 - r) for the number of independent values. With so few
points the normal distribution promises too much, so the bounds are Student's."""
import math

POINTS_MIN = 5
# Student's t, one-sided 97.5 %, by degrees of freedom; from 30 on that of the normal distribution is near.
T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11,
     2.10, 2.09, 2.09, 2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05)


def quantile(freedom):
    return T[freedom - 1] if freedom <= len(T) else 2.0


def line(points):
    """[(x, y)] -> the slope, and how far from it the true one may be: up or down, 97.5 % certain each."""
    n = len(points)
    assert n >= POINTS_MIN, f'{n} points make no line'
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x)**2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = [y - mean_y - slope * (x - mean_x) for x, y in points]
    square = sum(r * r for r in rest)
    if square <= 1e-12 * max(1.0, mean_y * mean_y):
        return slope, 0.0
    alike = min(0.9, max(0.0, sum(a * b for a, b in zip(rest, rest[1:])) / square))
    error = math.sqrt(square / (n - 2) / spread * (1 + alike) / (1 - alike))
    return slope, quantile(n - 2) * error


def climbs(points):
    """Whether nearly every step leads up: with a leak it does. One high step that stays, as allocators take
    them, makes a line rise too. A coin would do this in less than one of twenty cases."""
    up = sum(b > a for (_, a), (_, b) in zip(points, points[1:]))
    n = len(points) - 1
    return sum(math.comb(n, k) for k in range(up, n + 1)) / 2**n < 0.05


def rises(points, slope, doubt, bound):
    """All of what the slope may be lies above the bound, and the points climb. (That it does not rise is no
    proof that it is flat, which is `slope + doubt <= bound`.)"""
    return slope - doubt > bound and climbs(points)
