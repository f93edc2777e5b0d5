"""Who is told of incidents and who is asked about them, as the service's configuration lists them.

``targets`` are told, ``sources`` are asked; both are lists of mappings in the YAML file. A secret is
never written there: ``secret_env`` names a variable of the environment, ``secret_file`` a file. The same
goes for a URL that is a secret itself (``url_env``, ``url_file``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from rca.errors import SettingsError
from rca.notify.forms import FORMS
from rca.notify.summary import FAILED
from rca.yaml_files import Mapped, Node

if TYPE_CHECKING:
    import httpx

    from rca.notify.networks import Network

_VERDICTS = ("cause", "inconclusive", "healthy")
METRICS, LOGS, CALLS = ("prometheus", "victoriametrics"), ("opensearch", "elasticsearch", "loki"), ("jaeger", "zipkin")
KINDS = (*METRICS, *LOGS, *CALLS)
_REMEDY = "See docs/alerting.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What targets and sources have in common."""

    name: str
    """What logs, deliveries and warnings call it; letters, digits, `-` and `_`."""

    url: str = field(default="", repr=False)
    """Where it is. A target whose form has an address of its own may leave it out. Also `url_env`, `url_file`."""

    secret: str = field(default="", repr=False)
    """A token, key or signing secret; given as `secret_env` or `secret_file` only."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers of every request, such as `X-Scope-OrgID`."""

    networks: tuple[str, ...] = ()
    """Networks that it may be in though they are not public, besides `allowed_networks` of the whole service."""

    allow_http: bool = False
    """Whether plain HTTP is allowed; without it, only https."""

    authority: str = ""
    """A PEM file of authorities to trust instead of the usual ones."""

    seconds: float = 10.0
    """How long one exchange may take."""

    def client(self, allowed: Sequence[Network] = (), *, seconds: float | None = None) -> httpx.Client:
        """A guarded client for it; ``allowed`` are the networks of the whole service, ``seconds`` shorten an exchange.

        Raises:
            SettingsError: a network or the file of authorities is none.
        """
        import ssl

        from rca.notify.guard import guarded_client
        from rca.notify.networks import read_networks

        own = read_networks(self.networks, where=f"{self.name}, networks")
        context = None
        if self.authority:
            try:
                context = ssl.create_default_context(cafile=self.authority)
            except (OSError, ssl.SSLError) as bad:
                raise SettingsError("is no PEM file", where=self.authority, remedy=_REMEDY) from bad
        return guarded_client(
            allowed=(*allowed, *own), allow_http=self.allow_http, seconds=seconds or self.seconds, verify=context
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Endpoint):
    """Somebody who is told."""

    form: str
    """pagerduty-note, -event or -change, slack, grafana, opsgenie, webhook, cdevents or elastic."""

    sender: str = ""
    """The e-mail address of a PagerDuty user (pagerduty-note), or the name that Opsgenie shows."""

    incidents: str = "alerts"
    """`alerts`: incidents that alerts opened; `all`: also windows that somebody posted."""

    verdicts: tuple[str, ...] = ()
    """Which reports are told: cause, inconclusive, healthy; empty: what the form is meant for."""

    components: tuple[str, ...] = ()
    """Which causes or alerting components it wants to hear of, `*` and `?` as in file names; empty: all."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that an alert of the incident must carry, with patterns as values: `team: shop-*`."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.form not in FORMS:
            raise SettingsError(
                f"form is {self.form[:60]!r}", where=self.name, remedy=f"Give one of {', '.join(FORMS)}"
            )
        if self.incidents not in ("alerts", "all"):
            raise SettingsError(f"incidents is {self.incidents[:60]!r}", where=self.name, remedy="Give alerts or all")
        if unknown := [verdict for verdict in self.verdicts if verdict not in _VERDICTS]:
            remedy = f"Give some of {', '.join(_VERDICTS)}"
            raise SettingsError(f"verdicts holds {unknown[0][:60]!r}", where=self.name, remedy=remedy)
        form = FORMS[self.form]
        _check_url(self, required=not form.url)
        if form.keyed and not self.secret:
            raise SettingsError("has no secret", where=self.name, remedy="Give secret_env or secret_file")
        if self.form == "pagerduty-note" and "@" not in self.sender:
            raise SettingsError("has no sender", where=self.name, remedy="Give the e-mail address of a PagerDuty user")

    def wants(
        self, verdict: str, components: Sequence[str], labels: Sequence[Mapping[str, str]], *, from_alerts: bool
    ) -> bool:
        """Whether it is told of a report.

        Args:
            verdict: of the report; "failed", where there is none, is told to whom "inconclusive" is.
            components: the cause, and whoever alerted.
            labels: of each alert.
            from_alerts: whether alerts opened the incident.
        """
        told = "inconclusive" if verdict == FAILED else verdict
        if told not in (self.verdicts or FORMS[self.form].verdicts):
            return False
        if self.incidents == "alerts" and not from_alerts:
            return False
        if self.components and not any(fnmatchcase(name, each) for name in components for each in self.components):
            return False
        return not self.labels or any(
            all(fnmatchcase(each.get(name, ""), pattern) for name, pattern in self.labels.items()) for each in labels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Endpoint):
    """Somebody who is asked for telemetry when an incident opens."""

    kind: str
    """prometheus, victoriametrics, opensearch, elasticsearch, loki, jaeger or zipkin."""

    queries: Mapping[str, str] = field(default_factory=dict)
    """PromQL or LogQL, as a list, or each by the name that its series get where they have none."""

    index: str = "logs-*"
    """OpenSearch and Elasticsearch: names or patterns of indices, parted by commas."""

    query: str = ""
    """OpenSearch and Elasticsearch: further conditions in Lucene's syntax."""

    time_field: str = "@timestamp"
    """OpenSearch and Elasticsearch: the field that holds the time."""

    most: int = 100_000
    """Log lines that are read at most, in window and baseline together."""

    step: float = 15.0
    """Seconds between the samples that are asked for: the scrape interval."""

    user: str = ""
    """Basic authentication with the secret as password; empty: the secret is a bearer token."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.kind not in KINDS:
            raise SettingsError(
                f"kind is {self.kind[:60]!r}", where=self.name, remedy=f"Give one of {', '.join(KINDS)}"
            )
        _check_url(self, required=True)
        if self.kind in (*METRICS, "loki") and not self.queries:
            raise SettingsError("has no queries", where=self.name, remedy="Say what shall be asked")
        if self.step <= 0 or self.most <= 0 or self.seconds <= 0:
            raise SettingsError("step, most or seconds is not above 0", where=self.name, remedy=_REMEDY)

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of every request, with the secret among them."""
        import base64

        if not self.secret:
            return dict(self.headers)
        basic = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
        return {**self.headers, "Authorization": f"Basic {basic}" if self.user else f"Bearer {self.secret}"}


