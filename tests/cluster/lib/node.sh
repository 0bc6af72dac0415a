# shellcheck shell=bash
# The node: its namespaces and cgroups, made and removed outside; what process 1 in them starts.

# -- outside -------------------------------------------------------------------

cmd_run() {
    local runtime='' payload='' timeout=300 watch=false
    out=''
    while [ $# -gt 0 ]; do
        case $1 in
            --runtime) runtime=$2; shift ;;
            --payload) payload=$(realpath "$2"); shift ;;
            --out) out=$2; shift ;;
            --timeout) timeout=$2; shift ;;
            --watch-stdin) watch=true ;;
            *) usage >&2; exit 125 ;;
        esac
        shift
    done
    case $runtime in containerd | crio) ;; *) usage >&2; exit 125 ;; esac
    [ -x "$payload/main" ] || die "no program: $payload/main"
    built || die "nothing is built: tests/cluster/cluster build"
    mkdir -p "$out"
    out=$(realpath "$out")

    # by the process that removes them; what one left who was killed goes now
    local h c
    for h in $(hierarchies); do
        for c in "$h"/bwrap-launch-cluster.*; do
            if [ -d "$c" ] && ! kill -0 "${c##*.}" 2>/dev/null; then remove_cgroup "$c" || :; fi
        done
    done
    trap 'end_node' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    for h in $(hierarchies); do
        c=$h/bwrap-launch-cluster.$$
        mkdir "$c"
        for f in cpuset.cpus cpuset.mems; do
            if [ -e "$c/$f" ]; then cat "$h/$f" >"$c/$f"; fi
        done
    done
    # runc wants one of hugetlb below CRI-O, and a new hierarchy can be mounted in the first cgroup namespace only
    # shellcheck disable=SC2016
    local hugetlb='mount -t cgroup -o hugetlb cgroup "$0" 2>/dev/null'
    mkdir -p "$out/node"
    (
        for h in $(hierarchies); do echo "$BASHPID" >"$h/bwrap-launch-cluster.$$/cgroup.procs"; done
        # each dies with who started it, and all others with process 1
        exec setsid setpriv --pdeathsig KILL timeout --foreground --signal=KILL "$timeout" setpriv --pdeathsig KILL \
            unshare --mount --propagation private bash -c "$hugetlb; exec \"\$@\"" "$out/node" \
            unshare --cgroup --mount --net --pid --uts --ipc --fork --kill-child --propagation private \
            bash "$HERE/cluster" on-node "$runtime" "$(bin_dir)" "$payload" "$out" </dev/null
    ) &
    node=$!
    watcher=''
    if $watch; then
        exec 3<&0
        cat <&3 >/dev/null &
        watcher=$!
    fi
    local status=0 began=$SECONDS
    # shellcheck disable=SC2086
    wait -n -p ended $node $watcher || status=$?
    if [ "$ended" != "$node" ]; then
        die "standard input has ended"
    elif [ "$status" = 137 ] && ((SECONDS - began >= timeout)); then
        say "ended after $timeout s"
        status=124
    fi
    exit "$status"
}

end_node() {
    trap '' HUP INT TERM
    local process h
    for process in ${node:-} ${watcher:-}; do kill -KILL "$process" 2>/dev/null || :; done
    wait 2>/dev/null || :
    for h in $(hierarchies); do
        remove_cgroup "$h/bwrap-launch-cluster.$$" || say "left: $h/bwrap-launch-cluster.$$"
    done
    rmdir "$out/node" 2>/dev/null || :
}

# A cgroup with all below it; what is in it has just been killed.
remove_cgroup() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || :
        if [ ! -d "$1" ]; then return 0; fi
        sleep .1
    done
    return 1
}

# -- inside --------------------------------------------------------------------

on_node() {
    local runtime=$1 bin=$2 payload=$3 out=$4
    export PATH=$run/bin:$PATH HOME=$run/home TMPDIR=$run/tmp KUBECONFIG=$run/kubeconfig
    mount -t proc proc /proc
    own_places
    own_cgroups
    own_network
    configuration "$runtime"
    mount --make-rshared /
    start_and_run "$runtime"
}

