# Everything runs inside .venv, which the first target that needs it creates from pyproject.toml and constraints.txt.
# Needed on the machine: make and Python 3.11 or newer. `make PYTHON=python3.12 test` picks another interpreter.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
INTEGRATIONS := .venv-integrations
RLLIB := .venv-rllib
PAGES := $(wildcard docs/libraries/*.md)

# The documentation theme would print a notice about other products on every build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-integrations lint format docs serve bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## create .venv with the pinned versions (the other targets do this by themselves)

# The stamp is younger than both files exactly when the environment is complete, so a second call costs nothing.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "foveal-envs needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Setting up $(VENV), once: this takes a few minutes."
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --constraint constraints.txt --editable '.[all]'
	@touch $@

demo: $(INSTALLED)  ## train a fovea to find a target and show the result (about 3 minutes)
	$(RUN) -m scripts.demo

test: lint  ## all that CI runs: lint, types, fast tests, strict docs with their snippets
	$(RUN) -m pytest -n 2 --dist worksteal
	$(RUN) docs/build/snippets.py
	$(RUN) -m mkdocs build --strict

test-slow: $(INSTALLED)  ## every test, the slow ones included
	$(RUN) -m pytest -n 2 --dist worksteal -m "slow or not slow"

# Not with constraints.txt: some of these libraries need older pandas. PufferLib pins a PyTorch that it does not need.
$(INTEGRATIONS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/python -m pip install --editable '.[agents,integrations,ap-gym]'
	$(INTEGRATIONS)/bin/python -m pip install --no-deps pufferlib-core==3.0.23
	@touch $@

$(RLLIB)/.installed: pyproject.toml
	@echo "Setting up $(RLLIB), once: this takes several minutes."
	$(PYTHON) -m venv $(RLLIB)
	$(RLLIB)/bin/python -m pip install --editable '.[agents,rllib,sweep]' pytest torch==2.13.0
	@touch $@

test-integrations: $(INTEGRATIONS)/.installed $(RLLIB)/.installed  ## other libraries with our environments and agents, in environments of their own (half an hour)
	$(INTEGRATIONS)/bin/python -m pytest -W ignore -m "slow or not slow" tests/integrations --ignore tests/integrations/test_rllib.py --ignore tests/integrations/test_ray_tune.py
	$(INTEGRATIONS)/bin/python docs/build/snippets.py $(filter-out docs/libraries/rllib.md, $(PAGES))
	$(RLLIB)/bin/python -m pytest -W ignore -m "slow or not slow" tests/integrations/test_rllib.py tests/integrations/test_ray_tune.py
	$(RLLIB)/bin/python docs/build/snippets.py docs/libraries/rllib.md

lint: $(INSTALLED)  ## ruff and mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(INSTALLED)  ## let ruff format the code and mend what it can
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

docs: $(INSTALLED)  ## build the documentation into site/
	$(RUN) -m mkdocs build --strict

serve: $(INSTALLED)  ## show the documentation at a local address while you edit it
	$(RUN) -m mkdocs serve

bench: $(INSTALLED)  ## measure the speed of the environments
	$(RUN) -m scripts.benchmark envs

clean:  ## remove the environment, the built site and all caches (runs/ stays)
	rm -rf $(VENV) $(INTEGRATIONS) site build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
