"""Every format that others push: how to decode it, and how its sender is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rca.sources import (
    alertmanager,
    argocd,
    cloudevents,
    generic_json,
    github,
    grafana,
    kubernetes,
    loki,
    otlp,
    pagerduty,
    remote_write,
)
from rca.sources.bodies import DEFAULT_LIMITS, Limits
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.received import Received


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSource:
    """One format.

    Attributes:
        path: where its senders post to by themselves, or where we offer it.
        decode: body, headers, secrets, naming, limits -> Received; raises SourceError.
        accepted: the status of success.
        overloaded: the status after which this sender comes again.
        signed: "required", "optional" or "never": whether the body carries a signature of a shared secret.
    """

    name: str
    path: str
    decode: Callable[[bytes, Mapping[str, str], Sequence[bytes], Naming, Limits], Received]
    accepted: int
    overloaded: int
    signed: str = "never"

    def read(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        secrets: Sequence[bytes] = (),
        naming: Naming = DEFAULT_NAMING,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Received:
        """What a request holds.

        Raises:
            SourceError: its ``status`` is the answer's.
        """
        return self.decode(body, headers, secrets, naming, limits)


def _otlp(signal: otlp.Signal) -> PushSource:
    return PushSource(
        name=f"otlp_{signal}",
        path=f"/v1/{signal}",
        decode=lambda b, h, s, n, x: otlp.decode_otlp(signal, b, headers=h, naming=n, limits=x),
        accepted=otlp.ACCEPTED,
        overloaded=otlp.OVERLOADED,
    )


_ALL = (
    _otlp("traces"),
    _otlp("metrics"),
    _otlp("logs"),
    PushSource(
        name="remote_write",
        path="/api/v1/write",
        decode=lambda b, h, s, n, x: remote_write.decode_remote_write(b, headers=h, naming=n, limits=x),
        accepted=remote_write.ACCEPTED,
        overloaded=remote_write.OVERLOADED,
    ),
    PushSource(
        name="loki",
        path="/loki/api/v1/push",
        decode=lambda b, h, s, n, x: loki.decode_loki(b, headers=h, naming=n, limits=x),
        accepted=loki.ACCEPTED,
        overloaded=loki.OVERLOADED,
    ),
    PushSource(
        name="alertmanager",
        path="/api/v1/ingest/alertmanager",
        decode=lambda b, h, s, n, x: alertmanager.decode_alertmanager(b, headers=h, naming=n, limits=x),
        accepted=alertmanager.ACCEPTED,
        overloaded=alertmanager.OVERLOADED,
    ),
    PushSource(
        name="grafana",
        path="/api/v1/ingest/grafana",
        decode=lambda b, h, s, n, x: grafana.decode_grafana(b, headers=h, secrets=s, naming=n, limits=x),
        accepted=grafana.ACCEPTED,
        overloaded=grafana.OVERLOADED,
        signed="optional",
    ),
    PushSource(
        name="pagerduty",
        path="/api/v1/ingest/pagerduty",
        decode=lambda b, h, s, n, x: pagerduty.decode_pagerduty(b, headers=h, secrets=s, limits=x),
        accepted=pagerduty.ACCEPTED,
        overloaded=pagerduty.OVERLOADED,
        signed="required",
    ),
    PushSource(
        name="github",
        path="/api/v1/ingest/github",
        decode=lambda b, h, s, n, x: github.decode_github(b, headers=h, secrets=s, limits=x),
        accepted=github.ACCEPTED,
        overloaded=github.OVERLOADED,
        signed="required",
    ),
    PushSource(
        name="argocd",
        path="/api/v1/ingest/argocd",
        decode=lambda b, h, s, n, x: argocd.decode_argocd(b, headers=h, limits=x),
        accepted=argocd.ACCEPTED,
        overloaded=argocd.OVERLOADED,
    ),
    PushSource(
        name="cloudevents",
        path="/api/v1/ingest/cloudevents",
        decode=lambda b, h, s, n, x: cloudevents.decode_cloudevents(b, headers=h, naming=n, limits=x),
        accepted=cloudevents.ACCEPTED,
        overloaded=cloudevents.OVERLOADED,
    ),
    PushSource(
        name="kubernetes",
        path="/api/v1/ingest/kubernetes",
        decode=lambda b, h, s, n, x: kubernetes.decode_kubernetes(b, headers=h, naming=n, limits=x),
        accepted=kubernetes.ACCEPTED,
        overloaded=kubernetes.OVERLOADED,
    ),
    PushSource(
        name="changes",
        path="/api/v1/changes",
        decode=lambda b, h, s, n, x: generic_json.decode_generic(b, headers=h, limits=x),
        accepted=generic_json.ACCEPTED,
        overloaded=generic_json.OVERLOADED,
    ),
)
PUSH_SOURCES: Mapping[str, PushSource] = {source.name: source for source in _ALL}
