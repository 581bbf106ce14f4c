# bluetick. `make` prints this help; `make demo` and `make test` do all their own set-up.

GO       ?= go
# go.mod names the least Go that is safe to build with. A Go that is older fetches that one, once, as a module,
# also where `go env` says GOTOOLCHAIN=local: every recipe and every tool that calls go inherits this.
GOTOOLCHAIN := auto
export GOTOOLCHAIN
GO_FILES  = $(shell git ls-files -co --exclude-standard '*.go' 2>/dev/null | grep -v '\.pb\.go$$' || find . -name '*.go' -not -name '*.pb.go' -not -path '*/node_modules/*')
DEMO_FOR ?=
SEED     ?= 1
FUZZTIME ?= 30s
DEMO_DIR := data/demo
BIN      := bin/bluetick
NPM_DIR  := internal/embedded/clickhouse/npm
LIB      := $(NPM_DIR)/node_modules/.installed

# Packages whose tests load the ClickHouse library (0.2 to 0.7 GB each): one at a time.
ENGINE_PKGS := ./internal/embedded/clickhouse ./internal/audit ./internal/e2e ./sink ./sink/clickhouse ./cmd/bluetick

.DEFAULT_GOAL := help
.PHONY: help demo demo-clean run build lib prepare test test-fast test-race test-kafka check fmt fmt-check vet lint gen gen-check tidy-check golden vuln fuzz hostile soak bench bench-cmp up down clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

prepare: ## check what the machine needs and fetch the Go modules
	@GO="$(GO)" sh .ci/prepare

lib: prepare $(LIB) ## install the embedded ClickHouse library (180 MB to fetch, 570 MB on disk)

$(LIB): $(NPM_DIR)/package.json $(NPM_DIR)/package-lock.json
	@echo "==> fetching the embedded ClickHouse (libchdb, 180 MB)"
	@cd $(NPM_DIR) && { npm ci --ignore-scripts --no-audit --no-fund --loglevel=http && test -d node_modules/@chdb && touch node_modules/.installed; } 2>&1 | sed 's/^/    /'
	@test -e $@ || { echo "libchdb did not come: either npm failed (see above), or it does not exist for this system; it does for linux (glibc) and macOS, amd64 and arm64"; exit 1; }

build: prepare ## bin/bluetick
	@echo "==> building $(BIN) (the first time takes a minute or two)"
	@$(GO) build -trimpath -o $(BIN) ./cmd/bluetick

demo: lib build ## everything in one process with simulated traffic; DEMO_FOR=60s ends by itself and compares with the truth
	@$(BIN) demo --data $(DEMO_DIR) --seed $(SEED) $(if $(DEMO_FOR),--for $(DEMO_FOR))

demo-clean: ## delete the demo's data
	rm -rf $(DEMO_DIR)

run: lib build ## the single-machine product on ./data (flags: bin/bluetick run --help)
	@$(BIN) run

test: lib check test-fast test-race test-kafka ## everything CI runs
	@echo "==> all tests passed"

test-fast: lib ## every test, and every benchmark once
	@echo "==> tests"
	@$(GO) test -shuffle=on $$($(GO) list ./... | grep -vxF "$$($(GO) list $(ENGINE_PKGS))")
	@echo "==> tests that load the ClickHouse engine, one package at a time"
	@$(GO) test -p 1 -timeout 15m $(ENGINE_PKGS)
	@echo "==> every benchmark once"
	@out=$$($(GO) test -p 1 -run '^$$' -bench . -benchtime 1x ./... 2>&1) || { echo "$$out"; exit 1; }; echo "$$out" | grep '^Benchmark'

RACE_PKGS := ./schemas/... ./ingest/... ./aggregate/... ./alert/... ./internal/task/... ./internal/store/... ./internal/app ./internal/clock ./internal/config ./internal/dataroot ./internal/meter ./internal/obs ./internal/retry ./internal/topics ./internal/embedded/kafka ./internal/simulate ./sink ./cmd/bluetick/internal/...

test-race: lib ## tests under the race detector, invariants on
	@echo "==> race detector"
	@$(GO) test -race -short -p 1 -timeout 15m $(RACE_PKGS)

