# shellcheck shell=bash
# What a node runs, compiled from pinned Go modules, by C from two small files of ours, and from Debian.
# Kept in $WORK/bin-KEY, where KEY stands for everything that it is made from.

containerd_tags="no_btrfs no_aufs no_zfs no_devmapper urfave_cli_no_docs"
crio_tags="containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper seccomp"

# The directory of the executables, present or not.
bin_dir() {
    local key
    key=$(cd "$HERE" && { cat {kubernetes,containerd,crio}/go.{mod,sum} kubernetes/main.go pinns.c pause.c; echo "$containerd_tags $crio_tags"; } | sha256sum)
    echo "$WORK/bin-${key:0:16}"
}

# Caches of our own, which whoever removes $WORK can remove.
go_here() {
    export GOCACHE=$WORK/go-build GOMODCACHE=$WORK/go-mod GOTOOLCHAIN=local
    export GOFLAGS="-modcacherw -buildvcs=false ${GOFLAGS:-}"
}

# Whether the modules are there, or come.
fetched() (
    go_here
    for module in kubernetes containerd crio; do
        tools=(tool)
        [ "$module" != kubernetes ] || tools=(.)
        (cd "$HERE/$module" && timeout 300 go list -deps "${tools[@]}") || exit 1
    done
) >/dev/null 2>&1

built() { [ -e "$(bin_dir)/complete" ]; }

build() {
    local bin new began=$SECONDS
    bin=$(bin_dir) new=$(bin_dir).new
    if built; then return; fi
    mkdir -p "$WORK"
    exec 9>"$WORK/lock"
    flock 9 # two tests at once build once
    if built; then exec 9>&-; return; fi
    say "building Kubernetes, containerd, runc and CRI-O: about a quarter of an hour on two cores"
    mkdir -p "$new"
    go_here
    local flags=(-trimpath "-ldflags=-s -w" -o "$new/") version
    # containerd and the plugins are pure Go; runc and CRI-O need C (libseccomp)
    (
        cd "$HERE/containerd"
        go list tool | grep -v /runc$ | CGO_ENABLED=0 xargs go build "${flags[@]}" -tags "$containerd_tags"
        CGO_ENABLED=1 go build "${flags[@]}" -tags seccomp github.com/opencontainers/runc
    )
    say "containerd and runc: $((SECONDS - began)) s"
    version=$(cd "$HERE/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
    (cd "$HERE/kubernetes" && CGO_ENABLED=0 go build "${flags[@]/-w/-w -X k8s.io/component-base/version.gitVersion=$version}" .)
    for component in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl; do
        ln -sf kubernetes "$new/$component"
    done
    say "and Kubernetes: $((SECONDS - began)) s"
    (cd "$HERE/crio" && CGO_ENABLED=1 go build "${flags[@]}" -tags "$crio_tags" tool)
    say "and CRI-O: $((SECONDS - began)) s"
    cc -O2 -Wall -o "$new/pinns" "$HERE/pinns.c"
    cc -O2 -Wall -static -o "$new/pause" "$HERE/pause.c"
    echo "$((SECONDS - began)) s" >"$new/complete"
    rm -rf "$bin"
    mv "$new" "$bin"
    exec 9>&-
}
