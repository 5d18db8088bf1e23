#!/usr/bin/env bash
# The first quarter of an hour on a GPU, in three parts of a few minutes each:
#
#   bench/gpu_first_run.sh A|B|C --out DIR --seconds N [--build DIR] [--data DIR] [--teacher FILE] [--device NAME]
#
#   A  is the backend right: environment, captured steps, all tests on the device, its own kernels under the sanitizer
#   B  is it fast: step times with measured engines, kernels under ncu, PyTorch on the same card
#   C  does it learn: resnet56-resnet20 in bf16, kd, then pcd, 240 epochs each
#
# A part ends after N seconds at the latest; called again with the same DIR it goes on where it stopped. What is left in
# DIR (at most 8 files below 15 MB: summary.md, summary.json, steps.json, tuning.csv, logs, plans, ncu, runs as tar.xz) is
# renamed into place after every stage, so a kill loses one stage. Status: 0 all stages of the part succeeded, 1 some
# failed, 2 wrong usage, 3 time is up, 4 the device cannot be used at all. A stage succeeds only if its own output says
# that something ran. Where $OUT names a folder that is brought back, the files of DIR are copied there, too: DIR, which has
# many more below it, lies elsewhere. --build: where retort, tests/retort_tests and bench/retort_bench_step lie (build/portable-bundle).
# --data: CIFAR-100's folder, or that of its sheets with unpack.py. --teacher: weights of resnet56. Needs no network.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
. bench/gpu_common.sh

usage() {
  echo "gpu_first_run: $*; see the head of $0" >&2
  exit 2
}
part=${1:-} build=build/portable-bundle out="" seconds="" data="" teacher="" device=cuda
case $part in A | B | C) shift ;; *) usage "the first argument is A, B or C" ;; esac
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage "$1 needs a value"
  case $1 in
    --build | --out | --seconds | --data | --teacher | --device) declare "${1#--}=$2" ;;
    *) usage "unknown option $1" ;;
  esac
  shift 2
done
[ -n "$out" ] && [[ $seconds =~ ^[1-9][0-9]*$ ]] || usage "--out DIR and --seconds N are needed"
build=$(realpath -m "$build") out=$(realpath -m "$out")
[ -z "$data" ] || data=$(realpath -m "$data")
[ -z "$teacher" ] || teacher=$(realpath -m "$teacher")
retort=$build/retort tests=$build/tests/retort_tests step=$build/bench/retort_bench_step
for program in "$retort" "$tests" "$step"; do [ -x "$program" ] || usage "$program is not there"; done
work=$out/work
mkdir -p "$work"/{done,failed,logs,ncu,runs,cache} || usage "$out cannot be written"
add_library_paths
export RETORT_PROGRAM=$retort RETORT_TEST_DATA=$PWD/tests/data RETORT_RECIPES=$PWD/distill/recipes RETORT_TEST_PLUGINS=$build/tests
export RETORT_CACHE=$work/cache  # part C uses the engines that part B measured

left() { echo $((seconds - SECONDS)); }

# What there is, by rename, one at a time: what packs beside a run may still be at it. Nothing here may fail the run.
leave() {
  (
    flock -w 30 9
    pack "$out/logs.tar.xz" "$work" logs done failed
    [ -z "$(ls "$work/ncu")" ] || pack "$out/ncu.tar.xz" "$work" ncu
    [ ! -d "$work/cache/cudnn-plans" ] || pack "$out/plans.tar.xz" "$work/cache" cudnn-plans
    [ -z "$(ls "$work/runs")" ] || pack "$out/runs.tar.xz" "$work" --exclude='*previous.safetensors' \
      --exclude='*best.safetensors' --exclude='*.lock' runs
    python3 bench/gpu_results.py summary "$out" 2>>"$work/logs/summary.err" || true
    [ -z "${OUT:-}" ] || [ "$(realpath -m "$OUT")" = "$out" ] || find "$out" -maxdepth 1 -type f ! -name '*.new' -exec cp -f {} "$OUT" \;
  ) 9>"$work/lock"
}

