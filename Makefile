# A thin front: CMake does the work. `make demo` and `make test` are all that a newcomer needs.
PREFIX ?= /usr/local
DESTDIR ?=
MAKEFLAGS += --no-print-directory

.PHONY: all cuda setup demo test bench bench-train bench-cuda install fuzz format clean

all: setup
	@scripts/build release berth berth_static berth_shared berth_cuda

# The plugin for NVIDIA GPUs, where nvcc is (part of `make` there).
cuda: setup
	@scripts/build release berth_cuda
	@test -e build/libberth_cuda.so || echo "make cuda: nvcc is not here; nothing was built"

# Installs what is missing and says so; silent when everything is there.
setup:
	@scripts/setup build

demo: all
	@scripts/demo

test:
	@scripts/setup build test
	@scripts/test

bench: all
	@scripts/bench

bench-train: all
	@scripts/bench-train

# On a machine with an NVIDIA GPU: checks, and speeds beside its peers.
bench-cuda: all
	@scripts/bench-cuda

install: all
	@DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(PREFIX)"

# Coverage-guided fuzzing, FUZZ_SECONDS for each target (clang).
fuzz:
	@scripts/setup build fuzz
	@scripts/fuzz

format:
	clang-format -i include/berth/*.h src/*/*.[ch] src/kernels/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch] bench/*.[ch]

clean:
	rm -rf build
