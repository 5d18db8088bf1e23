#!/bin/sh
# What the convolutions of a training step reach of the measured FMA peak, and the other kernels of the
# measured memory bandwidth: `retort train --profile` (20 steps behind 5 of warm-up, batch 64) for each network.
#   bench/peak_shares.sh [--bin build/release/retort] [--threads 1] [--device onednn] [MODEL...]
set -eu
retort=build/release/retort threads=1 device=onednn
while [ $# -gt 0 ]; do
  case $1 in
    --bin) retort=$2; shift 2 ;;
    --threads) threads=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    -*) echo "peak_shares.sh: unknown option $1" >&2; exit 2 ;;
    *) break ;;
  esac
done
[ -x "$retort" ] || { echo "peak_shares.sh: no program at $retort; build it or name it with --bin" >&2; exit 3; }
[ $# -gt 0 ] || set -- resnet20 resnet8x4 wrn_16_2 MobileNetV2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for model; do
  echo "$model, batch 64, $device:"
  # 30 steps and a test of one batch.
  if ! "$retort" train --model "$model" --device "$device" --threads "$threads" --epochs 1 --batch 64 \
       --data synthetic:train=1920,test=64 --profile --out "$work/$model" > /dev/null 2> "$work/log"; then
    cat "$work/log" >&2
    exit 1
  fi
  sed -n -e 's/^.*profile of [0-9]* steps.*floor: \(.*\), measured now.*$/  peak: \1/p' \
      -e 's/^.*\(convolutions: .*\)$/  \1/p' -e 's/^.*\(the rest: .*\)$/  \1/p' "$work/log"
done
