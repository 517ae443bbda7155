# ib-mcp: `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

help: ## Show what each target does
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

$(VENV)/.run: requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/run.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "installing the locked test dependencies into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

up: $(VENV)/.run ## Simulator, keepalive and MCP server on this machine; prints what to paste into an agent
	@mkdir -p .run
	@$(BIN)/ib-mcp up --write .run/up.json $(ARGS)

test: $(VENV)/.dev ## Lint, types, layers and all tests that need neither root nor a cluster
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(ARGS)

bench: $(VENV)/.dev ## Measure the figures of docs/benchmarks.md
	$(BIN)/python -m tests.bench $(ARGS)

lock: $(VENV)/.dev ## Make requirements/*.txt again from pyproject.toml
	hack/lock $(BIN)/uv

.PHONY: help up test bench lock
