# A Debian kernel package, turned into vmlinuz and a small initramfs.
# Sourced by ../vm.
# shellcheck shell=bash

# What a virtio guest needs. Names that a kernel has built in are skipped.
BOOT_MODULES="virtio_pci virtio_blk virtio_console ext4 overlay"

# The newest "cloud" kernel package of SUITE whose version starts with PREFIX.
kernel_package() {
    apt_in "$1" apt-cache search --names-only "^linux-image-${2//./\\.}.*-cloud-$ARCH\$" |
        awk '{ print $1 }' | grep -Ev 'dbg|unsigned' | sort -V | tail -n 1
}

# Since 7.x that package is empty and depends on others that hold the parts.
kernel_parts() {
    apt_in "$1" apt-cache show --no-all-versions "$2" | sed -n 's/^Depends: //p' | tr ',' '\n' |
        awk -v v="${2#linux-image-}" '$1 ~ "^linux-(base|binary|modules)-" && index($1, v) { print $1 }'
}

build_kernel() {
    local profile=$1 out=$WORK/kernel/$1 stamp package version tmp deb began=$SECONDS
    profile_fields "$profile"
    stamp=$(digest_of "$HERE/lib/kernel.sh" "$HERE/initramfs/init")
    [ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    package=$(kernel_package "$P_KSUITE" "$P_KPREFIX") || true
    [ -n "$package" ] || die "$P_KSUITE has no cloud kernel $P_KPREFIX*"
    mkdir -p "$WORK/kernel"
    tmp=$(mktemp -d "$WORK/kernel/tmp.XXXXXX")
    # shellcheck disable=SC2046
    (cd "$tmp" && apt_in "$P_KSUITE" apt-get -qq download "$package" $(kernel_parts "$P_KSUITE" "$package")) ||
        die "cannot download $package"
    for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$tmp"; done
    # Debian 13's kernel packages hold usr/lib/modules, earlier ones lib/modules.
    [ -d "$tmp/lib" ] || ln -s usr/lib "$tmp/lib"
    version=$(basename "$tmp"/lib/modules/*)
    depmod -b "$tmp" "$version"
    make_initramfs "$tmp" "$version" >"$tmp/initrd.gz"
    rm -rf "$out"; mkdir -p "$out"
    cp "$tmp"/boot/vmlinuz-* "$out/vmlinuz" 2>/dev/null || cp "$tmp/lib/modules/$version/vmlinuz" "$out/vmlinuz"
    mv "$tmp/initrd.gz" "$out/"
    printf '%s\n' "$version" >"$out/version"
    printf '%s\n' "$stamp" >"$out/stamp"
    rm -rf "$tmp"
    log "$profile: kernel $version in $((SECONDS - began)) s"
}

make_initramfs() {
    local tree=$1 version=$2 root=$1/initramfs module file
    mkdir -p "$root"/{bin,modules,proc,sys,dev,newroot}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$HERE/initramfs/init" "$root/init"
    chmod 755 "$root/init"
    for module in $BOOT_MODULES; do
        modprobe -d "$tree" -S "$version" --show-depends "$module" 2>/dev/null || true
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r file; do
            module=$(basename "$file"); module=${module%.xz}; module=${module%.zst}
            case $file in
                *.xz)  xz -dc "$file" ;;
                *.zst) zstd -qdc "$file" ;;
                *)     cat "$file" ;;
            esac >"$root/modules/$module"
            printf '%s\n' "$module"
        done >"$root/modules/order"
    (cd "$root" && find . -print0 | LC_ALL=C sort -z |
        cpio --quiet --null -o -H newc --owner=0:0 --reproducible) | gzip -n -1
}
