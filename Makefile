# .venv is made by the first target that needs it, and brought up to date when pyproject.toml
# changes. PYTHON=... names another interpreter (3.11, 3.12 or 3.13).

VENV := .venv
BIN := $(VENV)/bin
USABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c "$(USABLE)" >/dev/null 2>&1 && echo $$p && break; done)

# Two processes of tests, a file at a time, in the order that tests/conftest.py gives.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder
SHORT := "not server and not training and not slow and not browser and not hypothesis"

# What Python compiles and pytest rewrites is kept for the next run, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test quick short check lint types docs ui bench oldest newest

run: $(VENV)/run.stamp
	@echo "Training on the synthetic demonstration set (about three minutes on two cores) ..."
	@$(BIN)/python flows/full_pipeline.py --preset quick --with-probe
	@echo
	@echo "That was the demonstration. For your own images, in one folder per class,"
	@echo "begin with an audit, which trains nothing:"
	@echo "    $(BIN)/python flows/full_pipeline.py --data FOLDER --only split"

test: check
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

# mypy takes most of a minute in a fresh clone: it runs beside the tests.
quick: lint
	@$(MAKE) --no-print-directory --jobs 2 types short

# Two processes have a core each: more threads of torch would wait for one another.
short oldest newest: export OMP_NUM_THREADS := 1
short: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m $(SHORT)

docs: $(VENV)/dev.stamp
	$(BIN)/zensical build --clean --strict
	$(BIN)/python -m pytest tests/docs
	@echo "The documentation: site/index.html"

check: lint types

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

types: $(VENV)/dev.stamp
	$(BIN)/mypy

ui: $(VENV)/run.stamp
	@exec $(BIN)/python flows/ui.py

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.benchmarks.bench_data
	$(BIN)/python -m tests.benchmarks.bench_model
	$(BIN)/python -m tests.benchmarks.bench_training
	$(BIN)/python -m tests.benchmarks.bench_probe
	$(BIN)/python -m tests.benchmarks.bench_prediction
	$(BIN)/python -m tests.benchmarks.bench_cached_run

# The short tests with the oldest versions that pyproject.toml admits, and with the newest.
oldest: RESOLUTION := lowest-direct
newest: RESOLUTION := highest
oldest newest:
	$(PYTHON) -m venv --clear $(VENV)-$@
	$(VENV)-$@/bin/python -m pip install -qq --disable-pip-version-check uv
	$(VENV)-$@/bin/uv pip install --quiet --python $(VENV)-$@/bin/python \
		--resolution $(RESOLUTION) --editable '.[dev]'
	$(VENV)-$@/bin/python -m pytest $(SIDE_BY_SIDE) -m $(SHORT)

$(VENV)/run.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) (torch is large: several minutes) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) with the developers' tools (torch is large: several minutes) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
