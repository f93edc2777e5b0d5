"""A training as one self-contained HTML page: losses, calibration, how far health reaches, drift."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rca.report.figures import new_figure, to_svg
from rca.training.drift import DRIFTED
from rca.training.result import TrainingResult
from rca.types import to_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colour-blind safe (Okabe and Ito, 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"
MOST_ROWS = 50
LIMIT = 0.5

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training of {{ reference }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
tr.drifted { font-weight: 600; }
svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>{{ reference }}</h1>
<p>{{ detector }}, seed {{ seed }}{% if parent %}, begun with version {{ parent }}{% endif %}.
{{ result.components|length }} components, {{ result.series }} series, {{ "{:,}".format(result.samples) }} samples
from {{ start }} to {{ end }}. Hash of the data: <code>{{ hash }}</code>.</p>
{% for message in result.messages %}<p><strong>{{ message }}</strong></p>
{% endfor %}
{% if excluded %}<p>Left out as not healthy: {{ excluded }}.</p>
{% endif %}
<h2>Loss</h2>
{% if result.losses %}{{ plot_losses|safe }}{% else %}<p>This detector is fitted in one step.</p>{% endif %}
<h2>Calibration</h2>
<p>Of the newest healthy samples, {{ "%.2f"|format(100 * result.above) }}&nbsp;% pass the limit of one half.
Each component's share, in order:</p>
{{ plot_above|safe }}
<h2>Threshold by component</h2>
<p>What all but a thousandth of a component's healthy samples stay below; the limit is one half.
Components far below it are judged mildly, those above it raise false alarms.</p>
{{ plot_reach|safe }}
<table>
<tr><th>highest</th><th>reach</th><th>share above the limit</th></tr>
{% for row in highest %}
<tr><td>{{ row.component }}</td><td>{{ "%.3f"|format(row.reach) }}</td><td>{{ "%.3f"|format(row.above) }}</td></tr>
{% endfor %}
</table>
<h2>Drift of the training data</h2>
{% if result.drift_from %}
<p>{{ result.drifted }} of {{ result.compared }} series differ from the history of version {{ result.drift_from }}
(population stability index above {{ drifted }}); {{ result.new_series }} are new, {{ result.lost_series }} are gone.
The shift is that of the median, in distances between the former first and last decile.</p>
<table>
<tr><th>component</th><th class="text">metric</th><th class="text">peer</th><th>index</th><th>shift</th></tr>
{% for row in result.drift[:rows] %}
<tr{% if row.index > drifted %} class="drifted"{% endif %}><td>{{ row.component }}</td>
<td class="text">{{ row.metric }}</td><td class="text">{{ row.peer }}</td>
<td>{{ "%.3f"|format(row.index) }}</td><td>{{ "%+.2f"|format(row.shift) }}</td></tr>
{% endfor %}
</table>
{% else %}<p>There was no former version to compare with, or it had no newer samples.</p>
{% endif %}
</body>
</html>
"""


def render_page(result: TrainingResult) -> str:
    """The page as HTML text; the same training gives the same text.

    Raises:
        ModelError: the stored version cannot be read.
    """
    from jinja2 import Environment, StrictUndefined

    from rca.registry.storing import read_description, read_manifest

    described = read_description(result.stored.path, read_manifest(result.stored.path))
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_TEMPLATE)
    return template.render(
        reference=result.stored.reference,
        detector=described.detector,
        seed=described.seed,
        parent=described.parent,
        hash=described.data.hash,
        excluded=", ".join(f"{start} to {end}" for start, end in described.data.excluded),
        start=to_text(result.window.start),
        end=to_text(result.window.end),
        result=result,
        rows=MOST_ROWS,
        drifted=DRIFTED,
        highest=_highest(result),
        plot_losses=to_svg(_draw_losses(result)) if result.losses else "",
        plot_above=to_svg(_draw_ordered(result.above_by_component, "share of samples above the limit", None)),
        plot_reach=to_svg(_draw_ordered(result.reach_by_component, "score", LIMIT)),
    )


def write_page(result: TrainingResult, path: Path | str) -> None:
    """Writes the page to a file."""
    Path(path).write_text(render_page(result), encoding="utf-8")


def _highest(result: TrainingResult) -> list[dict[str, Any]]:
    order = np.argsort(-result.reach_by_component, kind="stable")[:10]
    return [
        {
            "component": result.components[i],
            "reach": float(result.reach_by_component[i]),
            "above": float(result.above_by_component[i]),
        }
        for i in order.tolist()
    ]


def _draw_losses(result: TrainingResult) -> Figure:
    figure, axes = new_figure(7.5, 3.0)
    axes.plot(np.arange(len(result.losses)), result.losses, marker="o", color=BLUE)
    axes.set(xlabel="passes over the history", ylabel="mean error of held-out windows")
    axes.set_ylim(0, 1.1 * max(result.losses))
    return figure


def _draw_ordered(values: Any, label: str, limit: float | None) -> Figure:
    """The values of components in order: a curve, however many they are."""
    figure, axes = new_figure(7.5, 3.0)
    ordered = np.sort(values)
    places = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), 1000)).astype(int))
    axes.plot(places + 1, ordered[places], color=BLUE, drawstyle="steps-mid", marker="o" if len(places) < 50 else None)
    if limit is not None:
        axes.axhline(limit, color=ORANGE, linewidth=1)
        axes.annotate("limit", (1, limit), color=ORANGE, va="bottom")
    axes.set(xlabel="components, in order", ylabel=label, ylim=(0, max(1.05 * float(ordered[-1]), limit or 0, 0.01)))
    return figure
