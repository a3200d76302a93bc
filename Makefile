# Needs Python 3.11 or newer (with venv), git and make; everything else goes into .venv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A pyenv shim can be there for a Python that is not: only one that runs counts.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
CODE := airflow_provider_visio benchmarks dev example_dags tests

# The stamp is written last and names this folder: an environment without it is half-made, one from
# another folder or without its Python is broken. All of these are made again.
ifneq ($(shell $(BIN)/python -c '' 2>/dev/null && cat $(READY) 2>/dev/null),$(CURDIR))
$(shell rm -f $(READY))
endif

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

.PHONY: demo
demo: $(READY) ## the flagship example on a real Airflow, start to finish, files in demo-output/
	@$(BIN)/python -m dev.demo

.PHONY: up
up: $(READY) ## Airflow and the sandbox, left running until Ctrl-C
	@$(BIN)/python -m dev.up

AT_ONCE := -n auto --maxprocesses 4

.PHONY: test
test: $(READY) ## the tests that need no running Airflow
	@$(BIN)/python -m pytest -q $(AT_ONCE) tests \
		$(foreach suite,live properties chaos secrets contract/test_schemathesis.py,--ignore tests/$(suite))

# The same seed makes the same cases; ONLY=<name> runs one property, or one scene of chaos.
SEED ?= 4
ONLY ?=
# How many tasks wait in the triggerer that is killed.
WAITS ?= 200

# The part of all cases that is run, at least 10,000.
SHARE ?= 1

.PHONY: properties
properties: $(READY) ## the tests over thousands of cases made at random
	@PROPERTIES_SEED=$(SEED) PROPERTIES_SHARE=$(SHARE) $(BIN)/python -m pytest -q $(AT_ONCE) --tb=short --show-capture=no tests/properties \
		$(if $(ONLY),-k $(ONLY),--least-cases 10000)

.PHONY: contract
contract: $(READY) ## thousands of requests made from docs/openapi, against the sandbox
	@CONTRACT_SEED=$(SEED) $(BIN)/python -m pytest -q -n 2 --tb=short tests/contract/test_schemathesis.py

.PHONY: chaos
chaos: $(READY) ## a real Airflow on PostgreSQL, broken in every way; ONLY=<name>, WRITE=1 for docs/reliability.md
	@CHAOS_SEED=$(SEED) CHAOS_WAITS=$(WAITS) $(BIN)/python -m pytest -q --tb=short --show-capture=no \
		'tests/chaos$(if $(ONLY),/test_chaos.py::test_scene[$(ONLY)])' $(if $(WRITE),--write docs/reliability.md)

.PHONY: live
live: $(READY) ## the tests with a real scheduler and triggerer
	@$(BIN)/python -m pytest -q -m live tests/live

.PHONY: secrets
secrets: $(READY) ## a search of all that a real Airflow keeps for keys, signed links and addresses
	@$(BIN)/python -m pytest -q -m secrets tests/secrets

.PHONY: bench
bench: $(READY) ## what things cost, beside peers (half an hour)
	@$(BIN)/python -m benchmarks.import_cost
	@$(BIN)/python -m benchmarks.waiting

.PHONY: lint
lint: check-style check-format check-types ## style, format and types

.PHONY: check-style
check-style: $(READY)
	@$(BIN)/ruff check $(CODE)

.PHONY: check-format
check-format: $(READY)
	@$(BIN)/ruff format --check $(CODE)

.PHONY: check-types
check-types: $(READY)
	@$(BIN)/mypy
	@$(BIN)/mypy --strict dev benchmarks

.PHONY: format
format: $(READY) ## put the code into its format, and repair what ruff can
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

.PHONY: clean
clean: ## remove the environment and all that the other commands have made
	@rm -rf $(VENV) .airflow demo-output build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed (python3.11 or python3)" >&2; exit 1; fi
	@echo "installing the package and its pinned dependencies into $(VENV) (a minute or two)"
	@[ -f $@ ] || rm -rf $(VENV)
	@[ -d $(VENV) ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "cannot make $(VENV): is the venv module of $(PYTHON) installed (Debian: python3-venv)?" >&2; exit 1; }
	@rm -f $@
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -qq -e '.[dev]'
	@$(BIN)/python -m compileall -q airflow_provider_visio
	@echo "$(CURDIR)" > $@
