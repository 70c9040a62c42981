# make test is for newcomers: on a fresh Debian, as root, it installs what the
# tests need and runs all of them, the virtual machine included. Elsewhere it
# runs what it can and says what it did not.

GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)

# Pinned here and not in go.mod: a tool's dependencies are not the program's.
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0
NFPM = $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
SBOM = $(GO) run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# What the tests run besides what the lab installs (go run ./fixtures/lab deps).
TEST_PACKAGES = tshark tcpdump cpio tmux chromium
# And what make bench compares with, or sends traffic with.
BENCH_PACKAGES = tshark tcpdump zstd netsniff-ng

# install gives the commands to install packages whose programs have their names.
define install
@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	echo "not root on Debian: nothing is installed, some of it will be skipped"; exit 0; fi; \
missing=$$(for p in $(1); do command -v $$p >/dev/null || echo $$p; done); \
if [ -n "$$missing" ]; then \
	apt-get update -q && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; fi
endef

.PHONY: build
build: # the program, static, in ./ipsecdiag
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' ./cmd/ipsecdiag

.PHONY: man
man: # the manual pages, in ./man
	$(GO) run -tags man ./cmd/ipsecdiag man man

.PHONY: packages
packages: # .deb, .rpm, tar, SBOM and checksums, in ./dist
	NFPM="$(NFPM)" SBOM="$(SBOM)" GO="$(GO)" cmd/ipsecdiag/packages/build.sh dist

.PHONY: test
test: deps # every test that can run here
	IPSECDIAG_LAB=1 IPSECDIAG_FLOOD=2m IPSECDIAG_PROMTOOL="$(PROMTOOL)" $(GO) run ./fixtures/gotest -timeout 20m ./...

# promtool checks the alerts. Its package would start a server: it is unpacked.
PROMTOOL = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ipsecdiag-promtool/usr/bin/promtool

.PHONY: deps
deps: # install what the tests need, where that is possible
	$(call install,$(TEST_PACKAGES))
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ "$$(uname -m)" = x86_64 ]; then \
		$(GO) run ./fixtures/lab deps && \
		{ [ -x "$(PROMTOOL)" ] || cmd/ipsecdiag/packages/unpack.sh prometheus "$(PROMTOOL:/usr/bin/promtool=)"; }; fi

.PHONY: lint
lint: # formatting, go vet for three systems, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags man,trial ./cmd/...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	$(STATICCHECK) ./...

# Its database is on the network (vuln.go.dev). Where that cannot be reached nothing
# is known, which is no fault of the program's: it is said. `go run` has one exit
# status for all failures, so that its words decide.
.PHONY: vuln
vuln: # known vulnerabilities in what the program calls; says so where it cannot ask
	@if out=$$($(GOVULNCHECK) ./... 2>&1); then echo "$$out"; exit 0; fi; \
	case $$out in \
	*"Vulnerability #"*) echo "$$out"; exit 1;; \
	*"fetching vulnerabilities: "*|*"dial tcp"*|*"no such host"*|*"i/o timeout"*) \
		echo "NOT LOOKED FOR: known vulnerabilities, since their database cannot be reached:"; echo "$$out" | tail -2;; \
	*) echo "$$out"; exit 1;; \
	esac

.PHONY: cross
cross: # the program for other systems, in ./bin
	for target in linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64; do \
		os=$${target%/*} arch=$${target#*/}; mkdir -p bin/$$os-$$arch; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath \
			-ldflags '-X main.version=$(VERSION)' -o bin/$$os-$$arch/ ./cmd/ipsecdiag || exit 1; done

.PHONY: race
race: # the tests under the race detector, which needs a C compiler
	CGO_ENABLED=1 $(GO) test -race ./analyze/... ./rules/... ./cmd/ipsecdiag/live

.PHONY: bench
bench: # against tcpdump, tshark and others, then the decoders alone
	$(call install,$(BENCH_PACKAGES))
	$(GO) run ./fixtures/bench -o fixtures/bench/RESULTS.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

# FUZZTIME is per fuzz target; FUZZFOR goes round and round until it is over.
FUZZTIME ?= 20s
FUZZFOR ?= 0
.PHONY: fuzz
fuzz: # every fuzz target for a moment, as many at once as there are processors
	$(GO) run ./fixtures/fuzz -time $(FUZZTIME) -for $(FUZZFOR)

.PHONY: screenshots
screenshots: deps # the pictures in README.md, from the recording of the demo
	$(GO) run ./fixtures/screenshots

.PHONY: lab
lab: # record every scenario anew, as root on Debian amd64
	$(GO) run ./fixtures/lab record --all
	$(GO) test ./fixtures ./cmd/ipsecdiag -update

.PHONY: matrix
matrix: # which scenario is found as what, from each end: made from the recordings
	@cd fixtures && $(GO) test -count=1 -run '^TestTheMatrix$$' -print-matrix
