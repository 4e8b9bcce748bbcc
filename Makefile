PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KERNELS := $(wildcard ionanalysis/_core/*.py[xd] ionanalysis/_core/*.pxi ionanalysis/_core/*.h)
KERNEL_TESTS = $(shell grep -lE "ionanalysis\._core|import _core|ionanalysis\.reference" tests/test_*.py) \
	tests/test_run.py tests/test_calls_golden.py tests/test_sigproc_golden.py tests/test_fuzz_formats.py

.PHONY: demo test test-slow test-checked test-plugins test-slurm test-postgres bench golden docs lint format clean

demo: $(VENV)/.installed
	$(BIN)/python -m ionanalysis.demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not slurm"

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto -m slow

# The tests that drive kernels, on kernels with bounds checks: an index error inside a kernel becomes a failure here.
test-checked: $(VENV)/.installed-test
	IONANALYSIS_CHECKED=1 $(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/checked .
	IONANALYSIS_CPU=baseline PYTHONPATH=build/checked $(BIN)/pytest -n auto --dist loadfile -m "not slow and not slurm" $(KERNEL_TESTS)

# Plugins written for Torrent Suite, unmodified: make test-plugins PLUGIN_SOURCES=FOLDER
test-plugins: $(VENV)/.installed-test
	PLUGIN_SOURCES="$(PLUGIN_SOURCES)" $(BIN)/python -m pytest -rs tests/test_plugin_sources.py

# Runs and plugins on a real Slurm of one node, made in a temporary folder; says why where it cannot be.
test-slurm: $(VENV)/.installed-test
	command -v slurmctld slurmd munged >/dev/null || [ "$$(id -u)" != 0 ] || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null; } || true
	$(BIN)/python -m pytest -rs -m slurm tests/test_queue_workers.py

# The run database on PostgreSQL, of Debian's package postgresql, in a folder of its own.
test-postgres: $(VENV)/.installed-test $(VENV)/.installed-postgres
	IONANALYSIS_TEST_DATABASE=postgresql $(BIN)/python -m pytest $(wildcard tests/test_rundb_*.py)

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.signals
	$(BIN)/python -m benchmarks.signals_speed
	$(BIN)/python -m benchmarks.calling
	$(BIN)/python -m benchmarks.calling_resources
	$(BIN)/python -m benchmarks.plugins
	$(BIN)/python -m benchmarks.aligning
	$(BIN)/python -m benchmarks.rundb
	$(BIN)/python -m benchmarks.pipeline

# Figures on the golden data beside the original's.
golden: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.golden

# User guide, API reference and executed notebooks, to build/docs.
docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

lint: $(VENV)/.installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint ionanalysis/_core
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ionanalysis needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml setup.py $(KERNELS)
	$(BIN)/python -m pip install --quiet --editable .
	# An installed package is compiled to bytecode; an editable one would be at each start where nothing may be cached.
	$(BIN)/python -m compileall -q ionanalysis
	touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	# Of the package as installed above: asked for by its folder, all kernels would be compiled anew.
	$(BIN)/python -m pip install --quiet "ionanalysis[$*]"
	touch $@

clean:
	rm -rf build $(VENV) demo *.egg-info
	find ionanalysis -name '*.so' -delete
