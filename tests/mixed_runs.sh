#!/usr/bin/env bash
# A folder of runs that do not belong together, on CIFAR-100, tiny; then what `retort report` says of them: no
# interval from one seed or from copies, no difference between trainings that differ in more than the method.
#   mixed_runs.sh RETORT CIFAR100_FOLDER OUT
set -euo pipefail
retort=$(realpath "$1") data=$(realpath "$2") out=$3
mkdir "$out"
cd "$out"
common=(--limit 256 --batch 64 --data "cifar100:$data" --set data.augment=none)
run() { # COMMAND NAME OPTION...
  "$retort" "$1" --out "runs/$2" "${common[@]}" "${@:3}" 2>> log.txt > /dev/null
}
run train teacher --model resnet8 --epochs 2 --seed 7
distil() { run distill "$1" --student resnet8 --teacher runs/teacher "${@:2}"; }
distil tuesday --method kd --epochs 1
distil tuesday-again --method kd --epochs 1   # the same seed: the same weights
distil try --method pcd --epochs 1
distil try-2 --method pcd --epochs 1
distil long --method pcd --epochs 4
distil more --method dkd --epochs 2 --limit 512
run train alone --model resnet8 --epochs 1
"$retort" train --out runs/drawn-alone --model resnet8 --epochs 1 --data synthetic:train=128,test=48 \
  2>> log.txt > /dev/null
cp -r runs/try runs/try-3                     # and a copied folder
exec "$retort" report runs