E = TypeVar("E", Target, Source)


def read_endpoints(
    kind: type[E], node: Node, *, where: str, environment: Mapping[str, str] | None = None
) -> tuple[E, ...]:
    """The targets or sources of a list in YAML.

    Raises:
        SettingsError: no list of mappings, an unknown field, a missing or repeated name, a secret that is not there.
    """
    if not isinstance(node, list) or not all(isinstance(entry, Mapped) for entry in node):
        raise SettingsError("is no list of mappings", where=where, remedy=_REMEDY)
    known = os.environ if environment is None else environment
    found = [_read(kind, entry, where, known) for entry in node if isinstance(entry, Mapped)]
    names = [each.name for each in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"the name {repeated[0]!r} stands twice", where=where, remedy="Give each its own")
    return tuple(found)


def _read(kind: type[E], entry: Mapped, where: str, environment: Mapping[str, str]) -> E:
    types = {each.name: str(each.type) for each in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in entry.items():
        place = f"{where}, line {entry.lines[key]}"
        stem, _, way = key.rpartition("_")
        if key in types and key != "secret":
            values[key] = _typed(types[key], value, f"{place}, {key}")
        elif stem in ("secret", "url") and way in ("env", "file") and isinstance(value, str):
            values[stem] = _read_secret(value, way, place, environment)
        else:
            remedy = "Give secret_env or secret_file" if key == "secret" else f"Known: {', '.join(sorted(types))}"
            raise SettingsError(f"unknown field {key[:80]!r}", where=place, remedy=remedy)
    required = ("name", "form" if kind is Target else "kind")
    if missing := [name for name in required if name not in values]:
        raise SettingsError(f"{missing[0]} is missing", where=f"{where}, line {entry.line}", remedy=_REMEDY)
    try:
        return kind(**values)
    except SettingsError as bad:
        raise SettingsError(bad.problem, where=f"{where}, {bad.where or values['name']}", remedy=bad.remedy) from bad


def _typed(kind: str, value: Node, where: str) -> Any:
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind in ("int", "float") and isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if kind == "int" else float(value)
    if kind == "str" and isinstance(value, str):
        return value
    texts = [value] if isinstance(value, str) else value
    if kind.startswith("tuple") and isinstance(texts, list) and all(isinstance(each, str) for each in texts):
        return tuple(str(each) for each in texts)
    if kind.startswith("Mapping"):
        if isinstance(texts, list) and all(isinstance(each, str) for each in texts):
            return {str(each): str(each) for each in texts}
        if isinstance(value, Mapped) and all(isinstance(each, str) for each in value.values()):
            return {name: str(each) for name, each in value.items()}
    raise SettingsError("has a value of another type", where=where, remedy=_REMEDY)


def _read_secret(name: str, way: str, where: str, environment: Mapping[str, str]) -> str:
    if way == "env":
        if not environment.get(name, "").strip():
            raise SettingsError(f"{name[:80]} is not in the environment", where=where, remedy="Set it")
        return environment[name].strip()
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as bad:
        raise SettingsError(f"the secret in {name} cannot be read", where=where, remedy="Check the file") from bad


def _check_name(name: str) -> None:
    if not name or not all(c.isalnum() or c in "-_" for c in name) or len(name) > 60:
        raise SettingsError(f"{name[:60]!r} is no name", remedy="Use letters, digits, - and _")


def _check_url(endpoint: Endpoint, *, required: bool) -> None:
    if not endpoint.url and not required:
        return
    try:
        parts = urlsplit(endpoint.url)
        sound = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.username is not None:  # the URL itself may be the secret: it is not shown
        raise SettingsError("has no sound URL", where=endpoint.name, remedy="Write https://host/path, without a user")
    if parts.scheme == "http" and not endpoint.allow_http:
        raise SettingsError("has a URL of plain HTTP", where=endpoint.name, remedy="Use https, or set allow_http: true")
