# clang with the run-time libraries of its sanitizers and of libFuzzer, for .ci/fuzz and .ci/sanitize (sourced).

# Installs what is missing, as root or with sudo.
need_clang() {
  if command -v clang++ >/dev/null && compgen -G "$(clang -print-resource-dir)/lib/linux/libclang_rt.fuzzer-*.a" >/dev/null; then
    return 0
  fi
  local as_root=() version
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -1)
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends clang "libclang-rt-$version-dev"
}
