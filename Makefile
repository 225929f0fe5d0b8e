# Two commands set everything up: `make demo` and `make test`. Both build .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow soak fuzz lint format clean help

help:
	@echo "make demo       install into .venv and recognize a gesture, frame by frame, offline"
	@echo "make test       install into .venv, then lint, types and the tests (CI runs this)"
	@echo "make test-slow  the suites that take minutes"
	@echo "make soak       cameras watched for SOAK_MINUTES (60), and eight at once for half of it: memory and drift"
	@echo "make fuzz       every reader of files on what a fuzzer makes, FUZZ_SECONDS (600) each"
	@echo "make format     apply ruff's formatting and fixes"
	@echo "make clean      remove .venv and caches"

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/movinet demo

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# In two processes, a file's tests in one of them.
test: lint
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: $(INSTALLED)
	$(BIN)/pytest -m slow

SOAK_MINUTES ?= 60
soak: $(INSTALLED)
	$(BIN)/python benchmarks/cameras.py --only soak --minutes $(SOAK_MINUTES)

FUZZ_SECONDS ?= 600
export FUZZ_SECONDS
fuzz: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check 'atheris==3.0.0'
	$(BIN)/python tests/fuzz/guided.py --folder .fuzz

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
