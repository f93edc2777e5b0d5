"""Where a configuration comes from: a YAML file, over it the environment, over that the command line.

Every field of ``Configuration`` may stand in the file under its name, and in the environment as
``RCA_`` and its name in capitals. Lists are written with commas there. A secret may also be given as
the path of a file that holds it: ``RCA_ADMIN_TOKEN_FILE``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rca.errors import InputError, SettingsError
from rca.notify.endpoints import Source, Target, read_endpoints
from rca.service.configuration import Configuration
from rca.yaml_files import Mapped, read_yaml

PREFIX = "RCA_"
SECRETS = ("admin_token", "github_secrets", "pagerduty_secrets", "grafana_secrets", "kafka_options")
# What other parts of rca read from the environment.
_FOREIGN = ("RCA_TOKEN", "RCA_URL")
_LISTS = ("targets", "sources")


def load_configuration(
    path: str | Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Configuration:
    """The configuration of a file, the environment (default: the process's) and given values, the last first.

    Raises:
        SettingsError: an unknown field, a value of another type or out of its range.
    """
    known = os.environ if environment is None else environment
    values = {} if path is None else _from_file(Path(path), known)
    values |= _from_environment(known)
    values |= {name: value for name, value in (given or {}).items() if value is not None}
    return Configuration(**values)


def _from_file(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        node = read_yaml(path)
    except InputError as bad:
        raise SettingsError(bad.problem, where=bad.where, remedy=bad.remedy) from bad
    if node is None:
        return {}
    if not isinstance(node, Mapped):
        raise SettingsError("is no mapping", where=path, remedy="Write `name: value` on each line")
    values: dict[str, Any] = {}
    for name, value in node.items():
        where = f"{path}, line {node.lines[name]}"
        target = name.removesuffix("_file") if name not in _TYPES and name.endswith("_file") else name
        if target not in _TYPES or (target != name and target not in SECRETS):
            raise SettingsError(
                f"unknown field {name[:80]!r}", where=where, remedy=f"Known fields: {', '.join(sorted(_TYPES))}"
            )
        if name in _LISTS:
            place = f"{path}, {name}"
            values[name] = (
                read_endpoints(Target, value, where=place, environment=environment)
                if name == "targets"
                else read_endpoints(Source, value, where=place, environment=environment)
            )
            continue
        values[target] = _read_secret(str(value), where) if target != name else value
        values[target] = _typed(target, values[target], where)
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in _FOREIGN:
            continue
        name = variable.removeprefix(PREFIX).lower()
        text = environment[variable]
        if name.removesuffix("_file") in SECRETS and name not in _TYPES:
            name, text = name.removesuffix("_file"), _read_secret(text, variable)
        if name in _LISTS:
            raise SettingsError("cannot be given by the environment", where=variable, remedy="Write it into the file")
        if name in _TYPES:
            values[name] = _typed(name, text, variable)
    return values


_TYPES: dict[str, str] = {field.name: str(field.type) for field in fields(Configuration)}


def _typed(name: str, value: Any, where: str) -> Any:
    """A value as the field's type; texts of the environment are read as what they say."""
    kind = _TYPES[name]
    try:
        if kind == "bool":
            return _as_bool(value)
        if kind == "int" and not isinstance(value, (bool, float)):
            return int(value)
        if kind == "float" and not isinstance(value, bool):
            return _finite(float(value))
        if kind == "str" and isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        if kind.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else value
            if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
                return tuple(part.strip() for part in parts if part.strip())
    except (TypeError, ValueError, KeyError):
        pass  # said below
    shown = "its value" if name in SECRETS else repr(value)[:60]
    raise SettingsError(f"{name}: {shown} is no {_NAMES[kind]}", where=where, remedy="See docs/service.md")


_NAMES = {"bool": "true or false", "int": "whole number", "float": "number", "str": "text"}
_NAMES["tuple[str, ...]"] = "list of texts"


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}[
        str(value).lower()
    ]


def _finite(number: float) -> float:
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(number)
    return number


def _read_secret(path: str, where: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as bad:
        raise SettingsError(f"the secret in {path} cannot be read", where=where, remedy="Check the file") from bad
