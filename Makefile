# Environment, demonstration and checks. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Empty: the first of python3.11, python3.12, python3 that runs and is 3.11 or 3.12.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
# Exists only after everything was installed, so that an interrupted installation is done again.
INSTALLED := $(VENV)/.installed
PACKAGES := $(wildcard ser_keras pipeline tuning serving)
CHECKED := $(PACKAGES) $(wildcard tests benchmarks) conftest.py

# An inherited core type makes NumPy's matrix kernels those of another processor.
unexport OPENBLAS_CORETYPE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help venv demo test test-slow test-realdata lint format clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

venv: $(INSTALLED) ## Create .venv and install the project with the versions of constraints.txt

demo: $(INSTALLED) ## Synthetic corpus, features, training, evaluation, report: the whole way
	$(BIN)/ser demo

test: $(INSTALLED) ## Tests on synthetic data; minutes, no download
	$(BIN)/python -m pytest

test-slow: $(INSTALLED) ## Tests that take longer
	$(BIN)/python -m pytest -m "slow and not realdata"

test-realdata: $(INSTALLED) ## Tests on the real corpora; needs SER_KERAS_DATA
	$(BIN)/python -m pytest -m realdata

lint: $(INSTALLED) ## Style, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)

format: $(INSTALLED) ## Write the formatting that lint asks for
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

clean: ## Remove the environments, caches and what the demo wrote
	rm -rf .venv .venv-newest build demo *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find $(CHECKED) -name __pycache__ -type d -prune -exec rm -rf {} +

# A `python3.12` on the path may be a version manager's stub, so each candidate has to run.
# An environment without its stamp is the rest of an interrupted installation.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@set -euo pipefail; \
	for name in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3); do \
	  for found in $$(type -ap "$$name"); do \
	    if "$$found" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; \
	    then python="$$found"; break 2; fi; \
	  done; \
	done; \
	if [ -z "$${python:-}" ]; then \
	  echo "make: no Python 3.11 or 3.12 with the venv module was found$(if $(PYTHON), at $(PYTHON))." >&2; \
	  echo "Found: $$(python3 --version 2>&1 || echo none). Install Python 3.11 (Debian, Ubuntu: apt-get install python3.11-venv)" >&2; \
	  echo "or 3.12, or name one that is not on the path: make venv PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	if [ -e $(INSTALLED) ] && $(BIN)/python -c '' 2>/dev/null; then \
	  echo "Updating $(VENV)"; \
	else \
	  echo "Creating $(VENV) with $$("$$python" --version) at $$python"; \
	  rm -rf $(VENV); \
	  "$$python" -m venv $(VENV); \
	fi; \
	rm -f $(INSTALLED); \
	echo "Installing the packages of constraints.txt into $(VENV): about 2 GB, a few minutes"; \
	$(BIN)/pip install --constraint constraints.txt --editable '.[plot,test,lint]'; \
	touch $(INSTALLED)
