"""The real Prometheus and Alertmanager, and the engine as ``rca serve``, each on loopback in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from shop import CALLS, RunningShop, Shop, history

PROMETHEUS, ALERTMANAGER, PROMTOOL = "prometheus", "prometheus-alertmanager", "promtool"
ADMIN = "demo-token-0123456789-0123456789-0123456789"
PAGE_SECRET = "what PagerDuty signs with"  # noqa: S105 - of a server that lives for a minute
STEP = 5.0
_HISTORY = 75  # minutes: an hour of baseline and the window


def missing_programs() -> list[str]:
    """What is not installed."""
    return [name for name in (PROMETHEUS, ALERTMANAGER, PROMTOOL) if shutil.which(name) is None]


class Program:
    """A program that runs until it is stopped; what it prints goes to a file."""

    def __init__(self, folder: Path, name: str, *command: str, **environment: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the command is ours
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
            )

    def wait_for(self, url: str, seconds: float = 120.0) -> None:
        """Waits until the program answers there."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended:\n{self.log.read_text()[-3000:]}")
            try:
                urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - loopback
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise SystemExit(f"{self.name} is not ready:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """Asks it to end, and waits for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


def start_prometheus(folder: Path, shop: Shop, alertmanager: str) -> tuple[Program, str, RunningShop]:
    """Prometheus with an hour of history, scraping a shop that runs on from there."""
    port = free_port()
    data = folder / "prometheus"
    data.mkdir()
    told = folder / "history.txt"
    with told.open("w", encoding="utf-8") as file:
        file.writelines(history(shop, time.time() - STEP, minutes=_HISTORY, step=STEP))
    create = [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", str(told), str(data)]
    subprocess.run(create, check=True, capture_output=True)  # noqa: S603 - the command is ours
    running = RunningShop(shop)
    rules = folder / "rules.yml"
    rules.write_text(yaml.safe_dump(_rules()), encoding="utf-8")
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(_scrape(running.port, alertmanager, str(rules))), encoding="utf-8")
    program = Program(
        folder,
        "prometheus",
        PROMETHEUS,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )
    url = f"http://127.0.0.1:{port}"
    program.wait_for(f"{url}/-/ready")
    return program, url, running


def start_alertmanager(folder: Path, engine: str, receiver: str) -> tuple[Program, str]:
    """Alertmanager that pages "PagerDuty", writes to "Slack", and tells the engine."""
    port = free_port()
    config = folder / "alertmanager.yml"
    config.write_text(yaml.safe_dump(_routes(engine, receiver)), encoding="utf-8")
    program = Program(
        folder,
        "alertmanager",
        ALERTMANAGER,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    return program, f"127.0.0.1:{port}"


def start_engine(folder: Path, port: int, prometheus: str, receiver: str) -> Program:
    """The engine, configured as in production but for plain HTTP on loopback."""
    for name, content in (("pd-token", "a-token-of-pagerduty"), ("pd-webhook", PAGE_SECRET)):
        (folder / name).write_text(content, encoding="utf-8")
    config = folder / "rca.yaml"
    config.write_text(yaml.safe_dump(_engine(folder, port, prometheus, receiver)), encoding="utf-8")
    command = [sys.executable, "-c", "from rca.cli import main; main()", "serve", "--config", str(config)]
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    engine = Program(folder, "engine", *command, RCA_ADMIN_TOKEN=ADMIN, SLACK_URL=f"{receiver}/slack/T/B/X", **single)
    engine.wait_for(f"http://127.0.0.1:{port}/readyz")
    return engine


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _scrape(port: int, alertmanager: str, rules: str) -> dict[str, Any]:
    jobs = [
        {
            "job_name": service,
            "metrics_path": f"/{service}/metrics",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            "relabel_configs": [{"target_label": "instance", "replacement": f"{service}:8080"}],
        }
        for service in CALLS
    ]
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "external_labels": {"cluster": "demo"}},
        "rule_files": [rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": jobs,
    }


def _rules() -> dict[str, Any]:
    metric = "http_server_request_duration_seconds"
    mean = f"sum by (job) (rate({metric}_sum[15s])) / sum by (job) (rate({metric}_count[15s]))"
    fronts = 'on (job) up{job=~"web|checkout"}'
    rule = {
        "alert": "SlowRequests",
        "expr": f'label_replace(({mean}), "service", "$1", "job", "(.*)") > 0.15 and {fronts}',
        "for": "30s",
        "labels": {"severity": "critical", "team": "shop", "rca_kind": "latency.up"},
        "annotations": {"summary": "{{ $labels.service }} takes {{ $value | humanizeDuration }} a request"},
    }
    return {"groups": [{"name": "shop", "interval": "1s", "rules": [rule]}]}


def _routes(engine: str, receiver: str) -> dict[str, Any]:
    bearer = {"authorization": {"type": "Bearer", "credentials": ADMIN}}
    pager = {"routing_key": "0" * 32, "url": f"{receiver}/v2/enqueue", "send_resolved": True}
    return {
        "route": {
            "receiver": "responders",
            "group_by": ["alertname", "cluster"],
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "1h",
        },
        "receivers": [
            {
                "name": "responders",
                "pagerduty_configs": [pager],
                "webhook_configs": [
                    {"url": f"{engine}/api/v1/ingest/alertmanager", "send_resolved": True, "http_config": bearer}
                ],
            }
        ],
    }


def _engine(folder: Path, port: int, prometheus: str, receiver: str) -> dict[str, Any]:
    plain = {"allow_http": True, "seconds": 5.0}
    note = {"name": "pagerduty", "form": "pagerduty-note", "url": receiver, "secret_file": str(folder / "pd-token")}
    return {
        "data": str(folder / "engine"),
        "port": port,
        "analysts": 1,
        "public_url": f"http://127.0.0.1:{port}",
        "allowed_networks": ["127.0.0.0/8"],
        "pagerduty_secrets_file": str(folder / "pd-webhook"),
        "topology": str(_owners(folder)),
        "settle_seconds": 1.0,
        "follow_up_seconds": 60.0,
        "targets": [
            {**note, "sender": "oncall@shop.example", **plain},
            {"name": "chat", "form": "slack", "url_env": "SLACK_URL", **plain},
        ],
        "sources": [
            {
                "name": "prometheus",
                "kind": "prometheus",
                "url": prometheus,
                "queries": ['{__name__=~"http_.*_(sum|count)|process_.*"}'],
                "step": STEP,
                **plain,
            }
        ],
    }


def _owners(folder: Path) -> Path:
    """Who owns what, as a topology file."""
    import json

    path = folder / "topology.json"
    facts = {
        service: {"owner": f"team-{service}", "runbook": f"https://runbooks.example/{service}"} for service in CALLS
    }
    path.write_text(json.dumps({"components": sorted(CALLS), "attributes": facts, "edges": []}), encoding="utf-8")
    return path
