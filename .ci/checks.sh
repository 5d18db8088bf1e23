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

# check_names FOLDER: all lists of tests that were made of the same commit name the same tests. The host's, where CUDA is
# built, may name more: those that need nvcc.
check_names() {
  local folder=$1 list first="" commit different
  commit=$(git -c safe.directory="$PWD" rev-parse HEAD)
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
