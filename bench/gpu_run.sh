#!/usr/bin/env bash
# Everything that has to be shown on a GPU, unattended: tests, sanitizer, step times beside PyTorch's, runs on CIFAR-100.
#
#   bench/gpu_run.sh --results DIR [--build DIR] [--data DIR] [--previous DIR] [--device NAME] [--seconds N] [--quick]
#
# Goes through the stages that DIR/done does not hold, for N seconds at most (540), and ends with status 0 when all are
# done, 3 when there is more to do: call it again with the same results, or, on a fresh machine, with --previous naming a
# copy of them. A stage that fails is noted in DIR/failed and not tried again unless its name is removed there.
# --build: where retort, tests/retort_tests and bench/retort_bench_step lie (build/portable-bundle). --data: CIFAR-100's
# unpacked folder; without it the runs are on the drawn images. --quick: a few seconds of everything, to try the script;
# with --device portable that needs no GPU. Every file left in DIR is smaller than 15 MB.
set -uo pipefail
cd "$(dirname "$0")/.."

build=build/portable-bundle results= data= previous= device=cuda limit=540 quick=false
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; shift 2 ;;
    --results) results=$2; shift 2 ;;
    --data) data=$2; shift 2 ;;
    --previous) previous=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    --seconds) limit=$2; shift 2 ;;
    --quick) quick=true; shift ;;
    *) echo "gpu_run: unknown option $1" >&2; exit 2 ;;
  esac
done
[ -n "$results" ] || { echo "gpu_run: --results DIR is missing" >&2; exit 2; }
retort=$build/retort tests=$build/tests/retort_tests step=$build/bench/retort_bench_step
for program in "$retort" "$tests" "$step"; do
  [ -x "$program" ] || { echo "gpu_run: $program is not there; cmake --preset portable-bundle, then --build --preset" >&2; exit 2; }
done
# Where cuBLAS and cuDNN are not installed, PyTorch's wheels have them.
case "$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null)" in
  *libcudnn.so.9*) ;;
  *)
    wheels=$(python3 -c 'import glob, nvidia; print(":".join(glob.glob(list(nvidia.__path__)[0] + "/*/lib")))' 2>/dev/null)
    [ -n "$wheels" ] && export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$wheels
    ;;
esac
mkdir -p "$results/done" "$results/failed"
[ -n "$previous" ] && cp -rn "$previous/." "$results/"

left() { echo $((limit - SECONDS)); }

# stage NAME LEAST COMMAND...: runs the command, its output to NAME.log, if LEAST seconds are left.
stage() {
  local name=$1 least=$2
  shift 2
  [ -e "$results/done/$name" ] || [ -e "$results/failed/$name" ] && return 0
  if [ "$(left)" -lt "$least" ]; then
    echo "gpu_run: $name needs up to $least seconds, $(left) are left; call again" >&2
    exit 3
  fi
  echo "gpu_run: $name" >&2
  local start=$SECONDS status
  timeout -s TERM -k 20 "$(left)" "$@" >"$results/$name.log" 2>&1
  status=$?
  truncate -s '<10000000' "$results/$name.log"
  if [ $status -eq 0 ]; then
    echo "$((SECONDS - start)) seconds" >"$results/done/$name"
  else
    echo "status $status after $((SECONDS - start)) seconds" | tee "$results/failed/$name" >&2
    tail -n 5 "$results/$name.log" >&2
  fi
}

# run NAME ARGUMENTS...: a training run that may take several calls: stopped by a signal it leaves a checkpoint, and is
# resumed by the next call.
run() {
  local name=$1 status
  shift
  [ -e "$results/done/$name" ] || [ -e "$results/failed/$name" ] && return 0
  if [ "$(left)" -lt 45 ]; then
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
  timeout -s TERM -k 20 $(($(left) - 30)) "$@" >>"$results/$name.log" 2>&1
  status=$?
  case $status in
    0) date >"$results/done/$name" ;;
    124 | 137 | 143)
      echo "gpu_run: $name is not finished; call again" >&2
      exit 3
      ;;
    *)
      echo "status $status" | tee "$results/failed/$name" >&2
      tail -n 3 "$results/$name.log" >&2
      ;;
  esac
}

environment() {
  date
  git rev-parse HEAD 2>/dev/null
  uname -a
  nvidia-smi || true
  "$step" --model resnet8 --device "$device" --seconds 0.1
}

# Times of whole steps, one JSON object a line: {"case": ..., "precision": ..., "mode": ..., median_ms, ...}.
steps() {
  local seconds=3 precisions="fp32 tf32 bf16 fp16"
  $quick && seconds=0.1
  [ "$device" = cuda ] || precisions=fp32
  for pair in resnet8x4:resnet32x4 resnet20:resnet56 resnet20:resnet110 wrn_16_2:wrn_40_2 vgg8:vgg13; do
    for method in kd pcd-released pcd; do
      for precision in $precisions; do
        for mode in captured eager; do
          [ $mode = eager ] && { [ $method != pcd ] || $quick; } && continue
          printf '{"case": "%s", "method": "%s", "precision": "%s", "mode": "%s", "step": ' "$pair" $method "$precision" $mode
          "$step" --model "${pair%:*}" --teacher "${pair#*:}" --method $method --device "$device" --precision "$precision" \
            --seconds $seconds --json $([ $mode = eager ] && echo --eager) | tr -d '\n' || return 1
          printf '}\n'
        done
      done
      $quick && return 0
    done
  done
}

