# make test     everything that needs only Go; with a C compiler under the race detector; PostgreSQL is fetched if there is none
# make interop  verifiers in other languages against the real binary, the pages in a real browser (pictures of
#               them in $(SCREENSHOTS)), a real PgBouncer, failovers of a real Patroni, the documents' commands, and
#               v0.1.0 beside this version
# make chaos    kills, stalls and cuts of three replicas and their database under load, for CHAOS_TIME (2m), then
#               rolling restarts; what they must hold is checked: docs/reliability.md
# make chaos-rotations  50 rotations of every key in real time, a million verifications; 15 minutes
# make upgrade  v0.1.0 and this version serve one database, with clients at both, for UPGRADE_TIME (10m)
# make interop-more  products that take minutes to build (oauth2-proxy, Kubernetes' authenticator, Spring Security, Nimbus,
#               axum), and the pages in Firefox
# make measure-caches  how long the verifiers of docs/resource-servers take a revoked key: half an hour, mostly of waiting
# make load     the program on both stores, and node-oidc-provider, in turns under load: docs/performance.md; 9 minutes
# make bench    the benchmarks that compare with a raw primitive in the same run, against docs/performance/baseline.txt;
#               ten minutes. make bench-baseline writes that file, make bench-all runs every benchmark, BENCH or all
# make fuzz  ten seconds for each fuzz target
# make build    ./signet, static          make lint  the linters of .golangci.yml
# make build-openssl  ./signet with OpenSSL's RSA signatures, static as well; needs a C compiler and OpenSSL's library
# make test-openssl   the packages that sign, on that build      make interop-openssl  a relying party against it
# make vuln     known vulnerabilities that the code reaches, from https://vuln.go.dev
# make release  what strangers download, in $(DIST): reproducible archives of the commit, checksums, bills of materials

GO       ?= go
PYTHON   ?= python3
BENCH    ?= .
FUZZTIME ?= 10s
CHAOS_TIME ?= 2m
UPGRADE_TIME ?= 10m
VULNDB   ?= https://vuln.go.dev
NODE_DIR   := internal/interop/node
LOAD_NODE  := internal/load/node
PYTHON_DIR := internal/interop/python
PATRONI := $(PYTHON_DIR)/.patroni
# Patroni runs as the user postgres where root runs the tests: with a Python that this user may run, too.
PATRONI_PYTHON ?= $(if $(filter 0,$(shell id -u)),/usr/bin/python3,$(PYTHON))
SCREENSHOTS ?= $(CURDIR)/internal/interop/screenshots
DIST ?= dist

