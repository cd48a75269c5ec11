# `make demo`, `make check` (a minute or two), `make test` (all), `make docs`, and `make pictures` and
# `make test-portable`, which take an hour: all need python3 >= 3.11 with venv, and a package index.
PYTHON ?= python3
BIN := .venv/bin
# The suite starts some hundred processes; without bytecode each compiles the sources again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check test test-window test-portable docs pictures install clean

# Ends with commands to go on with, by the path of $(BIN) where engram is not on the shell's path.
demo: install
	$(BIN)/engram demo

# Types are checked while the tests run, in the seconds in which these wait for processes.
test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/mypy --num-workers 1 > .venv/types 2>&1 & types=$$!; \
	  $(BIN)/python -m pytest -n 2 --dist worksteal; tests=$$?; \
	  wait $$types; types=$$?; echo "mypy:"; cat .venv/types; exit $$((tests + types))

# What a person runs while working: everything but what is slow, kills processes or needs an extra.
check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "not slow and not kill and not optional and not learning" tests/unit tests/laws/test_architecture.py

# The manual, into site/; a broken link is an error.
docs: .venv/installed-docs
	$(BIN)/mkdocs build --strict

# The manual's pictures, by the commands that stand beside them; half an hour.
pictures: install
	$(BIN)/python docs/_pictures.py

# The window on a virtual display (Debian: xvfb, xdotool).
test-window: install
	ENGRAM_TEST_WINDOW=1 $(BIN)/python -m pytest -q tests/window -m ""

# The suite as other machines would run it: other BLAS kernels, plainer processors, other first seeds.
test-portable: install
	$(BIN)/python -m tests.portable

install: .venv/installed

# pip's torch is pinned first: anything newer would bring gigabytes of CUDA with it.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "engram needs Python 3.11 or newer, but $(PYTHON) is `$(PYTHON) -V 2>&1`"; exit 2; }
	@echo "installing into .venv, once; this takes a few minutes"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
	  --constraint constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
	  --constraint constraints.txt --editable '.[dev]'
	@touch $@

.venv/installed-docs: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
	  --constraint constraints.txt --editable '.[docs]'
	@touch $@

clean:
	rm -rf .venv
