#!/usr/bin/env bash
# Runs of several processes under mpirun: the same weights and metrics for 1, 2 and 4 of them, also of one that goes on with
# fewer; refusals with their exit codes; a process that is killed takes all with it, and its run goes on to the same weights.
#   mpi_runs.sh RETORT [MPIRUN...]      (mpirun --oversubscribe --allow-run-as-root)
# With MPICH: mpi_runs.sh build/release/retort mpirun.mpich
set -euo pipefail
retort=$(realpath "$1")
shift
mpirun=("$@")
[ ${#mpirun[@]} -gt 0 ] || mpirun=(mpirun --oversubscribe --allow-run-as-root)
if "${mpirun[@]}" --version 2>&1 | grep -q "Open MPI"; then
  own=openmpi
  strangers=(PMI_RANK=0 PMI_SIZE=2) # how the other one starts its processes
else
  own=mpich
  strangers=(OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2)
fi
plugin=${RETORT_MPI_PLUGIN:-$(dirname "$retort")/libretort_mpi_$own.so}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export RETORT_CACHE=$work/cache
failed=0
complain() { echo "mpi_runs: $*" >&2; failed=1; }
on() { # PROCESSES ARGUMENT...
  "${mpirun[@]}" -np "$1" "$retort" "${@:2}" </dev/null
}
weights() { sed -n 's/.*"weights_hash": *"\([0-9a-f]*\)".*/\1/p' "$1/summary.json"; }
# All columns but the seconds.
metrics() { awk -F, 'NR == 1 {for (i = 1; i <= NF; ++i) if ($i == "seconds") s = i} {$s = ""; print}' "$1/metrics.csv"; }
same() { # FOLDER FOLDER
  [ -n "$(weights "$1")" ] && [ "$(weights "$1")" = "$(weights "$2")" ] || complain "$1 and $2 have other weights"
  [ "$(metrics "$1")" = "$(metrics "$2")" ] || complain "$1 and $2 have other metrics"
}
refuses() { # CODE TEXT COMMAND...
  local code=0
  "${@:3}" </dev/null >out.txt 2>&1 || code=$?
  [ "$code" -eq "$1" ] || complain "expected exit code $1, got $code: ${*:3}: $(cat out.txt)"
  grep -q -- "$2" out.txt || complain "expected '$2': ${*:3}: $(cat out.txt)"
}

# 106 images in batches of 16: a last one of 10; 408 to test in batches of 200. In batches of 35 the last has one image, and three parts of four none.
common=(--data synthetic:train=106,test=408 --epochs 2 --batch 16 --set shards=4 --quiet)
on 1 train --model resnet14 "${common[@]}" --out teacher >/dev/null 2>&1
distil=(distill --teacher teacher --student resnet8 "${common[@]}")
for n in 1 2 4; do
  on "$n" train --model resnet8 "${common[@]}" --out "ce-$n" >/dev/null 2>&1
  on "$n" train --model resnet8 "${common[@]}" --batch 35 --out "one-$n" >/dev/null 2>&1
  on "$n" "${distil[@]}" --method kd --teacher-source live --out "live-$n" >/dev/null 2>&1
  on "$n" "${distil[@]}" --method kd --teacher-source table --out "stored-$n" >/dev/null 2>&1
  on "$n" "${distil[@]}" --method pcd --out "pcd-$n" >/dev/null 2>&1
  for run in ce one live stored pcd; do same "$run-1" "$run-$n"; done
done
same live-1 stored-1

# Detectors: 15 pictures in batches of 8, of which not every process has some.
boxes=(--data scenes:train=15,test=6 --epochs 1 --batch 8 --set shards=4 --set data.size=96 --quiet)
on 1 train --model rcnn_tiny "${boxes[@]}" --out detector >/dev/null 2>&1
for n in 1 2 4; do
  on "$n" distill --teacher detector --student rcnn_tiny --method pcd "${boxes[@]}" --out "boxes-$n" >/dev/null 2>&1
  same boxes-1 "boxes-$n"
done

grep -q "exchanged [0-9.]* MB in [0-9.e-]* s" ce-4/log.txt || complain "the log does not say what was exchanged"

# In MPI's own order: the numbers are others, but the same again.
for run in fast again; do on 4 train --model resnet8 "${common[@]}" --set reduce=fast --out "$run" >/dev/null 2>&1; done
same fast again
grep -q "sums in the library's order" fast/log.txt || complain "the log does not say how sums were added"

# One process without any launcher is the same as one of mpirun's.
"$retort" train --model resnet8 "${common[@]}" --out alone >/dev/null 2>&1
same alone ce-1
[ "$(find ce-4 -name '*.safetensors' | wc -l)" -eq "$(find ce-1 -name '*.safetensors' | wc -l)" ] || complain "other files"

# Stopped as four, it goes on as two; SIGUSR1 is what launchers pass on.
long=(train --model resnet8 --data synthetic:train=400,test=48 --epochs 6 --batch 16 --set shards=4 --quiet)
"$retort" "${long[@]}" --out whole >/dev/null 2>&1
begun() { for _ in $(seq 600); do [ -f "$1/checkpoints/last.safetensors" ] && return; sleep 0.05; done; complain "$1 does not begin"; }
"${mpirun[@]}" -np 4 "$retort" "${long[@]}" --out moved >moved.txt 2>&1 </dev/null &
launcher=$!
begun moved
kill -USR1 $launcher
code=0; wait $launcher || code=$?
[ $code -ne 0 ] || complain "a stopped run ends with 0"
grep -q '"status": *"stopped"' moved/summary.json || complain "moved was not stopped: $(cat moved.txt moved/summary.json)"
on 2 train --resume moved >/dev/null 2>&1
same whole moved

# kill -9 of one: no process is left, and the run goes on.
"${mpirun[@]}" -np 4 "$retort" "${long[@]}" --set checkpoint_minutes=0 --out killed >killed.txt 2>&1 </dev/null &
launcher=$!
begun killed
mine() { pgrep -f -- "$retort train .*--out killed" | grep -v "^$launcher\$" || true; }
victim=$(mine | tail -n 1)
kill -9 "$victim"
code=0; wait $launcher || code=$?
[ $code -ne 0 ] || complain "mpirun ends with 0 although a process was killed"
for _ in $(seq 150); do [ -z "$(mine)" ] && break; sleep 0.1; done
[ -z "$(mine)" ] || complain "processes are left 15 s after one was killed"
"$retort" check killed >/dev/null 2>&1 || complain "the killed run is damaged"
on 1 train --resume killed >/dev/null 2>&1
same whole killed

# Refusals.
refuses 2 "start 1 or 2 or 4" on 3 train --model resnet8 "${common[@]}" --out no
refuses 2 "cannot be given" on 4 train --resume ce-1 --set shards=2
refuses 2 "but no WORLD_SIZE" env RANK=0 "$retort" train --model resnet8 "${common[@]}" --out no
refuses 2 "the launcher is of another MPI" env "${strangers[@]}" RETORT_MPI_PLUGIN="$plugin" "$retort" train --model resnet8 "${common[@]}" --out no
refuses 7 "RETORT_MPI_PLUGIN cannot be opened" env RETORT_MPI_PLUGIN=/nowhere.so "${mpirun[@]}" -np 2 "$retort" train --model resnet8 "${common[@]}" --out no
refuses 2 "but no MASTER_ADDR" env RANK=0 WORLD_SIZE=2 "$retort" train --model resnet8 "${common[@]}" --out no
refuses 2 "rank 0 of 2 (torchrun) and rank 3 of 4" env RANK=0 WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=29500 \
  SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4 "$retort" train --model resnet8 "${common[@]}" --out no
refuses 2 "but no PMI_RANK" env PMI_SIZE=2 "$retort" train --model resnet8 "${common[@]}" --out no
refuses 2 "but no OMPI_COMM_WORLD_SIZE" env OMPI_COMM_WORLD_RANK=1 "$retort" train --model resnet8 "${common[@]}" --out no
refuses 2 "but no SLURM_PROCID" env SLURM_STEP_NUM_TASKS=2 "$retort" train --model resnet8 "${common[@]}" --out no
refuses 2 "crd moves its memory" on 2 "${distil[@]}" --method crd --out no
# Other images on one of them.
cat >split.sh <<'END'
#!/bin/sh
images=106; [ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 1 ] && images=107
exec "$RETORT" train --model resnet8 --data "synthetic:train=$images,test=48" --epochs 2 --set shards=2 --quiet --out no
END
chmod +x split.sh
export RETORT=$retort
refuses 3 "another hash" "${mpirun[@]}" -np 2 ./split.sh
# Other weights to start from, which no setting tells apart.
cat >init.sh <<'END'
#!/bin/sh
init=ce-1; [ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 1 ] && init=one-1
exec "$RETORT" train --model resnet8 --init "$init" --data synthetic:train=106,test=48 --epochs 2 --set shards=2 --quiet --out no
END
chmod +x init.sh
refuses 8 "rank 1 of 2" "${mpirun[@]}" -np 2 ./init.sh
refuses 2 "the folder exists" on 2 train --model resnet8 "${common[@]}" --set shards=2 --out ce-1
[ ! -e no ] || complain "a refused run left a folder"
env RANK=0 "$retort" train --world off --model resnet8 "${common[@]}" --out off >/dev/null 2>&1
same ce-1 off

[ $failed -eq 0 ] && echo "mpi_runs: all as expected"
exit $failed
