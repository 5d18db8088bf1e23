#!/usr/bin/env bash
# The lesson as a student meets it: every command of every sh block, in an empty folder; after a block, what a comment
# `<!-- claim: TEXT | LOW | HIGH -->` says: the first number behind TEXT in the block's output is within these bounds, or, without
# them, TEXT is there.
#
# `<!-- trained: ... -->` claims something of a training; --short trains hardly at all, and leaves those out.
#
#   run_lesson.sh PROGRAM README [--short]
set -euo pipefail
program=$(realpath "$1") readme=$(realpath "$2") short=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PATH=$(dirname "$program"):$PATH RETORT_CACHE=$work/cache
mkdir "$work/empty"
cd "$work/empty"

fail() {
  echo "lesson, line $number: $1" >&2
  cat "$work/output" >&2
  exit 1
}

blocks=0 claims=0 number=0 inside=""
: >"$work/output"
while IFS= read -r line; do
  number=$((number + 1))
  case $line in
    '```sh') inside=yes blocks=$((blocks + 1)); : >"$work/output" ;;
    '```') inside="" ;;
    '<!-- claim: '*' -->' | '<!-- trained: '*' -->')
      claims=$((claims + 1))
      [ -z "$short" ] || [[ $line != *trained:* ]] || continue
      claim=${line#<!-- *: } claim=${claim% -->}
      IFS='|' read -r text low high <<<"$claim"
      if [ -z "$low" ]; then
        grep -qF -- "$text" "$work/output" || fail "'$text' is not in the output"
        continue
      fi
      text=${text% }
      awk -v text="$text" -v low="$low" -v high="$high" '
        (at = index($0, text)) {
          if (!match(substr($0, at + length(text)), /-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?/)) next
          value = substr($0, at + length(text) + RSTART - 1, RLENGTH)
          exit
        }
        END { exit !(value != "" && value + 0 >= low + 0 && value + 0 <= high + 0) }' "$work/output" ||
        fail "the number behind '$text' is not from $low to $high"
      ;;
    *)
      [ -n "$inside" ] || continue
      from=$SECONDS
      if [ -n "$short" ]; then
        line=${line//train=4500,test=1920/train=96,test=48}
        line=$(sed -E 's/--epochs [0-9]+/--epochs 1 --batch 32/; s/compare quick --seeds [0-9]+ /compare quick --data synthetic:train=96,test=48 --epochs 1 --set batch=32 /' <<<"$line")
      fi
      bash -c "$line" >>"$work/output" 2>"$work/errors" </dev/null || { cat "$work/errors" >&2; fail "$line: failed"; }
      echo "$((SECONDS - from)) s: $line"
      ;;
  esac
done <"$readme"
[ $blocks -ge 6 ] && [ $claims -ge 6 ] || fail "there are $blocks blocks and $claims claims, expected 6 or more of each"
