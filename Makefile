# The verbs of daily life. Each installs what it needs into .venv first, so any of them can be the first on a fresh machine.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help demo serve test test-full soak lint types bench bench-peers migrate lock

PYTHON ?= python3
uv := uv==0.13.9
# A newer FastAPI refuses an argument that this Prefect still gives it.
peers := prefect==3.8.8 fastapi==0.139.0

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore

bin := .venv/bin
pip_install := $(bin)/python -m pip install --quiet
# As they come: sorted by number, the few long tests would all stand last, on one of the two.
pytest := $(bin)/pytest -n 2 --dist loadfile --no-loadscope-reorder
lock := .venv/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
browser := .venv/browser/chromium
benchmarks := $(filter-out benchmarks/_%,$(sort $(wildcard benchmarks/*.py)))

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: .venv/.demo ## start the gateway with the network it carries and run a first job
	@$(bin)/gateway demo

serve: .venv/.demo ## serve the gateway, as the GATEWAY_ settings say
	@$(bin)/gateway serve

test: lint $(browser) ## lint, then every test in reduced sizes
	$(pytest) -m "not full"

test-full: lint $(browser) ## lint, then every test in full size
	$(pytest)

soak: .venv/.test ## break things at random for ten minutes and compare both sides' records; then 48 who read and write for five
	$(bin)/python -m tests.soak --minutes 10 --jobs 30 --viewers 50 $(if $(SEED),--seed $(SEED))
	$(bin)/python -m benchmarks.crowd --minutes 5

lint: .venv/.test ## check style, types, the walls between the rooms, the Dockerfile, the compose file and the API's description
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports --no-logo
	$(bin)/hadolint Dockerfile
	$(bin)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(bin)/python -m tests.spectral

types: .venv/.test ## check types alone
	$(bin)/mypy

bench: .venv/.test ## run every benchmark in turn, one file a question
	$(foreach file,$(benchmarks),$(call run_benchmark,$(file)))

bench-peers: .venv/.test .venv/peers/.installed ## run the gateway beside Prefect, each with 50,000 runs
	$(bin)/python -m benchmarks.peers.prefect

migrate: .venv/.demo ## bring the database to the newest schema
	@$(bin)/gateway migrate

lock: .venv/uv/bin/uv ## write the lock files anew from pyproject.toml, keeping every version that still fits
	$(lock) pyproject.toml --extra network -o requirements.lock
	$(lock) --group build -c requirements.lock -o requirements-build.lock
	$(lock) pyproject.toml --extra network --group dev --group build \
	  -c requirements.lock -c requirements-build.lock -o requirements-dev.lock

# A recipe line of its own for each file: make runs it without a shell between, and stops at the first that fails.
define run_benchmark
$(bin)/python -m $(subst /,.,$(basename $(1)))

endef

# The stamps build on one another, so that two verbs at once never install into .venv at the same time.
.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'Python 3.11 or newer is needed, and "$(PYTHON)" is not that. Name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'Creating .venv …'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo: .venv/.python requirements.lock requirements-build.lock pyproject.toml
	@echo 'Installing what the gateway runs on …'
	@$(pip_install) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(pip_install) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.test: .venv/.demo requirements-dev.lock clients/python/pyproject.toml
	@echo 'Installing what tests and lint need …'
	@$(pip_install) --require-hashes -r requirements-dev.lock
	@$(pip_install) --no-deps --no-build-isolation --editable clients/python
	@touch $@

# Where the machine has a browser of its own nothing is unpacked, and the next run looks again.
$(browser): .venv/.test tests/browser/package-lock.json
	@$(bin)/python -m tests.browser.chromium

.venv/peers/.installed: .venv/.python Makefile
	@echo 'Installing $(peers) …'
	@$(bin)/python -m venv .venv/peers
	@.venv/peers/bin/python -m pip install --quiet $(peers)
	@touch $@

.venv/uv/bin/uv: .venv/.python Makefile
	@echo 'Installing $(uv) …'
	@$(bin)/python -m venv .venv/uv
	@.venv/uv/bin/python -m pip install --quiet $(uv)
	@touch $@
