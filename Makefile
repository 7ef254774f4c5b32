# make demo   everything on this machine: broker, Redis, a worker, simulated shoppers, a live view (Ctrl-C ends it)
# make test   the whole suite, against a real broker and a real Redis that it starts itself
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := stream models schemas tests
STAMP := $(VENV)/installed
AUDIT := build/audit
PIP_AUDIT := pip-audit==2.10.1
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install kafka demo test acceptance lint lint-deploy format audit bench chaos prove seeded-bugs soak quality clean

help:
	@echo "make install | kafka | demo | test | acceptance | lint | format | audit | bench | chaos | prove | seeded-bugs | soak | clean"

install: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is older or missing. Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "installing into $(VENV) (the first time this takes a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@$(BIN)/python -m models.warm
	@touch $@

# Apache Kafka for the tests that need a broker with a disk and a fence: Java 17 and, the first time, Maven.
kafka: $(STAMP)
	@$(BIN)/python -m stream.embedded.kafka

demo: $(STAMP)
	@$(BIN)/livesegment up $(ARGS)

test: $(STAMP)
	@$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --doctest-modules -m "not acceptance" $(or $(ARGS),schemas models stream tests)

# What takes minutes: real shops' histories through a whole job, five kills in 400,000 events, servers that stay away.
acceptance: $(STAMP)
	@$(BIN)/pytest -m acceptance $(or $(ARGS),tests)

lint: $(STAMP) lint-deploy
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m stream.docs --check
	@$(BIN)/yamllint --strict .

# The containers are only looked at, never built: Docker is nothing that this project needs.
lint-deploy:
	@if docker compose version >/dev/null 2>&1; then docker compose --file docker-compose.yml config --quiet; \
	else echo "docker-compose.yml: no docker compose here, checked by yamllint only"; fi

format: $(STAMP)
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix .

# Known vulnerabilities of everything in the lock. It asks a service outside, hence no part of `make test`, and has a
# virtual environment of its own: the tool brings twenty packages that nothing else here needs.
audit: $(AUDIT)/installed
	@$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
	  --requirement requirements-dev.lock $(ARGS) || { \
	  echo "not audited: a vulnerability is listed above, or the vulnerability service cannot be reached or does not know" \
	  "a package (then its error is above). Another service: make audit ARGS=\"--vulnerability-service osv\"" >&2; exit 1; }

$(AUDIT)/installed: Makefile
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip --quiet --disable-pip-version-check install $(PIP_AUDIT)
	@touch $@

bench: $(STAMP)
	@$(BIN)/livesegment bench $(ARGS)

# Break a job of real processes at random, then have the oracle judge it: --seed S --minutes M --faults a,b --workers N
chaos: $(STAMP)
	@$(BIN)/python -m tests.proof.chaos $(ARGS)

# The whole proof, about 90 minutes, or a part of it: --part 2/6; its result goes to docs/proof.md
prove: $(STAMP)
	@$(BIN)/python -m tests.proof.prove $(ARGS)

# The proof can fail: twenty bugs, each put into a copy of the sources, are caught; one of them: ARGS="--only 07"
seeded-bugs: $(STAMP)
	@$(BIN)/python -m tests.seeded_bugs $(ARGS)

# An hour at half load: memory and file descriptors stay where they are; --minutes M
soak: $(STAMP)
	@$(BIN)/python -m tests.proof.soak $(ARGS)

# How good the segments are (docs/quality.md); takes some minutes. One stage: make quality ARGS=drift
quality: $(STAMP)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m stream.evaluate.quality $(ARGS)

clean:
	@rm -rf $(VENV) .livesegment .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build
