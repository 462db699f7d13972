# All commands of the project. Nothing is needed but Python (3.10 or newer) and make; .venv is made on first use.

PYTHON ?= python3
VENV ?= .venv
SEED ?= 0
OUT ?= runs/demo
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PACKAGES := embodied memory_bank sim policies
CODE := $(wildcard $(PACKAGES) launch tests)
comma := ,
space := $(subst ,, )
# Array shapes are checked under pytest only.
SHAPES := --jaxtyping-packages=$(subst $(space),$(comma),$(strip $(PACKAGES))),array_checks.checked
# A worker for each core, four at most: more would want more memory than they save time. PYTEST_ARGS="-n 0" for none.
WORKERS := -n auto --maxprocesses 4 --dist loadscope
DEFAULT_SUITE := not gpu and not habitat and not metaworld and not mikasa and not slow
OLDEST := 3.9
NEWEST := 3.13
# A process of ours uses one core; libraries that start a thread per core only get into each other's way.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
SOLVE := --quiet --universal --python-version $(OLDEST) --group build --generate-hashes --no-header --no-annotate
PIP_FLAGS := --disable-pip-version-check --no-input --progress-bar on

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-pythons test-python check fix bench lock docs clean

help: ## Show this list
	@echo "make setup | demo | test | check | fix | bench, and for developers:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.run ## Make .venv with the pinned dependencies of a run

demo: $(VENV)/.run ## Run the main job: a robot remembers a house
	@$(ONE_THREAD) $(BIN)/python launch/sim_episode.py --seed $(SEED) --out $(OUT)

test: $(VENV)/.dev ## Run the default tests: no GPU, no other simulators, a few minutes
	@$(ONE_THREAD) $(BIN)/python -m pytest $(WORKERS) $(SHAPES) -m "$(DEFAULT_SUITE)" $(PYTEST_ARGS)

test-all: $(VENV)/.dev ## Run every test that this machine can run
	@$(ONE_THREAD) $(BIN)/python -m pytest $(SHAPES) $(PYTEST_ARGS)

test-pythons: ## Run the tests of embodied and sim on the oldest and newest Python, where installed
	@$(MAKE) --no-print-directory test-python V=$(OLDEST)
	@$(MAKE) --no-print-directory test-python V=$(NEWEST)

test-python: # V=3.9: the tests of embodied and sim on that Python
	@python=$$(tools/find_python $(V)) || { echo "test-pythons: Python $(V) is not installed here, skipped"; exit 0; }; \
	$(MAKE) --no-print-directory VENV=.venv-$(V) PYTHON=$$python .venv-$(V)/.dev && \
	$(ONE_THREAD) .venv-$(V)/bin/python -m pytest $(WORKERS) -m "$(DEFAULT_SUITE)" tests/embodied tests/sim $(PYTEST_ARGS)

check: $(VENV)/.dev ## Check format, lint rules and types; changes nothing
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy

fix: $(VENV)/.dev ## Format, and mend what ruff can mend
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

bench: $(VENV)/.run ## Measure the whole line, into runs/figures.json
	@$(ONE_THREAD) $(BIN)/python launch/benchmark.py line --out runs/figures.json

lock: ## Solve the locks anew; needs uv on the path
	uv pip compile $(SOLVE) --extra policy -o requirements.lock pyproject.toml
	uv pip compile $(SOLVE) -o requirements-dev.lock -c requirements.lock --extra dev --extra policy pyproject.toml

docs: $(VENV)/.run ## Write docs/messages.md anew from the code
	@$(BIN)/python -m embodied.message_docs docs/messages.md

clean: ## Remove the virtual environments and all caches; keeps runs/
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info

# The stamps: an environment is mended when its lock or the packaging changes.
$(VENV)/.made:
	@tools/make_venv $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.made
	@echo "installing what a run needs (requirements.lock) …"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install $(PIP_FLAGS) --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "installing what tests and checks need (requirements-dev.lock) …"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock | sed '/^Requirement already/d'
	@touch $@
