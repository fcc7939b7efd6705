# Everything a fresh machine needs: Python >= 3.10, make and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: help demo test lint types docs install clean benchmark
help:
	@echo "make demo     a small archive of synthetic images, enhanced and reported"
	@echo "make test     lint, types and the whole test suite"
	@echo "make docs     the documentation as a site, in site/"
	@echo "make benchmark quality, jobs and networks measured and compared, half an hour"
	@echo "make install  the virtual environment in .venv"

install: $(BIN)/.installed

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: install
	$(BIN)/magenet demo --output $(DEMO)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site

test: lint types
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) $(DEMO)

benchmark: install
	mkdir -p eval/results
	$(BIN)/python benchmarks/network.py --training -o eval/results/network.json
	$(BIN)/python benchmarks/job.py --images 30 -o eval/results/job.json
	$(BIN)/python benchmarks/scaling.py -o eval/results/scaling.json
	$(BIN)/python studies/quality.py --images 12 --result eval/results/quality.json
	$(BIN)/python benchmarks/check.py benchmarks/results studies/results eval/results
