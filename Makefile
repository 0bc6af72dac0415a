.POSIX:
.PHONY: help demo test test-vm fuzz bench lint fmt clippy doc deny clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /    make \1	/p' Makefile

demo: ## run `ps afx` in a sandbox; installs bwrap if it is missing
	@scripts/install-bwrap
	@cargo run --quiet --example ps_afx

test: ## all tests, on the installed bwrap and on 0.11.0; installs what they need
	bwraps=$$(scripts/test-tools) && \
	    BWRAP_LAUNCH_TEST_BWRAPS="$$bwraps" cargo test --all-features --no-fail-fast

test-vm: ## the same faults and remedies on other kernels, in virtual machines (QEMU)
	cargo test --all-features --test vm

fuzz: ## hostile and random input, and failing system calls, with ever new seeds, until something fails
	scripts/fuzz

bench: ## time launches, predictions and diagnoses
	cargo bench --bench launch
	cargo bench --bench doctor

lint: fmt clippy doc deny ## these four checks:

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
	@scripts/ci-tools
	target/ci-tools/bin/cargo-deny --locked check bans licenses sources
	@echo 'NOT CHECKED: security advisories. With a network: cargo deny check advisories'

clean: ## remove everything built or fetched
	cargo clean
	rm -rf target/test-tools target/ci-tools
