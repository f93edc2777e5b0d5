"""The configuration of the service: every field, what it means, and its default."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from rca.errors import SettingsError
from rca.notify.endpoints import Source, Target
from rca.notify.networks import read_networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All fields with their defaults, which serve a single machine. Sizes are MiB, times seconds where not said."""

    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 is every one."""

    port: int = 8080
    """The port to listen on; 0 lets the system choose."""

    data: str = "rca-data"
    """The folder for the database, telemetry and snapshots."""

    store: str = ""
    """Where records are kept: sqlite:PATH or postgresql://user@host/database; empty: rca.db in the data folder."""

    files: str = ""
    """Where telemetry and snapshots lie: folder or database; empty: a folder, with PostgreSQL the database."""

    tls_certificate: str = ""
    """A PEM file with the server's certificate and its chain; empty: plain HTTP."""

    tls_key: str = ""
    """The PEM file of its key."""

    tls_client_authority: str = ""
    """A PEM file of authorities; clients must show a certificate of one of them."""

    admin_token: str = ""
    """Secret. A token with all scopes, 32 characters at least; empty: the first start makes and prints one."""

    github_secrets: tuple[str, ...] = ()
    """Secret. With which GitHub signs its webhooks; two while one is being replaced."""

    pagerduty_secrets: tuple[str, ...] = ()
    """Secret. With which PagerDuty signs its webhooks."""

    grafana_secrets: tuple[str, ...] = ()
    """Secret. With which Grafana signs its webhooks, where it does."""

    grpc_port: int = 0
    """The port for OTLP over gRPC, usually 4317; 0: none."""

    kafka_servers: str = ""
    """Kafka to read from, host:port, several parted by commas; empty: none."""

    kafka_group: str = "rca"
    """The consumer group, over which replicas share the partitions."""

    kafka_topics: tuple[str, ...] = ()
    """topic=traces, metrics, logs or changes; empty: otlp_spans, otlp_metrics, otlp_logs and rca_changes."""

    kafka_options: tuple[str, ...] = ()
    """Secret. Further settings of librdkafka as name=value, such as sasl.password."""

    component_labels: tuple[str, ...] = ()
    """Labels or attributes that name the component, tried before the usual ones (service.name, app, job …)."""

    namespaces: bool = False
    """Whether the namespace is part of a component's name: where two services share one."""

    replicas: bool = False
    """Whether each replica is a component of its own."""

    topology: str = ""
    """A topology file that adds to what telemetry shows."""

    model: str = ""
    """A trained detector of `rca models`: name, name@version or path; empty: the one that a window names."""

    profile: str = ""
    """What is normal: a file of `rca profile build`; auto: built from what was ingested in healthy hours; empty: each
    incident's own baseline."""

    profile_hours: int = 24
    """How many of the latest hours that no incident touched make the profile, with auto."""

    learn_hours: float = 1.0
    """How often the service learns from what people confirmed, if anything is new; 0: only when it is told to."""

    graph: str = ""
    """Where topology over time and past incidents are kept ([knowledge.md](knowledge.md)): a SQLite file, bolt://… or
    neo4j://…, or none; empty: graph.sqlite in the data folder, with PostgreSQL none."""

    tenant: str = "default"
    """Whose rows of the graph are read and written."""

    top_k: int = 5
    """Root causes in a report."""

    baseline_minutes: int = 60
    """How much healthy time before the window is read from ingested telemetry where a request does not say."""

    analysts: int = 0
    """Processes that analyse; 0: one per processor but one."""

    decoders: int = 1
    """Processes that read large bodies."""

    worker_memory: int = 4096
    """Address space of each of these processes; what needs more fails alone."""

    max_json: int = 8
    """The largest window as JSON, inflated."""

    max_body: int = 64
    """The largest body of any other form, inflated."""

    max_header: int = 32
    """Largest request line and headers, in KiB."""

    max_in_flight: int = 256
    """Bodies held in memory at one time; beyond, requests are answered with 503."""

    max_connections: int = 2000
    """Connections at one time; beyond, they are answered with 503."""

    max_queued: int = 100
    """Analyses that may wait; beyond, requests are answered with 503."""

    header_seconds: float = 10.0
    """How long a client may take to send its headers."""

    body_seconds: float = 60.0
    """How long a client may take to send a body."""

    idle_seconds: float = 10.0
    """How long a client may pause within a body."""

    keep_alive_seconds: float = 15.0
    """How long a connection stays open between requests."""

    wait_seconds: float = 10.0
    """How long a request waits for its report before it is answered with 202."""

    analysis_seconds: float = 300.0
    """How long an analysis may take before it is stopped."""

    queue_seconds: float = 1800.0
    """How long an analysis may wait for a worker before it is given up."""

    lease_seconds: float = 30.0
    """How long a job belongs to a replica that says nothing more."""

    attempts: int = 3
    """How often a job is taken up before it counts as failed."""

    stop_seconds: float = 30.0
    """How long running requests and analyses may take after SIGTERM."""

    event_days: float = 30.0
    """How long events, changes and the topology are kept."""

    telemetry_days: float = 3.0
    """How long ingested telemetry is kept."""

    telemetry_size: int = 20480
    """Ingested telemetry beyond this is deleted, the oldest first."""

    window_size: int = 512
    """The largest window that is read from ingested telemetry, as it lies in files."""

    incident_days: float = 400.0
    """How long incidents, their snapshots, reports and feedback, and the audit log are kept."""

    resend_hours: float = 6.0
    """How long a body is known by, so that sending it again has no effect."""

    maintenance_seconds: float = 300.0
    """How often small files are merged and old ones deleted."""

    public_url: str = ""
    """Where people reach the service: what links in messages begin with; empty: messages have no link."""

    allowed_networks: tuple[str, ...] = ()
    """Networks that targets and sources may be in though they are not public, such as 10.0.0.0/8."""

    targets: tuple[Target, ...] = ()
    """Who is told of incidents: a list in the file, described in docs/alerting.md."""

    sources: tuple[Source, ...] = ()
    """Who is asked for telemetry when an alert opens an incident: a list in the file, described there too."""

    incident_sources: tuple[str, ...] = ("alertmanager", "grafana", "pagerduty")
    """Whose alerts open incidents: alertmanager, grafana, pagerduty, kubernetes, other; the rest are evidence."""

    pull_seconds: float = 15.0
    """How long all sources together may take to answer; what is late is left out, and the report says so."""

    survey_minutes: float = 10.0
    """How often sources are asked who calls whom, so that alerts of one failure find each other."""

    window_minutes: float = 10.0
    """How much time before an alert is looked at; alerts take minutes to fire."""

    settle_seconds: float = 2.0
    """How long an incident waits for further alerts before it is analysed."""

    follow_up_seconds: float = 90.0
    """After how long an incident is analysed again where its answer was inconclusive or alerts joined it."""

    most_analyses: int = 3
    """How often an incident that alerts opened is analysed at most by itself."""

    join_minutes: float = 15.0
    """How far apart alerts of one incident may begin; and how long after its end one of them opens it again."""

    join_hops: int = 2
    """How many calls away an alert may be from an incident that it joins."""

    delivery_attempts: int = 12
    """How often a message is sent before it is a dead letter: 12 are about half an hour."""

    otlp_metrics: str = ""
    """An OpenTelemetry collector that the service's own metrics are pushed to, as http://host:4318; empty: nowhere."""

    otlp_seconds: float = 60.0
    """How often they are pushed."""

    log_level: str = "info"
    """debug, info, warning or error."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
                raise SettingsError(f"{field.name} is {value}", remedy="Give a number that is not negative")
            if field.name not in _MAY_BE_ZERO and field.type in ("int", "float") and not value:
                raise SettingsError(f"{field.name} is 0", remedy="Give a number above 0")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                choices = ", ".join(choice for choice in allowed if choice)
                raise SettingsError(f"{name} is {getattr(self, name)!r}", remedy=f"Give one of {choices}")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise SettingsError("tls_certificate and tls_key belong together", remedy="Give both, or none")
        if self.port > 65535:
            raise SettingsError(f"port is {self.port}", remedy="Give a number below 65536")
        if self.public_url and not self.public_url.startswith(("https://", "http://")):
            raise SettingsError("public_url is no URL", remedy="Write https://rca.example")
        read_networks(self.allowed_networks, where="allowed_networks")
        if self.admin_token and len(self.admin_token) < _SHORTEST_TOKEN:
            raise SettingsError(
                f"admin_token has fewer than {_SHORTEST_TOKEN} characters", remedy="Make one: openssl rand -hex 32"
            )

    @property
    def store_url(self) -> str:
        """Where records are kept, spelt out."""
        return self.store or f"sqlite:{Path(self.data) / 'rca.db'}"

    @property
    def graph_address(self) -> str:
        """Where the knowledge graph is, spelt out; empty: nowhere. A file of its own would tell each replica less."""
        own = str(Path(self.data) / "graph.sqlite") if self.store_url.startswith("sqlite:") else ""
        return "" if self.graph == "none" else self.graph or own

    @property
    def files_in_database(self) -> bool:
        """Whether telemetry and snapshots lie in the database."""
        return (self.files or ("folder" if self.store_url.startswith("sqlite:") else "database")) == "database"

    @property
    def analyst_count(self) -> int:
        """Processes that analyse."""
        return self.analysts or max(1, (os.cpu_count() or 1) - 1)


_MAY_BE_ZERO = ("port", "learn_hours", "grpc_port", "analysts", "settle_seconds", "join_hops")
_SHORTEST_TOKEN = 32
_CHOICES: dict[str, tuple[str, ...]] = {
    "files": ("", "folder", "database"),
    "log_level": ("debug", "info", "warning", "error"),
}
