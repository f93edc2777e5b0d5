"""What is said of a kind of log line: numbers, units, and what is usual."""

from __future__ import annotations

from dataclasses import dataclass

from rca.logs.masks import LEVEL_NAMES
from rca.quantities import clock

QUOTED = 160
NAMED = 60


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The numbers of one kind of line after the candidate onset that shows it best.

    ``lines`` in ``seconds`` where ``expected`` are usual; ``healthy`` lines in ``healthy_seconds``;
    ``first`` and ``end`` in ns; ``shares`` of warnings now and in health among ``total`` lines.
    """

    component: str
    name: str
    code: int
    level: int
    example: str
    lines: float
    expected: float
    healthy: float
    seconds: float
    healthy_seconds: float
    onset: int
    first: int | None
    end: int
    shares: tuple[float, float] = (0.0, 0.0)
    total: float = 0.0

    @property
    def short_name(self) -> str:
        """The beginning of the name and its code: readable and distinct."""
        return f"{self.name[:NAMED]}#{self.code}"

    @property
    def quote(self) -> str:
        """The beginning of an example on one line; the name where there is none."""
        text = " ".join((self.example or self.name).split())
        return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"

    @property
    def how_often(self) -> str:
        """Times now against times in health."""
        usual = (
            f"usually {_number(self.expected)}"
            if self.healthy
            else f"never in {_duration(self.healthy_seconds)} of health"
        )
        return f"{_times(self.lines)} in {_duration(self.seconds)} ({usual})"

    def sentence(self, kind: str) -> str:
        """One sentence for an event of this kind."""
        level = LEVEL_NAMES[self.level]
        since = f", first at {clock(self.first)}" if self.first is not None else ""
        if kind == "log.new_template":
            line = f"{'an' if level[0] in 'EI' else 'a'} {level} line" if level else "a line"
            return f"{self.component} writes {line} never seen before: {self.quote!r}, {self.how_often}{since}"
        if kind == "error.exception":
            return f"{self.component} raises {self.name}, {self.how_often}{since}: {self.quote!r}"
        if kind == "log.level_shift":
            now, healthy = self.shares
            return (
                f"{100 * now:.0f} % of {self.total:.0f} lines of {self.component} are warnings or errors "
                f"(healthy: {100 * healthy:.1f} %)"
            )
        if kind == "log.silence":
            what = "stopped writing" if self.name == "all lines" else f"hardly writes {self.quote!r} any more"
            usual = f"{_duration(self.seconds)}, usually {_number(self.expected)}"
            return f"{self.component} {what}: {_times(self.lines)} in {usual}"
        return f"{self.component} writes {self.quote!r} more often: {self.how_often}"


def _times(lines: float) -> str:
    return "once" if lines == 1 else f"{lines:.0f} times"


def _number(lines: float) -> str:
    return f"{lines:.0f}" if lines >= 10 else f"{lines:.2g}"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            number = seconds / size
            return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
