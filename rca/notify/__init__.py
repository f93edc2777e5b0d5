"""What the engine tells others of an incident: one summary, put into each receiver's own form."""

from __future__ import annotations

from rca.notify.forms import FORMS, Form, render
from rca.notify.message import Occasion, Outgoing
from rca.notify.summary import Summary, summarize

__all__ = ["FORMS", "Form", "Occasion", "Outgoing", "Summary", "render", "summarize"]
