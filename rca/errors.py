"""The tree of errors.

RCAError
├── InputError          data that a user or a program handed in is malformed
│   ├── TelemetryError  metrics, logs, spans, changes or alerts
│   ├── CaseError       a case folder or an incident description
│   ├── TopologyError   a topology file or table
│   └── RuleError       a rule, kind or mask file
├── ProfileError        a health profile is unreadable, of another version or does not fit
├── DetectorError       a detector was used before it was fitted, or cannot score what it got
├── ModelError          a stored model is missing, damaged or does not fit
├── TrainingError       a training cannot begin or go on
├── WorkerError         tasks lose their workers again and again, or there is nothing to run them on
├── SettingsError       a setting is unknown or out of its range
├── SourceError         another system sent what cannot be read, or does not answer (see rca/sources/errors.py)
├── EvaluationError     a data set or method is unknown or cannot be evaluated
├── StoreError          the store cannot be opened, read or written
│   ├── NotFoundError   it holds nothing of that name
│   └── ConflictError   what is asked contradicts what it holds
└── OverloadedError     more work came in than is taken on: come again later
"""

from __future__ import annotations

from pathlib import Path


class RCAError(Exception):
    """What was wrong, where it was, and what to do about it.

    Args:
        problem: what was wrong, in one clause.
        where: the file, field, row or component it was found in.
        remedy: what the reader can do.
    """

    def __init__(self, problem: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.problem = problem
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(self._text())

    def _text(self) -> str:
        text = self.problem if self.where is None else f"{self.where}: {self.problem}"
        return text if self.remedy is None else f"{text}. {self.remedy}"


class InputError(RCAError):
    """Data that was handed in is malformed."""


class TelemetryError(InputError):
    """Metrics, logs, spans, changes or alerts are malformed."""


class CaseError(InputError):
    """A case folder or an incident description is malformed."""


class TopologyError(InputError):
    """A topology file or table is malformed."""


class RuleError(InputError):
    """A rule, kind or mask file is malformed."""


class ProfileError(RCAError):
    """A health profile is unreadable, of another version, or does not fit the incident."""


class DetectorError(RCAError):
    """A detector was used before it was fitted, or cannot score what it was given."""


class ModelError(RCAError):
    """A stored model is missing, damaged, or does not fit what is asked of it."""


class TrainingError(RCAError):
    """A training cannot begin or go on: its history, its checkpoints or its workers."""


class WorkerError(RCAError):
    """Tasks lose their workers again and again, or there is nothing to run them on."""


class SettingsError(RCAError):
    """A setting is unknown or out of its range."""


class SourceError(RCAError):
    """Another system sent what cannot be read, or does not answer what it is asked.

    ``status`` is the HTTP status that tells the sender so.
    """

    status = 400


class EvaluationError(RCAError):
    """A data set or a method is unknown, or cannot be evaluated."""


class StoreError(RCAError):
    """The store cannot be opened, read or written."""


class RejectedError(StoreError):
    """The store works, and refuses what it was given because of what that holds: it would do so again."""


class NotFoundError(StoreError):
    """The store holds nothing of that name."""


class ConflictError(StoreError):
    """What is asked contradicts what the store holds."""


class OverloadedError(RCAError):
    """More work came in than is taken on; the sender may come again later."""