# The student's part alone: what a step costs where the teacher's logits come from a table.
student_steps() {
  local seconds=3 precisions="tf32 bf16 fp16"
  $quick && seconds=0.1
  [ "$device" = cuda ] || precisions=fp32
  for model in resnet8x4 resnet20 wrn_16_2 vgg8; do
    for precision in $precisions; do
      printf '{"case": "%s", "method": "ce", "precision": "%s", "mode": "captured", "step": ' $model "$precision"
      "$step" --model $model --device "$device" --precision "$precision" --seconds $seconds --json | tr -d '\n' || return 1
      printf '}\n'
    done
    $quick && return 0
  done
}

# The same steps in PyTorch: (a) eager, NCHW, f32 with tf32 convolutions, the losses written plainly, as mdistiller runs
# them; (b) bf16, channels_last, compiled, CUDA graphs.
pytorch() {
  local seconds=5 where=cuda
  $quick && seconds=0.2
  [ "$device" = cuda ] || where=cpu
  for pair in resnet8x4:resnet32x4 resnet20:resnet56; do
    for method in kd pcd-released; do
      python3 bench/pytorch_step.py --model "${pair%:*}" --teacher "${pair#*:}" --method $method --device $where \
        --seconds $seconds --as-mdistiller || return 1
      python3 bench/pytorch_step.py --model "${pair%:*}" --teacher "${pair#*:}" --method $method --device $where \
        --seconds $seconds --bf16 --compile || return 1
      $quick && return 0
    done
  done
}

sanitizer() {
  local tool
  tool=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null) || {
    echo "compute-sanitizer is not installed"
    return 1
  }
  for check in memcheck initcheck synccheck racecheck; do
    echo "== $check"
    "$tool" --tool $check --error-exitcode 9 --print-limit 20 "$tests" \
      --gtest_filter="Ops/OpTable.EveryBackendAgreesWithPortableInF64/*:Backends/ConvolutionsInEveryType.*" --gtest_brief=1 || return 1
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
lines += ["", "| step | method | precision | mode | median ms | quartiles | n |", "|---|---|---|---|---|---|---|"]
for name in ("steps.log", "student_steps.log"):
    for line in (folder / name).read_text().splitlines() if (folder / name).exists() else []:
        if not line.startswith("{"):
            continue
        row = json.loads(line)
        s = row["step"]
        lines.append(
            f"| {row['case']} | {row['method']} | {row['precision']} | {row['mode']} | {s['median_ms']:.3f} "
            f"| {s['q1_ms']:.3f}-{s['q3_ms']:.3f} | {s['n']} |"
        )
lines += ["", "| PyTorch | method | variant | median ms |", "|---|---|---|---|"]
for line in (folder / "pytorch.log").read_text().splitlines() if (folder / "pytorch.log").exists() else []:
    if line.startswith("{"):
        row = json.loads(line)
        lines.append(f"| {row['model']}:{row['teacher']} | {row['method']} | {row['variant']} | {row['median_ms']:.3f} |")
lines += ["", "| run | status | best top-1 | last top-1 | seconds |", "|---|---|---|---|---|"]
for file in sorted(folder.glob("runs/*/summary.json")):
    s = json.loads(file.read_text())
    best, last = (s.get(k) or {} for k in ("best", "last"))
    lines.append(f"| {file.parent.name} | {s['status']} | {best.get('top1')} | {last.get('top1')} | {s['seconds']:.0f} |")
(folder / "SUMMARY.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
PYTHON
}

spec=synthetic epochs=240
[ -n "$data" ] && spec=cifar100:$data
filter=-
if $quick; then
  spec=synthetic:train=240,test=120 epochs=2
  filter='Ops/OpTable.EveryBackendAgreesWithPortableInF64/*:Capture.*'
fi
export -f environment steps student_steps pytorch sanitizer summary
export build results device quick step tests retort

stage environment 30 bash -c environment
stage tests 200 "$tests" --gtest_brief=1 --gtest_filter="$filter"
stage capture 60 "$tests" --gtest_filter='Capture.*'
stage steps 300 bash -c steps
stage student_steps 60 bash -c student_steps
stage pytorch 300 bash -c pytorch
$quick || stage sanitizer 400 bash -c sanitizer
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
  run several-seeds distill --teacher "$teacher" --student resnet20 --method pcd --seeds 4 --parallel 4 "${common[@]}"
fi
summary
