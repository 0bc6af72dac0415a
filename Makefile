.POSIX:
.PHONY: help demo setup test test-musl test-vm test-cluster fuzz bench lint fmt clippy doc deny api targets package clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /    make \1	/p' Makefile

demo: ## run `ps afx` in a sandbox; installs bwrap if it is missing
	@scripts/install-bwrap
	@cargo run --quiet --example ps_afx

setup: ## install what the tests need; as root it adds the user bwrap-launch-test and its subordinate ids
	@scripts/test-tools >/dev/null

test: setup ## all tests, on the installed bwrap and on 0.11.0, some on 0.13.1; each of some on one of them, with BWRAP_LAUNCH_TEST_EACH=1 on all
	@scripts/test
	@echo 'Not among these: make test-musl, make test-vm (other kernels), make test-cluster (Kubernetes)'

test-musl: setup ## the suites of launches on musl, if its standard library can be had
	@scripts/test-musl

test-vm: ## the same faults and remedies on other kernels, in virtual machines (QEMU)
	cargo test --all-features --test vm

test-cluster: ## pods in Kubernetes, with containerd and CRI-O; the first time a quarter of an hour of compiling (Go)
	cargo test --all-features --test cluster

fuzz: ## hostile and random input, and failing system calls, with ever new seeds, until something fails
	scripts/fuzz

bench: ## time launches, predictions and diagnoses
	cargo bench --bench launch
	cargo bench --bench peers
	cargo bench --bench doctor

lint: fmt clippy doc deny api targets package ## these checks:

fmt: ## formatting, without changing it
	cargo fmt --check

# incompatible_msrv: no use of std newer than `rust-version` in Cargo.toml
clippy: ## clippy, warnings are errors; with every set of features
	cargo clippy --all-targets --all-features -- -D warnings -D clippy::incompatible_msrv
	cargo clippy -- -D warnings
	cargo clippy --features serde -- -D warnings

doc: ## documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features

deny: ## dependencies: licences, duplicates, sources
	@scripts/ci-tools cargo-deny
	target/ci-tools/bin/cargo-deny --locked check bans licenses sources
	@echo 'NOT CHECKED: security advisories. With a network: cargo deny check advisories'

api: ## the public interface is that of tests/data/public-api.txt; `scripts/public-api --write` accepts a change
	@scripts/public-api

targets: ## type check for aarch64, for musl, and of the fuzz targets
	@scripts/check-targets

package: ## what crates.io would get builds by itself
	cargo package --quiet --allow-dirty

clean: ## remove everything built or fetched
	cargo clean
	rm -rf target/test-tools target/ci-tools
