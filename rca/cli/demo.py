"""``rca demo``: one bundled incident, explained, and compared with what was really broken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rca.cli.terminal import check_writable, output, printable


def demo(
    name: Annotated[str, typer.Option("--case", help="Which of the bundled incidents to explain.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the bundled incidents and stop.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the incident page to this file.")] = None,
) -> None:
    """Explain a bundled incident.

    Then show what had really been broken, which the engine cannot see."""
    from rca.resources import bundled

    check_writable(html)
    console = output()
    folder = bundled("datasets", "demo-shop")
    names = sorted(path.parent.name for path in folder.glob("*/case.json"))
    if listed:
        for each in names:
            console.print(each)
        return
    path = bundled("datasets", f"demo-shop/{name or names[0]}")

    from rca.cases.folder import read_answer, read_case
    from rca.pipeline import analyze
    from rca.report.text import print_report

    case = read_case(path)
    report = analyze(case)
    print_report(report, case, console)
    if html is not None:
        from rca.report.page import write_page

        write_page(report, case, html)
        console.print(f"Incident page: {html}")
    if (path / "answer.json").is_file():
        answer = read_answer(path)
        fault = "no fault" if not answer.components else answer.kind.replace("_", " ")
        truth = " or ".join(answer.components) or "nothing at all"
        named = report.root_causes[0].component if report.verdict == "cause" else ""
        if not answer.components:
            said = "named no cause." if not named else "named a cause."
        else:
            first = report.root_causes[0].component if report.root_causes else ""
            said = "named it first." if first in answer.components else "did not name it first."
        console.rule(style="dim")
        console.print(printable(f"What was really broken: {truth} ({fault})."))
        console.print("The engine, which cannot see that, " + said)
    console.print("Next: `rca demo --html demo.html` draws it, `rca analyze FOLDER` explains a case of your own.")
