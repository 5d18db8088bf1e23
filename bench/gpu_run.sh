#!/usr/bin/env bash
# Everything that has to be shown on a GPU, unattended: tests, sanitizer, step times beside PyTorch's, runs on CIFAR-100.
#
#   bench/gpu_run.sh --results DIR [--build DIR] [--data DIR] [--previous DIR] [--pack DIR] [--device NAME]
#                    [--seconds N] [--quick]
#
# Goes through the stages that DIR/done does not hold, for N seconds at most (540), and ends with status 0 when all are
# done, 3 when there is more to do: call it again with the same results, or, on a fresh machine, with --previous naming a
# copy of them. A stage that fails is noted in DIR/failed and not tried again unless its name is removed there.
# --build: where retort, tests/retort_tests and bench/retort_bench_step lie (build/portable-bundle). --data: CIFAR-100's
# unpacked folder; without it the runs are on the drawn images. --pack: also leaves all that a later call needs in that
# folder, as parts of one archive, which --previous takes as well. --quick: a few seconds of everything, to try the
# script; with --device portable that needs no GPU. Every file left in DIR and in the pack is smaller than 15 MB.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
. bench/gpu_common.sh

build=build/portable-bundle results="" data="" previous="" pack="" device=cuda limit=540 quick=false
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=true; shift; continue ;;
    --build | --results | --data | --previous | --pack | --device | --seconds) ;;
    *) echo "gpu_run: unknown option $1" >&2; exit 2 ;;
  esac
  [ $# -ge 2 ] || { echo "gpu_run: $1 needs a value" >&2; exit 2; }
  case $1 in
    --build) build=$2 ;;
    --results) results=$2 ;;
    --data) data=$2 ;;
    --previous) previous=$2 ;;
    --pack) pack=$2 ;;
    --device) device=$2 ;;
    --seconds) limit=$2 ;;
  esac
  shift 2
done
[ -n "$results" ] || { echo "gpu_run: --results DIR is missing" >&2; exit 2; }
build=$(realpath -m "$build")
retort=$build/retort tests=$build/tests/retort_tests step=$build/bench/retort_bench_step
for program in "$retort" "$tests" "$step"; do
  [ -x "$program" ] || { echo "gpu_run: $program is not there; cmake --preset portable-bundle, then --build --preset" >&2; exit 2; }
done
# The tests' files, where the programs were built in another place.
export RETORT_PROGRAM=$retort RETORT_TEST_DATA=$PWD/tests/data RETORT_RECIPES=$PWD/distill/recipes RETORT_TEST_PLUGINS=$build/tests
add_library_paths
mkdir -p "$results/done" "$results/failed"
if [ -n "$previous" ]; then
  if [ -e "$previous/results.tar.gz.00" ]; then
    cat "$previous"/results.tar.gz.* | tar -xz --skip-old-files -C "$results"
  else
    cp -r --update=none "$previous/." "$results/" 2>/dev/null || cp -rn "$previous/." "$results/"
  fi || { echo "gpu_run: $previous cannot be read" >&2; exit 2; }
fi

