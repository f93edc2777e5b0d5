"""Numbers, shares and times as people read them. All times are UTC."""

from __future__ import annotations

import re
from functools import lru_cache

from rca.types import SECOND, to_text

# Units that names of metrics end in, or carry before a statistic: duration_seconds_p95.
_UNIT = re.compile(r"(?:^|[_.])(bytes|ratio|percent|seconds|milliseconds|ms)(_per_second)?(?=[_.]|$)")
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def clock(time: int) -> str:
    """Hours, minutes and seconds: "14:03:20"."""
    return to_text(time)[11:19]


def moment(time: int) -> str:
    """Date and time without the letters between: "2026-03-02 14:03:20"."""
    return to_text(time)[:19].replace("T", " ")


def duration(nanoseconds: int) -> str:
    """The two largest units: "2 h 5 min", "40 s"."""
    seconds = round(abs(nanoseconds) / SECOND)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def percent(share: float) -> str:
    """A share as people write it: "87 %"; "< 1 %" where it would round to nothing."""
    if 0 < share < 0.005:
        return "< 1 %"
    return f"{100 * share:.0f} %"


def number(value: float) -> str:
    """Three significant digits, without an exponent from a thousandth to a million."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        if abs(value) < 1:
            return f"{value:.3g}"
        text = f"{value:,.{max(0, 3 - len(str(int(abs(value)))))}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.2g}"


@lru_cache(maxsize=4_096)
def _unit_of(metric: str) -> tuple[str, str]:
    """The unit that a name ends in and "/s" where it is a rate; "" where there is none."""
    found = _UNIT.search(metric)
    return ("", "") if found is None else (found[1], "/s" if found[2] else "")


def quantity(metric: str, value: float) -> str:
    """A value of a metric with the unit that its name says: "43 %", "3.23 GB", "0.46 s"."""
    unit, rate = _unit_of(metric)
    if not unit:
        return number(value)
    if unit == "bytes":
        size, name = next((row for row in _BYTES if abs(value) >= row[0]), (1.0, "B"))
        return f"{number(round(value / size, 2))} {name}{rate}"
    if unit in ("ratio", "percent"):
        share = 100 * value if unit == "ratio" else value
        return f"{number(round(share, 1 if abs(share) < 10 else 0))} %{rate}"
    if unit == "seconds" and 0 < abs(value) < 1:
        return f"{number(1000 * value)} ms{rate}"
    return f"{number(value)} {'s' if unit == 'seconds' else 'ms'}{rate}"
