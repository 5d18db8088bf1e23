#!/usr/bin/env bash
# The timing programs take options as `retort` does, and time what they were asked for.
#
#   timing_programs.sh STEP TURNS PHOTO_LOADER
set -euo pipefail
step=$1 turns=$2 photos=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RETORT_CACHE=$work/cache

wrong() {
  echo "$1:" >&2
  cat "$work/out" "$work/err" >&2
  exit 1
}
refused() {  # refused TEXT COMMAND...: with exit code 2 and one line that begins with the program's name
  local text=$1 code=0
  shift
  "$@" >"$work/out" 2>"$work/err" || code=$?
  [ $code -eq 2 ] || wrong "$* ended with $code, expected 2"
  grep -q "^$(basename "$1"): .*$text" "$work/err" || wrong "$*: expected '$text'"
  [ "$(wc -l <"$work/err")" -eq 1 ] || wrong "$*: expected one line"
}
says() {  # says TEXT COMMAND...
  local text=$1
  shift
  "$@" >"$work/out" 2>"$work/err" || wrong "$* failed"
  grep -qF -- "$text" "$work/out" || wrong "$*: expected '$text'"
}

small=(--threads 1 --seconds 0)
for program in "$step" "$turns" "$photos"; do
  says "$(basename "$program"): " "$program" --help
  refused "did you mean '--seconds'" "$program" --second 3
  refused "needs a value" "$program" --seconds
  refused "expected a number of at least 0" "$program" --seconds soon
done
refused "expected an integer of at least 1" "$step" --batch 0
refused "expected an integer of at most" "$step" --threads 4294967296
refused "is unknown" "$step" --model resnet21
refused "expected one FOLDER" "$photos"

says '"kernels"' "$step" --model resnet8 --batch 2 --json "${small[@]}"
grep -q ", " "$work/err" || wrong "a step in JSON that does not say on what device"
says '"table":"used"' "$step" --model resnet8 --teacher resnet8 --method kd --table --batch 2 --json "${small[@]}"
says "median" "$step" --loss --method pcd --batch 2 --classes 10 "${small[@]}"
# What a method needs of a run beyond logits: features, an image's number, likenesses, a borrowed classifier, a second view.
for method in fitnet crd wkd-l simkd crld; do
  says '"cpu_ms"' "$step" --asked --model resnet8 --teacher resnet14 --method $method --batch 2 --threads 1 <<<0
done
says '"cpu_ms"' "$step" --asked --model resnet8 --teacher resnet14 --method kd --dot --batch 2 --threads 1 <<<0
refused "a line is 'soon', expected seconds" "$step" --asked --model resnet8 --batch 2 --threads 1 <<<soon
refused "needs a --teacher" "$step" --method sp --batch 2
says "resnet8, training step" "$turns" --models resnet8 --batches 2,4 --rounds 1 "${small[@]}"
says "resnet8 < resnet8, pcd" "$turns" --models resnet8 --teacher resnet8 --batches 2 --rounds 1 "${small[@]}"
says "resnet8 < resnet8, dkd" "$turns" --models resnet8 --teacher resnet8 --method dkd --batches 2 --rounds 1 "${small[@]}"
refused "needs a --teacher" "$turns" --method kd
refused "reads no --teacher" "$turns" --teacher resnet8 --method ce
refused "--batches is 'many'" "$turns" --batches many
