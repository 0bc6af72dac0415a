# A root file system image: Debian packages, a compiled SELinux policy and a
# label on every inode, in one ext4 file made without a loop mount.
# Sourced by ../vm.
# shellcheck shell=bash disable=SC2016

GUEST_PACKAGES="bubblewrap runc uidmap procps iproute2 kmod util-linux busybox-static
    apparmor
    selinux-policy-default selinux-utils policycoreutils checkpolicy semodule-utils secilc"

# The packages, as a tar file: the slow part, and it seldom changes.
bootstrap_rootfs() {
    local suite=$1 out=$2 stamp began=$SECONDS
    stamp=$(echo "$suite $GUEST_PACKAGES" | digest_of -)
    [ "$(cat "$out/base.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    sources_for "$suite" >"$out/sources.list"
    # shellcheck disable=SC2086
    mmdebstrap --mode=root --variant=minbase --format=tar \
        --include="$(echo $GUEST_PACKAGES | tr ' ' ',')" \
        --aptopt='Acquire::Check-Valid-Until "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        "$suite" "$out/base.tar" "$out/sources.list" >"$out/mmdebstrap.log" 2>&1 ||
        { tail -n 20 "$out/mmdebstrap.log" >&2; die "mmdebstrap failed"; }
    printf '%s\n' "$stamp" >"$out/base.stamp"
    log "$suite: packages in $((SECONDS - began)) s"
}

build_rootfs() {
    local suite=$1 out=$WORK/rootfs/$1 tree=$WORK/rootfs/$1/tree stamp size began
    stamp=$(digest_of "$HERE/lib/rootfs.sh" "$HERE"/policy/selinux/*.cil)
    [ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    [ "$(id -u)" = 0 ] || die "building an image needs root (chroot, security.selinux attributes)"
    mkdir -p "$out"; rm -f "$out/stamp"
    bootstrap_rootfs "$suite" "$out"
    began=$SECONDS
    rm -rf "$tree"; mkdir "$tree"
    # No device nodes: the guest has devtmpfs.
    tar -C "$tree" --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -xf "$out/base.tar"
    # The image must not carry the build machine's mirror.
    rm -rf "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/* \
        "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*
    mkdir -p "$tree"/{payload,results,srv/container,home/user}
    echo 'user:x:1000:1000::/home/user:/bin/sh' >>"$tree/etc/passwd"
    echo 'user:x:1000:' >>"$tree/etc/group"
    echo 'user:200000:65536' | tee -a "$tree/etc/subuid" >>"$tree/etc/subgid"
    chown 1000:1000 "$tree/home/user"
    install_selinux_policy "$suite" "$tree" "$out"
    # The host need not run SELinux: to it, labels are plain extended
    # attributes, and mke2fs -d copies them. setfiles wants a /proc.
    unshare --mount sh -c 'mount -t proc proc "$1/proc" &&
        exec chroot "$1" setfiles -F -e /proc /etc/selinux/default/contexts/files/file_contexts /' \
        sh "$tree" >"$out/setfiles.log" 2>&1 ||
        { tail -n 5 "$out/setfiles.log" >&2; die "setfiles failed"; }
    size=$(du -skx --apparent-size "$tree" | cut -f1)
    size=$((size * 5 / 4 + 1048576)) # room for the payload: tests/cluster brings Kubernetes; what is free takes no space
    rm -f "$out/new.ext4"
    mke2fs -q -t ext4 -m 0 -O ^has_journal -d "$tree" "$out/new.ext4" "${size}k" >"$out/mke2fs.log" 2>&1 ||
        { tail -n 5 "$out/mke2fs.log" >&2; die "mke2fs failed"; }
    rm -rf "$tree"
    debugfs -R 'ea_get /usr/bin/bwrap security.selinux' "$out/new.ext4" 2>/dev/null | grep system_u >/dev/null ||
        die "the image's files carry no SELinux labels"
    mv "$out/new.ext4" "$out/root.ext4"
    printf '%s\n' "$stamp" >"$out/stamp"
    log "$suite: image in $((SECONDS - began)) s"
}

# Puts policy/selinux into the policy store, and writes the compiled policy back
# as CIL for guest/load-selinux, which compiles it anew with one module more.
install_selinux_policy() {
    local suite=$1 tree=$2 out=$3 modules="vm-entry container-nesting" m files=()
    # Debian 12's policy has no container_t; Debian 13's has, and it knows the
    # user_namespace class.
    if chroot "$tree" semodule -l | grep -x container >/dev/null; then
        modules="$modules container-userns"
    else
        modules="container-type $modules"
    fi
    for m in $modules; do
        cp "$HERE/policy/selinux/$m.cil" "$tree/tmp/"
        files+=(-i "/tmp/$m.cil")
    done
    chroot "$tree" semodule -N "${files[@]}" >"$out/semodule.log" 2>&1 ||
        { cat "$out/semodule.log" >&2; die "our SELinux modules do not compile"; }
    rm -f "$tree"/tmp/*.cil
    mkdir "$tree/usr/share/vm"
    chroot "$tree" sh -e -c 'checkpolicy -b -M -C -o /usr/share/vm/base.cil /etc/selinux/default/policy/policy.*' \
        >"$out/checkpolicy.log" 2>&1 || { cat "$out/checkpolicy.log" >&2; die "the policy does not decompile"; }
    # Modules made from .te mention it; it is lost in compiling, being in no rule.
    echo '(typeattribute cil_gen_require) (roleattribute cil_gen_require)' >>"$tree/usr/share/vm/base.cil"
    sed -i 's/^SELINUX=.*/SELINUX=enforcing/' "$tree/etc/selinux/config"
}
