#!/usr/bin/env bash
# Compiles the playground's kernels to WebAssembly, with Debian's emscripten. The same compiler gives the same bytes
# from any folder.
#
#   build.sh [FILE]      playground.wasm beside this script without a name
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "${1:-$here/playground.wasm}")
cd "$here/../../.."
conv=engine/cpu/conv
sources=(distill/lesson/playground/kernels.cpp datasets/readers/figures.cpp engine/isa.cpp engine/infer/*.cpp $conv/*.cpp)
# -ffp-contract=off, as everywhere. Without SIMD: a few milliseconds an image, and older browsers can do without.
em++ -std=c++20 -Os -I. -DRETORT_ISA=baseline -ffp-contract=off -fno-exceptions -fno-rtti -fno-threadsafe-statics \
  -ffunction-sections -fdata-sections "${sources[@]}" -o "$out" --no-entry -sSTANDALONE_WASM=1 -sFILESYSTEM=0 \
  -sMALLOC=emmalloc -sINITIAL_MEMORY=8MB -sTOTAL_STACK=256KB -sERROR_ON_UNDEFINED_SYMBOLS=1
