# `make` alone lists the verbs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-image faults fast lint format lock golden properties fuzz mutate bench release audit leaks clean

# FEDn stops at Python 3.12. Name another one with: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)
RUN := .venv/bin/python
DEMO := build/demo
# The configuration by name, because the one of the generated project lies nearer to its files;
# no caches, because cookiecutter would take them for parts of the template.
# As in the projects.
AUDIT ?= --strict
LEAKS := --disable-plugin KeywordDetector --disable-plugin HexHighEntropyString \
	--disable-plugin Base64HighEntropyString
RUFF := --config pyproject.toml --no-cache

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## install what the template needs into .venv

.venv/.ready: requirements-dev.txt
	@test -n "$(PYTHON)" && "$(PYTHON)" -c \
		'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null || { echo \
		"error: expected Python 3.10, 3.11 or 3.12, found $$($(or $(PYTHON),python3) --version 2>&1);" \
		"install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "installing into .venv; the first time takes a few minutes"
	@"$(PYTHON)" -m venv .venv
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: setup ## generate a project, check it, and train it over a real FEDn network
	rm -rf $(DEMO)
	$(RUN) -m cookiecutter --no-input --output-dir $(DEMO) .
	$(MAKE) -C $(DEMO)/fraud-detection setup test package network PYTHON="$(abspath $(RUN))"

test: setup ## run all tests: sets up projects of every framework, takes over an hour
	$(RUN) -B -m pytest

test-image: setup ## build the Docker images for real and run FEDn's client in them
	$(RUN) -B -m pytest tests/install/test_image.py

faults: setup ## of these, those that break a federation over four network namespaces, as root
	$(RUN) -B -m pytest tests/faults

fast: setup ## run the tests that developers run all the time
	$(RUN) -B -m pytest -m "not install"

lint: setup ## check style and types
	$(RUN) -m ruff check $(RUFF) .
	$(RUN) -m ruff format --check $(RUFF) .
	$(RUN) -B tools/check_types.py

format: setup ## mend style
	$(RUN) -m ruff check --fix $(RUFF) .
	$(RUN) -m ruff format $(RUFF) .

audit: setup ## look for known vulnerabilities in what the projects' locks install
	@set -e; names=$$(mktemp); trap 'rm -f "$$names"' EXIT; for lock in templates/locks/*.lock; do \
		echo "$$lock"; sed -E 's/\+cpu//; /^ +--hash/d; /^--/d; s/ *\\$$//' "$$lock" > "$$names"; \
		$(RUN) -m pip_audit --progress-spinner off --disable-pip --no-deps -r "$$names" $(AUDIT); \
	done

leaks: setup ## look for keys and tokens in what git holds
	@git ls-files -z | xargs -0 .venv/bin/detect-secrets-hook $(LEAKS)

lock: setup ## renew the projects' requirements.lock (newer versions: make lock UPGRADE=--upgrade)
	$(RUN) -B tools/lock.py $(UPGRADE)

golden: setup ## renew tests/golden/, what is generated for people to read in review
	$(RUN) -B tools/golden.py

properties: setup ## try thousands of made-up answers, for some minutes
	HYPOTHESIS_PROFILE=nightly $(RUN) -B -m pytest tests/test_properties.py --hypothesis-show-statistics

fuzz: setup ## try 100,000 hostile files, settings and messages, for some minutes
	PYTHONPATH=tests $(RUN) -B -m fuzz

mutate: setup ## break the template in every way there is, and see that a test fails each time
	$(RUN) -B tools/mutate.py

bench: setup ## time everything against its floor and against others, for most of an hour
	$(RUN) -B benchmarks/entry_points.py
	$(RUN) -B benchmarks/network.py
	$(RUN) -B benchmarks/memory.py
	$(RUN) -B benchmarks/weights.py
	$(RUN) -B benchmarks/generation.py
	$(RUN) -B benchmarks/simulation/compare.py
	$(RUN) -B benchmarks/simulation/compare.py --clients 2 100 1000 --rounds 10 --runs 1

release: setup ## make a release, committed and tagged: make release VERSION=1.2.3
	$(RUN) -B tools/release.py make $(or $(VERSION),none)

clean: ## remove what was built
	rm -rf .venv build
