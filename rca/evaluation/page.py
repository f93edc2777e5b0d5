"""The results as one self-contained HTML page: tables, intervals and plots, nothing loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rca.evaluation.measures import DEPTH, stack
from rca.evaluation.results import OURS, Evaluation
from rca.report.figures import new_figure, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("AC@1", "AC@3", "AC@5", "Avg@5", "MRR")
# Colour-blind safe (Okabe and Ito, 2008); the first is ours.
COLOURS = ("#0072B2", "#999999", "#CC79A7", "#E69F00", "#D55E00", "#009E73", "#56B4E9", "#000000")

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation of {{ dataset }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
td.low, small { color: #666; }
tr.ours { font-weight: 600; }
svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>{{ dataset }}</h1>
<p>{{ n }} incidents, onset {{ onset }}. Ties count as the worst rank, failures as misses.
In brackets: 95&nbsp;% bootstrap intervals over incidents.{% if without_fault %}
Beside them {{ without_fault }} without a fault, answered with a cause by {{ main }}: {{ false_causes }}.{% endif %}</p>
<table>
<tr><th>method</th>{% for name in columns %}<th>{{ name }}</th>{% endfor %}<th>s/incident</th><th>failed</th></tr>
{% for method, row in methods.items() %}
<tr{% if method == ours %} class="ours"{% endif %}><td>{{ method }}</td>
{% for name in columns %}<td>{{ "%.3f"|format(row[name]) }}<br>
<small>[{{ "%.2f"|format(row.intervals[name][0]) }}, {{ "%.2f"|format(row.intervals[name][1]) }}]</small></td>
{% endfor %}<td>{{ "%.3f"|format(row.seconds_per_incident) }}</td><td>{{ row.failed }}</td></tr>
{% endfor %}
</table>
{{ plot_depth|safe }}
{% for title, groups in tables %}
<h2>AC@1 by {{ title }}</h2>
<table>
<tr><th>{{ title }}</th><th>n</th>{% for method in methods %}<th>{{ method }}</th>{% endfor %}</tr>
{% for name, group in groups.items() %}
<tr><td>{{ name }}</td><td>{{ group.n }}</td>
{% for method in methods %}<td>{{ "%.3f"|format(group[method]["AC@1"]) }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% endfor %}
{{ plot_faults|safe }}
{% if misses %}
<h2>Not first ({{ main }})</h2>
<table>
<tr><th>incident</th><th>fault</th><th>true cause</th><th>ranked</th></tr>
{% for miss in misses %}
<tr><td>{{ miss.id }}</td><td>{{ miss.fault }}</td><td>{{ miss.answer }}</td><td>{{ miss.ranked }}</td></tr>
{% endfor %}
</table>
{% endif %}
</body>
</html>
"""


def render_page(evaluation: Evaluation) -> str:
    """The page as HTML text; the same evaluation gives the same text."""
    from jinja2 import Environment, StrictUndefined

    figures = evaluation.to_dict()
    tables = [("fault", figures["by_fault"])]
    if "by_system" in figures:
        tables.append(("system", figures["by_system"]))
    main = OURS if OURS in evaluation.methods else evaluation.methods[0]
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_TEMPLATE)
    return template.render(
        dataset=evaluation.dataset,
        n=figures["n"],
        onset=evaluation.onset,
        columns=COLUMNS,
        methods=figures["methods"],
        ours=OURS,
        main=main,
        without_fault=len(evaluation.healthy),
        false_causes=evaluation.false_causes(main),
        tables=tables,
        misses=_misses(evaluation, main),
        plot_depth=to_svg(_draw_depth(evaluation)),
        plot_faults=to_svg(_draw_faults(evaluation, main)),
    )


def write_page(evaluation: Evaluation, path: Path | str) -> None:
    """Writes the page to a file."""
    Path(path).write_text(render_page(evaluation), encoding="utf-8")


def _misses(evaluation: Evaluation, method: str) -> list[dict[str, str]]:
    return [
        {
            "id": case.id,
            "fault": case.fault,
            "answer": ", ".join(case.answer.components),
            "ranked": case.methods[method].failure or ", ".join(case.methods[method].ranking[:DEPTH]),
        }
        for case in evaluation.cases
        if case.methods[method].card[0] < 1.0
    ]


def _draw_depth(evaluation: Evaluation) -> Figure:
    """AC@k over k, one line per method."""
    figure, axes = new_figure(7.5, 3.6)
    depths = np.arange(1, DEPTH + 1)
    for place, method in enumerate(evaluation.methods):
        cards = stack([case.methods[method].card for case in evaluation.cases])
        colour = COLOURS[place % len(COLOURS)]
        width = 2.5 if method == OURS else 1.2
        axes.plot(depths, cards[:, :DEPTH].mean(axis=0), marker="o", label=method, color=colour, linewidth=width)
    axes.set(xlabel="k", ylabel="AC@k", xticks=depths, ylim=(-0.02, 1.02))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _draw_faults(evaluation: Evaluation, method: str) -> Figure:
    """AC@1 and AC@3 of one method by fault."""
    groups = evaluation.by("fault")
    figure, axes = new_figure(7.5, 1.0 + 0.4 * len(groups))
    places = np.arange(len(groups))[::-1]
    figures = [evaluation.measures(method, cases) for cases in groups.values()]
    for shift, name, colour in ((0.2, "AC@1", COLOURS[0]), (-0.2, "AC@3", COLOURS[6])):
        axes.barh(places + shift, [row[name] for row in figures], height=0.38, label=name, color=colour)
    axes.set(xlim=(0, 1), xlabel=f"{method}, share of incidents")
    axes.set_yticks(places, [f"{name.replace('$', chr(92) + '$')} ({len(cases)})" for name, cases in groups.items()])
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
