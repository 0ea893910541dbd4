# Everything from Python 3.11+ and make: the virtual environment in .venv is made when it is needed, and
# nothing is written outside the checkout (but pip's own cache).
#
#   PYTHON=/path/to/python make run     makes .venv with that interpreter
#   make run ARGS="sandbox --speed 5"   arguments for maitred
#   make test ARGS="-k seat -x"         arguments for pytest

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

ARGS ?=
# On two cores: a third of what the tests take is waiting. `make test WORKERS=0` runs in one process.
WORKERS ?= 3

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
PIP := $(RUN) -m pip --disable-pip-version-check
# A user's pip configuration may ask for --user, which a virtual environment refuses.
export PIP_USER := 0

# An environment that came along with a copied checkout still points to the old place; one whose interpreter
# was uninstalled points to nothing. Both are made anew.
ifneq ($(shell test -x $(RUN) && cat $(VENV)/checkout 2>/dev/null),$(CURDIR))
$(VENV)/checkout: FORCE
endif

.PHONY: help screenshots run test check format format-check lint types contracts bench soak constraints clean FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-14s%s\n", $$1, $$2 }' Makefile

run: $(VENV)/runtime ## set up what is missing, then open the console (ARGS=… for maitred)
	@$(RUN) -m console $(ARGS)

test: $(VENV)/dev ## set up what is missing, then run all tests (ARGS=… for pytest)
	@echo "== test"
	@$(RUN) -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: format-check lint types contracts test ## the one check: format, lint, types, contracts, tests

format: $(VENV)/dev ## put the code in order
	@$(RUN) -m ruff check --fix-only --quiet .
	@$(RUN) -m ruff format .

format-check: $(VENV)/dev
	@echo "== format"
	@$(RUN) -m ruff format --check .

lint: $(VENV)/dev ## look for mistakes
	@echo "== lint"
	@$(RUN) -m ruff check .

types: $(VENV)/dev ## check the types, strictly
	@echo "== types"
	@$(RUN) -m mypy

contracts: $(VENV)/dev ## check that rooms import only from lower floors
	@echo "== contracts"
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/dev ## measure the speed
	@$(RUN) -m tests.bench $(ARGS)

soak: $(VENV)/dev ## run the tests that take long
	@$(RUN) -m pytest -m soak --timeout=0 $(ARGS)

screenshots: $(VENV)/dev ## make the pictures of the README from the real console
	@$(RUN) -m tests.screenshots

constraints: $(VENV)/checkout ## hold the newest versions that fit, in constraints.txt
	@$(RUN) -m venv --clear $(VENV)/fresh
	@$(VENV)/fresh/bin/python -m pip install --disable-pip-version-check --quiet -e '.[dev,postgres,uvloop]'
	@{ \
	  echo '# The versions that are tested, for `pip install -c`. `make constraints` writes this file.'; \
	  $(VENV)/fresh/bin/python -m pip list --disable-pip-version-check --format=freeze --exclude-editable \
	    --exclude pip --exclude setuptools; \
	} > $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt
	@rm -rf $(VENV)/fresh

clean: ## remove what was made here
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find console core tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------- the environment

# Prints the first interpreter that runs, is new enough and can make an environment; else the remedy, in one line.
define FIND_PYTHON
python='$(PYTHON)'; old=; bare=; \
if [ -n "$$python" ]; then set -- "$$python"; else set -- python3 python3.13 python3.12 python3.11; fi; \
for python do \
  "$$python" -c "" >/dev/null 2>&1 || continue; \
  "$$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" || { old=$$python; continue; }; \
  "$$python" -c "import ensurepip, venv" 2>/dev/null || { bare=$$python; continue; }; \
  echo "$$python"; exit; \
done; \
if [ -n "$$bare" ]; then \
  echo "maitred: the venv module of $$bare is missing; on Debian and Ubuntu: apt install python3-venv," \
    "or set PYTHON=... to another Python 3.11 or newer"; \
elif [ -n "$$old" ]; then \
  version=$$("$$old" -c "import sys; print(*sys.version_info[:2], sep='.')"); \
  echo "maitred: needs Python 3.11 or newer, but $$old is $$version; set PYTHON=... to a newer one"; \
else \
  echo "maitred: needs Python 3.11 or newer, and $$1 is none that runs; set PYTHON=... to one"; \
fi
endef

$(VENV)/checkout:
	$(eval FOUND := $(shell $(FIND_PYTHON)))
	$(if $(filter maitred:%,$(FOUND)),$(error $(FOUND)))
	@echo "maitred: making $(VENV) with $(FOUND)"
	@"$(FOUND)" -m venv --clear $(VENV)
	@pwd -P > $@

$(VENV)/runtime: pyproject.toml constraints.txt $(VENV)/checkout
	@echo "maitred: installing what it needs into $(VENV)"
	@$(PIP) install --quiet -c constraints.txt -e '.[uvloop]'
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt $(VENV)/checkout
	@echo "maitred: installing what it and its tests need into $(VENV)"
	@$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $(VENV)/runtime $@
