# Everything runs in .venv, which the targets make themselves. Needs: make, Python 3.11 or newer with venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage chaos soak check generate bench clean help
.DEFAULT_GOAL := help

help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: $(BIN)/engine  ## run the booking of flows/examples/booking.json against the taxi simulator
	@rm -f demo.db demo.db-* demo.jsonl
	MEMBER_REF_KEY=demo PERSONAL_DATA_KEYS=demo EVENT_LOG=demo.jsonl $(BIN)/python -m steps.simulator -- $(BIN)/engine run flows/booking.yaml \
		--input flows/examples/booking.json --store sqlite:///demo.db

test: $(VENV)/dev    ## run all tests
	$(BIN)/python -m pytest -q -n auto --dist worksteal

coverage: $(VENV)/dev  ## run the tests of the pure rooms, a minute or two; fail where a branch of them is not taken
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not chaos and not hypothesis" -k "not postgresql" \
		--cov --cov-config=tests/coverage.toml --cov-report=term-missing \
		tests/core tests/definition tests/query tests/rules tests/states \
		tests/runtime/test_json_schema.py tests/runtime/test_map_runs.py tests/runtime/test_redrive.py

soak: $(VENV)/dev    ## book 10,000 rides while processes are killed and the taxi company fails; ask every invariant
	$(BIN)/python -m tests.soak $(SOAK)

chaos: $(VENV)/dev   ## kill and stop workers and databases for minutes; CHAOS_SEED, CHAOS_EXECUTIONS, CHAOS_SECONDS
	$(BIN)/python -m pytest -q -s -m chaos tests/chaos tests/runtime tests/meta

check: $(VENV)/dev   ## format, lint, types, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/engine validate --strict flows/booking.yaml flows/rules/booking.yaml
	$(MAKE) --no-print-directory generate
	@git diff --exit-code --stat -- schemas docs || (echo "generated files were stale: commit the new ones" && exit 1)

generate: $(VENV)/dev  ## write the files that are made from code: schemas/flow.schema.json and docs/reference
	$(BIN)/python docs/generate.py

bench: $(VENV)/bench  ## measure speed beside the floor and the peers; BENCH="durable --store sqlite" for a part of it
	$(BIN)/python -m bench $(BENCH)

clean:           ## remove what the targets made: the environment, demo.db, caches
	rm -rf $(VENV) demo.db demo.db-* demo.jsonl *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/engine: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $(BIN)/engine

$(VENV)/dev: $(BIN)/engine
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $(VENV)/dev

$(VENV)/bench: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@touch $(VENV)/bench
