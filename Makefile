# knowclip: `make demo` and `make test` do all the set-up themselves.
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help install demo demo-full test unit lint format clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make the virtual environment in .venv

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch torchvision
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[all,dev]"
	@touch $@

demo: install ## train with and without knowledge, compare, write runs/demo/report.html (10 minutes on 2 cores)
	$(BIN)/knowclip demo

demo-full: install ## the same with three seeds and every method (up to an hour)
	$(BIN)/knowclip demo --full

test: install ## every test, with the genuine files under KNOWCLIP_REAL_DATA if that is set
	$(BIN)/python -m pytest --durations=10

unit: install ## the fast tests only
	$(BIN)/python -m pytest -m "not slow"

lint: install ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
