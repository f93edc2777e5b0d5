# `make demo` and `make test` are all that a newcomer needs: each makes its own .venv from the pinned
# constraints, wants nothing but Python >= 3.11 and make, and is quick the second time.

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The first interpreter that is new enough; `make PYTHON=... test` names another one.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

# numpy's thread pools gain nothing on arrays of this size and would compete with pytest's workers.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: help demo demo-live servers test check bench docs readme wheel format clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: $(VENV)/.installed  ## explain the bundled demo incident
	@$(BIN)/rca demo

demo-live: $(VENV)/.installed-dev  ## from an alert of a real Prometheus to the page that says why
	@$(BIN)/python scripts/demo_live

# Debian's names; tests whose server is missing are skipped and say so.
SERVERS := prometheus prometheus-alertmanager victoria-metrics postgresql openjdk-17-jre-headless chromium
servers:  ## install the real servers that the tests start (Debian, as root)
	@missing=; for package in $(SERVERS); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	test -z "$$missing" || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || \
		echo "Could not install$$missing: the tests that need them are skipped." >&2

test: $(VENV)/.installed-dev  ## the whole test suite
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(VENV)/.installed-dev  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev  ## every benchmark; fails where a stated limit is missed
	@missed=; for file in benchmarks/bench_*.py; do echo "== $$file"; \
		$(BIN)/python "$$file" || missed="$$missed $$file"; done; \
	test -z "$$missed" || { echo "missed a limit:$$missed" >&2; exit 1; }

docs: $(VENV)/.installed-dev  ## do README, CLI help and docs/ say the same?
	$(BIN)/python -m pytest tests/docs tests/test_notebooks.py $(ARGS)

readme: $(VENV)/.installed  ## put what `rca demo` prints into the README
	@$(BIN)/python scripts/renew_readme.py

wheel: $(VENV)/.installed-dev  ## build the wheel and test it with the source out of reach
	@PYTHON=$(BIN)/python sh scripts/test_wheel

format: $(VENV)/.installed-dev  ## rewrite the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove everything that was built, .venv included
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 was found. Install one, or name it: make PYTHON=/path/to/python3.12 test" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV) ..."
	@$(PIP) install -c constraints.txt -e .
	@$(BIN)/python -m compileall -q rca  # an editable install is not compiled, and the first demo would pay for it
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV), with the tools of a developer ..."
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.installed $@
