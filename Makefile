# Everything that is run by hand or by CI has a target here. Building, testing and the demo need Go alone.

# Tools are kept outside of the checkout, by version, so that they survive it.
TOOLS         := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/snapswarm/tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint-v2.15.0/golangci-lint
VERSITYGW     := $(TOOLS)/versitygw-v1.8.0/versitygw
export PATH   := $(dir $(VERSITYGW)):$(PATH)

SUDO         := $(if $(filter 0,$(shell id -u)),,sudo)
APT_PACKAGES := aria2 chromium curl gcc iproute2 libc6-dev nginx-light python3-libtorrent qbittorrent-nox rtorrent transmission-cli wget zstd

# Packages with tests that need other programs.
E2E_PACKAGES = $(sort $(dir $(shell grep -rl --include='*_test.go' '^//go:build e2e' .)))

FUZZTIME ?= 30s
BENCH    ?=
SOAKTIME ?= 10m
SOAKRUNS ?= 20
SOAKKILLS ?= 1000

.DEFAULT_GOAL := help
.PHONY: help build test race e2e e2e-deps lint fmt fuzz bench soak demo

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-9s %s\n", $$1, $$2}'

build: ## build bin/producer, bin/mirror and bin/gateway, static
	CGO_ENABLED=0 go build -trimpath -o bin/ ./producer ./mirror ./gateway

demo: ## a whole swarm on this machine; CHECK=1 checks it and exits, DEMO_DIR keeps its state
	@go build -o bin/demo ./docker/demo
	@bin/demo

test: ## all tests that need nothing but Go
	go test ./...

race: ## the same tests under the race detector (needs a C compiler)
	go test -race -shuffle=on ./...

e2e: ## tests against real programs; skips those that are missing, unless CI=true
	go test -tags e2e -count=1 -timeout 30m ./docker/... $(E2E_PACKAGES)

e2e-deps: $(VERSITYGW) ## install what the end-to-end tests use (Debian packages, versitygw)
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(APT_PACKAGES) >/dev/null

lint: $(GOLANGCI_LINT) ## formatting, mistakes, layers
	$(GOLANGCI_LINT) run ./...

fmt: $(GOLANGCI_LINT) ## format the code as lint wants it
	$(GOLANGCI_LINT) fmt ./...

# Found by name, so that no target is forgotten. One at a time: go test fuzzes one target with all cores.
fuzz: ## every fuzz target for FUZZTIME=30s
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |' | sort | while read -r dir target; do \
		echo "== $$dir $$target"; go test -run='^$$' -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) "$$dir" </dev/null || exit 1; done

bench: ## the commands beside other programs, an hour; BENCH=name chooses one (docker/README.md)
	go run ./docker/bench $(BENCH)

soak: ## hours: fuzz SOAKTIME=10m per target, the tests SOAKRUNS=20 times under the race detector, SOAKKILLS=1000 kills, every fault
	$(MAKE) fuzz FUZZTIME=$(SOAKTIME)
	go test -race -shuffle=on -count=$(SOAKRUNS) -timeout 6h ./...
	CRASH_KILLS=$(SOAKKILLS) go test -tags e2e -count=1 -timeout 6h -v -run TestKilledAgainAndAgain ./docker/crash
	FAULTS=all go test -tags e2e -count=1 -timeout 6h -run 'AnyOperation|AFailureOf|TroubleWith|WrongAnswer' ./producer/publish ./mirror ./gateway

$(GOLANGCI_LINT):
	GOBIN="$(@D)" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

$(VERSITYGW):
	GOBIN="$(@D)" go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
