# Two commands matter: `make demo` and `make test`. Everything else serves them.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint collected soak soak-controls soak-decoders proofs mutation audit bench pictures clean

demo: .venv/product
	@$(BIN)/strapontin serve --data data

# Compiled once, where the surroundings say that nothing is to be kept: the tests start the product
# some hundred times.
unexport PYTHONDONTWRITEBYTECODE

# Four at a time, on two cores as well: much of the time is spent waiting for servers.
test: .venv/tests
	@sh .ci/system-packages
	$(MAKE) --no-print-directory -j 2 lint collected
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Read and compiled once, beside the lint, and not by each of the four.
collected: .venv/tests
	@mkdir -p build
	@$(BIN)/python -m pytest --collect-only -q > build/collected.txt || { cat build/collected.txt; exit 1; }

lint: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The real thing broken three hundred times under a sale, then shown to fail without its rules
# while every decoder is fed damaged inputs. Under 40 minutes in all.
soak: .venv/tests
	$(BIN)/python -m tests.soak --minutes 25 --seed 1 --json soak.json
	@$(MAKE) --no-print-directory -j 2 soak-controls soak-decoders

soak-controls: .venv/tests
	$(BIN)/python -m pytest -m soak tests/soak

soak-decoders: .venv/tests
	$(BIN)/python -m tests.fuzz --minutes 10

# What takes long because it counts far: clusters broken by turns, twenty thousand simulated worlds,
# a day of 300 orders, ten million forged tickets, a million scans, a million frames of nonsense,
# every guard off.
proofs: .venv/tests
	$(BIN)/python -m pytest -m soak tests --ignore tests/soak
	$(BIN)/python -m tests.sim --seeds 20000 --processes 2
	$(BIN)/python -m tests.sim --orders --seeds 5000 --processes 2
	$(BIN)/python -m tests.day --orders 300
	$(BIN)/python -m tests.renderers.forge --count 10000000
	$(BIN)/python -m tests.doors_proof --scans 1000000
	$(BIN)/python -m tests.fuzz.gateway --frames 1000000
	SCHEMA_EXAMPLES=100 $(BIN)/python -m pytest tests/security/test_api_schema.py
	$(BIN)/python -m tests.security.guards

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
	rm -rf .venv data build