# stage NAME MOST CHECK COMMAND...: runs the command for MOST seconds at most, its output to logs/NAME.out and .err; then
# CHECK NAME must find in the output that something ran. What is stopped because the part ends is late, not bad.
stage() {
  local name=$1 most=$2 check=$3 status start=$SECONDS why="" room cut=0
  shift 3
  [ ! -e "$work/done/$name" ] || return 0
  room=$(($(left) - margin))
  [ "$most" -le "$room" ] || most=$room cut=1
  if [ "$most" -lt 3 ]; then
    echo "gpu_first_run: no time for $name" >&2
    late=1
    return 1
  fi
  echo "gpu_first_run: $name" >&2
  timeout -s TERM -k 5 "$most" "$@" >"$work/logs/$name.out" 2>"$work/logs/$name.err" </dev/null
  status=$?
  rm -f "$work/failed/$name"
  if [ $status -eq 124 ] || [ $status -eq 137 ]; then
    why="stopped after $most seconds"
  elif [ $status -ne 0 ]; then
    why="status $status"
  elif ! "$check" "$name"; then
    why="its output does not say that anything ran"
  fi
  truncate -s '<5000000' "$work/logs/$name.out" "$work/logs/$name.err"
  if [ -z "$why" ]; then
    echo "$((SECONDS - start)) seconds" >"$work/done/$name"
  else
    echo "$why" >"$work/failed/$name"
    echo "gpu_first_run: $name failed: $why" >&2
    tail -n 3 "$work/logs/$name.err" >&2
    if [ $cut -eq 1 ] && [[ $why = stopped* ]]; then late=1; else bad=1; fi
  fi
  leave
  [ -z "$why" ]
}
bad=0 late=0 margin=8  # seconds for what is left behind; 15 where a run saves itself before

