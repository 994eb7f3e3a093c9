# What a person types. Everything that is not Rust or Go is built from pinned sources into the cache folder
# ($MIXED_STREAM_CACHE, else ~/.cache/mixed-stream-operator).

.DEFAULT_GOAL := help
.PHONY: help demo test lint generate bench prerequisites

# What is built is started as it is: `cargo run -p` would choose other features for one package alone, and build everything anew.
BUILT := $(or $(CARGO_TARGET_DIR),target)

# Most tests wait for something other than a processor.
export RUST_TEST_THREADS ?= 8
# `make demo KEEP=1` leaves everything running.
export KEEP

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1	\2/' | expand -t 18

demo: prerequisites ## The main job and a relay's life on real parts, from nothing, as a readable timeline; KEEP=1 leaves it running
	cargo build --workspace --bins
	$(BUILT)/debug/demo

test: prerequisites ## Every test that needs no container
	cargo build --workspace --bins
	$(BUILT)/debug/control-plane build
	cargo test --workspace
	tests/guards/run

lint: prerequisites ## Formatting, clippy, drift of what is generated, advisories
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo build --workspace --bins
	@$(BUILT)/debug/mixed-stream-operator crd | diff -u crds/mixedstreamtasks.yaml - || { echo "crds/ is out of date: run 'make generate'"; exit 1; }
	@$(BUILT)/debug/mixed-stream-operator reasons | diff -u docs/reasons.md - || { echo "docs/reasons.md is out of date: run 'make generate'"; exit 1; }
	@tests/advisories

generate: prerequisites ## Write anew what is generated: crds/ and docs/reasons.md
	cargo build --workspace --bins
	$(BUILT)/debug/mixed-stream-operator crd > crds/mixedstreamtasks.yaml.new
	mv crds/mixedstreamtasks.yaml.new crds/mixedstreamtasks.yaml
	$(BUILT)/debug/mixed-stream-operator reasons > docs/reasons.md.new
	mv docs/reasons.md.new docs/reasons.md

bench: prerequisites ## Figures of the release build beside a bare floor, measured in one run; PARTS="single crowd relays gone backlog neighbour unfair" chooses
	cargo build --release --workspace --bins
	$(BUILT)/release/bench $(PARTS)

prerequisites:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer with rustup"; exit 1; }
	@command -v go >/dev/null || command -v python3 >/dev/null || { echo "go is missing, and python3 which could bring it: install Go 1.26 or newer, or Python 3 with pip"; exit 1; }
	@for tool in git curl openssl; do command -v $$tool >/dev/null || { echo "$$tool is missing: install it (Debian: apt-get install $$tool)"; exit 1; }; done
	@command -v cc >/dev/null || { echo "cc is missing: install a C compiler (Debian: apt-get install gcc libc6-dev)"; exit 1; }
