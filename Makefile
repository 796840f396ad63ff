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
DOCS_INSTALLED := $(VENV)/.docs
WEB_INSTALLED := $(VENV)/.web
# The newest TensorFlow, NumPy 2 and JAX, without tensorflow-io.
NEWEST := .venv-newest
NEWEST_INSTALLED := $(NEWEST)/.installed
# Beam's portable runner, of the version of the SDK.
PRISM := build/bin/prism
CHECKED := $(PACKAGES) $(wildcard tests benchmarks examples docs) conftest.py

# An inherited core type makes NumPy's matrix kernels those of another processor.
unexport OPENBLAS_CORETYPE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# It says at every build that MkDocs 2 will be another program.
export NO_MKDOCS_2_WARNING := 1

# Skips are listed with their reasons: a suite that skips everything must not look well.
# A file of tests stays in one process, for what its tests share. The slowest are named.
PYTEST := python -m pytest -rs -n auto --maxprocesses 4 --dist loadfile --durations 15 --durations-min 5

.PHONY: help venv demo demo-tune demo-pipeline results ready-model test test-slow soak test-realdata test-serving test-web prism-test test-newest test-jax docs lint format clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

venv: $(INSTALLED) ## Create .venv and install the project with the versions of constraints.txt

demo: $(INSTALLED) ## Synthetic corpus, features, training, evaluation, report: the whole way
	$(BIN)/ser demo

demo-tune: $(INSTALLED) ## Search for settings on the synthetic corpus, where good ones are planted
	$(BIN)/ser demo --tune

demo-pipeline: $(INSTALLED) ## The same way as a pipeline: cached, validated, blessed, published
	$(BIN)/ser run demo

results: $(INSTALLED) ## Every row of both tracks again, on the real corpora of SER_KERAS_DATA; resumable
	$(BIN)/pip install -q -c constraints.txt -e '.[opensmile]'
	PATH="$(CURDIR)/$(BIN):$$PATH" bash benchmarks/baselines.sh "$(SER_KERAS_DATA)" runs
	PATH="$(CURDIR)/$(BIN):$$PATH" bash benchmarks/speaker_rows.sh "$(SER_KERAS_DATA)" runs
	for page in README.md docs/results.md; do $(BIN)/ser report --readme $$page; done

ready-model: $(INSTALLED) ## Train the ready model again, on the real corpora of SER_KERAS_DATA; resumable
	PATH="$(CURDIR)/$(BIN):$$PATH" bash benchmarks/ready_model/train.sh "$(SER_KERAS_DATA)" runs/ready

test: $(INSTALLED) ## Tests on synthetic data; minutes, no download
	$(BIN)/$(PYTEST)

# The soak takes a minute here, so that everything else fits into the time that there is.
test-slow: export SER_KERAS_SOAK_S ?= 60
test-slow: $(INSTALLED) ## Tests that take longer
	$(BIN)/$(PYTEST) -m "slow and not realdata"

soak: export SER_KERAS_SOAK_S ?= 600
soak: $(INSTALLED) ## A server under good, broken and slow requests for ten minutes
	$(BIN)/$(PYTEST) -n 0 -m slow tests/serving/server/test_soak.py

test-realdata: $(INSTALLED) ## Tests on the real corpora; needs SER_KERAS_DATA
	$(BIN)/$(PYTEST) -m realdata

test-serving: $(INSTALLED) ## A gRPC client in another language; needs Node.js with npm
	npm ci --no-audit --no-fund --prefix examples/node
	$(BIN)/$(PYTEST) -m node tests/serving

test-web: $(WEB_INSTALLED) ## The page in a real browser; needs Chromium (Debian: apt-get install chromium)
	$(BIN)/$(PYTEST) -n 0 -m web tests/serving tests/report

prism-test: $(INSTALLED) $(PRISM) ## The Beam jobs on Beam's portable runner; needs Go
	SER_KERAS_PRISM="$(CURDIR)/$(PRISM)" $(BIN)/$(PYTEST) -m prism tests/pipeline

test-newest: $(NEWEST_INSTALLED) ## The same tests on the newest TensorFlow, without tensorflow-io
	$(NEWEST)/bin/$(PYTEST)

test-jax: $(NEWEST_INSTALLED) ## Layers and models on JAX
	KERAS_BACKEND=jax $(NEWEST)/bin/$(PYTEST) tests/layers tests/models

docs: $(DOCS_INSTALLED) ## Run the notebook, build the documentation into build/site
	mkdir -p build
	$(BIN)/jupyter-execute docs/first_steps.ipynb --output=../build/first_steps.ipynb
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m mkdocs build --strict

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
	  echo "make: found $$($(or $(PYTHON),python3) --version 2>/dev/null || echo no $(or $(PYTHON),python3)), expected Python 3.11 or 3.12 with venv." >&2; \
	  echo "Install one (Debian 12: apt-get install python3.11-venv; Ubuntu 24.04: apt-get install python3.12-venv)," >&2; \
	  echo "or name one that is not on the path: make venv PYTHON=/path/to/python3.11" >&2; \
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
	echo "Installing the packages of constraints.txt into $(VENV): 3 GB, a few minutes"; \
	$(BIN)/pip install --constraint constraints.txt --editable '.[plot,test,lint,serve,opensmile,dask]'; \
	touch $(INSTALLED)

$(PRISM):
	GOBIN="$(CURDIR)/$(dir $(PRISM))" go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --constraint constraints.txt --editable '.[docs]'
	@touch $(DOCS_INSTALLED)

$(WEB_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --constraint constraints.txt --editable '.[web,test-web]'
	@touch $(WEB_INSTALLED)

# The project's own requirements name TensorFlow 2.16, hence --no-deps.
$(NEWEST_INSTALLED): setup.cfg pyproject.toml constraints-newest.txt | $(INSTALLED)
	@if [ -e $(NEWEST_INSTALLED) ]; then echo "Updating $(NEWEST)"; else rm -rf $(NEWEST); fi
	@rm -f $(NEWEST_INSTALLED)
	$(BIN)/python -m venv $(NEWEST)
	$(NEWEST)/bin/pip install --requirement constraints-newest.txt
	$(NEWEST)/bin/pip install --no-deps --editable .
	@touch $(NEWEST_INSTALLED)
