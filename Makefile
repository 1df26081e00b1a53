# make demo: raw files to an accountable base model in a few minutes.  make test: every test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes of a thread each, every file in one of them: its fixtures are made once.
PYTEST = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test slow search lint docs clean

$(VENV)/core: pyproject.toml setup.py $(wildcard src/seedstock/native/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing seedstock into $(VENV) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e . > $(VENV)/pip.log 2>&1 || (cat $(VENV)/pip.log; exit 1)
	@touch $@

$(VENV)/dev: $(VENV)/core
	@$(BIN)/python -m seedstock.environment
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[dev]' > $(VENV)/pip-dev.log 2>&1 || (cat $(VENV)/pip-dev.log; exit 1)
	@touch $@

# How long it takes from here to a model is part of what the demo says.
demo: export SEEDSTOCK_STARTED := $(shell date +%s)
demo: $(VENV)/core
	@$(BIN)/seedstock demo

test: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

slow: $(VENV)/dev
	$(PYTEST) --slow

# The properties with new examples each time; `make test` takes the same ones always.
search: $(VENV)/dev
	$(PYTEST) --hypothesis-profile=search

lint: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

docs: $(VENV)/dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site build dist