# --- what a stage's output has to show ---
ran_tests() { tests_ran "$work/logs/$1.out"; }
ran_shards() {
  local log
  for log in "$work/logs/$1".*.log; do tests_ran "$log" || return 1; done
}
ran_step() { grep -q "\"median_ms\":" "$work/logs/$1.out"; }
ran_steps() { [ "$(grep -c '"median_ms":' "$work/logs/$1.out")" -eq "$(grep -c '^case ' "$work/logs/$1.err")" ] && grep -q '"median_ms":' "$work/logs/$1.out"; }
ran_sanitizer() { ran_tests "$1" && grep -qE 'ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards' "$work/logs/$1.out"; }
ran_ncu() { [ "$(wc -l <"$work/ncu/${1#ncu-}.csv")" -gt 20 ]; }
ran_pytorch() { grep -q '"median_ms"' "$work/logs/$1.out"; }
ran_run() { grep -q '"status": *"finished"' "$work/runs/$1/summary.json"; }
there() { [ -f "$work/cifar-100/train.bin" ]; }
# An epoch has shown the public teacher's 72.63: far less is not it, and whoever learns from that wastes what is left.
ran_teacher() { python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["top1"] < 70)' "$work/logs/$1.out"; }

# --- stages' commands ---
environment() {
  date -u
  git rev-parse HEAD 2>/dev/null || cat COMMIT 2>/dev/null
  nvidia-smi || [ "$device" != cuda ] || return 1
  "$step" --model resnet8 --device "$device" --seconds 0.1 --json
}
sanitizer() {
  local program
  program=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer) || return 1
  RETORT_CUDNN_TUNE=0 "$program" --tool "$1" --kernel-regex kns=retort --error-exitcode 9 --print-limit 20 "$tests" \
    --gtest_filter='Ops/OpTable.EveryBackendAgreesWithPortableInF64/*' --gtest_brief=1
}
# Six parts of the tests at once: most of their time is the host's. Engines are taken as cuDNN ranks them: to measure them for
# every shape of every network takes longer than all else.
shards() {
  local i status=0 pids=()
  export RETORT_CUDNN_TUNE=0
  for i in 0 1 2 3 4 5; do
    GTEST_TOTAL_SHARDS=6 GTEST_SHARD_INDEX=$i "$tests" --gtest_brief=1 --gtest_filter="$1" >"$work/logs/tests.$i.log" 2>&1 &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || status=1; done
  return $status
}
# one KEY=VALUE... -- OPTIONS: a line of JSON.
one() {
  local name=$1 json
  shift
  echo "case $name $*" >&2
  json=$("$step" --device "$device" --seconds 0.4 --json $eager "$@" | tail -n 1) || return 1
  printf '{"case": "%s", "options": "%s", "step": %s}\n' "$name" "$*" "$json"
}
# steps PAIR PRECISION
steps() {
  local pair=$1 precision=$2 method status=0
  for method in kd pcd; do
    one $pair --model ${pair#*-} --teacher ${pair%-*} --method $method --precision $precision || status=1
  done
  one $pair --model ${pair#*-} --teacher ${pair%-*} --method kd --precision $precision --table || status=1
  one $pair --model ${pair#*-} --method ce --precision $precision || status=1
  one $pair --model ${pair#*-} --teacher ${pair%-*} --method kd --precision $precision --eager || status=1
  return $status
}
# What kernels are worth that wait for each other, and those that begin early.
steps_without() {
  local pair=$1 without status=0
  for without in COOPERATIVE PROGRAMMATIC; do
    (
      export RETORT_CUDA_$without=0
      one $pair-without-${without,,} --model ${pair#*-} --teacher ${pair%-*} --method kd --precision ${precisions%% *}
    ) || status=1
  done
  return $status
}
ncu_step() {
  local program
  program=$(command -v ncu || ls /usr/local/cuda/bin/ncu) || return 1
  "$program" --clock-control none --graph-profiling node --csv --page raw \
    --print-units base --print-kernel-base demangled \
    --metrics gpu__time_duration.sum,dram__bytes.sum --launch-skip 400 --launch-count 400 \
    "$step" --device "$device" --model "${1#*-}" --teacher "${1%-*}" --method kd --precision bf16 --seconds 0.01 --json \
    >"$work/ncu/$1.csv"
}
pytorch() {
  local pair=$1
  shift
  local where=cuda
  [ "$device" = cuda ] || where=cpu
  python3 bench/rivals/pytorch_step.py --model "${pair#*-}" --teacher "${pair%-*}" --method kd --device $where --seconds 2 "$@"
}
unpack() { python3 "$data/unpack.py" "$work/cifar-100"; }
# PyTorch's file says neither what it holds nor how it saw images: these are the numbers of the public teachers.
import_teacher() {
  "$retort" import "$teacher" --model resnet56 --mean "0.5070 0.4865 0.4409" --std "0.2673 0.2564 0.2761" \
    --out "$work/teacher.safetensors" >&2 &&
    "$retort" eval --weights "$work/teacher.safetensors" --data "cifar100:$images" --device "$device" \
      --precision ${precisions%% *} --json
}
# A run that goes on where it stopped, packed every 30 seconds.
run() {
  local name=$1 status
  shift
  if [ -e "$work/runs/$name/config.toml" ]; then
    set -- "$retort" distill --resume "$work/runs/$name"
  else
    rm -rf "$work/runs/$name"
    set -- "$retort" distill "$@" $eager --device "$device" --out "$work/runs/$name"
  fi
  (while sleep 30; do leave; done) &
  local packer=$!
  "$@" &
  local own=$!
  # timeout tells the whole group to stop. What trains is told once (twice means at once, without saving), and waited for.
  trap : TERM
  wait $own
  status=$?
  while kill -0 $own 2>/dev/null; do
    wait $own
    status=$?
  done
  kill $packer 2>/dev/null
  return $status
}
export -f environment sanitizer shards one steps steps_without ncu_step pytorch unpack import_teacher run leave pack
precisions="bf16 tf32" eager=""
[ "$device" = cuda ] || precisions=fp32
# Kernels that wait for each other or begin before the one ahead has ended are the first to be given up, then capture.
plain_kernels() { export RETORT_CUDA_COOPERATIVE=0 RETORT_CUDA_PROGRAMMATIC=0; }
if [ -e "$work/failed/capture" ]; then
  plain_kernels
  [ -e "$work/done/capture-plain" ] || eager=--eager
fi
export retort tests step device work out data precisions eager build
images=$data
[ ! -f "$work/cifar-100/train.bin" ] || images=$work/cifar-100
export images teacher

case $part in
  A)
    export RETORT_TEST_DEVICE=$device
    stage environment 45 ran_step bash -o pipefail -c 'environment' || {
      leave
      [ $late -eq 1 ] && exit 3
      exit 4
    }
    # What decides how everything behind is run holds capture alone: a number that is off switches nothing.
    captured=("$tests" --gtest_filter="${FIRST_RUN_CAPTURE:-Capture.*:Backends/ConvolutionsInEveryType.ReplayWhatWasCaptured/cuda*}")
    if ! stage capture 40 ran_tests "${captured[@]}"; then
      plain_kernels
      stage capture-plain 40 ran_tests "${captured[@]}" || echo "gpu_first_run: the steps that follow are not captured" >&2
    fi
    stage convolutions 60 ran_tests "$tests" --gtest_filter="${FIRST_RUN_TESTS:-Backends/ConvolutionsInEveryType*cuda*:CudnnLayer.*}"
    # Not those of plans for a device that is described, which need none, nor what is skipped on every device.
    on_device='Ops/*:Cudnn*:Precision.*:DeviceBatch.*:*Reference*:Losses.*:Methods/TrainingStep*'
    on_device+=':-CudnnPlans.*:CudnnNetworks.*:Methods/TrainingStep.LearnsOneBatchByHeart/crd'
    stage tests 120 ran_shards bash -o pipefail -c "shards '${FIRST_RUN_TESTS:-$on_device}'"
    for tool in memcheck racecheck; do stage sanitizer-$tool 90 ran_sanitizer bash -o pipefail -c "sanitizer $tool"; done
    ;;
  B)
    if [ -n "$data" ] && [ ! -f "$data/train.bin" ]; then stage unpack 60 there bash -o pipefail -c unpack; fi
    # First what part C's forecast needs.
    for precision in $precisions; do
      for pair in resnet56-resnet20 resnet32x4-resnet8x4; do
        stage steps-$pair-$precision 60 ran_steps bash -o pipefail -c "steps $pair $precision"
      done
    done
    for pair in resnet32x4-resnet8x4 resnet56-resnet20; do
      stage steps-$pair-without 30 ran_steps bash -o pipefail -c "steps_without $pair"
      stage pytorch-$pair 45 ran_pytorch bash -o pipefail -c "pytorch $pair --as-mdistiller"
    done
    for pair in resnet32x4-resnet8x4 resnet56-resnet20; do stage ncu-$pair 40 ran_ncu bash -o pipefail -c "ncu_step $pair"; done
    stage pytorch-compiled 90 ran_pytorch bash -o pipefail -c "pytorch resnet32x4-resnet8x4 --bf16 --compile"
    ;;
  C)
    [ -n "$images" ] && [ -n "$teacher" ] || usage "part C needs --data and --teacher"
    margin=15
    stage teacher 40 ran_teacher bash -o pipefail -c import_teacher || {
      leave
      [ $late -eq 1 ] && exit 3
      exit 1
    }
    python3 bench/gpu_results.py expected "$out" "$(left)" >&2 || true
    for method in kd pcd; do
      stage resnet20-$method "$(left)" ran_run bash -o pipefail -c "run resnet20-$method --teacher '$work/teacher.safetensors' --student resnet20 \
        --method $method --teacher-source live --data 'cifar100:$images' --epochs ${FIRST_RUN_EPOCHS:-240} \
        --precision ${precisions%% *}" || [ "$(left)" -gt 60 ] || { late=1; break; }
    done
    ;;
esac
leave
[ $bad -eq 0 ] || exit 1
[ $late -eq 0 ] || exit 3
