# Everything lives in .venv; nothing outside this folder is touched. Safe to run twice, and from a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help install test check demo bench strace lock clean

help:
	@echo "make install   the mux command, in $(BIN)/mux"
	@echo "make demo      from a fresh clone to a running board, in a scratch repository"
	@echo "make test      lint, types and the whole suite"
	@echo "make bench     speed and cost, printed as ratios (docs/benchmarks.md)"
	@echo "make lock      write requirements.lock anew"

install: $(READY)

# uv where it is installed, else venv and pip: Debian refuses pip outside a virtual environment.
$(READY): pyproject.toml requirements.lock
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python --requirement requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --editable .; \
	else \
		{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
			echo "python3 cannot make a virtual environment: sudo apt install python3-venv"; exit 1; }; } && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .; \
	fi
	@touch $@

# One clear line when tmux or git is missing or too old.
tools: $(READY)
	@$(BIN)/python -m runners.tools

check: tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	@command -v strace >/dev/null 2>&1 || echo "skipped: faults at the system-call level (strace is not installed)"
	$(BIN)/pytest -n 2

demo: tools
	@$(BIN)/python -m bot.demo board.example.md

bench: tools
	$(BIN)/python -m benchmarks

lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --group dev \
		pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .hypothesis .mypy_cache .ruff_cache dist
