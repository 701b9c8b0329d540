# Two commands do all the set-up: `make demo` (the main job) and `make test`.
# Both need Python 3.11+ and make, and build .venv from the exact versions in constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
# A worker that crashed is not replaced: pytest-xdist 3.8 waits for ever on the new one (its #1323).
WORKERS := -n 2 --dist loadgroup --max-worker-restart=0

.PHONY: demo test test-slow check env bench web docs clean

demo: env
	$(BIN)/tomos demo -o demo

test: env
	$(BIN)/python -m pytest $(WORKERS)

test-slow: env
	$(BIN)/python -m pytest -m slow

# Types are looked at beside the tests: alone, on one core, they take half a minute the first time.
check: env
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy & types=$$!; $(BIN)/python -m pytest -x -q $(WORKERS) -m 'fast and not seconds and not slow'; \
	tests=$$?; wait $$types && exit $$tests

bench: env
	$(BIN)/tomos bench

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt web/build_hook.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tomos needs Python 3.11 or newer; this is `$(PYTHON) --version`. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip==26.0
	PIP_CONSTRAINT= $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $(STAMP)

web: env
	$(BIN)/python web/build_hook.py

docs: env
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv demo build dist web/node_modules src/tomos/serve/static
