# SPDX-License-Identifier: Apache-2.0
# Every target sets itself up: the first one that runs makes .venv.  All paths are relative, so that the checkout may
# lie in a folder with spaces.

PYTHON ?=
JOBS ?= 2
SEED ?=
PRESET ?= regress
VIDEO ?=
TESTS ?= verif

BIN := .venv/bin
STAMP := .venv/.complete
DEMO_ARGS = --preset '$(PRESET)' $(if $(SEED),--seed '$(SEED)') $(if $(VIDEO),--video '$(VIDEO)')
# A seed of its own for each run, printed, and taken back with SEED=.
TEST_SEED := $(or $(SEED),$(shell date +%s))

.DELETE_ON_ERROR:
.PHONY: help env demo test lint types regress mutants clean distclean

help:
	@echo 'make demo       real video through generated Verilog, every bit compared   (VIDEO=clip.mp4 PRESET=regress SEED=1)'
	@echo 'make test       all tests                                        (SEED=7 TESTS=verif/gen to choose)'
	@echo 'make lint       ruff'
	@echo 'make types      mypy'
	@echo 'make regress    200 random configurations, then the mutants      (SEED=7)'
	@echo 'make mutants    named faults put into the hardware, each must be found'
	@echo 'make env        only the Python environment .venv                (PYTHON=python3.12 to choose)'
	@echo 'make clean      remove what was made here, except .venv'
	@echo 'make distclean  remove .venv as well'

env: $(STAMP)

# The stamp comes last: an installation that was interrupted leaves none, and the next run starts over.
$(STAMP): pyproject.toml requirements.lock
	@python=$$(PYTHON='$(PYTHON)' sh .ci/find-python) && { [ -f $(STAMP) ] || "$$python" -m venv --clear .venv; }
	@rm -f $(STAMP)
	@echo 'Installing the packages of requirements.lock into .venv (a minute or two, once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/focus-rtl demo $(DEMO_ARGS)

test: $(STAMP)
	@echo 'seed $(TEST_SEED) (repeat with: make test SEED=$(TEST_SEED))'
	FOCUS_RTL_SEED=$(TEST_SEED) $(BIN)/pytest -n $(JOBS) --dist loadgroup '$(TESTS)'

lint: $(STAMP)
	$(BIN)/ruff check .

# mypy does not follow the links of an editable installation: it gets a folder that looks like the package.
types: $(STAMP)
	@rm -rf build/types && mkdir -p build/types/focus_rtl
	@for part in golden hdl gen verif; do ln -s "../../../$$part" "build/types/focus_rtl/$$part"; done
	$(BIN)/mypy

regress: $(STAMP)
	$(BIN)/python -m focus_rtl.verif.core.campaign --count 200 --jobs $(JOBS) $(if $(SEED),--seed '$(SEED)')
	$(BIN)/python -m focus_rtl.verif.core.mutants

mutants: $(STAMP)
	$(BIN)/python -m focus_rtl.verif.core.mutants

clean:
	rm -rf build dist focus_rtl.egg-info .pytest_cache .mypy_cache .ruff_cache
	find golden hdl gen verif -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
