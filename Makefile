# Needs Go and make, nothing else. `make` alone lists what there is.

GO       ?= go
FUZZTIME ?= 10s
BENCH    ?= .
BASE     ?= HEAD~1
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help build run test race lint fuzz bench pgo bench-diff bench-peers peers clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the static binary bin/cordon
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/cordon ./appliance/cordon

run: build ## Build, then show Cordon at work: a device's study and results, allowed and refused
	bin/cordon demo

# Tests talk to programs and files outside the module, which the test cache does not see, hence
# -count=1. The reader of the events prints what plain `go test` prints, and then every test that
# was skipped, with its reason.
test: ## Run all tests with what is installed here; ends with what was left out
	@mkdir -p build
	@{ $(GO) test -count=1 -json ./... 2>&1; echo $$? > build/test.status; } | $(GO) run appliance/peers/leftout.go
	@exit $$(cat build/test.status)

# The largest package takes four minutes on two busy cores; ten, which go test gives it, are too few
# for a slower machine.
race: ## Run all tests under the race detector (needs a C compiler)
	$(GO) test -count=1 -timeout 30m -race ./...

lint: ## Check format, go vet and staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

fuzz: ## Run each fuzz target for FUZZTIME (10s)
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | \
	sed 's|/[^/]*:func | |' | sort | while read -r dir target; do \
		echo "== $$dir $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir </dev/null || exit 1; \
	done

bench: build ## Measure Cordon beside other gateways; the report goes to build/bench (half an hour)
	bin/cordon bench --report build/bench

# The Go compiler takes appliance/cordon/default.pgo by itself: it inlines and lays out what the
# profile shows to be hot.
pgo: build ## Profile the fast paths anew for the compiler (two minutes); commit what it changes
	bin/cordon bench --workload dicom-bulk,hl7-300,connect --only none --rounds 1 --profile build/pgo
	$(GO) tool pprof -proto build/pgo/*.pprof >appliance/cordon/default.pgo

bench-diff: ## Compare the Go benchmarks of the fast paths with revision BASE (HEAD~1); BENCH chooses by name
	GO='$(GO)' BENCH='$(BENCH)' bench/diff.sh '$(BASE)'

bench-peers: ## Install the gateways that bench compares with (stunnel, haproxy, nginx, ghostunnel)
	GO='$(GO)' bench/install.sh build/peers/bin

peers: ## Install the real peers that tests talk to (dcmtk, Orthanc, pynetdicom, dicom-rs, python-hl7, HAPI)
	appliance/peers/install.sh build/peers

clean: ## Remove what was built (bin, build); peers go too
	rm -rf bin build
