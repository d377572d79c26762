# What to do with a clone. Needs Python 3.11 or newer; `test` also Java 21 (a JDK), Maven, Node 20, Chromium, PostgreSQL and
# openssl; `bench` and `page` Node 20.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
UV := uv==0.13.9
WORKERS ?= 2
BENCHES = $(patsubst bench/%.py,%,$(shell grep -l '^if __name__' bench/*.py))

# The dashboard's page: its source, and the file that is there when it was built.
PAGE := detector/dashboard/page
BUILT := detector/dashboard/static/index.html
PACKAGES := $(PAGE)/node_modules/.package-lock.json
PAGE_SOURCE := $(shell find $(PAGE)/src $(PAGE)/public -type f) $(addprefix $(PAGE)/,index.html tsconfig.json vite.config.ts)

# Compiled kernels stay with the clone.
export NUMBA_CACHE_DIR ?= $(CURDIR)/build/numba

# Seconds that the fuzzer runs.
FUZZ_S ?= 600

.PHONY: help setup demo page page-types test check lint kernels servers bench chaos fuzz docs lock manifests \
	check-deploy splunk-app check-splunk-app clean

help:
	@echo "make demo    simulate clients and attacks, detect them, show the result (build/demo);"
	@echo "             make demo DASHBOARD=1 keeps the dashboard open on it"
	@echo "make page    build the dashboard's page (Node 20.19 or newer, npm)"
	@echo "make test    everything: check, tests, tests against a real Kafka, Elasticsearch and OpenSearch"
	@echo "make check   lint, format, types, import contracts, documents"
	@echo "make bench   measure anew what docs/bench shows"
	@echo "make chaos   kill workers and brokers for a long time, and count what it changed (docs/bench/chaos.md)"
	@echo "make fuzz    ten minutes of a coverage-guided fuzzer on the log formats"
	@echo "make docs    write the schemas and docs/settings.md from the code"
	@echo "make lock    choose newer versions of the packages, within pyproject.toml"
	@echo "make manifests    write deploy/kubernetes from the Helm chart"
	@echo "make check-deploy let Helm, Docker Compose, hadolint and systemd look at deploy/"
	@echo "make splunk-app        pack deploy/splunk/querywarden into build/querywarden.spl"
	@echo "make check-splunk-app  let Splunk's own checker (splunk-appinspect) look at it"
	@echo "make clean   remove what was built; the environment too"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "querywarden needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# Who only detects needs no Node: without a page the dashboard serves its API and says so.
demo: $(READY)
	@command -v npm >/dev/null && $(MAKE) --no-print-directory page || \
		echo "The dashboard's page was not built (make page); its API is served all the same." >&2
	$(BIN)/querywarden demo$(if $(DASHBOARD), --dashboard)

page: $(BUILT)

$(PACKAGES): $(PAGE)/package-lock.json $(PAGE)/package.json
	cd $(PAGE) && npm ci --no-audit --no-fund

$(BUILT): $(PACKAGES) $(PAGE_SOURCE)
	cd $(PAGE) && npm run --silent build

# The types of what goes over the wire, anew from detector/dashboard/shapes.py.
page-types: $(READY) $(PACKAGES)
	$(BIN)/python -m detector.dashboard.page_types > $(PAGE)/shapes.openapi.json
	cd $(PAGE) && npm run --silent types

# What is fetched is waited for beside the linters; what workers share is made once, so all tests that need no server are
# one run. Of those that do, tests that share their servers stay with one worker, and whatever kills servers has its own.
test: $(READY)
	$(BIN)/python -m tests.servers
	$(MAKE) -j3 lint kernels servers page
	cd $(PAGE) && npm test --silent
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not server'
	# plain: the difference of two stores, drawn by pytest, takes longer than all tests
	$(BIN)/python -m pytest -n $(WORKERS) -m server --dist loadscope --assert=plain

servers: $(READY)
	$(BIN)/python -m tests.servers fetch

check: $(READY)
	$(MAKE) -j2 lint kernels
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not server' tests/docs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Compiled once, beside the linters, which have one core: the workers of the tests would each do it.
kernels: $(READY)
	$(BIN)/python -m tests.kernels

bench: $(READY)
	@for name in $(BENCHES); do $(BIN)/python -m bench.$$name || exit 1; done
	$(MAKE) docs

chaos: $(READY)
	$(BIN)/python -m bench.chaos

# atheris is no part of the lock: it is large, and nothing that is shipped or tested needs it.
build/fuzz/ready: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/fuzz atheris==3.0.0
	@touch $@

fuzz: build/fuzz/ready
	PYTHONPATH=build/fuzz $(BIN)/python -m tests.fuzz.decoder build/corpus -max_total_time=$(FUZZ_S) -artifact_prefix=build/

docs: $(READY)
	$(BIN)/python -m detector.schema docs
	$(BIN)/python -m bench.sizing fit
	$(BIN)/python -m tests.docs.figures

lock: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --all-extras --group dev -o requirements.lock pyproject.toml

splunk-app:
	$(PYTHON) deploy/splunk/package.py build/querywarden.spl

# deploy/kubernetes is the chart with its defaults.
manifests: $(READY)
	$(BIN)/python -m tests.deploy.tools

check-deploy: $(READY)
	$(BIN)/python -m pytest -m "" tests/deploy

check-splunk-app: $(READY)
	$(BIN)/python -m pytest -m "" tests/sinks/test_splunk_app.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
