# ib-mcp: `make help` lists the targets.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side in so many processes; 0 runs them one after the other, which those with real clocks like best.
JOBS ?= 0
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.DEFAULT_GOAL := help

help: ## Show what each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.txt pyproject.toml
	@PYTHON='$(PYTHON)' hack/venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) (a minute or two)"
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "installing the locked test dependencies into $(VENV) (a minute or two)"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

up: $(VENV)/.run ## Simulator, keepalive and MCP server on this machine; prints what to paste into an agent
	@mkdir -p .run
	@$(BIN)/ib-mcp up --write .run/up.json $(ARGS)

test: $(VENV)/.dev ## Lint, types, layers and all tests that need neither root nor a cluster
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd hack/cluster && ../../$(BIN)/mypy --strict --config-file= *.py
	$(BIN)/lint-imports
	$(BIN)/pytest --ignore=tests/e2e --ignore=tests/gitops -n $(JOBS) --dist loadgroup $(ARGS)

e2e: $(VENV)/.dev ## The chart on a real cluster: KUBECONFIG's, or one made for the run (root, Debian)
	hack/e2e $(ARGS)

e2e-gitops: $(VENV)/.dev ## The chart by the real Flux and Argo CD on such a cluster (builds them once)
	SUITE=tests/gitops POLICIES=none hack/e2e $(ARGS)

cluster-up: ## Start a real one-node cluster in a network of its own (root, Debian; KUBERNETES=1.30 for the chart's oldest)
	@python3 hack/cluster up

cluster-down: ## Remove that cluster and everything it made
	@python3 hack/cluster down

images: ## Build the images for that cluster into .run/images
	hack/images .run/images keepalive mcp operator simulator

bench: $(VENV)/.dev ## Measure the figures of docs/benchmarks.md
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(VENV)/.dev ## Random requests to every port, odd answers of IBKR, changed OpenAPI documents; ARGS="--seed 7" again
	$(BIN)/python -m tests.fuzz $(ARGS)

lock: $(VENV)/.dev ## Make requirements/*.txt again from pyproject.toml
	hack/lock $(BIN)/uv

.PHONY: help up test e2e e2e-gitops cluster-up cluster-down images bench fuzz lock
