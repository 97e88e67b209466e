# The targets that people expect. Each makes the environment it needs; nothing is installed elsewhere.
PYTHON ?= python3
DEV := .venv
BIN := $(DEV)/bin
DEMO := .demo

.PHONY: demo test test-all test-environments lint types docs registry bench clean

demo: $(DEMO)/.ready            ## install into a fresh environment, ask the selector, run what it chose
	$(DEMO)/bin/python docs/demo/demo.py --output $(DEMO)/output

$(DEMO)/.ready: pyproject.toml constraints.txt $(shell git ls-files dnallm_core/src 'plugins/*/src')
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet -c constraints.txt ".[mamba,gpn]" matplotlib
	touch $@

$(DEV)/.ready: requirements-dev.txt constraints.txt pyproject.toml dnallm_core/pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt -c constraints.txt
	touch $@

test: $(DEV)/.ready             ## everything that proves the house, at most 10 minutes on 2 cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not environment" tests plugins

test-all: test test-environments  ## and what needs fresh environments

test-environments: $(DEV)/.ready
	$(BIN)/python -m pytest -q -m environment tests

lint: $(DEV)/.ready             ## style, types, and whether generated files are what they should be
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python tools/registry.py --check
	$(BIN)/python tools/schema.py --check
	$(BIN)/python tools/model_pages.py --check

registry: $(DEV)/.ready         ## generate registry.toml and the index from the manifests
	$(BIN)/python tools/registry.py

docs: $(DEV)/.ready             ## generate the reference pages
	$(BIN)/python tools/schema.py
	$(BIN)/python tools/conformance_page.py
	$(BIN)/python tools/model_pages.py
	$(BIN)/python tools/footprint_pages.py

bench: $(DEV)/.ready            ## measure; every figure is a ratio within one run
	for each in benchmarks/*.py; do $(BIN)/python $$each; done

clean:
	rm -rf $(DEV) $(DEMO)
