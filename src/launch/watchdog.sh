# Kills sandboxes when descriptor 3, whose other end is their caller's, comes to its end. It runs in the background of the shell
# that was started, so it is no child of the caller's.
#
# A line tells of a sandbox: SLOT TREE MONITOR BEGAN CHILD BEGAN. What was in the slot before is forgotten. A process is killed only
# if it began when the line says so: another one may have its number by now. Nothing of a line is ever executed.

# what is mounted at /proc later, or is no more, changes nothing for it
cd /proc || exit
# it ends after its caller, whatever others of the caller's service are asked to do
trap '' HUP INT QUIT TERM

# Sets `state`, `parent` and `began` of the process or thread in the directory $1. Its name may be anything, but no parenthesis
# follows it.
look_at() {
    numbers=
    while IFS= read -r line; do numbers=${line##*) }; done <"$1/stat"
    set -- $numbers
    state=${1-} parent=${2-} began=${20-}
}

# Stops process $1 and adds it to `new`, if that was not done this time.
stop() {
    case $1 in '' | *[!0-9]*) return ;; esac
    eval "known=\${mark_of_$1-}"
    [ "$known" != "$mark" ] || return
    eval "mark_of_$1=\$mark"
    kill -STOP "$1"
    new="$new $1"
}

# Stops the children of process $1. A number that the parent has waited for since it was listed may be another's.
stop_children() {
    for list in "$1"/task/*/children; do
        children=
        read -r children <"$list"
        for child in $children; do
            look_at "$child"
            [ "$parent" != "$1" ] || stop "$child"
        done
    done
}

# Whether a thread of process $1 has not stopped yet. `unknown` is at how many moments in a row nobody has said where one waits, `asked` the
# last of them.
is_moving() {
    for thread in "$1"/task/*; do
        look_at "$thread"
        case $state in
        '' | [TtZXx]) ;;
        D) waits_for_vfork "$thread" || return 0 ;;
        *) unknown=0 && return 0 ;;
        esac
    done
    return 1
}

# Whether the thread in the directory $1, which no signal stops (D), waits for the child of a vfork(2): it has made that already. In the
# middle of a fork(2) it may wait for its own memory, which others look at. Nobody says where a thread is that runs again by now; where
# nobody ever says, it waits for a child.
waits_for_vfork() {
    place=
    read -r place <"$1/wchan"
    case $place in
    *vfork* | *kernel_clone* | *do_fork*) return 0 ;;
    '' | 0)
        [ "$now" = "${asked:-none}" ] || unknown=$((unknown + 1)) asked=$now
        [ "$unknown" -gt 3 ]
        ;;
    *) unknown=0 && return 1 ;;
    esac
}

# Kills process $1 and all that descends from it. No function calls itself: shells allow that to a depth only, and end then. What makes
# more of them as fast as they are stopped is given up after $2 hundredths of a second, stopped as it is by then.
fell() {
    # hundredths of a second, too: on a busy machine a process stops when its turn comes, and what never does is killed at last
    mark=$((mark + 1)) all= new= patience=1000
    look_at_clock
    begin=$now
    stop "$1"
    while [ -n "$new" ]; do
        fresh=$new all="$all$new" new=
        for process in $fresh; do
            stop_children "$process"
            is_late "$2" && return 1
        done
    done
    # who was in the middle of a fork(2) makes its child all the same, and stands still then
    fresh=$all
    while [ -n "$fresh" ]; do
        for process in $fresh; do
            unknown=0 asked=
            while [ "$patience" -gt 0 ] && is_moving "$process"; do
                before=$now
                is_late "$2" && return 1
                [ "${now:-none}" = "$before" ] || patience=$((patience - 1))
            done
            stop_children "$process"
            is_late "$2" && return 1
        done
        fresh=$new all="$all$new" new=
    done
    for process in $all; do kill -KILL "$process"; done
}

# Sets `now`, in hundredths of a second; to nothing where /proc is without a clock, and looks count then.
look_at_clock() {
    now=
    read -r now rest <uptime
    now=${now%.*}${now#*.}
}

# Whether more time than $1 has passed since `begin`.
is_late() {
    look_at_clock
    [ $((now - begin)) -gt "$1" ]
}

# Kills what is in slot $2: at first ($1 is 0) what one signal ends, then whole trees. Fails if that takes longer than $3.
end() {
    limit=$3
    eval "set -- $1 \${entry$2-}"
    [ $# = 6 ] && [ "$1" -ge "$2" ] || return 0
    look_at "$5"
    if [ "$began" = "$6" ]; then
        case $1$2$state in
        0*) kill -KILL "$5" ;;
        10[ZXx]) ;;
        # who traces process 1 holds up its end, and with that everybody's below it
        *) fell "$5" "$limit" || return ;;
        esac
    fi
    look_at "$3"
    if [ "$began" = "$4" ]; then kill -KILL "$3"; fi
    return 0
}

watch() {
    slots= mark=0
    while read -r slot entry <&3; do
        case $slot in '' | *[!0-9]*) continue ;; esac
        eval "known=\${entry$slot-}"
        [ -n "$known" ] || slots="$slots $slot"
        eval "entry$slot=\$entry"
    done
    # one signal each, and nobody who meddles with a tree keeps them from it
    for slot in $slots; do end 0 "$slot" 0; done
    # nor one tree the others, however it is meddled with: it has its turn again after them
    time=20
    while [ -n "$slots" ]; do
        late=
        for slot in $slots; do end 1 "$slot" "$time" || late="$late $slot"; done
        slots=$late time=$((time * 2))
    done
}

watch &
# $1 is the caller, whom it has to see and may signal, to do its work
look_at "$1"
kill -0 "$1" || began=
echo "$! $began" >&3
