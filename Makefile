# The verbs of the house. Nothing but Python 3.11+ is expected on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TESTS ?= tests

.PHONY: help run install install-test test test-browser screenshots test-clients test-first-answer check fmt fmt-check lint types floors migrate bench lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "keyhouse needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version). Try: make PYTHON=python3.12 run" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created requirements.txt pyproject.toml
	$(PIP_INSTALL) --require-hashes -r requirements.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created requirements.txt requirements-test.txt requirements-older-sdk.txt pyproject.toml
	$(PIP_INSTALL) --require-hashes -r requirements-test.txt
	$(PIP_INSTALL) --require-hashes --no-deps --upgrade --target $(VENV)/older-sdk -r requirements-older-sdk.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed ## the product and its locked requirements, in .venv

install-test: $(VENV)/.installed-test ## the same with the test tools

run: install ## start Keyhouse on embedded Postgres and Valkey
	$(BIN)/keyhouse serve $(ARGS)

# Bytecode is kept, whatever the environment says: without it each worker rewrites every assertion, and each gateway
# compiles itself, at every run.
test: install-test ## the whole suite on its own embedded servers and ports
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

test-browser: install-test ## the pages in Chromium: every page, each person's jobs; skipped without one
	$(BIN)/python -m pytest -m browser tests/browser

screenshots: install-test ## the pictures of docs/pictures, of a gateway with demo data
	$(BIN)/python -m tests.browser.pictures

test-clients: install-test ## real Claude Code, Codex, Gemini CLI and opencode from npm, cut off from the network
	$(BIN)/python -m tests.clients $(ARGS)

test-first-answer: install-test ## from an empty machine to Claude Code's first answer, by the README alone
	$(BIN)/python -m tests.clients.first_answer

check: fmt-check lint types floors test ## everything CI checks

fmt: install-test ## format
	$(BIN)/ruff format . && $(BIN)/ruff check --fix-only --quiet .

fmt-check: install-test
	$(BIN)/ruff format --check .

lint: install-test ## ruff
	$(BIN)/ruff check .

types: install-test ## mypy --strict
	$(BIN)/mypy

floors: install-test ## import-linter: imports go down, never up
	$(BIN)/lint-imports

migrate: install ## bring the database to the newest schema
	$(BIN)/keyhouse migrate

bench: install-test ## CPU per request, added latency, memory; about three minutes
	$(BIN)/python -m benchmarks

lock: install-test ## renew the hashed lock files
	$(PIP_INSTALL) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra build --output-file requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra build --extra test --constraint requirements.txt --output-file requirements-test.txt pyproject.toml

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis *.egg-info
