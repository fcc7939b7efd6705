# Everything a fresh machine needs: Python >= 3.10, make and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo

# Needs uv. TORCH_BACKEND=auto takes the build of torch that uv finds.
PYTHONS ?= 3.10 3.11 3.12 3.13
TORCH_BACKEND ?= cpu
TESTERS ?= 2
FAST := not slow and not ray and not browser

.PHONY: help demo test test-long test-pythons lint types docs install clean benchmark
help:
	@echo "make install       create the virtual environment in .venv"
	@echo "make demo          enhance a small archive of synthetic images and write a report"
	@echo "make test          run lint, types and the whole test suite"
	@echo "make test-long     run the tests of clusters and soaks, which take minutes"
	@echo "make test-pythons  run the fast tests on every supported Python"
	@echo "make docs          build the documentation as a site, in site/"
	@echo "make benchmark     measure quality, jobs and networks, and compare; half an hour"

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
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile

test-long: install
	$(BIN)/python -m pytest -m long

test-pythons:
	set -e; for version in $(PYTHONS); do \
	  uv venv --quiet --clear --python $$version .venvs/$$version; \
	  uv pip install --quiet --python .venvs/$$version --torch-backend $(TORCH_BACKEND) ".[dev]"; \
	  .venvs/$$version/bin/python -m pytest -m "$(FAST)" $(TESTS); \
	done

clean:
	rm -rf $(VENV) .venvs $(DEMO)

benchmark: install
	mkdir -p eval/results
	$(BIN)/python benchmarks/network.py -o eval/results/network.json
	$(BIN)/python benchmarks/image.py -o eval/results/image.json
	$(BIN)/python benchmarks/training_step.py -o eval/results/training_step.json
	$(BIN)/python benchmarks/job.py --images 30 -o eval/results/job.json
	$(BIN)/python benchmarks/scaling.py -o eval/results/scaling.json
	$(BIN)/python studies/quality.py --images 12 --result eval/results/quality.json
	$(BIN)/python benchmarks/check.py benchmarks/results studies/results eval/results
