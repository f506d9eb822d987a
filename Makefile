# Everything a person needs; `make help` lists it. Only python3 (3.11) and make must be there: uv is fetched when it is missing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOLS := .tools
PYTHON3 := $(or $(shell command -v python3.11 2>/dev/null),python3)
UV := $(or $(shell command -v uv 2>/dev/null),$(TOOLS)/uv/bin/uv)
UV_VERSION := 0.13.8
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON := 3.11
SYNC = mkdir -p $(TOOLS)/tmp && TMPDIR=$(CURDIR)/$(TOOLS)/tmp $(UV) sync -q --frozen
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Trust whom this machine trusts, as pip does.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS ?= true
endif
ifneq ($(CI),)
export UV_NO_PROGRESS := 1
endif
export NUMBA_CACHE_DIR ?= $(CURDIR)/var/numba
PYTHON := .venv/bin/python
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

FOR ?=
TAPE ?=
SEED ?=
RATE ?=
BUS ?=
SHARDS ?=
CHECK ?=
SEEDS ?=
RUN_OPTIONS := $(if $(FOR),--for $(FOR)) $(if $(TAPE),--tape '$(TAPE)') $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE)) $(if $(SHARDS),--shards $(SHARDS))

$(TOOLS)/uv/bin/uv:
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "undertow: python3 is %d.%d; Python 3.11 is needed: install it, or put it first on PATH" % sys.version_info[:2])'
	@$(PYTHON3) -m venv $(TOOLS)/uv 2>/dev/null \
	  || $(PYTHON3) -m venv --without-pip $(TOOLS)/uv \
	  || { echo "undertow: python3 cannot make a virtual environment; install python3-venv" >&2; exit 1; }
	@$(TOOLS)/uv/bin/python -m pip --version >/dev/null 2>&1 \
	  && $(TOOLS)/uv/bin/python -m pip install -q uv==$(UV_VERSION) \
	  || $(PYTHON3) -m pip --python $(TOOLS)/uv/bin/python install -q uv==$(UV_VERSION)

# The environment of the fleet (`run`) and the one of development (everything else); uv makes both from uv.lock.
.PHONY: fleet-env dev-env
fleet-env: $(if $(findstring $(TOOLS),$(UV)),$(UV))
	@test -e .venv || echo "fetching dependencies (only the first time)"
	@if test -e .venv/dev; then $(SYNC); else $(SYNC) --no-default-groups --group fleet; fi
dev-env: $(if $(findstring $(TOOLS),$(UV)),$(UV))
	@test -e .venv || echo "fetching dependencies (only the first time)"
	@$(SYNC) && touch .venv/dev

.PHONY: run
run: fleet-env ## The whole fleet on this machine, paper mode, no keys. FOR=seconds TAPE=file SEED=n RATE=x BUS=url SHARDS=n
	@$(if $(BUS),UNDERTOW_BUS__URL='$(BUS)') exec .venv/bin/undertow run $(RUN_OPTIONS)

# The tests start services by the dozen: each would compile all that it imports anew where byte code may not be kept.
test test-all chaos: export PYTHONDONTWRITEBYTECODE :=

.PHONY: test
test: dev-env ## Tests that finish within minutes, with coverage
	@$(PYTHON) -m services.cli.warm
	@$(PYTHON) -m pytest -n 2 --dist worksteal -m "not fleet and not e2e and not long" --cov --cov-report=
	@NUMBA_DISABLE_JIT=1 $(PYTHON) -m pytest -n 2 --dist worksteal --cov --cov-append --cov-report= tests/undertow/features tests/undertow/matching tests/undertow/exchange/kernels tests/undertow/exchange/test_book.py tests/undertow/learning/test_labels.py -m "not fleet and not e2e and not compiled"
	@$(PYTHON) -m pytest -m "fleet and not long" -n 0 tests/fleet
	@$(PYTHON) -m coverage report --skip-covered --sort=cover --fail-under=85

.PHONY: test-all
test-all: test ## `make test` and everything slower
	@$(PYTHON) -m pytest -m "long" -n 0 tests

.PHONY: check
check: dev-env ## Format, lint, types, imports, generated files
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@$(PYTHON) -m services.cli.docs --check

.PHONY: docs
docs: dev-env ## Write the generated parts of the documentation
	@$(PYTHON) -m services.cli.docs

.PHONY: bench
bench: dev-env ## Measure; writes var/bench.json
	@$(PYTHON) -m bench

.PHONY: calibrate
calibrate: dev-env ## Estimate the generated market from the recordings; writes docs/generated-market.md. CHECK=1 compares only
	@$(PYTHON) -m bench.calibration $(if $(CHECK),--check)

.PHONY: train
train: dev-env ## Train a model on the generated market and put it into the registry
	@.venv/bin/undertow train

.PHONY: simulate
simulate: dev-env ## Crashes, losses and delays in virtual time, one seed deciding each. SEEDS=n
	@$(PYTHON) -m tests.simulation --seeds $(or $(SEEDS),1000)

.PHONY: chaos
chaos: dev-env ## Kill real services and Redis in the middle of runs. SEEDS=n
	@UNDERTOW_TEST_SEEDS=$(or $(SEEDS),3) $(PYTHON) -m pytest -n 0 -m fleet tests/fleet/test_chaos.py

.PHONY: up down
up: ## The fleet as containers with Prometheus, Alertmanager and Grafana
	@DOCKER_BUILDKIT=$${DOCKER_BUILDKIT:-1} $(COMPOSE) up -d --build
	@echo "console http://127.0.0.1:8080   Grafana http://127.0.0.1:3000   Prometheus http://127.0.0.1:9090"
down: ## Stop the containers and remove their volumes
	@$(COMPOSE) down -v --remove-orphans

.PHONY: e2e
e2e: dev-env ## Test the containers (needs Docker)
	@$(PYTHON) -m pytest -n 0 tests/e2e -m e2e

.PHONY: help
help: ## This list
	@grep -hE '^[a-z0-9 -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9 -]+):[^#]*## /\1\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'
