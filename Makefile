# SPDX-License-Identifier: Apache-2.0
# Every target sets itself up: the first one that runs makes .venv.  All paths are relative, so that the checkout may
# lie in a folder with spaces.

PYTHON ?=
JOBS ?= 2
COUNT ?= 200
SEED ?=
PRESET ?= regress
VIDEO ?=
PROMPT ?=
TESTS ?= verif
JSON ?=
export PRESET VIDEO JSON PROMPT

BIN := .venv/bin
STAMP := .venv/.complete
# Without SEED= every run draws its own and prints it; the demo's default is 1.
WITH_SEED = $(if $(SEED),--seed '$(SEED)')

.DELETE_ON_ERROR:
.PHONY: help env demo test lint types regress mutants figures clean distclean

help:
	@echo 'make demo       real video through generated Verilog, every bit compared   (VIDEO=clip.mp4 PROMPT=0,1,1,2,3 PRESET=regress SEED=1)'
	@echo 'make test       all tests                                        (SEED=7 TESTS=verif/gen to choose)'
	@echo 'make lint       ruff'
	@echo 'make types      mypy'
	@echo 'make regress    200 random configurations, the mutants, all arithmetic (SEED=7 COUNT=200 JOBS=2)'
	@echo 'make mutants    named faults put into the hardware, each must be found'
	@echo 'make figures    measure the figures that the texts quote, and write them there'
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
	$(BIN)/focus-rtl demo --preset "$$PRESET" $(if $(VIDEO),--video "$$VIDEO") $(if $(JSON),--json "$$JSON") $(WITH_SEED) $(if $(PROMPT),$$(printf ' --prompt %s' $$PROMPT))

test: $(STAMP)
	$(BIN)/pytest -n $(JOBS) $(WITH_SEED) $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .

# mypy does not follow the links of an editable installation: it gets a folder that looks like the package.
types: $(STAMP)
	@rm -rf build/types && mkdir -p build/types/focus_rtl
	@for part in golden hdl gen verif; do ln -s "../../../$$part" "build/types/focus_rtl/$$part"; done
	$(BIN)/mypy

regress: $(STAMP)
	$(BIN)/python -m focus_rtl.verif.core.campaign $(COUNT) --jobs $(JOBS) $(WITH_SEED)
	$(BIN)/python -m focus_rtl.verif.core.mutants
	$(BIN)/python -m focus_rtl.verif.array.utilisation
	$(BIN)/python -m focus_rtl.verif.array.full
	$(BIN)/python -m focus_rtl.verif.formal.prove
	$(BIN)/python -m focus_rtl.verif.numeric.exhaustive
	$(BIN)/python -m focus_rtl.verif.numeric.campaign
	$(BIN)/python -m focus_rtl.verif.golden.film
	$(BIN)/python -m focus_rtl.verif.core.film --jobs $(JOBS)
	$(BIN)/python -m focus_rtl.verif.flow.boards --seeds 5 --jobs $(JOBS)
	$(BIN)/python -m focus_rtl.verif.flow.gates --jobs $(JOBS) $(WITH_SEED)

# The figures that the texts quote, measured anew and written into them: on an idle machine, for the times.
figures: $(STAMP)
	@mkdir -p build
	$(BIN)/focus-rtl demo --json build/demo.json --picture build/demo.png
	$(BIN)/python -m focus_rtl.verif.figures write --demo build/demo.json --times
	$(BIN)/python -m focus_rtl.verif.numeric.area --json docs/areas.json --jobs $(JOBS)
	$(BIN)/python -m focus_rtl.verif.formal.prove --json docs/arithmetic.json
	$(BIN)/python -m focus_rtl.verif.numeric.exhaustive --json docs/arithmetic.json
	$(BIN)/python -m focus_rtl.verif.numeric.campaign --seed 1 --json docs/arithmetic.json
	$(BIN)/python -m focus_rtl.verif.golden.film --json docs/concentrator.json
	$(BIN)/python -m focus_rtl.verif.core.film --json docs/concentrator.json --jobs $(JOBS)
	$(BIN)/python -m focus_rtl.verif.golden.speed --json docs/concentrator.json
	$(BIN)/python -m focus_rtl.verif.sic.budgets --json docs/budgets.json
	$(BIN)/python -m focus_rtl.verif.sic.budgets --render
	$(BIN)/python -m focus_rtl.verif.flow.calibrate
	$(BIN)/python -m focus_rtl.verif.flow.boards --json docs/boards.json --seeds 5 --jobs $(JOBS)
	$(BIN)/python -m focus_rtl.verif.tables write

mutants: $(STAMP)
	$(BIN)/python -m focus_rtl.verif.core.mutants

clean:
	rm -rf build dist focus_rtl.egg-info .pytest_cache .mypy_cache .ruff_cache
	rm -f focus-demo.png focus-demo.fst focus-demo.vcd
	find golden hdl gen verif -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
