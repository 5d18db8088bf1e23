#!/usr/bin/env bash
# Trains the playground's student as the demo does, resnet8 taught by resnet14 through PCD on drawn images, and writes it
# with weights of 8 bits. Another machine's last bits differ, and with them the file.
#
#   student.sh RETORT [FILE]      student.retort beside this script without a name
set -euo pipefail
retort=$(realpath "$1")
out=$(realpath -m "${2:-$(dirname "$0")/student.retort}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$retort" compare quick --out quick
"$retort" export quick/pcd/seed-1 --to infer --quantize int8 --data synthetic --verify -o "$out"
