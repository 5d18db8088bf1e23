#!/usr/bin/env bash
# Installs a build, moves the installed tree, and builds the examples against it as a user would: find_package,
# pkg-config with nothing but a C compiler, and the sources as a subdirectory.
#
#   use_installed.sh BUILD NETWORKS C-COMPILER C++-COMPILER
set -euo pipefail
build=$1 networks=$2 cc=$3 cxx=$4
sources=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CC=$cc CXX=$cxx
# What built the tree is there; make need not be.
CMAKE_GENERATOR=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
export CMAKE_GENERATOR

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
if grep -rl "$work/first\|$build" "$work/moved" --include='*.cmake' --include='*.pc'; then
  echo "the installed tree names where it was built or installed" >&2
  exit 1
fi
libraries=$(dirname "$(find "$work/moved" -name libretort_infer.a)")

echo "--- find_package"
cmake -S "$sources" -B "$work/a" -DCMAKE_PREFIX_PATH="$work/moved" -DCMAKE_BUILD_TYPE=Debug >/dev/null
cmake --build "$work/a"
"$work/a/mlp"
"$work/a/custom_method"
"$work/a/own_program" settings match | grep -q method.weight
"$work/a/infer" "$networks/f32.retort" "$networks/f32.txt"

echo "--- pkg-config, C only"
export PKG_CONFIG_PATH=$libraries/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs retort-infer)"
"$cc" -std=c11 -Wall -Wextra -Werror "$sources/infer.c" "${flags[@]}" -o "$work/infer"
"$work/infer" "$networks/int8.retort" "$networks/int8.txt"
read -ra flags <<<"$(pkg-config --cflags --libs retort)"
"$cxx" -std=c++20 "$sources/mlp.cpp" "${flags[@]}" -o "$work/mlp"
"$work/mlp"

echo "--- subdirectory"
cmake -S "$sources" -B "$work/b" -DRETORT_SOURCE="$(cd "$sources/../.." && pwd)" -DCMAKE_BUILD_TYPE=Debug >/dev/null
cmake --build "$work/b" --target infer
"$work/b/infer" "$networks/f16.retort" "$networks/f16.txt"

echo "--- the program, in an empty folder"
mkdir "$work/empty"
cd "$work/empty"
"$work/moved/bin/retort" --version --json
"$work/moved/bin/retort" compare quick --epochs 1 --out quick
if [ -e "$build/share/retort.1" ]; then  # not of a program that cannot run here
  cmp "$work/moved/share/man/man1/retort.1" <("$work/moved/bin/retort" man)
  cmp "$work/moved/share/bash-completion/completions/retort" <("$work/moved/bin/retort" completion bash)
fi
test -s "$work"/moved/share/doc/retort/LICENSE
