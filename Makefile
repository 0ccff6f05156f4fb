# Every target sets up what it needs. `make demo` and `make test` are the two that a newcomer types.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXAMPLE ?= digits-mlp
PYTEST_WORKERS ?= 2
export PYTHONPATH := .:layers/gpupool/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup sandbox up down demo node customer test what-waits what-computes check lint types fast-tests agent-tests test-faults stack-tests sandbox-tests bench mutants lock openapi newman clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): requirements/all.lock
	@echo "Setting up $(VENV) (once, about two minutes with downloads)"
	@$(PYTHON) local/install.py $(VENV) requirements/all.lock
	@touch $@

sandbox: # bubblewrap stands between other people's code and this machine
	@sh local/install_sandbox.sh

setup: sandbox $(STAMP) ## Install the sandbox, and everything else into .venv

up: setup ## Start the local stack and keep it up; writes .local/stack.env
	@$(BIN)/python -m local.stack up

down: $(STAMP) ## Stop the local stack; its state is kept
	@$(BIN)/python -m local.stack down

demo: setup ## Train an example on two local nodes, shown live (EXAMPLE=digits-mlp | digits-sweep | char-lm)
	@$(BIN)/python -m local.demo $(EXAMPLE)

node: setup ## Pair a node with the running stack and run it until Ctrl-C (NAME=mine)
	@$(BIN)/python -m local.nodes $(or $(NAME),mine)

customer: $(STAMP) ## Invite a customer to the running stack: make customer EMAIL=... CREDITS=...; with PASSWORD=... create it
	@set -a; . .local/stack.env; set +a; \
	  $(BIN)/python -m gpupool.admin customer --email "$(EMAIL)" $(if $(PASSWORD),--password "$(PASSWORD)") --credits "$(or $(CREDITS),0)"

test: export FAULT_SHARE ?= 12
test: setup lint ## Everything CI runs; of the faults at each call a share
	@$(MAKE) --no-print-directory -j2 what-waits what-computes

what-waits: # for real processes and clocks, most of the time
	@$(MAKE) --no-print-directory agent-tests
	@$(MAKE) --no-print-directory stack-tests
	@$(MAKE) --no-print-directory sandbox-tests

what-computes: # takes the time that the other leaves, and no more: that has deadlines. Last what fills two processors alone
	@nice -n 19 $(MAKE) --no-print-directory --output-sync types
	@nice -n 19 $(MAKE) --no-print-directory --output-sync test-faults
	@nice -n 19 $(MAKE) --no-print-directory fast-tests

check: lint types ## Format, lint, types, import rules

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && echo "ruff: clean"
	@$(BIN)/lint-imports --no-cache

types: $(STAMP)
	@$(BIN)/mypy

fast-tests: $(STAMP) ## Unit, contract, functional, infra
	@$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) --dist loadfile -m "not stack and not sandbox and not faults" --ignore tests/agent

agent-tests: $(STAMP) ## The node agent against a small control plane; four at once, because it waits
	@$(BIN)/python -m pytest -q -n 4 --dist loadfile -m "not sandbox" tests/agent

test-faults: $(STAMP) ## Every fault at every AWS call of every handler, every small state, and seeded worlds; prints what was covered
	@$(BIN)/python -m pytest -q -n 0 -m faults tests/faults tests/states tests/simulation

stack-tests: setup ## Against the real template on the local stack, with real agents
	@$(BIN)/python -m pytest -q -m stack tests/stack tests/local tests/contract tests/functional

sandbox-tests: setup ## Isolation and escape attempts
	@$(BIN)/python -m pytest -q -m sandbox tests/sandbox tests/agent

bench: setup ## Ratios measured side by side
	@$(BIN)/python -m bench

mutants: $(STAMP) ## Small mistakes in the code that leases, pays and settles: what the fault suite notices (hours)
	@$(BIN)/python -m bench.mutants

lock: $(STAMP) ## Write the locks again
	@sh requirements/lock.sh $(BIN)

openapi: $(STAMP) ## Write docs/openapi.json and docs/errors.md again
	@$(BIN)/python -m functions.customer_api.publish

newman: setup ## Run a Postman collection against the running stack (COLLECTION=path; ours by default)
	@$(BIN)/python -m local.newman "$(COLLECTION)"

clean: ## Remove everything that make made
	rm -rf $(VENV) .local cdk.out .build
