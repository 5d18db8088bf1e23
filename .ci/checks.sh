# What .ci/bare and .ci/run look at when tests have run (sourced).

# check_skips LOG CONDITION...: tests that ctest's LastTest.log says were skipped, against .ci/skips. One line for each
# that is not listed there with the reason that it gives, and failure; else the number of skips.
check_skips() {
  local log=$1
  shift
  awk -v conditions=" $* " '
    function trimmed(text) { gsub(/^ +| +$/, "", text); return text }
    FNR == NR {
      if ($0 ~ /^(#|$)/) next
      split($0, column, "|")
      condition = trimmed(column[2])
      if (condition == "always" || index(conditions, " " condition " ")) {
        name[++count] = trimmed(column[1]); reason[count] = trimmed(column[3])
      }
      next
    }
    / Test: / { test = $0; sub(/.* Test: /, "", test); sub(/ +# GetParam\(\) = .*/, "", test) }
    skipped {
      skipped = 0
      ++skips
      found = 0
      for (i = 1; i <= count; ++i) if (test ~ ("^(" name[i] ")$") && index($0, reason[i])) found = 1
      if (!found) { print "skipped, but not in .ci/skips: " test ": " $0; bad = 1 }
    }
    / Skipped$/ || /: Skipped$/ { skipped = 1 }
    END { if (!bad) print skips + 0 " tests skipped, each as .ci/skips says"; exit bad }
  ' .ci/skips "$log"
}

# names_of_tests COMMIT: what `ctest -N` prints, as the lists are kept: the commit, and the names in order.
names_of_tests() {
  echo "$1"
  sed -n 's/^ *Test *#[0-9]*: //p' | sort
}

# list_host_tests FOLDER COMMIT: FOLDER/host.tests of a build of this commit on this machine, if there is one.
list_host_tests() {
  local folder=$1 commit=$2 build list
  for build in build/cuda build/release; do
    [[ $("$build/retort" --version 2>/dev/null) == *"($commit)" ]] || continue
    list=$(ctest --test-dir "$build" -N | names_of_tests "$commit")
    # An unfinished build names nothing, or what is not built.
    [[ $list == *$'\n'* && $list != *_NOT_BUILT* ]] || continue
    echo "$list" >"$folder/host.tests"
    return
  done
  echo "retort: there is no build of this commit on this machine: no names of tests of its to compare with"
}

# check_names FOLDER COMMIT: all lists of this commit's tests in FOLDER name the same tests: one a Debian suite, and
# host.tests. Left out are those that need nvcc, which only the host may have, Python's and the benchmarks'. A line for
# each list that is as the first; the last line says what is not.
check_names() {
  local folder=$1 commit=$2 list first="" different
  for list in "$folder"/*.tests; do
    [ "$(head -n 1 "$list")" = "$commit" ] || continue
    if [ -z "$first" ]; then
      first=$list
      continue
    fi
    different=$(diff <(tests_of "$first") <(tests_of "$list") | grep -m 1 '^[<>]') || true
    if [ -n "$different" ]; then
      echo "$(basename "$first") and $(basename "$list") name different tests: $different"
      return 1
    fi
    echo "$(basename "$first" .tests) and $(basename "$list" .tests) name the same $(tests_of "$first" | wc -l) tests"
  done
}
# Tests of what includes cuDNN's header, and of device code on the emulated device.
needs_nvcc='^(Cudnn|cuda_emulated|([A-Za-z]+/)?ConvolutionsInEveryType)'
# What CMake adds to the name of a test with a parameter depends on its version. Python is not everywhere, and the host
# builds no benchmarks.
tests_of() {
  tail -n +2 "$1" | sed 's/ *# GetParam() = .*//' | grep -vE "$needs_nvcc|^(python|bench)_" | sort
}

# The packages of .ci/setup. names_package PACKAGE FILE; without_package PACKAGE FILE prints FILE without it. Names are
# fixed strings (g++), and may stand at a line's end.
package_list='/^packages=(/,/)/'
names_package() {
  [ -n "$1" ] && sed -n "$package_list p" "$2" | sed 's/^packages=//' | tr '() ' '\n\n\n' | grep -xF -- "$1" >/dev/null
}
without_package() {
  local name=${1//./\\.}  # of what a package's name may hold, only this means something to sed
  sed "$package_list s/\([( ]\)$name\([ )]\|\$\)/\1\2/" "$2"
}
