# What gpu_run.sh and gpu_first_run.sh share (sourced).

# PyTorch's wheels and the toolkit behind what the system has: a version that is found there may lack a part.
add_library_paths() {
  local more
  more=$(python3 -c 'import glob, nvidia; print(":".join(d for p in nvidia.__path__ for d in sorted(glob.glob(p + "/*/lib"))))' 2>/dev/null)
  for folder in /usr/local/cuda/lib64 /usr/local/cuda/lib; do [ -d $folder ] && more=${more:+$more:}$folder; done
  [ -z "$more" ] || export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$more
}

# pack FILE FOLDER NAME...: FILE.tar.xz, or .gz where there is no xz; it is there whole or not at all, the one before it until
# then. Files that change meanwhile are no reason to have none (tar's status 1).
pack() {
  local file=$1 folder=$2 by=--xz status
  shift 2
  command -v xz >/dev/null || by=--gzip file=${file%.xz}.gz
  tar --create $by --file "$file.new" -C "$folder" "$@" 2>/dev/null
  status=$?
  [ $status -le 1 ] && mv -f "$file.new" "$file" || echo "pack: $file cannot be made (status $status)" >&2
}

# tests_ran LOG: the tests' own word that some ran, none failed, none was skipped.
tests_ran() {
  grep -qE '\[  PASSED  \] [1-9][0-9]* test' "$1" && ! grep -qE '\[  (FAILED|SKIPPED) \]' "$1"
}
