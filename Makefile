# Everything runs in .venv, made from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV := .venv
CONSTRAINTS := constraints.txt
GROUP := dev
MINUTES ?= 25

# Two more environments: every dependency at the lowest version that is declared, and
# all at the newest. A Python is looked for by name, then among those of pyenv.
python = $(shell for p in python$(1) $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$(1).*/bin/python; \
  do $$p -c 1 2> /dev/null && echo $$p && break; done)
PYTHON_MINIMUM ?= $(call python,3.11)
PYTHON_NEWEST ?= $(call python,3.13)
MINIMUM = VENV=.venv-minimum GROUP=test CONSTRAINTS=constraints-minimum.txt PYTHON="$(PYTHON_MINIMUM)"
NEWEST = VENV=.venv-newest GROUP=test CONSTRAINTS= PYTHON="$(PYTHON_NEWEST)"
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo smoke smoke-minimum smoke-newest test test-minimum test-newest \
  test-slow test-slurm test-ray lint type docs bench gpu-audit gpu-day figures screenshots clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## make the environment

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(if $(PYTHON),,echo "make: no Python of the version that $(VENV) needs; give PYTHON_MINIMUM=/path/to/python3.11 or PYTHON_NEWEST=/path/to/python3.13" >&2; exit 2)
	$(PYTHON) -c 'import sys; sys.exit("grokmap needs Python >= 3.11, not %d.%d; try make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) --editable . --group $(GROUP)
	@touch $@

demo: $(STAMP) ## sweep the quickstart and draw its phase diagram
	$(BIN)/grokmap sweep sweeps/quickstart.toml
	$(BIN)/grokmap phase-diagram results/quickstart

smoke: $(STAMP) ## a CPU smoke sweep through the command line, under a minute
	rm -rf results/smoke
	$(BIN)/grokmap sweep sweeps/smoke.toml
	$(BIN)/grokmap curves results/smoke
	$(BIN)/grokmap status results/smoke

smoke-minimum: ## the same with the lowest versions, on Python 3.11
	$(MAKE) smoke $(MINIMUM)

smoke-newest: ## the same with the newest versions, on Python 3.13
	$(MAKE) smoke $(NEWEST)

test: $(STAMP) ## all tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-minimum: ## the same with the lowest versions, on Python 3.11
	$(MAKE) test $(MINIMUM)

test-newest: ## the same with the newest versions, on Python 3.13
	$(MAKE) test $(NEWEST)

test-slow: $(STAMP) ## evidence that takes minutes
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

test-slurm: $(STAMP) ## a sweep on a Slurm of this machine, with losses (root, Debian)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[slurm]'
	$(BIN)/python tests/slurm/run.py

test-ray: $(STAMP) ## shards on a Ray cluster of this machine, with losses; minutes
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray]'
	$(BIN)/python -m pytest -m slow tests/test_ray.py

lint: $(STAMP) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(STAMP) ## mypy
	$(BIN)/mypy

docs: $(STAMP) ## the documentation as a site: docs/_build/html/index.html
	$(BIN)/sphinx-build -E -a -W --keep-going -n -q -d docs/_build/doctrees docs docs/_build/html

bench: $(STAMP) ## measure the claims of benchmarks/README.md, about two hours
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	for name in planning host_memory training end_to_end order_parameters reliability shards report; do \
	  $(BIN)/python benchmarks/$$name.py > benchmarks/results/$$name.json || exit 1; \
	  $(BIN)/python benchmarks/table.py $$name || exit 1; done

gpu-audit: $(STAMP) ## compile every sweep for a GPU that need not be here, about an hour
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[gpu]'
	$(BIN)/python benchmarks/gpu_audit.py > benchmarks/results/gpu_audit.json
	$(BIN)/python benchmarks/table.py gpu_audit

gpu-day: ## measure all that needs a GPU, in MINUTES=25 of one, by PYTHON with jax for it
	@$(PYTHON) benchmarks/gpu_day.py --minutes $(MINUTES); code=$$?; \
	  $(PYTHON) benchmarks/table.py && exit $$code

screenshots: $(STAMP) ## make the pictures of pages in docs/images (needs Chromium)
	$(BIN)/python -m pip install --quiet --group browser
	$(BIN)/python docs/screenshots.py

figures: $(STAMP) ## draw the committed figures again
	$(BIN)/grokmap phase-diagram results/quickstart-reference
	$(BIN)/grokmap curves results/quickstart-reference
	$(BIN)/grokmap order-parameters results/quickstart-reference
	$(BIN)/grokmap phase-diagram results/quickstart-reference --colour rqi
	$(BIN)/grokmap curves results/survey2026 --format png

clean: ## remove the environments and caches
	rm -rf .venv .venv-minimum .venv-newest docs/_build docs/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis
