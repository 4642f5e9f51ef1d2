# The commands of a fresh clone. `make demo` and `make test` each set up all they need in .venv.
# Needs python3 (3.11 or newer); `make test` and `make studio` also Node.js 20 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
EXAMPLE := examples/reading.opus

.PHONY: demo test lint licences lock lock-check docs unit studio wheel space clean

demo: $(VENV)/app.done
	$(BIN)/evoxtral transcribe $(EXAMPLE)

test: lint unit

lint: $(VENV)/dev.done licences lock-check docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

# Fails for a package whose licence is not in the list in pyproject.toml.
licences: $(VENV)/dev.done
	$(BIN)/pip-licenses >/dev/null

# The plain install with a hash for each file: pip install --require-hashes -r requirements.lock && pip install --no-deps .
# PyTorch and what comes with it are in no lock: which build is right depends on the machine (see CONTRIBUTING.md).
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--constraint constraints.txt --no-header --annotation-style line --no-emit-index-url

# The extras that need no PyTorch, with all that they need: pip install --require-hashes -r requirements-extras.lock
EXTRAS := batch bench corpus elevenlabs kokoro microphone mistral piper postgres ray wandb

# What trains and diarizes, without PyTorch and the parts of CUDA that its build for Linux asks for. First install PyTorch,
# then: pip install --require-hashes -r requirements-training.lock
WITH_TORCH := cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
	nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
	nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx torch torchaudio triton
# The constraint on triton is for PyTorch's build without CUDA; the one that is resolved here asks for another.
LOCK_TRAINING := $(LOCK:constraints.txt=$(VENV)/constraints.txt) --extra train --extra diarize \
	$(WITH_TORCH:%=--no-emit-package %)

lock: $(VENV)/dev.done
	$(LOCK) --output-file requirements.lock
	$(LOCK) $(EXTRAS:%=--extra %) --output-file requirements-extras.lock
	grep -v '^triton==' constraints.txt > $(VENV)/constraints.txt
	$(LOCK_TRAINING) --output-file requirements-training.lock

# The same packages in the same versions would be locked now. (Hashes may grow: files are added to old releases.)
lock-check: $(VENV)/dev.done
	cp requirements.lock requirements-extras.lock requirements-training.lock $(VENV)/
	grep -v '^triton==' constraints.txt > $(VENV)/constraints.txt
	$(LOCK) --output-file $(VENV)/requirements.lock
	$(LOCK) $(EXTRAS:%=--extra %) --output-file $(VENV)/requirements-extras.lock
	$(LOCK_TRAINING) --output-file $(VENV)/requirements-training.lock
	for lock in requirements.lock requirements-extras.lock requirements-training.lock; do \
		test "$$(grep -o '^[^ ;]*==[^ ;]*' $$lock)" = "$$(grep -o '^[^ ;]*==[^ ;]*' $(VENV)/$$lock)" \
		|| { echo "$$lock is out of step with pyproject.toml and constraints.txt: make lock" >&2; exit 1; }; done

# The site, into site/; a link that leads nowhere is an error.
docs: $(VENV)/dev.done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel: $(VENV)/dev.done studio
	$(BIN)/uv build --wheel --quiet --out-dir dist

# A folder that is a whole Docker Space: hf upload OWNER/NAME dist/space --repo-type space
space: wheel
	rm -rf dist/space && mkdir dist/space
	cp deploy/space/README.md deploy/space/Dockerfile dist/evoxtral-*.whl dist/space/

unit: $(VENV)/dev.done $(VENV)/chromium.done $(VENV)/postgres.done studio studio-check
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

# The store's tests start a private server of Debian's PostgreSQL; elsewhere, any `initdb` on the PATH will do.
$(VENV)/postgres.done: $(VENV)/python.done
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
		|| { apt-get update -qq && apt-get install -y -qq postgresql >/dev/null; } \
		|| { echo "the store's tests need postgresql: install it and run make test again" >&2; exit 1; }
	touch $@

clean:
	rm -rf $(VENV) site dist web/node_modules web/.next web/out src/evoxtral/server/studio

include web/studio.mk
