"""The OpenAPI description is true: whatever it allows or forbids is answered as it says, and never with 5xx."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from rca.service.examples import REFERENCE, WINDOW

# What a schema cannot say (a window ends after its start) is refused although the schema allows it.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "413", "415", "422", "503"]
"""
ADMIN = "a-token-for-tests-0123456789-0123456789"  # as in conftest.py


def test_each_route_is_described_with_its_problems_and_needs_a_token(server: Any) -> None:
    schema = server.app.openapi()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            public = path in ("/healthz", "/readyz")
            assert operation["security"] == ([] if public else [{"token": []}]), path
            assert operation["summary"], path
            if not public:
                assert {"401", "403", "500", "503"} <= set(operation["responses"]), (method, path)
    content = schema["paths"]["/api/v1/incidents"]["post"]["requestBody"]["content"]
    examples = {name: example["value"] for name, example in content["application/json"]["examples"].items()}
    assert examples == {"window": WINDOW, "reference": REFERENCE}


def test_the_example_is_answered_with_the_cause(http: httpx.Client) -> None:
    report = http.post("/api/v1/incidents?wait=60", json=WINDOW).json()
    assert report["verdict"] == "cause"
    assert report["root_causes"][0]["component"] == "cart-db"


def test_a_method_that_a_path_does_not_know_is_answered_with_those_it_knows(http: httpx.Client) -> None:
    answer = http.put("/api/v1/incidents")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert http.get("/no/such/route").status_code == 404


def test_nothing_that_can_be_made_of_the_description_breaks_the_service(server: Any, tmp_path: Path) -> None:
    """schemathesis with all of its checks, over every operation (more cases: RCA_SCHEMA_EXAMPLES)."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    options = ["--checks", "all", "--max-examples", os.environ.get("RCA_SCHEMA_EXAMPLES", "2"), "--seed", "1"]
    # No serializer is known for bodies that are protobuf only; tests of that format send real ones.
    options += ["--exclude-path", "/api/v1/write", "--request-timeout", "60"]
    thorough = "RCA_SCHEMA_EXAMPLES" in os.environ
    options += ["--phases", "examples,coverage,fuzzing,stateful" if thorough else "examples,fuzzing"]
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{server.url}/openapi.json",
            "-H",
            f"Authorization: Bearer {ADMIN}",
            *options,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
