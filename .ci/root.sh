# Bare Debian roots, for .ci/bare and .ci/aarch64 (sourced, by root): how one is made, entered and thrown away.
#
# A script that makes roots begins with `isolate "$@"`: what follows runs in mount and process namespaces of its own. So
# whatever ends it, kill -9 included, its processes end and its mounts are gone; none is ever seen outside.

cache=${RETORT_BARE_CACHE:-/var/cache/retort-bare}
stranger_id=54321  # of the user who knows nothing; fixed, since a compiler cache on the host is theirs too

die() {
  echo "retort: $*" >&2
  exit 1
}

# Starts the script again, isolated, without terminal and input; returns in that second run only.
isolate() {
  [ -z "${RETORT_ISOLATED:-}" ] || return 0
  local child status=0
  command -v debootstrap >/dev/null || {
    echo "retort: installing debootstrap" >&2
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap </dev/null >&2
  }
  mkdir -p "$cache/work"
  # A run that was killed could not remove its root; whether it still lives, its lock says.
  local old
  for old in "$cache"/work/*.lock; do
    [ -f "$old" ] || continue
    flock --nonblock "$old" rm -rf "${old%.lock}" "$old" || true
  done
  work=$(mktemp -d "$cache/work/XXXXXX")
  exec {lock}>"$work.lock"
  flock "$lock"
  RETORT_ISOLATED=$work setsid setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --propagation private \
    bash "$0" "$@" </dev/null &
  child=$!
  trap 'kill -KILL $child || true; wait $child || true; rm -rf "$work" "$work.lock"; exit 143' HUP INT TERM
  wait $child || status=$?
  if [ -n "${RETORT_KEEP:-}" ] || [[ " $* " == *" --keep "* ]]; then
    rm "$work.lock"  # with it the next run would clear it away
    echo "retort: the root is kept: $work" >&2
  else
    rm -rf "$work" "$work.lock"
  fi
  exit $status
}

# Where the host gets its packages: lines "URI SUITE COMPONENT", with the suite's name replaced.
sources_for() {
  local suite=$1 own
  own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  local lines=""
  if [ "$(. /etc/os-release && echo "$ID")" = debian ]; then
    # shellcheck disable=SC2016
    lines=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
      grep -E "^[^ ]+ $own(-updates|-security)? main$" | sed -E "s/ $own(-[a-z]+)? / $suite\1 /" | sort -u) || true
  fi
  [ -n "$lines" ] || lines="http://deb.debian.org/debian $suite main"
  echo "$lines"
}

# The host's settings for fetching: proxies, certificates, retries; not its hooks, which name the host's programs.
apt_settings() {
  apt-config dump | grep -E '^Acquire::' | grep -vE '^Acquire::(IndexTargets|Changelogs|cdrom|CompressionTypes|Languages)'
  local name
  for name in http https; do
    local variable=${name}_proxy
    [ -z "${!variable:-}" ] || echo "Acquire::$name::Proxy \"${!variable}\";"
  done
  echo 'Binary::apt-get::APT::Keep-Downloaded-Packages "true"; APT::Keep-Downloaded-Packages "true";'
}

# make_root SUITE FOLDER: a copy of debootstrap's minbase with git, certificates and sudo, and the user `stranger`.
make_root() {
  local suite=$1 root=$2 base=$cache/$1/base
  mkdir -p "$cache/$suite/archives"
  (
    flock 8
    # What is older than a fortnight is made anew, lest it drifts from what a new system is.
    if [ ! -d "$base" ] || [ -n "$(find "$base.made" -mtime +14 2>/dev/null)" ]; then
      rm -rf "$base" "$base.part"
      local mirror
      mirror=$(sources_for "$suite" | awk -v suite="$suite" '$2 == suite {print $1; exit}')
      debootstrap --variant=minbase --include=git,ca-certificates,sudo "$suite" "$base.part" "$mirror" >"$base.log" 2>&1 ||
        die "debootstrap $suite failed: $(tail -n 1 "$base.log")"
      chroot "$base.part" useradd --uid $stranger_id --user-group --no-create-home --home-dir /nonexistent stranger
      echo 'stranger ALL=(ALL) NOPASSWD: ALL' >"$base.part/etc/sudoers.d/stranger"
      mv "$base.part" "$base"
      touch "$base.made"
    fi
  ) 8>"$cache/$suite/lock"
  cp -a "$base" "$root"
  rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
  sources_for "$suite" | sed 's/^/deb /' >"$root/etc/apt/sources.list"
  apt_settings >"$root/etc/apt/apt.conf.d/90host"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp -L /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
  fi
  mount -t proc proc "$root/proc"
  mkdir -p "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
  link_packages "$cache/$suite/archives" "$root/var/cache/apt/archives"
  install -d -o $stranger_id -g $stranger_id "$root/src"
}

# keep_packages ROOT: what was fetched for it, for the roots after this one.
keep_packages() {
  local suite
  suite=$(. "$1/etc/os-release" && echo "$VERSION_CODENAME")
  link_packages "$1/var/cache/apt/archives" "$cache/$suite/archives"
}
# Links, not one folder for all: apt locks its folder, and two runs may go on at a time. What is there stays.
link_packages() {
  ln "$1"/*.deb "$2/" 2>/dev/null || true
}

# drop_root FOLDER
drop_root() {
  local point
  for point in proc dev/pts dev/shm ccache RETORT_CIFAR100 RETORT_PHOTOS; do
    umount -l "$1/$point" 2>/dev/null || true
  done
  [ -n "${RETORT_KEEP:-}" ] || rm -rf --one-file-system "$1"
}

# as_root ROOT COMMAND...; as_stranger ROOT COMMAND...: with nothing in the environment but what is named here: no home
# folder, no locale, no terminal.
as_root() {
  local root=$1
  shift
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}
stranger_environment=(PATH=/usr/local/bin:/usr/bin:/bin)
as_stranger() {
  local root=$1
  shift
  chroot --userspec=$stranger_id:$stranger_id "$root" env -i "${stranger_environment[@]}" "$@"
}
# The same with no network but the loopback device, which the perl of every Debian can switch on.
loopback='socket(S, 2, 2, 0) or die "socket: $!"; $lo = pack("a16 s", "lo", 0x41); ioctl(S, 0x8914, $lo) or die "lo: $!"'
offline_stranger() {
  local root=$1
  shift
  unshare --net bash -ec 'chroot "$1" perl -e "$2"; shift 2; exec chroot "$@"' - "$root" "$loopback" \
    --userspec=$stranger_id:$stranger_id "$root" env -i "${stranger_environment[@]}" "$@"
}

# install_in ROOT PACKAGE...
install_in() {
  local root=$1
  shift
  as_root "$root" apt-get update -qq && as_root "$root" apt-get install -y -qq --no-install-recommends "$@" &&
    keep_packages "$root"
}

# use_ccache ROOT: where RETORT_BARE_CCACHE names a folder.
use_ccache() {
  [ -n "${RETORT_BARE_CCACHE:-}" ] || return 0
  install -d -o $stranger_id -g $stranger_id "$RETORT_BARE_CCACHE"
  install_in "$1" ccache >/dev/null 2>&1 || die "ccache could not be installed in the root"
  mkdir -p "$1/ccache"
  mount --bind "$RETORT_BARE_CCACHE" "$1/ccache"
  stranger_environment+=(CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR=/ccache
    CCACHE_BASEDIR=/src CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=locale
    CCACHE_MAXSIZE=10G CCACHE_TEMPDIR=/tmp CCACHE_UMASK=000)
}
