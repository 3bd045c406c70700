# Everything a contributor types. 'make run' and 'make test' need only Python 3.10 or newer, pip and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
FEEDS  ?=

ENTRIES ?=
KILLS   ?=
SEED    ?=
AWAY_S  ?=
DOCS    ?=
SECONDS ?=
TARGET  ?=
FETCH   ?=

.PHONY: run test bench bench-fetch chaos outage soak fuzz lint types arch check clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "samestory needs Python 3.10 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(READY)  ## the seeds, or FEEDS="my.opml https://…"; Ctrl-C drains and ends
	@$(BIN)/samestory run $(if $(FEEDS),--feeds "$(FEEDS)",--seeds seeds)

test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

bench: $(READY)  ## an hour, on a machine with nothing else to do; BENCH="--quick" or rows of it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plot]'
	$(BIN)/python tests/benchmarks/run.py $(or $(BENCH),--docs docs)

bench-fetch: $(READY)  ## ten minutes, as bench; FETCH="--feeds 500 --rounds 1" for less; Linux
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[rival]'
	$(BIN)/python tests/benchmarks/fetch.py $(FETCH)

chaos: $(READY)  ## 500 kills over 10 000 entries; ENTRIES=1000 KILLS=50 SEED=2 for less; Linux
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plot]'
	$(BIN)/python tests/chaos/run.py --entries $(or $(ENTRIES),10000) --kills $(or $(KILLS),500) \
	  --seed $(or $(SEED),1) --docs $(or $(DOCS),var)

outage: $(READY)  ## two minutes: Redis away for 30 s; AWAY_S=60; Linux
	$(BIN)/python tests/chaos/outage.py --away-s $(or $(AWAY_S),30)

soak: $(READY)  ## an hour and a half: 200 000 entries without faults; ENTRIES=5000 for half an hour; Linux
	$(BIN)/python tests/chaos/soak.py --entries $(or $(ENTRIES),200000) --seed $(or $(SEED),1)

fuzz: $(READY)  ## ten minutes for each kind of input; SECONDS=60 TARGET=feed for less; Python 3.11 to 3.13
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),600) $(if $(TARGET),--target $(TARGET))

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

arch: $(READY)
	$(BIN)/lint-imports

check: lint types arch test

clean:
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
