# Everything runs in .venv, made from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo smoke test test-slow lint type bench bench-gpu figures clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make the environment

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("grokmap needs Python >= 3.11, not %d.%d; try make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

demo: $(STAMP) ## sweep the quickstart and draw its phase diagram
	$(BIN)/grokmap sweep sweeps/quickstart.toml
	$(BIN)/grokmap phase-diagram results/quickstart

smoke: $(STAMP) ## a CPU smoke sweep through the command line, under a minute
	rm -rf results/smoke
	$(BIN)/grokmap sweep sweeps/smoke.toml
	$(BIN)/grokmap curves results/smoke
	$(BIN)/grokmap status results/smoke

test: $(STAMP) ## all tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(STAMP) ## evidence that takes minutes
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

lint: $(STAMP) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(STAMP) ## mypy
	$(BIN)/mypy

bench: $(STAMP) ## measure the claims of benchmarks/README.md, about half an hour
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	for name in planning host_memory training end_to_end order_parameters reliability; do \
	  $(BIN)/python benchmarks/$$name.py > benchmarks/results/$$name.json || exit 1; \
	  $(BIN)/python benchmarks/table.py $$name || exit 1; done

bench-gpu: $(STAMP) ## the same on a GPU
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/gpu.py > benchmarks/results/gpu.json
	$(BIN)/python benchmarks/table.py gpu

figures: $(STAMP) ## draw the committed figures again
	$(BIN)/grokmap phase-diagram results/quickstart-reference
	$(BIN)/grokmap curves results/quickstart-reference
	$(BIN)/grokmap order-parameters results/quickstart-reference
	$(BIN)/grokmap phase-diagram results/quickstart-reference --colour rqi
	$(BIN)/grokmap curves results/survey2026 --format png

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
