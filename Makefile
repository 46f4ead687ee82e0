# make demo    the whole appliance on this machine, with a tour       DEMO_ARGS=--once | --serve
# make test    every test, installing what it needs
# make check   the minute before a commit
# make bench   speed and cost against the raw limits
# make fuzz    the parsers, 60 seconds each                           FUZZ_SECONDS=60
# make build   inkand and inkan, as they are shipped

.PHONY: demo test check bench fuzz build needs

demo:
	tests/demo/run $(DEMO_ARGS)

test:
	tests/run-all

check:
	tests/check

bench: needs
	tests/bench/run.sh $(BENCH_ARGS)

fuzz:
	tests/fuzz/run.sh $(or $(FUZZ_SECONDS),60)

build:
	cargo build --release --locked --bins -p appliance

needs:
	tests/install-needs.sh
