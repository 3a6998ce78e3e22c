# Every target does its own set-up and builds what it needs. ARGS goes to the
# script behind it: make run ARGS="--mem 4G --no-svsm", make smoke ARGS="--plain".
ARGS ?=

.PHONY: help setup build image images image-check release machine run smoke attest test lint doc soak clean
.PHONY: bench-vtpm bench bench-check bench-baseline bench-picture

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: ## get the tools, the Rust target and the guest's parts
	@scripts/setup

build: setup ## build the emulated machine and all images
	@scripts/build

image: setup ## build the images alone
	@scripts/build images

images: image ## the same

image-check: image ## build the release images again elsewhere, compare; and with the README's digests
	@scripts/check-reproducible
	@scripts/release --check

release: image ## the release images' digests as they are now: to docs/release.json and the README
	@scripts/release --store

machine: setup ## build the emulated machine alone
	@scripts/build machine

run: build ## start a guest, with its console here
	@scripts/launch $(ARGS)

smoke: build ## the same boot without a person: checks what the guest says
	@scripts/smoke $(ARGS)

attest: build ## boot Linux, take its evidence to target/attest, and verify that
	@scripts/attest $(ARGS)

test: ## everything that CI runs
	@scripts/test $(ARGS)

lint: ## formatting, clippy, shellcheck and documentation
	@scripts/test lint

doc: setup ## the crates' documentation, in target/doc
	@cargo doc --locked --no-deps

bench: build ## the project's figures: counts, and times against plain QEMU
	@scripts/bench $(ARGS)

bench-check: build ## the figures that no machine changes, against docs/figures.json
	@scripts/bench --check $(ARGS)

bench-baseline: build ## the figures as they are now: to docs/figures.json and the README
	@scripts/bench --baseline $(ARGS)

bench-picture: build ## docs/boot.svg: a boot by phase, with its exits by reason
	@scripts/bench --picture $(ARGS)

bench-vtpm: setup ## vtpm-server against swtpm, command by command
	@scripts/bench-vtpm $(ARGS)

soak: build ## what takes too long for every change: many boots, 64 vCPUs, long random runs
	@scripts/soak $(ARGS)

clean: ## remove what was built; the downloads in .cache stay
	@cargo clean
