# Two commands matter: `make demo` and `make test`. Everything else serves them.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check lint soak mutation audit bench pictures clean

demo: .venv/product
	@$(BIN)/strapontin serve --data data

test: .venv/tests
	@sh .ci/system-packages
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Longer than a test run should be: the real thing broken three hundred times under a sale (and
# shown to fail without its rules), ten million forged tickets, a million scans, twenty thousand
# simulated worlds.
soak: .venv/tests
	$(BIN)/python -m tests.soak --minutes 25 --seed 1 --json soak.json
	$(BIN)/python -m pytest -m soak tests
	$(BIN)/python -m tests.sim --seeds 20000 --processes 2
	$(BIN)/python -m tests.renderers.forge --count 10000000
	$(BIN)/python -m tests.doors_proof --scans 1000000
	$(BIN)/python -m tests.fuzz --minutes 10
	$(BIN)/python -m tests.fuzz.gateway --frames 1000000
	SCHEMA_EXAMPLES=100 $(BIN)/python -m pytest tests/security/test_api_schema.py

# Known weaknesses of what is pinned; says why when the index cannot be asked.
audit: .venv/python
	@sh .ci/audit

# How good are the tests of the core's decisions: small wrongs, which they must notice.
mutation: .venv/tests
	$(BIN)/python -m tests.mutation

# The README's screenshots, taken from a demo house that is really served.
pictures: .venv/tests
	@$(BIN)/python -m tests.e2e.pictures

bench: .venv/product
	$(BIN)/strapontin bench smoke

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Strapontin needs Python 3.11 or later; $(PYTHON) is `$(PYTHON) --version`." \
	       "Say which to use: make PYTHON=python3.12"; exit 1; }
	@echo "Making the virtual environment .venv ..."
	@$(PYTHON) -m venv .venv || { \
	  echo "Python's venv module is missing; on Debian: apt install python3-venv"; \
	  rm -rf .venv; exit 1; }
	@touch $@

.venv/product: .venv/python pyproject.toml constraints.txt
	@echo "Installing Strapontin and its pinned dependencies (a minute, the first time) ..."
	@$(PIP) -e .
	@touch $@

.venv/tests: .venv/product
	@echo "Installing what the tests need ..."
	@$(PIP) -e '.[test]'
	@touch $@

clean:
	rm -rf .venv data
