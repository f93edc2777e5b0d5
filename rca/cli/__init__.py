"""The command line: ``rca demo | analyze | profile | evaluate | simulate | rules | doctor | version``."""

from __future__ import annotations

from rca.cli.app import app, main

__all__ = ["app", "main"]