# What a later call needs: of a finished run not more than its last weights.
pack_results() {
  [ -n "$pack" ] || return 0
  local without=(--exclude='*/checkpoints/previous.safetensors') name
  for name in "$results"/done/*; do without+=(--exclude="./runs/${name##*/}/*best.safetensors"); done
  # Beside what is there, then in its place: a kill leaves the old parts or the new ones.
  rm -rf "$pack.new" && mkdir -p "$pack.new" "$pack" || return 0
  tar -cz -C "$results" "${without[@]}" . | split -b 14000000 -d - "$pack.new/results.tar.gz." || return 0
  rm -rf "$pack.old" && mv "$pack" "$pack.old" && mv "$pack.new" "$pack" && rm -rf "$pack.old"
}

left() { echo $((limit - SECONDS)); }

# stage NAME LEAST COMMAND...: runs the command, its output to NAME.log, if LEAST seconds are left. One that time stops
# is tried again by a later call that has more of it.
stage() {
  local name=$1 least=$2
  shift 2
  [ -e "$results/done/$name" ] || [ -e "$results/failed/$name" ] && return 0
  [ "$least" -le $((limit - 20)) ] || least=$((limit - 20))  # what a call has at most
  if [ "$(left)" -lt "$least" ]; then
    echo "gpu_run: $name needs up to $least seconds, $(left) are left; call again" >&2
    exit 3
  fi
  echo "gpu_run: $name" >&2
  local start=$SECONDS status given
  given=$(($(left) - 10))
  # What is read by programs and what is for people, apart.
  timeout -s TERM -k 5 "$given" "$@" >"$results/$name.log" 2>"$results/$name.err"
  status=$?
  truncate -s '<10000000' "$results/$name.log" "$results/$name.err"
  if [ $status -eq 0 ]; then
    echo "$((SECONDS - start)) seconds" >"$results/done/$name"
  elif [ $((SECONDS - start)) -ge $given ] && [ $given -lt $((limit - 60)) ]; then
    echo "gpu_run: $name did not end in $given seconds; call again" >&2
    exit 3
  else
    echo "status $status after $((SECONDS - start)) seconds" | tee "$results/failed/$name" >&2
    tail -n 5 "$results/$name.err" "$results/$name.log" >&2
  fi
  pack_results
}

# run NAME ARGUMENTS...: a training run that may take several calls: stopped by a signal it leaves a checkpoint, and is
# resumed by the next call.
run() {
  local name=$1 status
  shift
  [ -e "$results/done/$name" ] || [ -e "$results/failed/$name" ] && return 0
  if [ "$(left)" -lt 60 ]; then
    echo "gpu_run: $name is next; call again" >&2
    exit 3
  fi
  echo "gpu_run: $name" >&2
  local folder=$results/runs/$name
  if [ -e "$folder/config.toml" ]; then
    set -- "$retort" "$1" --resume "$folder"
  elif [ -e "$folder/seeds.toml" ]; then
    set -- "$retort" "$1" --resume "$folder" --parallel 4
  else
    rm -rf "$folder"
    set -- "$retort" "$@" --device "$device" --out "$folder"
  fi
  # In the foreground: else a program gets the signal twice, for itself and for its group, and a second one means at once,
  # without saving.
  timeout --foreground -s TERM -k 20 $(($(left) - 40)) "$@" >>"$results/$name.log" 2>&1
  status=$?
  case $status in
    0) date >"$results/done/$name" ;;
    124 | 137 | 143)
      echo "gpu_run: $name is not finished; call again" >&2
      pack_results
      exit 3
      ;;
    *)
      echo "status $status" | tee "$results/failed/$name" >&2
      tail -n 3 "$results/$name.log" >&2
      ;;
  esac
  pack_results
}

environment() {
  date
  git rev-parse HEAD 2>/dev/null
  uname -a
  nvidia-smi || [ "$device" != cuda ] || return 1
  "$step" --model resnet8 --device "$device" --seconds 0.1
}

# tests SHARD OF FILTER: a part of the tests; that none ran is a failure.
tests() {
  GTEST_TOTAL_SHARDS=$2 GTEST_SHARD_INDEX=$1 "$tests" --gtest_brief=1 --gtest_filter="$3" | tee /dev/stderr |
    grep -qE '\[  PASSED  \] [1-9][0-9]* test'
}

# one MODE PAIR METHOD PRECISION OPTIONS...: the time of a whole step, as one line of JSON.
one() {
  local mode=$1 pair=$2 method=$3 precision=$4 from=()
  shift 4
  [ "${pair#*:}" = "$pair" ] || from=(--teacher "${pair#*:}")
  printf '{"case": "%s", "method": "%s", "precision": "%s", "mode": "%s", "step": ' "$pair" "$method" "$precision" "$mode"
  "$step" --model "${pair%:*}" "${from[@]}" --method "$method" --device "$device" --precision "$precision" \
    --seconds "$seconds" --json "$@" | tr -d '\n' || return 1
  printf '}\n'
}

# steps PAIR: every method and precision, captured; pcd eager too.
steps() {
  local method precision
  for method in kd pcd-released pcd; do
    for precision in $precisions; do
      one captured "$1" $method "$precision" || return 1
      [ $method = pcd ] || continue
      one eager "$1" $method "$precision" --eager || return 1
    done
    $quick && return 0
  done
}

# Engines chosen by measuring.
tuned_steps() {
  local precision
  export RETORT_CUDNN_TUNE=1
  for precision in $precisions; do one tuned "$1" pcd "$precision" || return 1; done
}

# student_steps PAIR...: the student's part alone, and with the teacher's logits from a table.
student_steps() {
  local precision pair
  for precision in $precisions; do
    for pair in "$@"; do
      one captured "${pair%:*}" ce "$precision" || return 1
      one table "$pair" kd "$precision" --table || return 1
      $quick || one table "$pair" pcd "$precision" --table || return 1
    done
  done
}

# pytorch PAIR METHOD: the same step in PyTorch: (a) eager, NCHW, f32 with tf32 convolutions, the losses written plainly,
# as mdistiller runs them; (b) bf16, channels_last, compiled, CUDA graphs.
pytorch() {
  local where=cuda compiled=--compile
  [ "$device" = cuda ] || { where=cpu compiled=; }  # where compiling takes minutes
  python3 bench/rivals/pytorch_step.py --model "${1%:*}" --teacher "${1#*:}" --method "$2" --device $where \
    --seconds "$seconds" --as-mdistiller || return 1
  python3 bench/rivals/pytorch_step.py --model "${1%:*}" --teacher "${1#*:}" --method "$2" --device $where \
    --seconds "$seconds" --bf16 $compiled
}

# sanitizer TOOL SHARD OF: every op under it, our own kernels only: NVIDIA's take minutes and are not ours to mend.
sanitizer() {
  local program
  program=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null) || {
    echo "compute-sanitizer is not installed"
    return 1
  }
  GTEST_TOTAL_SHARDS=$3 GTEST_SHARD_INDEX=$2 "$program" --tool "$1" --kernel-regex kns=retort --error-exitcode 9 \
    --print-limit 20 "$tests" --gtest_filter="Ops/OpTable.EveryBackendAgreesWithPortableInF64/*" --gtest_brief=1
}

# in_processes COUNT NAME ARGUMENTS...: a run in so many processes, each with a GPU, which meet over TCP.
in_processes() {
  local count=$1 folder=$results/several/$2 port=$((20000 + RANDOM % 20000)) rank status=0 process processes=()
  shift 2
  rm -rf "$folder"
  for ((rank = 0; rank < count; ++rank)); do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$count LOCAL_WORLD_SIZE=$count MASTER_ADDR=127.0.0.1 MASTER_PORT=$port \
      "$retort" "$@" --device "$device" --quiet --out "$folder" &
    processes+=($!)
  done
  for process in "${processes[@]}"; do wait "$process" || status=1; done
  return $status
}

# several MODEL BATCH EPOCHS DATA GPUS: the same weights by 1, 2, 4 and 8 GPUs; seconds of an epoch and of the exchange with
# each, and with sums in NCCL's own order.
several() {
  local count order hash first="" last
  for order in ordered fast; do
    for ((count = 1; count <= $5; count *= 2)); do
      in_processes $count "$1-$order-$count" train --model "$1" --batch "$2" --epochs "$3" --data "$4" \
        --set shards=8 --set reduce=$order || return 1
      last=$results/several/$1-$order-$count
      hash=$(sed -n 's/.*"weights_hash": *"\([0-9a-f]*\)".*/\1/p' "$last/summary.json")
      echo "$1, batch $2, $order, $count processes: weights $hash, $(grep -ho 'exchanged .* s' "$last/log.txt")"
      awk -F, 'NR == 1 {for (i = 1; i <= NF; ++i) if ($i == "seconds") s = i} END {print "  last epoch, seconds:", $s}' \
        "$last/metrics.csv"
      [ $order = ordered ] || continue
      [ "${first:=$hash}" = "$hash" ] || { echo "$count processes have other weights than one"; return 1; }
    done
  done
}