# RUNTIME: all components, then the payload, whose status is ours.
start_and_run() {
    local runtime=$1 status=0
    # there is memory enough, and processors are what everything waits for: collect less garbage, and none in kubectl
    export GOGC=400
    components "$runtime" >"$run/log/start" 2>&1 || {
        cat "$run/log/start" >&2
        logs
        exit 125
    }
    (cd "$run/home" && GOGC=off "$run/payload/main" </dev/null) || status=$?
    # what took the processors' time: of all that still run, and of those that were waited for
    { ps -eo time,args --sort=-time; times; } >"$run/log/processor-time" 2>&1 || :
    logs
    exit "$status"
}

logs() { cp -r "$run/log" "$run/results/" 2>/dev/null || :; }

# The root of a pod's user namespace is nobody here: it must be able to enter whatever is above its files. So everything is in
# memory below /run, which is ours alone, as are the fixed places that components write to.
own_places() {
    local new=$out/node
    mkdir -p "$new"
    mount -t tmpfs -o mode=755 node "$new"
    mkdir -p "$new"/{netns,containers,crio,containerd,runc} "$new"/cluster/{bin,payload,results,here,log,pki,cni,home,tmp}
    mount --bind "$bin" "$new/cluster/bin"
    mount --bind "$payload" "$new/cluster/payload"
    mount --bind "$out" "$new/cluster/results"
    mount --bind "$HERE" "$new/cluster/here"
    mount --rbind "$new" /run
    cd "$run"
    HERE=$run/here
    for d in /var/lib /var/log; do mount -t tmpfs -o mode=755 node "$d"; done
    mkdir -p /var/lib/{cni,kubelet,containers,containerd} /var/log/{containers,pods} "$run"/etc/{upper,work}
    mount -t overlay -o "lowerdir=/etc,upperdir=$run/etc/upper,workdir=$run/etc/work" etc /etc
    mkdir -p /etc/{cni,crio}
    for d in /etc/{cni,crio}; do mount -t tmpfs node "$d"; done
}

# Every hierarchy that the machine has, as it looks from our cgroup, and one for hugetlb, which runc wants below CRI-O.
own_cgroups() {
    local h names
    names=$(for h in $(hierarchies); do basename "$h"; done)
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    for h in $names; do
        mkdir "/sys/fs/cgroup/$h"
        case $h in
            unified) mount -t cgroup2 cgroup2 "/sys/fs/cgroup/$h" ;;
            systemd) mount -t cgroup -o none,name=systemd cgroup "/sys/fs/cgroup/$h" ;;
            *) mount -t cgroup -o "$h" cgroup "/sys/fs/cgroup/$h" ;;
        esac
    done
    if [ ! -d /sys/fs/cgroup/hugetlb ]; then
        mkdir /sys/fs/cgroup/hugetlb
        mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb 2>/dev/null || rmdir /sys/fs/cgroup/hugetlb
    fi
}

# Addresses that documents are written with; nothing leaves.
own_network() {
    hostname node1
    ip link set lo up
    ip link add eth0 type veth peer name outside
    ip addr add 192.0.2.1/24 dev eth0
    ip link set eth0 up
    ip link set outside up
    ip route add default via 192.0.2.254 dev eth0
}

# Those of the API server's service accounts.
keys() {
    if [ -e pki/sa.pub ]; then return; fi
    openssl genrsa -out pki/sa.key 2048 2>/dev/null
    openssl rsa -in pki/sa.key -pubout -out pki/sa.pub 2>/dev/null
}

