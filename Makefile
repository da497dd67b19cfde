# One profile for everything that is built here, so that a clone compiles each crate once.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# Seconds that each benchmark case runs.
SECONDS ?= 30
# Minutes that the generator runs, and its first seed.
MINUTES ?= 10
SEED ?= 0

.PHONY: help demo test lint bench generate install

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Build, run the first steps on a node of its own, kill it, show that nothing is lost
	@scripts/install-dependencies.sh
	@scripts/demo.sh

test: ## All tests
	@scripts/install-dependencies.sh
	cargo test --release --workspace --locked

lint: ## Formatting, clippy and documentation, warnings are errors
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps --locked

bench: ## Benchmarks beside their peers (SECONDS=30)
	@scripts/install-dependencies.sh
	cargo run --release --locked -p tuplix-bench -- fifo --seconds $(SECONDS)
	cargo run --release --locked -p tuplix-bench -- procedure --seconds $(SECONDS)

generate: ## Random statements on the engine and on PostgreSQL (MINUTES=10 SEED=0)
	@scripts/install-dependencies.sh
	cargo run --release --locked -p tuplix-generate -- --minutes $(MINUTES) --seed $(SEED)

install: ## Install the tuplix command for this user
	cargo install --locked --profile dist --path interfaces/cli
