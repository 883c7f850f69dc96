# knowclip: `make demo` and `make test` do all the set-up themselves.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
PYTHON ?= python3
# a process, of one thread, for each of two cores; a file stays in one process, since its fixtures load models;
# files come as tests/conftest.py sorts them: xdist would begin with those of many tests, which are not the slow ones
JOBS ?= 2
# compiled files are kept though the environment may forbid it: every process that a test starts would compile knowclip anew
ONE_THREAD := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
TESTS := -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
PYTEST := $(ONE_THREAD) $(BIN)/python $(TESTS)
ROOM ?= losses
MINUTES ?= 60
PIP = $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo demo-full test unit coverage mutate fuzz wheel lint docs results format clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make the virtual environment in .venv
	@echo "Installed in $(VENV). In this shell: source $(BIN)/activate; then: knowclip --help"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("knowclip needs Python 3.11 or later, $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v[:2])'
	@echo "Installing about 230 packages into $(VENV), once: 7.7 GB on Linux, 4 GB of it CUDA"
	@echo "libraries of torch. A few minutes."
	@echo "Step 1 of 3: the virtual environment, with a pip that shows how far it is"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet "pip>=25.1"
	@echo "Step 2 of 3: torch and torchvision, most of it"
	@$(PIP) torch torchvision
	@echo "Step 3 of 3: knowclip, what it stands on, its drawings and towers"
	@$(PIP) --editable ".[all,dev]"
	@touch $@

demo: $(READY) ## train with and without knowledge, compare, write runs/demo/report.html (says how long)
	$(BIN)/knowclip demo

demo-full: $(READY) ## the same with three seeds, in runs/demo-full
	$(BIN)/knowclip demo --full --out runs/demo-full

test: $(READY) ## every test, with the genuine files under KNOWCLIP_REAL_DATA if that is set
	$(PYTEST) --durations=10

unit: $(READY) ## the fast tests only
	$(PYTEST) -m "not slow"

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(READY) ## lines and branches that no test reaches, of the rooms that hold numbers (every test, slower)
	$(ONE_THREAD) $(BIN)/python -m coverage run $(TESTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

mutate: $(READY) ## changes of the code that no test notices: make mutate ROOM=losses (a room: minutes to hours)
	$(BIN)/python scripts/mutation.py $(ROOM)

fuzz: $(READY) ## damaged files for every reader: make fuzz MINUTES=60
	$(BIN)/python scripts/fuzz.py --minutes $(MINUTES)

wheel: $(READY) ## wheel and sdist into dist/, tried by themselves in an environment of their own (7 GB for a while)
	$(BIN)/python scripts/wheel_alone.py --keep dist

docs: $(VENV)/.docs ## the documentation site, into site/; a link, an anchor or a picture that leads nowhere ends it
	$(BIN)/python scripts/book/build.py

$(VENV)/.docs: $(READY)
	@$(PIP) --editable ".[docs]"
	@touch $@

results: $(READY) ## the tables of docs/results.md, from the run files in docs/results
	$(BIN)/python scripts/book/results.py

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and caches
	rm -rf $(VENV) build/docs site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
