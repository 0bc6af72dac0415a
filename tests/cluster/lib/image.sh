# shellcheck shell=bash
# The image of the pods: bwrap, a shell, some tools, and the programs of the payload, each with the libraries of this machine.

# NAME TAR [PROGRAM...]
executor_image() {
    local name=$1 tar=$2
    shift 2
    {
        printf '/bin\t->usr/bin\n/lib\t->usr/lib\n/lib64\t->usr/lib64\n/sbin\t->usr/sbin\n'
        local d
        for d in proc dev sys etc run root home var usr/local; do printf '/%s\t/\n' "$d"; done
        printf '/tmp\t/t\n/usr/bin/sh\t->bash\n'
        printf '/etc/passwd\t=root:x:0:0:root:/root:/bin/bash\\nzuul:x:10001:10001::/home:/bin/bash\\n\n'
        printf '/etc/group\t=root:x:0:\\nzuul:x:10001:\\n\n'
        for d in bwrap bash ps sleep cat id ls mkdir mount grep true env; do program "$(type -P "$d")"; done
        for d; do program "$d"; done
    } | python3 "$HERE/image.py" "$name" "$tar" sleep infinity
}

program() {
    local real library
    real=$(readlink -f "$1")
    printf '/usr/bin/%s\t%s\n' "${1##*/}" "$real"
    { ldd "$real" 2>/dev/null || :; } | grep -oE '/[^ ]+' | while read -r library; do
        printf '/usr%s\t%s\n' "${library#/usr}" "$(readlink -f "$library")"
    done || :
}
