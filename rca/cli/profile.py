"""``rca profile``: what components do when they are well, measured once."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rca.cli.terminal import check_writable, output, printable, progress, table
from rca.errors import InputError

if TYPE_CHECKING:
    from rca.health import HealthProfile
    from rca.types import Window

app = typer.Typer(no_args_is_help=True, help="Build, show and merge health profiles.")


@app.command("build")
def build(
    cases: Annotated[list[Path], typer.Argument(metavar="CASE", help="Case folders with healthy telemetry.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    window: Annotated[
        list[str] | None, typer.Option("--window", help="Only this time, START/END; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Not this time (a past incident), START/END; repeatable.")
    ] = None,
) -> None:
    """Build a profile from telemetry, the times of incidents cut out.

    The window of each case is always cut out.
    """
    from rca.cases.folder import read_case
    from rca.health.build import build_profile
    from rca.health.storage import save_profile

    check_writable(out)
    windows = tuple(_window(text) for text in window or ())
    cut = tuple(_window(text) for text in exclude or ())
    profiles = []
    with progress("Building") as show:
        for done, path in enumerate(cases):
            show(done, len(cases))
            case = read_case(path)
            parts = [case.telemetry.slice(each) for each in windows] or [case.telemetry]
            profiles += [build_profile(part, exclude=(*cut, case.incident.window)) for part in parts]
    profile = _merged(profiles)
    save_profile(profile, out)
    output().print(printable(f"{out}: {_summary(profile)}"))


@app.command("show")
def show(file: Annotated[Path, typer.Argument(metavar="FILE", help="A health profile.")]) -> None:
    """Say what a profile knows."""
    from rca.health.storage import load_profile
    from rca.types import to_text

    profile = load_profile(file)
    console = output()
    console.print(printable(f"{file}: {_summary(profile)}"))
    rows = [(to_text(w.start), to_text(w.end), f"{w.seconds / 3600:.1f}") for w in profile.windows]
    console.print(table(("healthy from", "to", "hours"), rows, right=(2,)))


@app.command("merge")
def merge(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Health profiles of days or replicas.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
) -> None:
    """Make one profile of several."""
    from rca.health.storage import load_profile, save_profile

    check_writable(out)
    profile = _merged([load_profile(file) for file in files])
    save_profile(profile, out)
    output().print(printable(f"{out}: {_summary(profile)}"))


def _merged(profiles: list[HealthProfile]) -> HealthProfile:
    return reduce(lambda a, b: a.merge(b), profiles)


def _window(text: str) -> Window:
    from rca.types import Window, to_nanoseconds

    start, slash, end = text.partition("/")
    if not slash:
        raise InputError(f"{text!r} is no stretch of time", remedy="Write START/END, both such as 2026-01-31T12:00:00Z")
    return Window(start=to_nanoseconds(start), end=to_nanoseconds(end))


def _summary(profile: HealthProfile) -> str:
    hours = sum(window.seconds for window in profile.windows) / 3600
    parts = [f"{hours:.1f} healthy hours"]
    if profile.metrics is not None:
        series, samples = profile.metrics.sample.values.shape
        parts.append(f"{series} series ({samples} samples kept)")
    known = [name for name in profile.__dataclass_fields__ if name not in ("windows", "small", "metrics")]
    parts += [name for name in known if getattr(profile, name) is not None]
    return ", ".join(parts)
