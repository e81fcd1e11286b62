# Every verb of the project. `make help` lists them. Nothing has to be installed first but Python 3.11+ and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Fetched models, sample pictures and the composed clip stay inside the checkout.
export OVERT_CACHE_DIR ?= $(CURDIR)/.cache

# uv is brought when it is missing.
UV ?= $(or $(shell command -v uv 2>/dev/null),$(CURDIR)/.tools/uv/bin/uv)
RUN := $(UV) run --frozen
RUN_DEFAULT := $(UV) run --frozen --no-dev

.PHONY: help demo test test-facenet test-integration faults chaos soak kafka e2e check format docs benchmark clean

help: ## list the verbs
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

demo: $(UV) ## everything in one process on real pictures, control room in the browser (ARGS="--once --json")
	@$(RUN_DEFAULT) overt demo $(ARGS)

test: $(UV) ## unit, contract, loop and end-to-end tests in process: no Kafka, no Docker, no Java
	@$(RUN) overt models fetch
	@$(RUN) pytest -m "not integration" $(ARGS)

# An environment of its own: the default one stays without the 5 GB of PyTorch.
test-facenet: export UV_PROJECT_ENVIRONMENT := .venv-facenet
test-facenet: $(UV) ## the pack in PyTorch, on the CPU: installs the extra (5 GB) beside, fetches 92 MB of weights
	@$(RUN) --extra facenet overt models fetch
	@$(RUN) --extra facenet overt models fetch --pack facenet
	@$(RUN) --extra facenet pytest libs/recognition/tests/facenet $(ARGS)

test-integration: $(UV) ## the same pipeline as seven processes over a real Apache Kafka (needs Java 17+, Maven, PostgreSQL)
	@scripts/ci-prerequisites.sh
	@$(RUN) overt models fetch
	@$(RUN) pytest -m "integration and not faults" $(ARGS)

faults: $(UV) ## kill, cut, freeze, fill and poison what runs, then look at the books: half an hour (ARGS="tests/faults/test_two_versions.py")
	@scripts/ci-prerequisites.sh
	@$(RUN) overt models fetch
	@$(RUN) pytest $(or $(ARGS),tests/faults)

chaos: $(UV) ## kill services at random while cameras play (ARGS="--minutes 10 --kills 50 --cameras 4 --seed 7")
	@$(RUN) python -m tests.faults.chaos $(ARGS)

soak: $(UV) ## let everything run and look whether anything grows (ARGS="--minutes 60")
	@$(RUN) python -m tests.faults.soak $(ARGS)

kafka: $(UV) ## a local Apache Kafka with logins, topics and access rules, until Ctrl-C (ARGS="--nodes 3 --plain")
	@$(RUN) python -m tests.integration.servers.serve $(ARGS)

e2e: $(UV) ## only the end-to-end tests: real pictures in, alerts out
	@$(RUN) overt models fetch
	@$(RUN) pytest -m "e2e and not integration" $(ARGS)

check: $(UV) ## format, lint, types, import rules, generated pages
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy libs services cli tests benchmarks scripts
	@$(RUN) lint-imports
	@$(RUN) python scripts/generate_docs.py --check

format: $(UV) ## put the code into shape
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

docs: $(UV) ## write the generated pages again (screenshots: scripts/screenshots.py)
	@$(RUN) python scripts/generate_docs.py

benchmark: $(UV) ## measure speed on this machine and print it with its spread
	@$(RUN) overt models fetch
	@$(RUN) python benchmarks/pipeline.py $(ARGS)

clean: ## remove what was installed, fetched and cached here
	rm -rf .venv .venv-facenet .cache .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(CURDIR)/.tools/uv/bin/uv:
	@echo "uv is not installed: bringing it into .tools/uv" >&2
	@python3 -m venv .tools/uv || { echo "Python 3.11 or newer with its venv module is needed (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@.tools/uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
