# Kills sandboxes when descriptor 3, whose other end is their caller's, comes to its end. It runs in the background of the shell
# that was started, so it is no child of the caller's.
#
# A line tells of a sandbox: SLOT TREE MONITOR BEGAN CHILD BEGAN. What was in the slot before is forgotten. A process is killed only
# if it began when the line says so: another one may have its number by now. Nothing of a line is ever executed.
cd /
# it ends after its caller, whatever others of the caller's service are asked to do
trap '' HUP INT QUIT TERM

# Sets `began` to when process $1 began. Its name may be anything, but no parenthesis follows it.
look_at() {
    began=
    while IFS= read -r line; do began=${line##*) }; done <"/proc/$1/stat"
    set -- $began
    began=${20-}
}

# Kills process $1 and all that descends from it. Who is stopped makes no more of them.
fell() {
    kill -STOP "$1"
    for list in /proc/"$1"/task/*/children; do
        read -r children <"$list"
        for child in $children; do fell "$child"; done
    done
    kill -KILL "$1"
}

watch() {
    count=0
    while read -r slot entry <&3; do
        case $slot in '' | *[!0-9]*) continue ;; esac
        eval "entry$slot=\$entry"
        [ "$slot" -lt "$count" ] || count=$((slot + 1))
    done
    while [ "$count" -gt 0 ]; do
        count=$((count - 1))
        eval "set -- \${entry$count-}"
        [ $# = 5 ] || continue
        look_at "$4"
        if [ "$began" = "$5" ]; then
            if [ "$1" = 1 ]; then fell "$4"; else kill -KILL "$4"; fi
        fi
        look_at "$2"
        if [ "$began" = "$3" ]; then kill -KILL "$2"; fi
    done
}

watch &
echo $! >&3
