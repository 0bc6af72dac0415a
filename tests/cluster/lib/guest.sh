# shellcheck shell=bash
# A node whose kernel has SELinux: the same executables in a guest of tests/vm, which is a machine of its own.

# -- outside -------------------------------------------------------------------

cmd_guest() {
    local payload='' timeout=900 status began bin
    out=''
    while [ $# -gt 0 ]; do
        case $1 in
            --payload) payload=$(realpath "$2") ;;
            --out) out=$2 ;;
            --timeout) timeout=$2 ;;
            *) usage >&2; exit 125 ;;
        esac
        shift 2
    done
    [ -x "$payload/main" ] || die "no program: $payload/main"
    built || die "nothing is built: tests/cluster/cluster build"
    "$HERE/../vm/vm" deps || exit
    mkdir -p "$out"
    bin=$(bin_dir)
    guest=$(mktemp -d "$WORK/guest.XXXXXX")
    trap 'rm -rf "$guest"' EXIT
    trap 'exit 143' HUP INT TERM
    mkdir "$guest"/{bin,here,node}
    cp -a "$bin"/{kubernetes,etcd,kube-*,kubelet,kubectl,containerd,containerd-shim-runc-v2,ctr,runc,loopback} "$guest/bin"
    # an emulated machine is slow to unpack what nobody runs in it
    mkdir "$guest/node/payload"
    cp "$payload"/{main,boot,bwrap-doctor} "$guest/node/payload"
    strip "$guest/node/payload/bwrap-doctor" 2>/dev/null || :
    echo bwrap-doctor >"$guest/node/payload/image"
    cp -r "$HERE"/{cluster,lib} "$guest/here"
    # made of this machine's files, as everywhere
    mkdir "$guest/node/pki"
    (
        cd "$guest/node"
        images "$bin/pause"
        keys
    )
    printf '#!/bin/sh\nexec bash /payload/here/cluster on-guest\n' >"$guest/main"
    chmod +x "$guest/main"
    # one that is emulated and has one processor is too slow for requests with a time limit; one that has two may die as it boots
    for _ in 1 2; do
        began=$SECONDS status=0
        BWRAP_LAUNCH_VM_MEMORY=8192 BWRAP_LAUNCH_VM_CPUS=2 setpriv --pdeathsig TERM "$HERE/../vm/vm" run \
            --profile k6.12 --lsm selinux --append vm.no-container --payload "$guest" --out "$out" --timeout "$timeout" </dev/null &
        wait $! || status=$?
        if [ "$status" != 125 ] || ((SECONDS - began > 60)); then break; fi
    done
    exit "$status"
}

# -- inside --------------------------------------------------------------------

on_guest() {
    export PATH=$run/bin:$PATH HOME=$run/home TMPDIR=$run/tmp KUBECONFIG=$run/kubeconfig
    mkdir $run
    mount -t tmpfs -o size=4g,mode=755 node $run
    mkdir $run/{home,tmp,log,cni,results}
    cp -r /payload/node/* $run/
    ln -s /payload/bin $run/bin
    mount --bind /results $run/results
    cd $run
    for d in /run/netns /var/lib/{cni,kubelet,containerd} /var/log/{containers,pods}; do
        mkdir -p "$d"
        mount -t tmpfs -o mode=755 node "$d"
    done
    echo '127.0.0.1 localhost' >/etc/hosts
    : >/etc/resolv.conf
    hostname node1
    ip addr add 192.0.2.1/32 dev lo
    controllers
    runtime_rights
    configuration containerd
    only_said_network
    mount --make-rshared /
    start_and_run containerd
}

# They can be given on only where no process is in the root.
controllers() {
    local all=/sys/fs/cgroup/all process controller
    mkdir $all
    while read -r process; do
        echo "$process" >$all/cgroup.procs 2>/dev/null || :
    done </sys/fs/cgroup/cgroup.procs
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
    done
}

# What container-selinux gives the domain of a container runtime: without it pods end at once (security_bounded_transition).
runtime_rights() {
    echo '(allow kernel_t container_t (process2 (nnp_transition nosuid_transition)))' >tmp/runtime.cil
    load-selinux tmp/runtime.cil
}

# The guest's kernel has no veth here: a network that is only said to be there.
only_said_network() {
    cat >/payload/bin/said <<'T'
#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
ADD) echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"'$CNI_NETNS'"}],"ips":[{"address":"198.51.100.2/24","interface":0}]}' ;;
esac
T
    chmod +x /payload/bin/said
    echo '{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "said"}]}' >cni/10-pods.conflist
}
