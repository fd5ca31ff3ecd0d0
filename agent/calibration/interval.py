"""How well the median of some measurements is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

CONFIDENCE = 0.95


def half_width(values: Sequence[float]) -> float:
    """Returns half the width of the interval of the median, as a share of the median.

    The interval is that of order statistics, which holds for every distribution of independent values: the
    number of values below the median is binomial with 1/2. It is infinite for fewer than six values, of which
    no interval is that sure.

    >>> half_width([100.0] * 6)
    0.0
    """
    ordered, count, below, cut = sorted(values), len(values), 0.0, 0
    while (below := below + math.comb(count, cut) / 2**count) <= (1.0 - CONFIDENCE) / 2:
        cut += 1
    if not cut:
        return math.inf
    return (ordered[-cut] - ordered[cut - 1]) / 2 / median(ordered)
