# Stands in for bwrap. What comes before this sets `dir`, `version` and `PATH`, and the options that this version has, by how many
# words they take: `none`, `one`, `two`, `three`, each with a blank before and after every name.
LC_ALL=C
case ${1-} in
--help) cat "$dir/help"; exit 0 ;;
--version) echo "bubblewrap $version"; exit 0 ;;
esac
ulimit -c 0

prefix='' status='' block='' info='' namespaces='' filters=()
die() { printf '%sbwrap: %s\n' "$prefix" "$1" >&2; exit 1; }
unshare() { [[ $namespaces == *" $1 "* ]] || namespaces="$namespaces $1 "; }

# --- what is asked for ---------------------------------------------------------------

words=()
# started by the launcher it has no environment, and what is inherited is nothing
IFS= read -r -d '' first <"/proc/$$/environ" || words+=(--clearenv)
while (($#)) && [[ $1 == --args ]]; do
    while IFS= read -r -d '' word || [[ $word ]]; do words+=("$word"); done <&"$2"
    eval "exec $2<&-"
    shift 2
done
words+=("$@")
count=${#words[@]} at=0
while ((at < count)); do
    word=${words[at]} value=${words[at + 1]-}
    case $word in
    --) ((at++)); break ;;
    --json-status-fd) status=$value ;;
    --block-fd) block=$value ;;
    --info-fd) info=$value ;;
    --seccomp | --add-seccomp-fd) filters+=("$value") ;;
    --level-prefix) prefix='<3>' ;;
    --unshare-all) for kind in cgroup ipc net pid uts; do unshare "$kind"; done ;;
    --share-net) namespaces=${namespaces/ net /} ;;
    --unshare-user*) ;;
    --unshare-*) kind=${word#--unshare-}; unshare "${kind%-try}" ;;
    esac
    if [[ $word == --debug-opt=* ]]; then word=--debug-opt; fi
    if [[ $none == *" $word "* ]]; then ((at += 1))
    elif [[ $one == *" $word "* ]]; then ((at += 2))
    elif [[ $two == *" $word "* ]]; then ((at += 3))
    elif [[ $three == *" $word "* ]]; then ((at += 4))
    elif [[ $word == -* ]]; then die "Unknown option $word"
    else break
    fi
done
if ((at >= count)); then
    cat "$dir/help" >&2
    exit 1
fi

# the next free number; that file only says where to begin to look
launch=0
if [[ -e $dir/next ]]; then read -r launch <"$dir/next" || :; fi
until mkdir "$dir/launches/${launch:=0}" 2>/dev/null; do ((launch++)); done
echo $((launch + 1)) >"$dir/next"
launch=$dir/launches/$launch
printf '%s\0' "${words[@]}" >"$launch/new" && mv "$launch/new" "$launch/words"

# --- what happens --------------------------------------------------------------------

. "$dir/outcome"
# Sleeps, without a process that would live on if this one is killed.
nap() { read -rt "$1" -u "$silence" || :; }
exec {silence}<> <(:)
# Hangs, for as long as there is anybody whom that may interest.
hang() { while kill -0 "$PPID" 2>/dev/null && kill -0 $$ 2>/dev/null; do nap 0.2; done; exit 137; }
reach() {
    [[ $stage == "$1" ]] || return 0
    case $what in
    fails) die "$words" ;;
    hangs) hang ;;
    dies) kill -"$number" $$; hang ;;
    esac
}

report() {
    local line="\"child-pid\": $1" inode=4026532000 kind between=$2
    for kind in cgroup ipc mnt net pid uts; do
        ((inode++))
        if [[ $kind == mnt || $namespaces == *" $kind "* ]]; then line+=",$between\"$kind-namespace\": $inode"; fi
    done
    printf '%s' "$line"
}

inside() {
    # (what stands in parentheses has a number of its own)
    local self=$BASHPID
    if [[ $info ]]; then printf '{\n    %s\n}\n' "$(report "$self" $'\n    ')" >&"$info"; fi
    if [[ $status ]]; then
        printf '{ %s }\n' "$(report "$self" ' ')" >&"$status"
        eval "exec $status>&-"
    fi
    reach set-up
    if [[ $block ]]; then
        IFS= read -r -N 1 -u "$block" _ || :
        eval "exec $block<&-"
    fi
    reach execute
    local filter
    for filter in "${filters[@]}"; do
        # a gate that nobody opened
        if (($(wc -c <&"$filter") == 0)); then
            die 'Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)'
        fi
    done
    : >"$launch/ran"
    reach run
    cat "$dir/stdout"
    cat "$dir/stderr" >&2
    if [[ $seconds != 0 ]]; then nap "$seconds"; fi
    exit "$number"
}

reach start
inside <&0 &
child=$!
if [[ $block ]]; then eval "exec $block<&-"; fi
# the shell's own words about a child that was killed are nobody's
exec 2>/dev/null
wait "$child"
code=$?
if [[ $status && -e $launch/ran ]]; then printf '{ "exit-code": %d }\n' "$code" >&"$status"; fi
exit "$code"