summary() {
  python3 - "$results" <<'PYTHON'
import json, pathlib, sys

folder = pathlib.Path(sys.argv[1])
lines = ["# What ran on the GPU", ""]
for kind in ("done", "failed"):
    for file in sorted((folder / kind).iterdir()):
        lines.append(f"- {file.name}: {kind}, {file.read_text().strip()}")


def rows(pattern):
    for file in sorted(folder.glob(pattern)):
        for line in file.read_text(errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


lines += ["", "| step | method | precision | mode | median ms | quartiles | n |", "|---|---|---|---|---|---|---|"]
for row in rows("steps-*.log"):
    s = row["step"]
    lines.append(
        f"| {row['case']} | {row['method']} | {row['precision']} | {row['mode']} | {s['median_ms']:.3f} "
        f"| {s['q1_ms']:.3f}-{s['q3_ms']:.3f} | {s['n']} |"
    )
lines += ["", "| PyTorch | method | variant | median ms |", "|---|---|---|---|"]
for row in rows("pytorch-*.log"):
    lines.append(f"| {row['model']}:{row['teacher']} | {row['method']} | {row['variant']} | {row['median_ms']:.3f} |")
lines += ["", "| run | status | best top-1 | last top-1 | seconds |", "|---|---|---|---|---|"]
files = [*folder.glob("runs/*/summary.json"), *folder.glob("runs/*/seed-*/summary.json")]
for file in sorted(files):
    s = json.loads(file.read_text())
    best, last = (s.get(k) or {} for k in ("best", "last"))
    name = file.parent.relative_to(folder / "runs")
    lines.append(f"| {name} | {s['status']} | {best.get('top1')} | {last.get('top1')} | {s['seconds']:.0f} |")
(folder / "SUMMARY.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
PYTHON
}

# What runs on every backend; then all tests: those of the program start a device for every command, which takes seconds.
on_devices='Ops/*:Backends/*:Cudnn*:Precision.*:DeviceBatch.*:*Reference*:*TrainingStep*:Losses.*:TeacherTable*'
on_devices+=':-CudnnPlans.*:CudnnNetworks.*:Methods/TrainingStep.LearnsOneBatchByHeart/crd'  # described; always skipped
all='*'
spec=synthetic epochs=240 shards=8 seconds=3 precisions="fp32 tf32 bf16 fp16" seeds=4
pairs="resnet8x4:resnet32x4 resnet20:resnet56 resnet20:resnet110 wrn_16_2:wrn_40_2 vgg8:vgg13"
timed="resnet8x4:resnet32x4 resnet20:resnet56"
[ "$device" = cuda ] || precisions=fp32
[ -n "$data" ] && spec=cifar100:$data
if $quick; then
  spec=synthetic:train=240,test=120 epochs=2 shards=1 seconds=0.1 seeds=2
  on_devices='Ops/OpTable.EveryBackendAgreesWithPortableInF64/*:DeviceBatch.*' all='Reader.*:Eval.*'
  pairs=resnet20:resnet56 timed=resnet20:resnet56
fi
# Only a test on the device counts: one that is skipped has failed.
export RETORT_TEST_DEVICE=$device
export -f in_processes several environment tests one steps tuned_steps student_steps pytorch sanitizer
export build results device quick step tests retort seconds precisions

stage environment 40 bash -o pipefail -c environment
[ ! -e "$results/failed/environment" ] || { echo "gpu_run: the device cannot be used" >&2; exit 1; }
stage capture 70 bash -o pipefail -c "tests 0 1 'Capture.*'"
stage tests-devices 200 bash -o pipefail -c "tests 0 1 '$on_devices'"
for pair in $timed; do stage "steps-${pair/:/-}" 170 bash -o pipefail -c "steps $pair"; done
stage steps-student 170 bash -o pipefail -c "student_steps $timed"
for pair in $timed; do
  for method in kd pcd-released; do stage "pytorch-${pair/:/-}-$method" 240 bash -o pipefail -c "pytorch $pair $method"; done
done
# Data-parallel runs, where there are GPUs for them.
gpus=$(nvidia-smi -L 2>/dev/null | wc -l)
$quick && [ "$device" != cuda ] && gpus=2
if [ "$gpus" -ge 2 ]; then
  for model in $($quick && echo resnet8 || echo resnet8x4 resnet56); do
    stage "several-gpus-$model" 200 bash -o pipefail -c "several $model $($quick && echo 24 2 || echo 512 5) $spec $((gpus < 8 ? gpus : 8))"
  done
fi
# Tests of the host skip what is not there: they are not held to the device.
for ((shard = 0; shard < shards; ++shard)); do
  stage "tests-$shard" 200 env -u RETORT_TEST_DEVICE bash -o pipefail -c "tests $shard $shards '$all'"
done
for pair in $pairs; do stage "steps-${pair/:/-}" 170 bash -o pipefail -c "steps $pair"; done
for pair in $timed; do stage "steps-tuned-${pair/:/-}" 170 bash -o pipefail -c "tuned_steps $pair"; done
if ! $quick; then
  for tool in memcheck initcheck synccheck racecheck; do
    for shard in 0 1 2; do stage "sanitizer-$tool-$shard" 300 bash -o pipefail -c "sanitizer $tool $shard 3"; done
  done
fi
summary >/dev/null

common=(--data "$spec" --epochs "$epochs")
run resnet56-tf32 train --model resnet56 "${common[@]}"
teacher=$results/runs/resnet56-tf32
for method in ce kd dkd pcd pcd-released; do
  if [ $method = ce ]; then
    run "resnet20-$method" train --model resnet20 "${common[@]}"
  else
    run "resnet20-$method" distill --teacher "$teacher" --student resnet20 --method $method "${common[@]}"
  fi
done
# Is bf16 as good as tf32? The same runs with another precision.
if [ "$device" = cuda ]; then
  for method in kd pcd; do
    run "resnet20-$method-bf16" distill --teacher "$teacher" --student resnet20 --method $method --precision bf16 "${common[@]}"
  done
fi
run several-seeds distill --teacher "$teacher" --student resnet20 --method pcd --seeds $seeds --parallel $seeds "${common[@]}"
summary
