#!/usr/bin/env bash
# The day's walk of README.md: counts the lines of what its table names, a folder's own files (`engine/ops/`) or a unit
# (`distill/methods/kd`: kd.h, kd.cpp), and writes them into the table, rounded to hundreds.
# With --check it writes nothing and fails where a count is more than a tenth (and 50 lines) off, or all are over 8,000.
set -euo pipefail
cd "$(dirname "$0")/../.."
most=8000 total=0 wrong=0
table=$(sed -n '/^<!-- walk -->$/,/^<!-- end of walk -->$/p' README.md | grep '^| `' || true)
[ -n "$table" ] || { echo "README.md: no table between <!-- walk --> and <!-- end of walk -->"; exit 1; }
while IFS='|' read -r _ paths shown _; do
  lines=0
  for path in $(grep -o '`[^`]*`' <<<"$paths" | tr -d '`'); do
    case $path in
      */) files=$(ls "$path"*.h "$path"*.cpp 2>/dev/null || true) ;;
      *) files=$(ls "$path".h "$path".cpp 2>/dev/null || true) ;;
    esac
    [ -n "$files" ] || { echo "README.md: the day's walk names $path, which is not there"; wrong=1; continue; }
    lines=$((lines + $(cat $files | wc -l)))
  done
  total=$((total + lines))
  rounded=$(((lines + 50) / 100 * 100)) written=$(tr -dc 0-9 <<<"$shown")
  off=$((lines > written ? lines - written : written - lines))
  if [ "${1:-}" = --check ]; then
    if [ $off -gt $((written / 10 + 50)) ]; then
      echo "README.md: the day's walk says $written lines of$paths, there are $lines; run tests/house/walk.sh"
      wrong=1
    fi
  else
    row="|$paths|$shown|" new="|$paths| $(sed -E 's/([0-9]+)([0-9]{3})$/\1,\2/' <<<$rounded) |"
    awk -v from="$row" -v to="$new" 'index($0, from) == 1 { $0 = to substr($0, length(from) + 1) } { print }' README.md \
      >README.md.new && mv README.md.new README.md
  fi
done <<<"$table"
echo "the day's walk: $total lines, at most $most"
[ $total -le $most ] || { echo "the day's walk is too long"; wrong=1; }
exit $wrong
