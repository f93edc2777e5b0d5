"""``card.md``: what a person wants to know of a model before trusting it."""

from __future__ import annotations

from rca.registry.description import Description


def card(described: Description) -> str:
    """The card as Markdown."""
    data = described.data
    lines = [
        f"# {described.name} {described.version}",
        "",
        f"Detector of anomalies in metrics (`{described.detector}`), trained with rca {described.code_version}, "
        f"seed {described.seed}, on {described.created}.",
        "",
        "## What it knows",
        "",
        f"- {len(described.features.components)} components, {len(described.features.series)} series of "
        f"{len(described.features.metrics)} metrics; others are scored 0, and the robust detector answers for them.",
        f"- Data: {data.source or 'not named'}, {data.start or '?'} to {data.end or '?'}, "
        f"{data.samples:,} samples every {data.step_seconds:g} s.",
        f"- Hash of the data: `{data.hash}`.",
    ]
    lines += [f"- Left out as not healthy: {start} to {end}." for start, end in data.excluded]
    if described.parent:
        lines.append(f"- Its fit began with version {described.parent}.")
    lines += ["", "## What it answers", "", f"Scores in [0, 1]. {described.scaler}", ""]
    lines += [f"- {name}: {value:g}" for name, value in sorted(described.thresholds.items())]
    if described.metrics:
        lines += ["", "## Figures of the fit", "", "| figure | value |", "|---|---:|"]
        lines += [f"| {name} | {value:.6g} |" for name, value in sorted(described.metrics.items())]
    lines += [
        "",
        "## What it does not do",
        "",
        "It says how unlike its history a component looks, not whether that hurts anybody, and learns nothing "
        "after its training: train it again when the system has changed.",
        "",
    ]
    return "\n".join(lines)
