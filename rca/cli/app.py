"""All commands together, and what becomes of an error: a message with its remedy, never a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rca.cli import (
    analyze,
    delivery,
    demo,
    detect,
    doctor,
    evaluate,
    graph,
    history,
    incident,
    learn,
    models,
    profile,
    rules,
    serve,
    simulate,
    token,
    train,
    version,
)
from rca.cli.terminal import show_error
from rca.errors import RCAError

BAD_INPUT = 2
_ORDER = (
    "demo",
    "analyze",
    "doctor",
    "profile",
    "rules",
    "simulate",
    "evaluate",
    "learn",
    "train",
    "models",
    "detect",
    "serve",
    "incident",
    "delivery",
    "token",
    "graph",
    "history",
    "version",
)
OUR_FAULT = 70  # EX_SOFTWARE of BSD's sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class _Commands(TyperGroup):
    """Turns errors into messages and exit codes; ``--debug`` shows where they arose."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(_ORDER)

    def invoke(self, ctx: Any) -> Any:
        return _guarded(lambda: super(_Commands, self).invoke(ctx), debug=lambda: bool(ctx.params.get("debug")))


def _guarded(run: Callable[[], Any], *, debug: Callable[[], bool]) -> Any:
    cause: BaseException
    where: str | None
    remedy: str | None
    try:
        return run()
    except BrokenPipeError:
        # The reader of a pipe had enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except RCAError as error:
        problem, where, remedy = error.problem, error.where, error.remedy
        code, cause = BAD_INPUT, error
    except OSError as error:
        problem, where, remedy = error.strerror or str(error), error.filename, "Check the path and its permissions"
        code, cause = BAD_INPUT, error
    except KeyboardInterrupt:
        show_error("Interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except MemoryError as error:
        problem, where, remedy = "there is not enough memory", None, "Give a shorter window or fewer series"
        code, cause = BAD_INPUT, error
    except Exception as error:
        if _belongs_to_typer(error):
            raise
        problem, where = f"{type(error).__name__}: {error}", "a mistake in rca itself, not in your data"
        remedy, code, cause = "Run `rca --debug ...` again and report what it shows", OUR_FAULT, error
    if debug():
        traceback.print_exception(cause)
    show_error(problem, where=where, remedy=remedy)
    raise typer.Exit(code)


def _belongs_to_typer(error: Exception) -> bool:
    """Usage errors, aborts and exits, which typer shows and counts itself."""
    return hasattr(error, "exit_code") or isinstance(error, typer.Abort)


app = typer.Typer(
    name="rca",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error as well.")] = False,
) -> None:
    """Finds the root cause of an incident in its metrics, logs, traces, changes and alerts.

    Start with `rca demo`. Exit codes: 0 done, 1 the doctor found something that prevents an
    analysis, 2 bad input.
    """


app.command("demo")(demo.demo)
app.command("analyze")(analyze.analyze)
app.add_typer(profile.app, name="profile")
app.command("evaluate")(evaluate.evaluate)
app.add_typer(learn.app, name="learn")
app.command("train")(train.train)
app.add_typer(models.app, name="models")
app.add_typer(detect.app, name="detect")
app.command("simulate")(simulate.simulate)
app.add_typer(rules.app, name="rules")
app.command("doctor")(doctor.doctor)
app.command("serve")(serve.serve)
app.add_typer(incident.app, name="incident")
app.add_typer(delivery.app, name="delivery")
app.add_typer(token.app, name="token")
app.add_typer(graph.app, name="graph")
app.add_typer(history.app, name="history")
app.command("version")(version.version)


def main() -> None:
    """What the ``rca`` command runs."""
    app()
