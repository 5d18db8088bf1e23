#!/usr/bin/env bash
# The own program is the whole program, with its method in everything: settings, loss, a run and its resume, a study's table,
# the report. Run without the method it says what is missing.
#
#   own_program.sh OWN-PROGRAM RETORT
set -euo pipefail
own=$1 retort=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RETORT_CACHE=$work/cache
cd "$work"

expect() {  # expect TEXT FILE
  grep -qF -- "$1" "$2" || { echo "expected '$1' in $2:" >&2; cat "$2" >&2; exit 1; }
}

"$own" settings match >settings
expect method.weight settings
"$own" completion candidates distill --method ma >candidates
expect match candidates

cat >study.toml <<'EOF'
title = "one method more"
[settings]
epochs = 1
batch = 32
data.spec = "synthetic:train=96,test=48"
[teacher]
model = "resnet14"
[student]
model = "resnet8"
[[methods]]
name = "kd"
[[methods]]
name = "match"
weight = 0.5
EOF
"$own" compare study.toml --out study --quiet >table
expect "resnet8 match" table
"$own" report study --quiet >report
expect match report
expect 'match' study/report.html
"$own" check study >/dev/null
expect 'weight = 0.5' "$(find study -path '*match*' -name config.toml)"

"$own" distill --teacher study/teacher --student resnet8 --method match --set method.weight=2 --epochs 1 --batch 32 \
  --data synthetic:train=96,test=48 --out run --quiet >/dev/null
"$own" distill --resume run --quiet >resumed
expect 'run   run' resumed
"$own" eval --weights run >/dev/null

status=0
"$retort" distill --config run/config.toml --out other 2>message || status=$?
[ $status -eq 2 ] || { echo "without the method: exit $status" >&2; cat message >&2; exit 1; }
expect "method 'match' is unknown" message
