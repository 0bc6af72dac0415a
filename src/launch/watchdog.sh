# Kills sandboxes when descriptor 3, whose other end is their caller's, comes to its end. It runs in the background of the shell
# that was started, so it is no child of the caller's.
#
# A line tells of a sandbox: SLOT TREE MONITOR BEGAN CHILD BEGAN. What was in the slot before is forgotten. A process is killed only
# if it began when the line says so: another one may have its number by now. Nothing of a line is ever executed.
cd /
# it ends after its caller, whatever others of the caller's service are asked to do
trap '' HUP INT QUIT TERM

# Sets `state`, `parent` and `began` of the process or thread in the directory $1 of /proc. Its name may be anything, but no parenthesis
# follows it.
look_at() {
    numbers=
    while IFS= read -r line; do numbers=${line##*) }; done <"$1/stat"
    set -- $numbers
    state=${1-} parent=${2-} began=${20-}
}

# Stops process $1 and adds it to `new`, if that was not done for this sandbox before.
stop() {
    case $1 in '' | *[!0-9]*) return ;; esac
    eval "known=\${slot_of_$1-}"
    [ "$known" != "$count" ] || return
    eval "slot_of_$1=\$count"
    kill -STOP "$1"
    new="$new $1"
}

# Stops the children of process $1. A number that the parent has waited for since it was listed may be another's.
stop_children() {
    for list in /proc/"$1"/task/*/children; do
        children=
        read -r children <"$list"
        for child in $children; do
            look_at "/proc/$child"
            [ "$parent" != "$1" ] || stop "$child"
        done
    done
}

# Whether a thread of process $1 has not stopped yet. Who waits for the child of a vfork(2) has made it already (D).
is_moving() {
    for thread in /proc/"$1"/task/*; do
        look_at "$thread"
        case $state in '' | [DTtZXx]) ;; *) return 0 ;; esac
    done
    return 1
}

# Kills process $1 and all that descends from it. No function calls itself: shells allow that to a depth only, and end then.
fell() {
    all= new=
    stop "$1"
    while [ -n "$new" ]; do
        fresh=$new all="$all$new" new=
        for process in $fresh; do stop_children "$process"; done
    done
    # who was in the middle of a fork(2) makes its child all the same, and stands still then
    fresh=$all patience=2000
    while [ -n "$fresh" ]; do
        for process in $fresh; do
            while [ "$patience" -gt 0 ] && is_moving "$process"; do patience=$((patience - 1)); done
            stop_children "$process"
        done
        fresh=$new all="$all$new" new=
    done
    for process in $all; do kill -KILL "$process"; done
}

# Kills what is in the slots, whose trees are looked for if $1 is 1, and else those that end with their first process.
end() {
    count=$slots
    while [ "$count" -gt 0 ]; do
        count=$((count - 1))
        eval "set -- $1 \${entry$count-}"
        [ $# = 6 ] && [ "$1" = "$2" ] || continue
        look_at "/proc/$5"
        if [ "$began" = "$6" ]; then
            if [ "$1" = 1 ]; then fell "$5"; else kill -KILL "$5"; fi
        fi
        look_at "/proc/$3"
        if [ "$began" = "$4" ]; then kill -KILL "$3"; fi
    done
}

watch() {
    slots=0
    while read -r slot entry <&3; do
        case $slot in '' | *[!0-9]*) continue ;; esac
        eval "entry$slot=\$entry"
        [ "$slot" -lt "$slots" ] || slots=$((slot + 1))
    done
    # one signal each, and nobody who meddles with a tree keeps them from it
    end 0
    end 1
}

watch &
echo $! >&3
