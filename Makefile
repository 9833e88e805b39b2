# The one task runner. Every target works from a fresh clone: .venv is made when it is missing or out of date.

PYTHON_BIN := .venv/bin/python
PYTEST := $(PYTHON_BIN) -m pytest $(PYTEST_ARGS)
# buf's cache, like every other, stays inside the checkout.
export BUF_CACHE_DIR := $(CURDIR)/.cache/buf

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv lock protos protos-check buf-lint buf-breaking format lint types imports test test-unit \
	coverage check check-long demo up down new-connector bench kill-matrix wheels

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

venv: ## Make .venv from requirements.lock
	@scripts/bootstrap

lock: ## Resolve requirements.in into requirements.lock
	scripts/bootstrap lock

protos: venv ## Generate protos/gen from protos/stoflow
	$(PYTHON_BIN) scripts/generate_protos.py generate

protos-check: venv ## Fail when protos/gen does not match its sources
	$(PYTHON_BIN) scripts/generate_protos.py check

buf-lint: venv ## Lint the contract (STANDARD and COMMENTS)
	$(PYTHON_BIN) scripts/generate_protos.py image --target build/protos/current.binpb
	.venv/bin/buf lint build/protos/current.binpb --config protos/buf.yaml --path stoflow

buf-breaking: venv ## Fail when the contract breaks the published one (BASE=<commit> to choose it)
	scripts/buf_breaking

format: venv ## Format the code and apply the safe fixes
	.venv/bin/ruff check --fix --quiet . || true
	.venv/bin/ruff format .

lint: venv ## Check format and lint rules
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types: venv ## Check types, strictly
	.venv/bin/mypy

imports: venv ## Check which package may import which
	.venv/bin/lint-imports

test: venv ## Run every test that needs nothing but Python (PYTEST_ARGS="-k name" to choose)
	$(PYTEST) -m "not long"

test-unit: venv ## Run the unit tests only
	$(PYTEST) tests/unit

coverage: venv ## Run the tests, on two cores, and report which lines they reach
	mkdir -p build/coverage
	$(PYTEST) -m "not long" -n 2 --dist loadfile --cov --cov-report=term --cov-report=xml:build/coverage/report.xml

check: lint types imports protos-check buf-lint buf-breaking coverage ## Pass every gate

check-long: venv ## Run the long profiles: many more examples of every property, and the tests that take minutes
	HYPOTHESIS_PROFILE=long $(PYTEST) -m "hypothesis or long" -n 2 --dist loadfile --timeout 1800

wheels: venv ## Build a wheel of every package, and the constraints to install them with, into dist/
	$(PYTHON_BIN) -m scripts.build_wheels

demo: venv ## Bring a product live on the marketplaces' sandboxes, end to end, and stop everything again (WITH=name for more)
	$(PYTHON_BIN) -m stoflow_sandbox demo $(addprefix --with ,$(WITH))

up: venv ## The same as demo, and stay up; data is kept between runs
	$(PYTHON_BIN) -m stoflow_sandbox up $(addprefix --with ,$(WITH))

down: venv ## Stop what `make up` started
	$(PYTHON_BIN) -m stoflow_sandbox down

new-connector: venv ## Make a connector for another marketplace (NAME=depop), which passes its tests as made
	@$(PYTHON_BIN) scripts/new_connector.py $(if $(NAME),"$(NAME)",--help)
	@$(if $(NAME),scripts/bootstrap)

bench: venv ## Measure the workloads beside the peers (ROUNDS=3, ONLY=W1,W2 to renew these, QUICK=1 for a glance)
	$(PYTHON_BIN) -m benchmarks run --rounds $(or $(ROUNDS),3) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

kill-matrix: venv ## Run every cell of the kill matrix ten times, write build/kill-matrix.json
	KILL_MATRIX_RUNS=10 KILL_MATRIX_REPORT=build/kill-matrix.json $(PYTEST) tests/chaos -k kill_matrix
