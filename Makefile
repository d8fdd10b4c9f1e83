# Everything a person or a build machine does with Poise. `make help` lists it.
# Recipes use relative paths only, so that a checkout in a folder with spaces works.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PREFIX ?= /usr/local
DESTDIR ?=
# Seconds per fuzz target of `make fuzz`. Named on the command line: bash counts up a SECONDS of its own.
FUZZ_SECONDS = $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)
# Arguments for the end-to-end tests, for example: make test PYTEST_ARGS='-k pipelining -x'
PYTEST_ARGS ?=
# Most of their time tests wait, so three share two cores; -n 0 in PYTEST_ARGS runs them one by one.
PYTEST_PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder -m 'not alone'
# Arguments for the benchmark, for example: make bench BENCH_ARGS='--cases h1_1k --rounds 9'
BENCH_ARGS ?=

BINARY := .build/release/poise
PYTHON := .venv/bin/python
RELEASE_OF = -c release --static-swift-stdlib --product $(1)
RELEASE := $(call RELEASE_OF,poise)
SWIFT_SOURCES := Sources Tests Package.swift $(wildcard Fuzz)

.PHONY: help deps deps-soak build run test test-swift test-e2e test-differential test-schema bench simulation fuzz sanitize soak lint install clean toolchain

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; \
	do printf '  make %-12s %s\n' "$$name" "$$text"; done

toolchain:
	@command -v swift >/dev/null || { \
	  echo "error: no Swift toolchain on PATH" >&2; \
	  echo "help: install Swift 6.2 or newer from https://www.swift.org/install/linux/ and put its usr/bin on PATH" >&2; \
	  exit 1; }

deps: ## Debian and Python packages that build and tests need (only what is missing)
	@bash Scripts/deps.sh

deps-soak: ## what `make soak` needs beyond that: testssl.sh, sslyze, a headless Chromium (400 MB)
	@bash Scripts/deps.sh soak

build: toolchain deps ## release binary with the Swift runtime linked in: .build/release/poise
	swift build $(RELEASE)

run: build ## quick start: Poise and two sample targets on this machine, until Ctrl-C
	@bash Scripts/run-demo.sh

test: test-swift test-e2e test-differential test-schema ## every test, the end-to-end ones against the release binary

test-swift: toolchain deps
	swift test

# pytest ends with 5 where the arguments leave one of the two parts without a test.
test-e2e: build
	swift build $(call RELEASE_OF,balancing-simulation)
	swift build $(call RELEASE_OF,balancing-bench)
	POISE_BIN="$$PWD/$(BINARY)" "$$PWD/$(PYTHON)" -m pytest $(PYTEST_PARALLEL) Tests/Scripts Tests/EndToEnd $(PYTEST_ARGS) || [ $$? = 5 ]
	POISE_BIN="$$PWD/$(BINARY)" "$$PWD/$(PYTHON)" -m pytest -m alone Tests/EndToEnd $(PYTEST_ARGS) || [ $$? = 5 ]

test-differential: toolchain deps
	Tests/Differential/run.sh --seed 20261120

test-schema: build
	mkdir -p out
	$(BINARY) schema > out/schema.json
	"$$PWD/$(PYTHON)" Tests/Schema/check.py out/schema.json examples/*.yaml

bench: build ## side by side with HAProxy and nginx on this machine; writes docs/benchmarks.md
	"$$PWD/$(PYTHON)" Benchmarks/bench.py --poise "$$PWD/$(BINARY)" --write docs/benchmarks.md $(BENCH_ARGS)

simulation: toolchain ## every algorithm against slow, failing, cold and unequal targets; writes docs/algorithms.md
	swift build $(call RELEASE_OF,balancing-simulation)
	.build/release/balancing-simulation | python3 Benchmarks/algorithm_tables.py docs

fuzz: toolchain deps ## every fuzz target for SECONDS=60 each
	Fuzz/run.sh all "$(FUZZ_SECONDS)"

sanitize: toolchain deps ## tests under the thread and the address sanitizer
	bash Scripts/sanitize.sh $(PYTEST_ARGS)

soak: build deps-soak ## what is long or heavy: 10 GiB bodies, storms, scanners, a browser
	POISE_BIN="$$PWD/$(BINARY)" "$$PWD/$(PYTHON)" -m pytest Tests/EndToEnd --soak -m soak $(PYTEST_ARGS)

lint: toolchain ## swift-format (strict) and the rules of Scripts/lint.py
	swift format lint --strict --recursive --parallel $(SWIFT_SOURCES)
	python3 Scripts/lint.py

install: build ## stripped binary into PREFIX=/usr/local (DESTDIR is honoured)
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -s -m 0755 $(BINARY) "$(DESTDIR)$(PREFIX)/bin/poise"

clean: ## remove what was built (the Python packages in .venv stay)
	rm -rf .build out
