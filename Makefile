# One profile for everything that is built here, so that a clone compiles each crate once.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# A directory of texts for the demo to count, in place of its own.
INPUT ?=
# Seconds that each benchmark case runs, how often, and how many rows the suites over large tables have.
SECONDS ?= 30
RUNS ?= 3
ROWS ?= 10000000
# Bytes of log that the suite recovery starts from.
BYTES ?= 1073741824
# Minutes that the generator runs, and its first seed.
MINUTES ?= 10
SEED ?= 0
# Rows of each table of `make history`, its limit on memory in bytes, and the folder that it writes to.
HISTORY_ROWS ?= 50000000
MEMORY ?= 2147483648
DIR ?= /var/tmp
# Seconds for each target of `make fuzz`.
FUZZ_SECONDS ?= 60

.PHONY: help demo test clients lint bench growth history generate soak fuzz loc install

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Build, count words as a graph of programs, kill -9 in the middle, explain it by SQL (INPUT=DIR)
	@scripts/install-dependencies.sh demo
	@scripts/demo.sh $(if $(INPUT),--input "$(INPUT)")

test: ## All tests
	@scripts/install-dependencies.sh
	TUPLIX_FAULT_SECONDS=60 cargo test --release --workspace --locked

clients: ## Python, Node and Java clients against a node; downloads what they need
	@scripts/install-dependencies.sh
	cargo build --release --locked -p tuplix-cli
	testing/clients/run.sh

lint: ## Formatting, clippy and documentation, warnings are errors
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps --locked

bench: BENCH = cargo run --release --locked -p tuplix-bench -- --seconds $(SECONDS) --runs $(RUNS)
bench: ## Benchmarks beside their peers (SECONDS=30 RUNS=3 ROWS=10000000)
	@scripts/install-dependencies.sh
	$(BENCH) fifo
	$(BENCH) procedure
	$(BENCH) ycsb
	$(BENCH) scan --rows $(ROWS)
	$(BENCH) snapshot
	$(BENCH) checkpoint
	$(BENCH) recovery --bytes $(BYTES)
	$(BENCH) wire
	$(BENCH) overload
	$(BENCH) scheduler
	$(BENCH) decisions
	$(BENCH) growth --rows $(ROWS)

growth: ## A row's cost up to 10^8 rows; needs 16 GB (SECONDS=30 RUNS=3)
	@scripts/install-dependencies.sh
	cargo run --release --locked -p tuplix-bench -- growth --rows 100000000 --seconds $(SECONDS) --runs $(RUNS)

history: ## 50M tasks and 50M messages through 2 GB of memory (HISTORY_ROWS=50000000 MEMORY=2147483648 DIR=/var/tmp)
	@scripts/install-dependencies.sh
	cargo run --release --locked -p tuplix-bench -- history --rows $(HISTORY_ROWS) --memory $(MEMORY) --dir "$(DIR)"

generate: ## Random statements on the engine and on PostgreSQL (MINUTES=10 SEED=0)
	@scripts/install-dependencies.sh
	cargo run --release --locked -p tuplix-generate -- --minutes $(MINUTES) --seed $(SEED)

soak: ## The simulator's seeds, killed processes and concurrent histories, MINUTES=10 of the first and last (SEED=0)
	timeout --preserve-status $(MINUTES)m cargo run --release --locked -p tuplix-sim -- --seed $(SEED) --seeds 1000000000 || test $$? = 143
	cargo run --release --locked -p tuplix-sim -- kill --seed $(SEED) --rounds 100
	cargo run --release --locked -p tuplix-sim -- histories --minutes $(MINUTES) --seed $(SEED)

fuzz: ## cargo-fuzz of log, checkpoints, history, SQL and protocol, then the simulator's (FUZZ_SECONDS=60 for each, SEED=0)
	@scripts/install-dependencies.sh
	@scripts/fuzz.sh $(FUZZ_SECONDS)
	cargo run --release --locked -p tuplix-sim -- fuzz --seconds $(FUZZ_SECONDS) --seed $(SEED)

loc: ## Lines of SQL and Rust of each service
	@scripts/loc.sh

install: ## Install the tuplix command for this user
	cargo install --locked --profile dist --path interfaces/cli
