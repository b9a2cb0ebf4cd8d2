"""Say how many more groups an interval of the accuracy of a wanted width would take.

The interval is Wilson's of an effective number of images (see `intervals`). Its bound that is
farther from the accuracy tells that number, and with it what a group is worth. The accuracy may be
another one than these groups show: with the middle of its interval, the wanted width takes more
groups near 0 and 1.
Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reports.evaluation.intervals import NORMAL

HALF_WIDTH = 0.05


def more_groups(value: float, bounds: Sequence[float] | None, groups: int) -> dict[str, Any] | None:
    """Give half_width, and about how many groups of the same kind it takes besides those tested.

    None where the interval is undefined or no wider than that.
    """
    if bounds is None or bounds[1] - bounds[0] <= 2 * HALF_WIDTH:
        return None
    far = max(bounds, key=lambda bound: abs(bound - value))
    now = NORMAL**2 * far * (1 - far) / (far - value) ** 2
    middle = sum(bounds) / 2
    wanted = NORMAL**2 * middle * (1 - middle) / HALF_WIDTH**2
    return {"half_width": HALF_WIDTH, "groups": _about(groups * (wanted / now - 1))}


def _about(number: float) -> int:
    """Round up to two digits, so that it does not look surer than it is."""
    step = 10 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return int(max(1, math.ceil(number / step)) * step)
