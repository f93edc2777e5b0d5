"""What the senders of each format send, as far as a JSON schema can say it: for the OpenAPI description."""

from __future__ import annotations

from typing import Any

# Only what the decoders insist on: senders add fields with every release, and those are ignored.
_ALERT = {
    "type": "object",
    "properties": {"labels": {"type": "object", "minProperties": 1}},
}
_WEBHOOK = {
    "type": "object",
    "properties": {"alerts": {"type": "array", "items": _ALERT}},
    "required": ["alerts"],
}
_CHANGE = {
    "type": "object",
    "description": "Also component, name, time, id, attributes: the columns of changes in docs/telemetry.md.",
    "properties": {
        "kind": {"enum": ["deployment", "config", "flag", "scaling", "schema", "secret", "rollback"]},
    },
    "required": ["kind"],
}
_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "specversion": {"const": "1.0"},
        "type": {"type": "string", "minLength": 1},
    },
    "required": ["id", "source", "specversion", "type"],
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "alertmanager": _WEBHOOK,
    "grafana": _WEBHOOK,
    "argocd": {"type": "object", "properties": {"app": {"type": "string", "minLength": 1}}, "required": ["app"]},
    "changes": {"anyOf": [_CHANGE, {"type": "array", "items": _CHANGE}]},
    "cloudevents": _EVENT,
    "cloudevents_batch": {"type": "array", "items": _EVENT},
    "kubernetes": {
        "type": "object",
        "properties": {
            "involvedObject": {"type": "object"},
            "reason": {"type": "string", "minLength": 1},
        },
        "required": ["involvedObject", "reason"],
    },
    "loki": {
        "type": "object",
        "properties": {"streams": {"type": "array", "items": {"type": "object"}}},
        "required": ["streams"],
    },
}
