# One target for everything; CONTRIBUTING.md says what each is for.
GO    ?= go
TOOL   = $(GO) tool -modfile=tools.mod
T     ?= 5s
DIST  ?= dist

# The race detector leaves the arithmetic of passwords alone, which shares nothing.
HASHES = crypto/internal/fips140/sha256 crypto/internal/fips140/sha512 crypto/internal/fips140/hmac \
	crypto/internal/fips140/pbkdf2 crypto/sha1 crypto/hmac crypto/pbkdf2 golang.org/x/crypto/pbkdf2
RACE   = -race $(HASHES:%=-gcflags=%=-race=false)

.PHONY: all test check talks refs fuzz bench built interop api format vet layers deb release vuln

all:
	$(GO) build -trimpath -o parley ./cmd/parley

test:
	$(GO) test ./...

# What .ci/run runs. Many tests wait more than they compute, so four share two processors. Of the
# program's own tests, most of which start it as a process, those that are about many
# things at once in one process have the race detector, and are not run again without; with it all
# of them would take too long.
check: format vet
	$(GO) test $(RACE) -parallel 4 -shuffle=on -timeout 15m $$($(GO) list ./... | grep -v /cmd/parley$$)
	$(GO) test $(RACE) -parallel 4 -shuffle=on -timeout 15m ./cmd/parley -run 'TestTalk$$|Mingle'
	$(GO) test -parallel 4 -shuffle=on -timeout 15m ./cmd/parley -skip 'TestTalk$$|Mingle'
	$(MAKE) --no-print-directory fuzz T=1s
	$(MAKE) --no-print-directory -j 2 --output-sync interop api

format:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...
	$(TOOL) staticcheck -checks inherit,ST1000,ST1020,ST1021,ST1022 ./...

talks:
	$(GO) test ./cmd/parley -run Talk -v

# docs/protocols.md and doap.xml, from the references in comments and talks.
refs:
	$(GO) test ./cmd/parley -run Protocols -update

# Each fuzz test in turn for T, from one binary a package. Inputs are not made small for long: that
# would take all of T. What fails when the time is up, without an input, is the Go tool (golang/go#75804).
fuzz:
	@built=$$(mktemp -d); trap 'rm -rf "$$built"' EXIT; cache=$$($(GO) env GOCACHE)/fuzz/$$($(GO) list -m); \
	git grep --untracked -oE '^func Fuzz\w+' -- '*_test.go' | sed -E 's#^(.*)/[^/]*:func #\1 #' | while read -r p f; do \
		echo "./$$p $$f"; \
		binary=$$built/$$(echo $$p | tr / -); \
		[ -x $$binary ] || $(GO) test -c -fuzz . -o $$binary ./$$p || exit 1; \
		out=$$(cd $$p && $$binary -test.run '^$$' -test.fuzz "^$$f$$" -test.fuzzcachedir $$cache/$$p \
			-test.fuzztime $(T) -test.fuzzminimizetime 1s 2>&1 </dev/null) && continue; \
		case "$$out" in \
		*"Failing input"*) ;; \
		*"context deadline exceeded"*) continue;; \
		esac; \
		echo "$$out"; exit 1; \
	done

bench:
	$(GO) test -run '^$$' -bench . -benchmem -count 10 ./xmppd/wire ./store/... ./auth/... | tee bench.new
	@if [ -f bench.old ]; then $(TOOL) benchstat bench.old bench.new; fi

# What both of these run.
built:
	$(GO) build -o parley ./cmd/parley

# Real clients against the built server.
interop: built
	testdata/clients/run ./parley

# The REST API against its own description.
api: built
	testdata/api/run ./parley

# The Debian package, and what a release is published as; VERSION=v1.2.3 overrides what git says.
deb release:
	GO="$(GO)" packaging/build $(DIST) $@

# Known weaknesses in what the binary calls. The list is not part of the tool: GOVULNDB names
# another place of it, such as a file:// folder, where https://vuln.go.dev is out of reach.
vuln:
	@packaging/vuln
