# What the other parts share. Sourced by ../vm.
# shellcheck shell=bash disable=SC2034

# PROFILE: USERLAND-SUITE KERNEL-SUITE KERNEL-PREFIX. The kernel is the newest
# package of KERNEL-SUITE whose version starts with KERNEL-PREFIX.
declare -A PROFILES=(
    [k5.10]="bookworm bullseye 5.10."
    [k6.1]="bookworm bookworm 6.1."
    [k6.12]="trixie trixie 6.12."
    [k7]="trixie trixie-backports 7."
)
PROFILE_ORDER="k5.10 k6.1 k6.12 k7"
SUITES="bookworm trixie"
LSMS="none selinux selinux-nopolicy apparmor"

ARCH=amd64
HOST_TOOLS="qemu-system-x86_64 setpriv mmdebstrap mke2fs debugfs busybox cpio depmod xz zstd flock unshare"
HOST_PACKAGES="qemu-system-x86 mmdebstrap e2fsprogs busybox-static cpio kmod xz-utils zstd util-linux"

log() { printf 'vm: %s\n' "$*" >&2; }
# 125, so that our own failures are not taken for the payload's.
die() { log "error: $*"; exit 125; }

missing_tools() {
    local tool
    for tool in $HOST_TOOLS; do command -v "$tool" >/dev/null 2>&1 || printf '%s ' "$tool"; done
}

need_tools() {
    local missing
    missing=$(missing_tools)
    [ -z "$missing" ] || die "missing tools: $missing(try: tests/vm/vm deps)"
}

profile_fields() {
    [ -n "${PROFILES[$1]:-}" ] || die "no such profile: $1 (have: $PROFILE_ORDER)"
    read -r P_SUITE P_KSUITE P_KPREFIX <<<"${PROFILES[$1]}"
}

# locked NAME COMMAND...: one process at a time, so that runs that start
# together build a thing once.
locked() {
    local name=$1; shift
    mkdir -p "$WORK/lock"
    (flock 9 && "$@") 9>"$WORK/lock/$name"
}

# Names the content of the files that decide what an artefact looks like: a
# changed input rebuilds it, an unchanged one does not.
digest_of() { cat -- "$@" | sha256sum | cut -c1-16; }
