# Bare `make` prints what there is.
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 0
FUZZTIME ?= $(if $(CI),20s,2s)
ROUNDS ?= 50
CUTS ?= 20
GOTEST := go tool gotestsum --format pkgname --
# Race detection needs cgo and a C compiler; the binary never does.
RACE := $(shell command -v gcc >/dev/null 2>&1 && echo -race)
UNIT := $(shell go list ./... 2>/dev/null | grep -v /e2e)

.PHONY: help
help: ## Print this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: dev
dev: build ## Start Weir with 20 simulated machines; data in ./data, dashboard on http://127.0.0.1:8080
	./bin/weir dev

.PHONY: build
build: ## Build bin/weir, one static binary
	go build -trimpath -o bin/weir ./cmd/weir

.PHONY: test
test: check unit fuzz e2e torture ## Run everything that this machine can run, and name what it cannot

.PHONY: check
check: ## Check formatting, go vet, staticcheck, and the builds for arm64 and arm
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	GOARCH=arm64 go build -o /dev/null ./cmd/weir
	GOARCH=arm go build -o /dev/null ./cmd/weir

.PHONY: unit
unit: e2e-node ## Run the tests of all packages, then the short ones with the race detector
	$(GOTEST) $(UNIT)
	$(if $(RACE),CGO_ENABLED=1 $(GOTEST) -race -short $(UNIT),@echo "no C compiler: the race detector is left out")

# Two targets at a time, each with one worker, since two cores are what CI has.
.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each
	@for p in $(UNIT); do go test -list '^Fuzz' $$p | sed -n "s|^\(Fuzz.*\)|$$p \1|p"; done | \
	  xargs -P 2 -L 1 sh -c 'out=$$(go test -run "^$$" -fuzz "^$$1$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x -parallel 1 $$0 2>&1) \
	    && echo "✓  $$0 $$1, $(FUZZTIME)" || { echo "$$out"; exit 255; }'

.PHONY: e2e
e2e: e2e-node e2e-python ## Run unmodified Azure SDKs, the article's code and a browser against the binary
	$(GOTEST) -count=1 -skip 'Torture|Spark' ./e2e

.PHONY: e2e-spark
e2e-spark: e2e/.venv-spark/installed ## Read the lake with Spark and delta-spark (needs Java, mvn and 800 MB)
	$(GOTEST) -count=1 -run Spark ./e2e
e2e/.venv-spark/installed: e2e/python/requirements-spark.txt
	python3 -m venv e2e/.venv-spark && e2e/.venv-spark/bin/pip install -q -r $<
	mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dartifact=io.delta:delta-spark_2.13:4.0.0
	touch $@

.PHONY: torture
torture: ## Kill the node ROUNDS times, cut its power CUTS times, fill and break its disk
	$(GOTEST) -count=1 -v -timeout 60m -run Torture ./e2e -rounds $(ROUNDS) -cuts $(CUTS)

.PHONY: bench
bench: build ## Measure the figures of docs/figures.md on this machine (needs mosquitto)
	bench/ingest.sh
	bench/latency.sh
	bench/idle.sh
	bench/start.sh
	bench/stream.sh
	go test -run '^$$' -bench 'LogToStore' ./stream
	go test -run '^$$' -bench . -benchmem ./eventlog/disk ./hub/mqtt ./api

# What the SDK tests need, fetched by name with lock files; without npm or PyPI
# the tests say what they skip.
.PHONY: e2e-node e2e-python
e2e-node: e2e/node/node_modules/.package-lock.json
e2e/node/node_modules/.package-lock.json: e2e/node/package-lock.json
	npm ci --prefix e2e/node --no-audit --no-fund --silent || echo "no npm registry: the Node SDKs are left out"

e2e-python: e2e/.venv/installed
e2e/.venv/installed: e2e/python/requirements.txt
	python3 -m venv e2e/.venv && e2e/.venv/bin/pip install -q -r $< && touch $@ || echo "no Python with venv or no PyPI: the Python SDKs are left out"
