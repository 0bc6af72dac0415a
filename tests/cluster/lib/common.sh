# shellcheck shell=bash

say() { printf 'cluster: %s\n' "$@" >&2; }
die() { say "$@"; exit 125; }

# What each needed tool is called, and the Debian package that brings it.
tools() {
    cat <<TXT
cc gcc libc6-dev
conmon conmon
skopeo skopeo
openssl openssl
ip iproute2
python3 python3
ps procps
flock util-linux
bwrap bubblewrap
pkg-config pkg-config libseccomp-dev
TXT
}

have() {
    case $1 in
        pkg-config) pkg-config --exists libseccomp ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

missing_tools() { tools | while read -r tool _; do have "$tool" || echo "$tool"; done; }
packages() { tools | while read -r tool packages; do have "$tool" || echo "$packages"; done; }

# The hierarchies of cgroups that are ours to write to (v1, and the unified one beside it).
hierarchies() {
    local h
    for h in /sys/fs/cgroup/*/; do
        h=${h%/}
        if [ -w "$h/cgroup.procs" ] && [ ! -L "$h" ]; then echo "$h"; fi
    done
}
