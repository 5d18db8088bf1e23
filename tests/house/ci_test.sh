#!/usr/bin/env bash
# What .ci/bare, .ci/run, .ci/fuzz and .ci/sanitize have in common (.ci/checks.sh, .ci/clang.sh), without their roots.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0
fault() {
  echo "$*"
  wrong=1
}
for script in .ci/*.sh $(grep -l '^#!.*bash$' .ci/*); do bash -n "$script" || wrong=1; done
. .ci/checks.sh
. .ci/clang.sh

# Every package can be left out, whatever its name holds and wherever it stands, and no other goes with it.
mapfile -t packages < <(sed -n '/^packages=(/,/)/p' .ci/setup | sed 's/^packages=//' | grep -oE '[a-z0-9.+-]+')
[[ " ${packages[*]} " == *" g++ "* ]] || fault "the packages of .ci/setup have no g++: ${packages[*]}"
for package in "${packages[@]}"; do
  names_package "$package" .ci/setup || fault "$package is not found in .ci/setup"
  without_package "$package" .ci/setup >"$work/setup"
  bash -n "$work/setup" || fault "without $package .ci/setup is no script"
  for other in "${packages[@]}"; do
    there=yes
    names_package "$other" "$work/setup" || there=no
    [ $there = "$([ "$other" = "$package" ] && echo no || echo yes)" ] || fault "without $package: $other: $there"
  done
  diff <(grep -vE '^packages=|^  +lib' .ci/setup) <(grep -vE '^packages=|^  +lib' "$work/setup") || wrong=1
done
for word in g+ g.. g "" libcli11 packages= packages "libstb-dev libjpeg62-turbo-dev"; do
  ! names_package "$word" .ci/setup || fault "'$word' is taken for a package of .ci/setup"
done

# Lists of tests: of one commit they name the same, but for those that need nvcc and Python's.
list() {
  printf '%s\n' "$2" "${@:3}" >"$work/lists/$1.tests"
}
mkdir "$work/lists"
list bookworm c1 A.b 'C.d/0 # GetParam() = 1' python_module
list trixie c1 A.b C.d/0
list old c0 A.b
list host c1 A.b C.d/0 Cudnn.x bench_y
check_names "$work/lists" c1 >"$work/told" || fault "equal lists are not: $(cat "$work/told")"
[ "$(wc -l <"$work/told")" -eq 2 ] || fault "three lists are not compared: $(cat "$work/told")"
list host c1 A.b
! check_names "$work/lists" c1 >"$work/told" || fault "lists that differ are taken for equal"
[[ $(tail -n 1 "$work/told") == *C.d/0 ]] || fault "the last line does not say which test: $(cat "$work/told")"

# The host's list is that of a finished build of this commit.
ctest() {
  printf '  Test #1: %s\n\nTotal Tests: 1\n' "$named"
}
host_list() {
  rm -f "$work/lists/host.tests"
  named=${2:-A.b}
  printf '#!/bin/sh\necho "retort 0.1.0 (%s)"\n' "$1" >"$work/build/release/retort"
  chmod +x "$work/build/release/retort"
  (cd "$work" && list_host_tests lists c1) >/dev/null
}
mkdir -p "$work/build/release"
host_list c2
[ ! -e "$work/lists/host.tests" ] || fault "the list of another commit's build is taken"
host_list "c1, changed"
[ ! -e "$work/lists/host.tests" ] || fault "the list of a changed tree's build is taken"
host_list c1 retort_tests_NOT_BUILT
[ ! -e "$work/lists/host.tests" ] || fault "the list of an unfinished build is taken"
host_list c1
[ "$(cat "$work/lists/host.tests" 2>/dev/null)" = $'c1\nA.b' ] || fault "the host's list is not made"

# Skips: those of .ci/skips with their reason, others not.
skipped() {
  printf '1/2 Test: %s\nOutput:\nx_test.cpp:9: Skipped\n%s\n\n' "$1" "$2" >"$work/log"
  check_skips "$work/log" without:libdnnl-dev >"$work/told"
}
skipped RunsOf010.AnUnfinishedOneEndsAtItsHash 'another processor' || fault "$(cat "$work/told")"
skipped OneDnnTest.Adds 'built without oneDNN' || fault "$(cat "$work/told")"
! skipped RunsOf010.AnUnfinishedOneEndsAtItsHash 'no reason' || fault "a skip for another reason is taken"
! skipped Cifar.RealCifar100 'RETORT_CIFAR100 is not set' || fault "a skip under another condition is taken"

# clang and its run-time libraries are installed where they are missing, and only there.
mkdir "$work/bin"
for tool in sed head env dirname bash; do ln -s "$(command -v $tool)" "$work/bin/"; done
printf '#!/bin/sh\necho 0\n' >"$work/bin/id"
printf '#!/bin/sh\necho "  Depends: clang-14"\n' >"$work/bin/apt-cache"
printf '#!/bin/sh\necho "$*" >>%s/apt\n' "$work" >"$work/bin/apt-get"
chmod +x "$work"/bin/{id,apt-cache,apt-get}
(PATH=$work/bin need_clang)
grep -q 'install .*clang libclang-rt-14-dev$' "$work/apt" || fault "clang is not installed: $(cat "$work/apt")"
mkdir -p "$work/lib/linux"
touch "$work/lib/linux/libclang_rt.fuzzer-x86_64.a"
printf '#!/bin/sh\necho %s\n' "$work" | tee "$work/bin/clang" >"$work/bin/clang++"
chmod +x "$work"/bin/clang*
rm "$work/apt"
(PATH=$work/bin need_clang)
[ ! -e "$work/apt" ] || fault "clang is installed where it is: $(cat "$work/apt")"
for script in fuzz sanitize; do grep -q need_clang .ci/$script || fault ".ci/$script does not see to clang"; done
exit $wrong