configuration() {
    keys
    echo 'secret,admin,admin,system:masters' >pki/tokens.csv
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
    cat >kubeconfig <<T
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: secret}}]
contexts: [{name: local, context: {cluster: local, user: admin}}]
current-context: local
T
    cat >cni/10-pods.conflist <<T
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
 "ranges": [[{"subnet": "198.51.100.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
T
    cat >kubelet.yaml <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$run/$1.sock
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
resolvConf: ""
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
syncFrequency: 5s
runtimeRequestTimeout: 10m
volumePluginDir: $run/volume-plugins
T
    cat >containerd.toml <<T
version = 3
root = "$run/containerd"
state = "$run/containerd-state"
[grpc]
  address = "$run/containerd.sock"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "localhost/pause:local"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  enable_selinux = $(if [ -e /sys/fs/selinux/enforce ]; then echo true; else echo false; fi)
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["$run/bin"]
  conf_dir = "$run/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = "$run/bin/runc"
T
    cat >crio.conf <<T
[crio]
root = "$run/storage"
runroot = "$run/storage-run"
storage_driver = "overlay"
log_dir = "$run/log/pods"
version_file = "$run/crio-version"
version_file_persist = "$run/crio-version-persist"
clean_shutdown_file = "$run/crio-clean"
[crio.api]
listen = "$run/crio.sock"
[crio.runtime]
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
pinns_path = "$run/bin/pinns"
namespaces_dir = "$run/namespaces"
default_runtime = "runc"
apparmor_profile = "unconfined"
selinux = false
hooks_dir = []
default_mounts_file = ""
container_exits_dir = "$run/exits"
container_attach_socket_dir = "$run/attach"
irqbalance_config_file = ""
irqbalance_config_restore_file = "disable"
drop_infra_ctr = true
[crio.runtime.runtimes.runc]
runtime_path = "$run/bin/runc"
runtime_root = "$run/runc"
monitor_path = "$(command -v conmon || true)"
monitor_cgroup = "pod"
[crio.image]
pause_image = "localhost/pause:local"
pause_command = "/pause"
signature_policy = "$run/policy.json"
[crio.network]
network_dir = "$run/cni"
plugin_dirs = ["$run/bin"]
T
}

until_true() {
    for ((tries = 0; tries < 900; tries++)); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep .1
    done
    echo "in vain: $*"
    tail -n 5 log/*
    return 1
}

node_ready() { [ "$(kubectl get node node1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }

# NAME TAR: an image comes to the node
import() {
    case $runtime in
        containerd) ctr -a "$run/containerd.sock" -n k8s.io images import --local "$2" ;;
        crio)
            skopeo --policy "$run/policy.json" copy "docker-archive:$2" "containers-storage:[overlay@$run/storage+$run/storage-run]$1"
            ;;
    esac >>log/import 2>&1 || { cat log/import; return 1; }
}

# PAUSE: both images, of the payload beside them.
images() {
    local programs=()
    if [ -e pause.tar ]; then return; fi
    mapfile -t programs < <(sed "s,^,$PWD/payload/," payload/image)
    executor_image localhost/executor:local executor.tar "${programs[@]}"
    printf '/pause\t%s\n' "$1" | python3 "$HERE/image.py" localhost/pause:local pause.tar /pause
}

components() {
    images "$run/bin/pause"
    if [ "$1" = containerd ]; then
        containerd -c containerd.toml >log/containerd 2>&1 &
        until_true test -S containerd.sock
    fi
    import localhost/pause:local pause.tar
    import localhost/executor:local executor.tar
    # under the name that the first brief has, too
    case $1 in
        containerd) ctr -a "$run/containerd.sock" -n k8s.io images tag localhost/executor:local quay.io/zuul-ci/zuul-executor:latest ;;
        crio) import quay.io/zuul-ci/zuul-executor:latest executor.tar ;;
    esac
    if [ "$1" = crio ]; then
        crio --config crio.conf --config-dir "" >log/crio 2>&1 &
        until_true test -S crio.sock
    fi
    etcd --data-dir etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync >log/etcd 2>&1 &
    kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --bind-address=127.0.0.1 --advertise-address=192.0.2.1 \
        --cert-dir=pki --service-account-issuer=https://local --service-account-signing-key-file=pki/sa.key \
        --service-account-key-file=pki/sa.pub --token-auth-file=pki/tokens.csv --authorization-mode=AlwaysAllow \
        --service-cluster-ip-range=203.0.113.0/24 --allow-privileged=true \
        --kubelet-preferred-address-types=InternalIP >log/kube-apiserver 2>&1 &
    until_true kubectl get --raw /readyz
    # the default root directory: remedies name it
    kubelet --config kubelet.yaml --kubeconfig kubeconfig --root-dir /var/lib/kubelet --hostname-override node1 \
        --node-ip 192.0.2.1 >log/kubelet 2>&1 &
    kube-scheduler --kubeconfig kubeconfig --leader-elect=false --cert-dir pki/scheduler >log/kube-scheduler 2>&1 &
    kube-controller-manager --kubeconfig kubeconfig --leader-elect=false --cert-dir pki/controllers \
        --use-service-account-credentials=false --service-account-private-key-file pki/sa.key >log/kube-controller-manager 2>&1 &
    until_true node_ready
    until_true kubectl get serviceaccount default
}
