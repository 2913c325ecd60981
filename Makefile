FITS := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c "$(FITS)" 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
T ?= tests
.DEFAULT_GOAL := help
.PHONY: audit calls chaos docs help run test lint fix bench migration reset

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

run: .venv/run.stamp ## Start everything with a local sandbox in place of Meta; prints a URL and login
	@$(BIN)/nametag up --demo

test: .venv/dev.stamp ## Run all tests, or those in T=path
	@$(BIN)/python -m pytest $(T)

lint: .venv/dev.stamp ## Check style, types, layers, templates and words
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/djlint templates --lint \
	  && $(BIN)/python .ci/words.py && $(BIN)/python .ci/documents.py --check && $(BIN)/python .ci/audit.py

audit: .venv/dev.stamp ## Check dependencies for known vulnerabilities (required before a release)
	@$(BIN)/python .ci/audit.py --release

fix: .venv/dev.stamp ## Fix lint and formatting issues automatically
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

docs: .venv/dev.stamp ## Write the generated parts of the documents
	@$(BIN)/python .ci/documents.py

bench: .venv/dev.stamp ## Run the benchmarks of docs/performance.md on this machine
	@$(BIN)/python -m bench

chaos: .venv/dev.stamp ## Deliver 10,000 events while processes are killed, and 25,000 mutated bodies
	@$(BIN)/pytest -q -n 0 -k "killed_at_random or no_body_causes" --events 10000 --bodies 25000 tests/system/test_ingest.py tests/ingest/test_fuzz.py

calls: .venv/dev.stamp ## Fuzz the API against its OpenAPI document (2,000 calls per database)
	@$(BIN)/pytest -q -n 0 -k rules_of_the_document --calls 2000 tests/api/test_blueprint.py

migration: .venv/dev.stamp ## Generate a migration for changed models, m="what changes"
	@$(BIN)/nametag db upgrade && $(BIN)/alembic --config migrations/alembic.ini revision --autogenerate -m "$(m)"

reset: ## Delete all local data (database, Redis files, secrets)
	@$(PYTHON) -c "import fcntl; fcntl.flock(open('instance/up.lock', 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)" 2>/dev/null \
	  || test ! -e instance || { echo "Nametag is running with this data. Stop it first."; exit 1; }
	@rm -rf instance

.venv/made.stamp:
	@test -n "$(PYTHON)" && $(PYTHON) -c "$(FITS)" 2>/dev/null \
	  || { echo "Nametag needs Python 3.11 or newer. Install it, or run: make PYTHON=/path/to/python3 …"; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null \
	  || { echo "This Python cannot create virtual environments. Install python3-venv (apt-get install python3-venv)."; exit 1; }
	@$(PYTHON) -m venv .venv && touch $@

.venv/run.stamp: requirements.lock pyproject.toml | .venv/made.stamp
	@echo "Installing dependencies (about 30 seconds, first run only) …"
	@$(PIP) --require-hashes -r requirements.lock && $(PIP) --no-deps -e . && $(BIN)/python -m compileall -q app && touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@echo "Installing test dependencies (about a minute, first run only) …"
	@$(PIP) --require-hashes -r requirements-dev.lock && touch $@
