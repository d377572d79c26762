# What to do with a clone. Needs Python 3.11 or newer; `test` also Java 21 (a JDK), Maven, Node 20, PostgreSQL and
# openssl; `bench` Node 20.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
UV := uv==0.13.9
WORKERS ?= 2
BENCHES = $(patsubst bench/%.py,%,$(shell grep -l '^if __name__' bench/*.py))

# Compiled kernels stay with the clone.
export NUMBA_CACHE_DIR ?= $(CURDIR)/build/numba

# Seconds that the fuzzer runs.
FUZZ_S ?= 600

.PHONY: help setup demo test check lint kernels bench fuzz docs lock splunk-app check-splunk-app clean

help:
	@echo "make demo    simulate clients and attacks, detect them, show the result (build/demo);"
	@echo "             make demo DASHBOARD=1 keeps the dashboard open on it"
	@echo "make test    everything: check, tests, tests against a real Kafka, Elasticsearch and OpenSearch"
	@echo "make check   lint, format, types, import contracts, documents"
	@echo "make bench   measure anew what docs/bench shows"
	@echo "make fuzz    ten minutes of a coverage-guided fuzzer on the log formats"
	@echo "make docs    write the schemas and docs/settings.md from the code"
	@echo "make lock    choose newer versions of the packages, within pyproject.toml"
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

demo: $(READY)
	$(BIN)/querywarden demo$(if $(DASHBOARD), --dashboard)

test: $(READY)
	$(BIN)/python -m tests.servers
	$(MAKE) check
	$(BIN)/python -m pytest -n $(WORKERS) --ignore=tests/docs
	$(BIN)/python -m pytest -n $(WORKERS) -m slow
	# plain: the difference of two stores, drawn by pytest, takes longer than all tests
	$(BIN)/python -m pytest -m server --assert=plain

check: $(READY)
	$(MAKE) -j2 lint kernels
	$(BIN)/python -m pytest -n $(WORKERS) tests/docs

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

# atheris is no part of the lock: it is large, and nothing that is shipped or tested needs it.
build/fuzz/ready: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/fuzz atheris==3.0.0
	@touch $@

fuzz: build/fuzz/ready
	PYTHONPATH=build/fuzz $(BIN)/python -m tests.fuzz.decoder build/corpus -max_total_time=$(FUZZ_S) -artifact_prefix=build/

docs: $(READY)
	$(BIN)/python -m detector.schema docs
	$(BIN)/python -m tests.docs.figures

lock: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --all-extras --group dev -o requirements.lock pyproject.toml

splunk-app:
	$(PYTHON) deploy/splunk/package.py build/querywarden.spl

check-splunk-app: $(READY)
	$(BIN)/python -m pytest -m "" tests/sinks/test_splunk_app.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
