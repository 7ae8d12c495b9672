# Everything lives in .venv; nothing outside this folder is touched. Safe to run twice, and from a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# Hundreds of processes are started in the tests: each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install test test-agents test-histories test-random check demo demo-slack bench strace lock clean

help:
	@echo "make install         the mux command, in $(BIN)/mux"
	@echo "make demo            from a fresh clone to a running board, in a scratch repository"
	@echo "make demo-slack      a night with the chat, against a local Slack; no keys needed"
	@echo "make test            lint, types and the whole suite"
	@echo "make test-agents     the real agents from start to end, against a scripted model; fetches them once (2 GB)"
	@echo "make test-histories  10,000 random histories of the plan and the recovery table"
	@echo "make test-random     the property tests, with other examples than make test has"
	@echo "make bench           speed and cost, printed as ratios (docs/benchmarks.md)"
	@echo "make lock            write requirements.lock anew"

install: $(READY)

# uv where it is installed, else venv and pip: Debian refuses pip outside a virtual environment.
$(READY): pyproject.toml requirements.lock
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements.lock && \
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
	@echo "skipped: the real agents (make test-agents)"
	$(BIN)/pytest -n 8 --dist worksteal

# Minutes, and the newest release of each agent: with the next `rm -r .agents` newer ones. None of them knows a person's keys.
test-agents: tools
	@$(BIN)/python -m tests.agents.programs .agents
	MUX_AGENTS=.agents $(BIN)/pytest -s -rs tests/agents/real.py

# Minutes. `make test` plays a few hundred.
test-histories: tools
	MUX_RANDOM=1 MUX_HISTORIES=10000 $(BIN)/pytest -n 2 tests/runners/test_recovery_model.py

test-random: tools
	MUX_RANDOM=1 $(BIN)/pytest -n 2 $$(grep -rl "from hypothesis" tests --include="test_*.py")

demo: tools
	@$(BIN)/python -m bot.demo board.example.md

demo-slack: tools
	@$(BIN)/python -m tests.e2e.demo_slack

bench: tools
	$(BIN)/python -m benchmarks

lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --group dev \
		pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .agents .hypothesis .mypy_cache .ruff_cache dist
