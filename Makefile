# `make` alone lists the verbs.
.DEFAULT_GOAL := help
.PHONY: help setup demo fast test test-all wheel lint format size lock golden properties fuzz mutate \
	bench release audit leaks clean

# FEDn stops at Python 3.12. Name another one with: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)
RUN := .venv/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
DEMO := build/demo
VENDOR := {{cookiecutter.__slug}}/vendor
# More tests than processors at once, because most of them wait for a network.
# No caches in the tree: cookiecutter would take those in the template's folder for parts of it.
ALONE := $(RUN) -B -m pytest -p no:cacheprovider
TEST := $(ALONE) -n 3 --dist loadgroup
# As in the projects.
AUDIT ?= --strict
LEAKS := --disable-plugin KeywordDetector --disable-plugin HexHighEntropyString \
	--disable-plugin Base64HighEntropyString

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## install what the template needs into .venv, and the library from its wheel

.venv/.ready: requirements-dev.txt $(VENDOR)/requirements.txt
	@test -n "$(PYTHON)" && "$(PYTHON)" -c \
		'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null || { echo \
		"error: expected Python 3.10, 3.11 or 3.12, found $$($(or $(PYTHON),python3) --version 2>&1);" \
		"install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "installing into .venv; the first time takes a few minutes"
	@test -x $(RUN) || "$(PYTHON)" -m venv .venv
	@$(PIP) "$$(grep '^uv==' requirements-dev.txt)"
	@$(RUN) -m uv pip install --quiet --python $(RUN) -r requirements-dev.txt \
		|| $(PIP) -r requirements-dev.txt
	@$(PIP) --no-index --no-deps --require-hashes --force-reinstall -r '$(VENDOR)/requirements.txt'
	@touch $@

demo: setup ## generate a project, check it, and train it over a real FEDn network
	rm -rf $(DEMO)
	$(RUN) -B -m cookiecutter --no-input --output-dir $(DEMO) .
	$(MAKE) -C $(DEMO)/fraud-detection setup test package network PYTHON="$(abspath $(RUN))"

fast: setup ## run the tests that developers run all the time: under two minutes
	$(TEST) -m "not install and not slow"

test: setup ## run the tests of the template and the library: up to 20 minutes with the set-up
	$(TEST) -m "not slow"

test-all: setup ## run what waits: every framework, faults (as root), images
	$(TEST) -m "slow and not faults"
	$(ALONE) -n 2 --dist worksteal -m faults

wheel: setup ## rebuild the library's wheel in the template, after a change in src/
	$(RUN) -B tools/wheel.py
	@$(MAKE) --no-print-directory setup

lint: setup ## check style, types, and which room imports which
	$(RUN) -B tools/lint.py

format: setup ## fix style
	$(RUN) -m ruff check --no-cache --fix .
	$(RUN) -m ruff format --no-cache .

size: setup ## print how many files and lines a generated project has
	$(RUN) -B tools/size.py

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
	HYPOTHESIS_PROFILE=nightly $(RUN) -B -m pytest -p no:cacheprovider \
		tests/template/test_properties.py --hypothesis-show-statistics

fuzz: setup ## try 100,000 hostile files, settings and messages, for some minutes
	PYTHONPATH=tests $(RUN) -B -m fuzz

mutate: setup ## break the template in every way there is, and see that a test fails each time
	$(RUN) -B tools/mutate.py

bench: setup ## time everything against its floor and against others, for most of an hour
	$(RUN) -B benchmarks/entry_points.py
	$(RUN) -B benchmarks/network.py
	$(RUN) -B benchmarks/memory.py
	PYTHONPATH=tests $(RUN) -B benchmarks/hardening.py
	$(RUN) -B benchmarks/weights.py
	$(RUN) -B benchmarks/generation.py
	$(RUN) -B benchmarks/simulation/compare.py
	$(RUN) -B benchmarks/simulation/compare.py --clients 2 100 1000 --rounds 10 --runs 1

release: setup ## make a release, committed and tagged: make release VERSION=1.2.3
	$(RUN) -B tools/release.py make $(or $(VERSION),none)

clean: ## remove what was built
	rm -rf .venv build