test-kafka: lib ## the Kafka tests again, against a real Apache Kafka from its published jars (needs java 17 and mvn)
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
	  echo "==> against Apache Kafka"; \
	  BLUETICK_TEST_KAFKA=apache $(GO) test -p 1 -count=1 -timeout 15m ./internal/kafkatest ./internal/topics ./internal/task ./ingest ./sink && \
	  echo "==> the roles against Apache Kafka and a ClickHouse server" && \
	  BLUETICK_TEST_KAFKA=apache $(GO) test -count=1 -timeout 10m -run TestServers ./internal/e2e; \
	else echo "==> skipped: tests against Apache Kafka need java 17 and mvn"; fi

check: fmt-check vet lint gen-check tidy-check vuln ## formatting, vet, staticcheck, house rules, generated code, advisories

fmt: ## format all Go files
	@$(GO) tool gofumpt -w $(GO_FILES)

fmt-check:
	@out=$$($(GO) tool gofumpt -l $(GO_FILES)); \
	if [ -n "$$out" ]; then echo "not formatted (make fmt):"; echo "$$out"; exit 1; fi

vet:
	@echo "==> vet"
	@$(GO) vet ./...
	@$(GO) vet -tags testcontainers ./internal/kafkatest/...
	@GOOS=darwin GOARCH=arm64 $(GO) vet ./internal/embedded/clickhouse

lint:
	@echo "==> staticcheck and house rules"
	@$(GO) tool staticcheck ./...
	@$(GO) test ./internal/lint

gen: ## generate code from schemas/bluetick.proto
	@$(GO) run ./internal/protogen schemas bluetick.proto schemas/pb

gen-check:
	@echo "==> generated code is current"
	@tmp=$$(mktemp -d) && $(GO) run ./internal/protogen schemas bluetick.proto $$tmp && \
	diff -q $$tmp/bluetick.pb.go schemas/pb/bluetick.pb.go && rm -rf $$tmp

tidy-check:
	@echo "==> go.mod is tidy"
	@$(GO) mod tidy -diff

vuln: prepare ## known advisories that the code reaches, from the Go vulnerability database as a module
	@GO="$(GO)" sh .ci/vuln

golden: lib ## rewrite golden files and histories, then show what changed
	@$(GO) test $$($(GO) list -test -f '{{.ForTest}} {{.Imports}}' ./... | grep internal/golden | cut -d' ' -f1 | sort -u) -update
	@git diff --stat

fuzz: lib ## every fuzz target for FUZZTIME=30s
	@for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | grep -v node_modules | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | cut -d' ' -f2); do \
	    echo "==> $$p $$f"; $(GO) test $$p -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) || exit 1; done; done

hostile: lib ## attacks on the ports of the built binary: bad frames, slow strangers, foreign pages, hungry readers
	@$(GO) test -count=1 -v -run 'TestHostile|TestNoKafkaPort' ./internal/e2e

soak: lib ## the model checkers with many more histories (BLUETICK_RUNS=20000)
	@BLUETICK_RUNS=$${BLUETICK_RUNS:-20000} $(GO) test -timeout 2h -count=1 -v -run 'TestToyFold|TestOnTheRuntime|TestProtocol' ./internal/task/tasktest ./aggregate/message ./alert
	@$(GO) test -timeout 2h -count=1 -run 'BruteForce|Crash|Machine' ./aggregate/rollup -rollup.soak=100

bench: lib ## benchmarks, six times each, to docs/bench/new.txt
	@mkdir -p docs/bench
	@# A fixed number of events for the message fold: so many that flushes and checkpoints take their part.
	@{ $(GO) test -p 1 -run '^$$' -bench . -benchmem -count 6 -timeout 2h -benchtime 1000000x ./aggregate/message && \
	   $(GO) test -p 1 -run '^$$' -bench . -benchmem -count 6 -timeout 2h ./ingest/... ./aggregate/rollup ./alert ./internal/store ./internal/task ./sink ./internal/e2e; \
	} | tee docs/bench/new.txt

bench-cmp: ## compare docs/bench/new.txt with docs/bench/base.txt
	@$(GO) tool benchstat docs/bench/base.txt docs/bench/new.txt

up: ## Apache Kafka, ClickHouse and bluetick in Docker
	docker compose up --build -d

down: ## stop them
	docker compose down

clean: ## remove what was built (not data, not the library)
	rm -rf bin .cache
