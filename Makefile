# The commands of a fresh clone. `make demo` and `make test` each set up all they need in .venv.
# Needs python3 (3.11 or newer); `make test` and `make studio` also Node.js 20 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
EXAMPLE := examples/reading.opus

.PHONY: demo test lint unit studio clean

demo: $(VENV)/app.done
	$(BIN)/evoxtral transcribe $(EXAMPLE)

test: lint unit

lint: $(VENV)/dev.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/dev.done $(VENV)/chromium.done studio studio-check
	$(BIN)/pytest --numprocesses 2

$(VENV)/python.done:
	$(PYTHON) -c 'import sys; sys.exit("evoxtral needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/app.done: $(VENV)/python.done pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

$(VENV)/dev.done: $(VENV)/python.done pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/app.done

# The browser tests drive Debian's Chromium; elsewhere, any `chromium` on the PATH will do.
$(VENV)/chromium.done: $(VENV)/python.done
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
		|| { echo "the browser tests need chromium: install it and run make test again" >&2; exit 1; }
	touch $@

clean:
	rm -rf $(VENV) web/node_modules web/.next web/out src/evoxtral/server/studio

include web/studio.mk