HAS_CC = { [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v $$($(GO) env CC) >/dev/null; }
NO_CC  = A C compiler is missing: the race detector needs one (on Debian: apt-get install gcc)

.PHONY: build build-openssl test test-openssl interop interop-openssl interop-more chaos chaos-rotations upgrade load bench bench-all bench-baseline fuzz check lint vuln release clean postgres need-cc need-openssl need-foreign need-firefox need-java need-rust measure-caches

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o signet ./cmd/signet

# The Dockerfile says why it is static, and why with these tags. The linker would warn of functions that libcrypto has
# for what Signet leaves to Go: modules that are loaded, names of hosts.
build-openssl: need-cc need-openssl
	CGO_ENABLED=1 $(GO) build -trimpath -tags openssl,netgo,osusergo -ldflags "-linkmode external -extldflags '-static -Wl,--no-warnings' -s -w" -o signet ./cmd/signet

# Modules of their own, so that users of the verifier do not download gRPC, chi and other JWT libraries.
VERIFIER_MODULES := $(patsubst %/go.mod,%,$(wildcard verifier/*/go.mod verifier/*/*/go.mod))
EXAMPLE_MODULES := $(patsubst %/go.mod,%,$(wildcard docs/examples/*/go.mod))

# Both stores always run. The race detector needs a C compiler; `make need-cc test` insists on one. It
# brings checks of unsafe pointers, which make SQLite, a translation from C that is full of them, three
# times as slow: they are left out there, and nowhere else. SQLite itself is left out of the detector,
# too, which took half of the time of its tests: the detector knows Go's heap and variables, and SQLite
# maps its memory by itself, but for some variables. The driver, and the C library with its locks, are
# watched.
UNWATCHED := -gcflags=modernc.org/...=-d=checkptr=0 -gcflags=modernc.org/sqlite/lib=-race=false

test: check postgres
	@race="-race $(UNWATCHED)"; $(HAS_CC) || { race=; echo "$(NO_CC), so the tests run without it." >&2; }; \
	echo "$(GO) test $$race ./..."; $(GO) test $$race ./... || exit 1; \
	for module in $(VERIFIER_MODULES); do echo "$$module"; (cd $$module && $(GO) test $$race ./...) || exit 1; done

test-openssl: need-cc need-openssl postgres
	$(GO) vet -tags openssl ./internal/jose
	$(GO) test -tags openssl ./internal/jose ./keys ./issuer

postgres:
	@$(GO) run ./userstore/sqlstore/pgtest/programs

check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
	  echo "Run gofmt -w on:" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags interop,more ./internal/interop/...
	$(GO) vet -tags chaos ./internal/chaos
	$(GO) vet -tags load ./internal/load
	@for module in $(VERIFIER_MODULES) $(EXAMPLE_MODULES); do echo "$$module"; (cd $$module && $(GO) vet ./...) || exit 1; done

# The linters are pinned in a module of their own, which no build of Signet reads. The first run builds them, which
# takes minutes; the next ones take seconds.
lint: check
	$(GO) tool -modfile=internal/tools/go.mod golangci-lint run --allow-serial-runners ./...
	$(GO) mod tidy -diff
	@for module in $(VERIFIER_MODULES) $(EXAMPLE_MODULES); do echo "$$module"; (cd $$module && $(GO) mod tidy -diff && \
	  $(GO) tool -modfile=$(CURDIR)/internal/tools/go.mod golangci-lint run --allow-serial-runners -c $(CURDIR)/.golangci.yml ./...) || exit 1; done

vuln:
	@$(GO) tool -modfile=internal/tools/go.mod govulncheck -db $(VULNDB) ./... || { status=$$?; \
	  [ $$status = 3 ] || echo "The vulnerabilities were not looked for: govulncheck asks $(VULNDB); make VULNDB=… names another database." >&2; \
	  exit $$status; }

# It refuses changes that are not committed; RELEASE_PLATFORMS names fewer platforms. docs/deployment.md tells how a stranger makes the same bytes.
release:
	$(GO) run ./internal/release -out $(DIST) $(if $(RELEASE_PLATFORMS),-platforms $(RELEASE_PLATFORMS))

interop: need-cc need-openssl need-foreign postgres $(NODE_DIR)/node_modules/.package-lock.json $(PYTHON_DIR)/.venv/installed $(PATRONI)/installed
	cd internal/interop/goclient && $(GO) vet ./...
	cd internal/interop/manifests && $(GO) vet ./... && $(GO) test -count=1 ./...
	@for module in $(EXAMPLE_MODULES); do echo "$$module"; (cd $$module && $(GO) test ./...) || exit 1; done
	PATH="$(CURDIR)/$(PYTHON_DIR)/.venv/bin:$(CURDIR)/$(PATRONI)/bin:$$PATH" INTEROP_SCREENSHOTS="$(SCREENSHOTS)" $(GO) test -count=1 -tags interop -parallel 8 -timeout 30m ./internal/interop/...

# The test builds the binary that it runs, with the same GOFLAGS.
interop-openssl: need-cc need-openssl need-foreign $(NODE_DIR)/node_modules/.package-lock.json
	GOFLAGS=-tags=openssl,interop $(GO) test -count=1 -run '^TestTheBinaryHasOpenSSL$$|^TestRelyingPartiesLogPeopleInAndOut$$/^SQLite$$/^openid-client$$' ./internal/interop

# Go's proxy, Maven's repository and crates.io serve pinned versions; go.sum holds the hashes of the former.
interop-more: need-foreign need-java need-rust need-firefox $(NODE_DIR)/node_modules/.package-lock.json $(PYTHON_DIR)/.venv/installed
	cd internal/interop/kubernetes && $(GO) vet ./...
	PATH="$(CURDIR)/$(PYTHON_DIR)/.venv/bin:$$PATH" INTEROP_SCREENSHOTS="$(SCREENSHOTS)" $(GO) test -count=1 -tags interop,more -run '^TestMore' -timeout 30m ./internal/interop

measure-caches: need-foreign need-java need-rust $(NODE_DIR)/node_modules/.package-lock.json $(PYTHON_DIR)/.venv/installed
	PATH="$(CURDIR)/$(PYTHON_DIR)/.venv/bin:$$PATH" INTEROP_CACHES=1 $(GO) test -count=1 -tags interop,more -parallel 16 -timeout 90m -v \
	  -run '^TestLibrariesReadAFreshKey$$|DocumentsAreTrue$$/^docs$$/^resource-servers$$/|^TestMoreKubernetes' ./internal/interop | grep -E 'fresh key|revoked key|^ok|FAIL'

$(NODE_DIR)/node_modules/.package-lock.json $(LOAD_NODE)/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --ignore-scripts
	@touch $@

$(PYTHON_DIR)/.venv/installed: $(PYTHON_DIR)/requirements.txt
	rm -rf $(PYTHON_DIR)/.venv
	$(PYTHON) -m venv $(PYTHON_DIR)/.venv
	$(PYTHON_DIR)/.venv/bin/pip install --quiet --disable-pip-version-check \
	  --require-hashes --only-binary :all: -r $(PYTHON_DIR)/requirements.txt
	@touch $@

# Two of its libraries come as sources only.
$(PATRONI)/installed: $(PYTHON_DIR)/patroni.txt
	rm -rf $(PATRONI)
	$(PATRONI_PYTHON) -m venv $(PATRONI)
	$(PATRONI)/bin/pip install --quiet --disable-pip-version-check \
	  --require-hashes --only-binary :all: --no-binary python-etcd,ydiff -r $(PYTHON_DIR)/patroni.txt
	@touch $@

chaos: postgres $(if $(filter patroni,$(CHAOS_DATABASE)),$(PATRONI)/installed)
	PATH="$(CURDIR)/$(PATRONI)/bin:$$PATH" CHAOS_TIME=$(CHAOS_TIME) $(GO) test -count=1 -tags chaos -run '^TestChaos$$' -timeout 0 -v ./internal/chaos

chaos-rotations: postgres
	$(GO) test -count=1 -tags chaos -run '^TestRotations$$' -timeout 0 -v ./internal/chaos

upgrade: postgres $(NODE_DIR)/node_modules/.package-lock.json
	UPGRADE_TIME=$(UPGRADE_TIME) $(GO) test -count=1 -tags interop -run '^TestF34ThePreviousVersionBesideThisOne$$' -timeout 0 -v \
	  ./internal/interop/operations

# LOAD_ROUNDS=5 LOAD_SLICE=1500ms LOAD_ROWS='refresh EdDSA, 16' LOAD_BINARY=./signet: how long, which rows, another program.
load: postgres $(LOAD_NODE)/node_modules/.package-lock.json
	$(GO) test -count=1 -tags load -run '^TestLoad$$' -timeout 0 -v ./internal/load

# Benchmarks whose units are ratios: each measures the raw primitive in turns with ours. All of them run BENCH_COUNT
# times, one after the other, so that an hour in which the machine does something else does not meet one of them alone.
BENCH_COUNT ?= 6
BENCH_OUT ?= bench.txt
BASELINE := docs/performance/baseline.txt
RATIOS := ^Benchmark(Sign|ParseAndVerify|AccessToken|Verify|ParallelVerify|JWKS|ClientCredentials)$$
RATIO_PACKAGES := ./internal/jose ./issuer ./userstore/password ./api ./api/protocol ./verifier
RATIO_UNITS := ratio OR ratio-naked OR ×raw OR x-raw OR "raw/ours" OR vs-bare OR ×bound OR ×strict OR ×argon2id OR x-fastest

bench: postgres
	@$(MAKE) --no-print-directory $(BENCH_OUT)
	@$(GO) tool -modfile=internal/tools/go.mod benchstat -table pkg -ignore goos,goarch,cpu,machine,commit,go \
	  -filter '.unit:($(RATIO_UNITS))' $(if $(wildcard $(BASELINE)),baseline=$(BASELINE)) now=$(BENCH_OUT)

.PHONY: $(BENCH_OUT)
$(BENCH_OUT):
	@{ echo "machine: $$(nproc) processors, $$(awk '/MemTotal/ {printf "%.0f GiB of memory", $$2 / 1048576}' /proc/meminfo), Linux $$(uname -r | cut -d- -f1)"; \
	  echo "commit: $$(git rev-parse --short HEAD)"; echo "go: $$($(GO) env GOVERSION)"; } > $@
	@for turn in $$(seq $(BENCH_COUNT)); do \
	  $(GO) test -run '^$$' -bench '$(RATIOS)' $(RATIO_PACKAGES); \
	  $(GO) test -run '^$$' -bench '^Benchmark(Refresh|Login)$$' -benchtime 1x ./issuer; \
	  $(GO) test -run '^$$' -bench '^BenchmarkRefreshPostgres$$' -benchtime 5000x ./userstore/sqlstore; \
	  (cd verifier/benchmarks && $(GO) test -run '^$$' -bench '^BenchmarkVerify$$' .); \
	done | grep --line-buffered -E '^(Benchmark|pkg:|goos:|goarch:|cpu:|--- FAIL|FAIL)|_test.go:' | tee -a $@
	@! grep FAIL $@ || echo "The benchmarks that failed are missing below; on a busy machine BenchmarkLogin is." >&2

bench-baseline: postgres
	@$(MAKE) --no-print-directory $(BENCH_OUT)
	@! grep -q FAIL $(BENCH_OUT) || { echo "A benchmark failed: this is no baseline. Mend it, or run this again on a quiet machine." >&2; exit 1; }
	@mkdir -p $(dir $(BASELINE)) && mv $(BENCH_OUT) $(BASELINE)

bench-all:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...
	cd verifier/benchmarks && $(GO) test -run '^$$' -bench '$(BENCH)' ./...

fuzz:
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |' | sort -u | \
	while read -r package target; do \
	  echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

clean:
	rm -rf signet $(DIST) $(SCREENSHOTS) $(NODE_DIR)/node_modules $(LOAD_NODE)/node_modules $(PYTHON_DIR)/.venv $(PATRONI) internal/interop/axum/target

# Each missing prerequisite is named, with the way to get it.
need-cc:
	@$(HAS_CC) || { echo "$(NO_CC)." >&2; exit 1; }

need-openssl:
	@pkg-config --exists 'libcrypto >= 3' || { \
	  echo "OpenSSL 3 with its headers and static library, or pkg-config, is missing: on Debian, apt-get install libssl-dev pkg-config" >&2; exit 1; }

need-foreign:
	@for program in bash curl git jq node npm openssl $(PYTHON); do command -v $$program >/dev/null || { \
	  echo "$$program is missing: make interop needs bash, curl, git, jq, openssl, Node.js 20 or later with npm, and Python 3.10 or later with venv." >&2; \
	  echo "On Debian 13: apt-get install curl git jq nodejs npm openssl python3-venv" >&2; exit 1; }; done
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && \
	  test -x /usr/sbin/apache2 && test -e /usr/lib/apache2/modules/mod_auth_openidc.so && test -e /usr/lib/apache2/modules/mod_oauth2.so && test -x /usr/sbin/pgbouncer && \
	  command -v etcd >/dev/null && test -x /usr/sbin/haproxy && \
	  ls /usr/lib/postgresql/*/bin/pg_rewind >/dev/null 2>&1 && command -v promtool >/dev/null && command -v prometheus >/dev/null && command -v systemd-analyze >/dev/null || { \
	  echo "Chromium, Apache with mod_auth_openidc and mod_oauth2, PgBouncer, etcd, HAProxy, PostgreSQL, Prometheus or systemd-analyze is missing: make interop uses them. On Debian, as root: apt-get update, and" >&2; \
	  echo "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium firefox-esr apache2-bin libapache2-mod-auth-openidc libapache2-mod-oauth2 pgbouncer etcd-server haproxy postgresql prometheus python3-venv systemd libssl-dev pkg-config" >&2; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || { \
	  echo "Node.js 20 or later is needed; this is $$(node --version)." >&2; exit 1; }
	@$(PATRONI_PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PATRONI_PYTHON) with its venv module is needed for Patroni. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "Python 3.10 or later with its venv module is needed. On Debian: apt-get install python3-venv" >&2; exit 1; }

need-firefox:
	@{ command -v firefox-esr || command -v firefox; } >/dev/null || { \
	  echo "Firefox is missing: make interop-more uses it. On Debian: apt-get install --no-install-recommends firefox-esr" >&2; exit 1; }

need-rust:
	@command -v cargo >/dev/null || { echo "cargo is missing: make interop-more needs Rust 1.88 or later, from rustup." >&2; exit 1; }

need-java:
	@for program in java javac mvn; do command -v $$program >/dev/null || { \
	  echo "$$program is missing: make interop-more needs a JDK of Java 17 or later, and Maven. On Debian: apt-get install default-jdk-headless maven" >&2; exit 1; }; done
