# Everything the targets need is installed here, into .venv; Python >= 3.11 and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_WORKERS ?= auto

export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install dev demo test test-slow check bench docs clean
.DEFAULT_GOAL := help

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	$(BIN)/python -m compileall -q src
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	touch $@

install: $(VENV)/.installed ## create the environment
dev: $(VENV)/.installed-dev ## create the environment with everything the tests need

demo: $(VENV)/.installed ## a month of a SaaS company's revenue, reconciled
	@$(BIN)/tieout demo --dir demo

check: $(VENV)/.installed-dev ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## everything, in minutes
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS)

test-slow: $(VENV)/.installed-dev ## the long fault and scale runs
	$(BIN)/python -m pytest -m slow -n $(PYTEST_WORKERS)

bench: $(VENV)/.installed-bench ## ratios against bare DuckDB, Polars, pandas, datacompy and a per-row worker
	$(BIN)/python -m benchmarks $(BENCH)

clean: ## remove what the targets made
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
