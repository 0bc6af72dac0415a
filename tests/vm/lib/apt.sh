# Debian suites other than the host's own, from whatever mirror the host's apt
# is configured with: no mirror is named here. Sourced by ../vm.
# shellcheck shell=bash disable=SC2016

# The address of the host's main archive, or of its "-security" one.
mirror_of() {
    local suite
    suite=$(. /etc/os-release && printf '%s%s' "${VERSION_CODENAME:?}" "${1:-}")
    apt-get indextargets --format '$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT)' |
        awk -v s="$suite" '$1 == "Packages" && $3 == s && $4 == "main" && !n++ { print $2 }'
}

sources_for() {
    local main sec
    main=$(mirror_of); sec=$(mirror_of -security)
    [ -n "$main" ] || die "apt names no Debian mirror (run 'apt-get update' first)"
    printf 'deb %s %s main\n' "$main" "$1"
    case $1 in
        sid | *-backports) ;; # no security archive of their own
        *) [ -z "$sec" ] || printf 'deb %s %s-security main\n' "$sec" "$1" ;;
    esac
}

# apt_in SUITE COMMAND...: an apt tool with a state of its own that knows SUITE
# only. The host's package lists stay as they are.
apt_in() {
    local suite=$1 root=$WORK/apt/$1; shift
    locked "apt-$suite" apt_state "$suite" "$root" || return
    APT_CONFIG=$root/apt.conf "$@"
}

apt_state() {
    local suite=$1 root=$2
    [ ! -e "$root/ready" ] || return 0
    mkdir -p "$root"/{etc/{sources.list.d,apt.conf.d,preferences.d},lists/partial,cache/archives/partial}
    cat >"$root/apt.conf" <<CONF
Dir::Etc "$root/etc";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Dir::State "$root";
Dir::State::lists "$root/lists";
Dir::State::status "$root/status";
Dir::Cache "$root/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::GzipIndexes "true";
Acquire::Check-Valid-Until "false";
APT::Architecture "$ARCH";
APT::Architectures { "$ARCH"; };
APT::Sandbox::User "root";
CONF
    : >"$root/status"
    sources_for "$suite" >"$root/etc/sources.list"
    APT_CONFIG=$root/apt.conf apt-get -qq update --error-on=any >&2 || die "apt-get update failed for $suite"
    touch "$root/ready"
}
