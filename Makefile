# Two commands matter: `make demo` and `make test`. Both need Rust, and name or install the rest.

.PHONY: demo test lint fmt bench quality release load count fuzz soak readme needs

demo: needs ## a small shop, the sidecar in front of it, three stories; ONCE=1 ends after them
	cargo run --locked -- demo $(if $(ONCE),--once)

test: needs ## everything: units, stories over real sockets, fuzz targets for 5 s each, doc tests
	@.ci/needs prometheus haproxy || echo "going on without: what needs them skips itself and says so"
	cargo test --locked

lint: needs ## form, lints, the sidecar without the demo shop, licences and advisories
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --lib --bins -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "cargo-deny is not installed: skipped"; fi

fmt:
	cargo fmt

bench: needs ## ranking and splicing, release build
	cargo bench --locked

quality: needs ## the tables and plots of docs/QUALITY.md, from the recorded logs; CHECK=1 compares, DATA=DIR where they are
	.ci/needs python3
	cargo build --locked --release
	python3 benches/quality/quality.py --binary target/release/leafrank $(if $(DATA),--data $(DATA)) $(if $(CHECK),--check)

release: target/pgo/leafrank ## the binary to ship: built, trained with the load script's traffic, built again

target/pgo/leafrank: Cargo.lock Cargo.toml $(shell find src config rules -type f)
	.ci/needs python3 wrk nginx haproxy llvm-profdata
	python3 benches/load/release.py

load: target/pgo/leafrank ## beside nginx, haproxy and nginx + Lua, under load: ratios and floors; LOAD=--report only prints
	.ci/needs python3 wrk nginx haproxy
	python3 benches/load/load.py --binary target/pgo/leafrank $(LOAD)

count: needs ## instructions of the sidecar's own for one request, counted by valgrind
	.ci/needs python3 valgrind wrk nginx haproxy
	cargo build --locked --release
	python3 benches/load/count.py $(COUNT)

fuzz: needs ## the fuzz targets for a minute each; FUZZ_SECONDS=600 for longer
	LEAFRANK_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) cargo test --locked --test fuzz

soak: needs ## an hour of many shoppers against the real process: memory stays flat; SOAK_SECONDS=600 for shorter
	SOAK_SECONDS=$(or $(SOAK_SECONDS),3600) cargo test --locked --release --test it -- --ignored --exact --nocapture soak::an_hour_over_loopback_leaves_memory_flat

readme: needs ## puts the demo's output of today into README.md
	.ci/readme

needs:
	@.ci/needs
