# Boots a guest once, with a payload. Sourced by ../vm.
# shellcheck shell=bash

# The list is written out in full: Debian's kernels do not know selinux=0, and
# with apparmor=0 alone an SELinux without policy comes up.
lsm_args() {
    case $1 in
        none)             echo "lsm=lockdown,landlock,yama,bpf" ;;
        selinux)          echo "lsm=lockdown,landlock,yama,selinux,bpf enforcing=1 vm.policy" ;;
        selinux-nopolicy) echo "lsm=lockdown,landlock,yama,selinux,bpf" ;;
        apparmor)         echo "lsm=lockdown,landlock,yama,apparmor,bpf" ;;
        *) die "no such LSM: $1 (have: $LSMS)" ;;
    esac
}

# run_guest PROFILE LSM PAYLOAD OUT TIMEOUT APPEND
run_guest() {
    local profile=$1 payload=$3 out=$4 limit=$5 lsm run image accel="tcg -cpu qemu64,+rdrand" status=0
    lsm=$(lsm_args "$2")
    profile_fields "$profile"
    image=$WORK/rootfs/$P_SUITE/root.ext4
    # KVM only on request: a nested one may have /dev/kvm and yet not run a
    # stock kernel.
    [ "${BWRAP_LAUNCH_VM_KVM:-}" != 1 ] || accel="kvm -cpu host"
    run=$(mktemp -d "$WORK/run.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$run'" EXIT
    # One archive over the guest's root: our helpers, the faults, the payload.
    # They travel with each boot, so that changing one rebuilds no image.
    tar -cf "$run/payload" --mode=a+rX --owner=0 --group=0 --numeric-owner \
        --transform='s,^guest,usr/local/bin,S;s,^policy,usr/local/share/vm,S;s,^\.,payload,S' \
        -C "$HERE" guest policy/apparmor -C "$(cd "$payload" && pwd)" .
    # Sparse. A raw disk is a whole number of sectors; tar pads by itself.
    truncate -s 256M "$run/results"
    # qemu64 boots a second sooner than max, whose many features cost set-up.
    # One CPU: with two, an emulated 6.12 has died at boot in its own code
    # patching; who needs two starts such a guest again. snapshot=on: nothing
    # the guest does reaches the image, so any number may run side by side. The output goes through a pipe
    # because QEMU opens the path anew, which would truncate a file. It ends with
    # us, even if we are killed.
    # shellcheck disable=SC2086
    setpriv --pdeathsig KILL timeout --foreground --kill-after=10 "$limit" \
        setpriv --pdeathsig KILL qemu-system-x86_64 -accel $accel \
        -nodefaults -no-user-config -no-reboot -display none \
        -machine q35 -smp "${BWRAP_LAUNCH_VM_CPUS:-1}" -m "${BWRAP_LAUNCH_VM_MEMORY:-1024}" \
        -kernel "$WORK/kernel/$profile/vmlinuz" -initrd "$WORK/kernel/$profile/initrd.gz" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off audit=1 audit_backlog_limit=8192 $lsm $6" \
        -serial "file:$run/console.log" \
        -drive "file=$image,if=virtio,format=raw,snapshot=on" \
        -drive "file=$run/payload,if=virtio,format=raw,readonly=on" \
        -drive "file=$run/results,if=virtio,format=raw" \
        -drive "file=$image,if=virtio,format=raw,snapshot=on" \
        -device virtio-serial -chardev file,id=output,path=/dev/fd/3 \
        -device virtserialport,chardev=output,name=output \
        3>&1 </dev/null >"$run/qemu.log" 2>&1 | cat || status=$?
    mkdir "$run/archive"
    tar -C "$run/archive" -xf "$run/results" 2>/dev/null || true
    if [ -n "$out" ]; then
        mkdir -p "$out"
        cp "$run/console.log" "$out/"
        cp -r "$run/archive/results/." "$out/" 2>/dev/null || true
    fi
    # Written last by the guest, so a cut-off archive lacks it.
    if [ -e "$run/archive/status" ]; then return "$(cat "$run/archive/status")"; fi
    log "$profile: the guest did not finish (QEMU: status $status); the end of its console:"
    cat "$run/qemu.log" >&2
    tail -n 30 "$run/console.log" >&2
    case $status in 124 | 137) return 124 ;; *) return 125 ;; esac
}
