#!/bin/sh
# For installers that are shell scripts: background, lock, backups, roll back,
# one result. See ../README.md for the contract and the journal. Put this file
# into the WPK beside the installer, which then reads, for example:
#
#     #!/bin/sh
#     . "$(dirname "$0")/wpk-installer.sh"
#     wpk_begin "$@"                          # what follows runs in the background
#     wpk_require sha1sum                     # absent: result 1
#     wpk_put bin/sensor sensor               # target in the home, source in the package
#     wpk_put share/rules.dat rules.dat 640   # with a mode; else the old one, or 640
#     wpk_remove share/old-rules.dat
#     wpk_stop 30 service sensor stop         # seconds, command
#     wpk_start 30 service sensor start
#     wpk_health 20 bin/sensor --self-test    # seconds, command; may be repeated
#     wpk_end
#
# Needs flock, setsid, timeout, od, dd, and a shell whose test knows -ef and -O
# (dash, bash, ksh, busybox). The journal is that of the library: each of the
# two finishes what the other has begun. Names that begin with wpk_ are taken.

wpk_state=var/installer
wpk_result=var/upgrade/upgrade_result
wpk_reason_file=var/upgrade/upgrade_reason
wpk_reason=
wpk_tab=$(printf '\t')
wpk_number=0
wpk_plan=
wpk_sources=
wpk_checks=

# Called after each step; a script may redefine it.
wpk_step() { :; }

wpk_say() { echo "wpk-installer: $*" >&2; }

# A relative path of plain names.
wpk_plain() {
    case $1 in
    '' | /* | */ | *//* | . | .. | ./* | ../* | */. | */.. | */./* | */../*) return 1 ;;
    *[[:cntrl:]]*) return 1 ;;
    esac
}

# Whether $1 and all folders on the way to it are no links.
wpk_unlinked() {
    wpk_way=.
    wpk_rest=$1/
    while [ -n "$wpk_rest" ]; do
        wpk_way=$wpk_way/${wpk_rest%%/*}
        wpk_rest=${wpk_rest#*/}
        [ ! -L "$wpk_way" ] || return 1
    done
}

wpk_sync() { sync "$@" 2>/dev/null || sync; }

wpk_waiting() {
    [ -f "$wpk_result" ] && [ ! -L "$wpk_result" ] || return 1
    case $(dd if="$wpk_result" bs=16 count=1 2>/dev/null) in 0 | 1 | 2) ;; *) return 1 ;; esac
}

# Adds a line to the journal.
wpk_note() { printf '%s\n' "$1" >>"$wpk_state/journal" && wpk_sync "$wpk_state/journal"; }

# Goes to the background; the rest of the script runs there.
wpk_begin() {
    wpk_own=$(cd "$(dirname "$0")" && pwd -P) || exit 2
    cd "$wpk_own/../.." || exit 2
    wpk_home=$(pwd -P)
    umask 027
    if [ "${1-}" != wpk-background ]; then
        wpk_detach
    fi
    # Reached with the lock held, as descriptor 9.
    if [ -e "$wpk_state/previous" ] && ! wpk_settle "$wpk_state/previous"; then exit 2; fi
    if [ -e "$wpk_state/journal" ]; then
        wpk_read "$wpk_state/journal" || exit 2
        mv -f "$wpk_state/journal" "$wpk_state/previous" && rm -f "$wpk_state/result-$wpk_run" || exit 2
        wpk_step
    else
        rm -f "$wpk_state"/result-* "$wpk_state/finish" "$wpk_state"/*.new
    fi
    wpk_run=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    wpk_planned='' wpk_ready='' wpk_verdict='' wpk_restored=''
    rm -f "$wpk_reason_file"
    echo 2 >"$wpk_state/result-$wpk_run" && wpk_sync "$wpk_state/result-$wpk_run" || exit 2
    wpk_step
    cp "$wpk_own/wpk-installer.sh" "$wpk_state/finish.new" && chmod 700 "$wpk_state/finish.new" &&
        mv -f "$wpk_state/finish.new" "$wpk_state/finish" || exit 2
    printf 'wpk-installer\t1\t%s\n' "$wpk_run" >"$wpk_state/journal.new" &&
        wpk_sync "$wpk_state/journal.new" &&
        mv -f "$wpk_state/journal.new" "$wpk_state/journal" && wpk_sync "$wpk_state" || exit 2
    echo ready >&8
    exec 8>&-
    wpk_step
    if [ -e "$wpk_state/previous" ]; then
        wpk_mine=$wpk_run
        wpk_settle "$wpk_state/previous" || wpk_unsettled=1
        wpk_run=$wpk_mine wpk_planned='' wpk_ready='' wpk_verdict='' wpk_restored=''
        [ -z "${wpk_unsettled-}" ] || wpk_fail "the upgrade before cannot be brought to its end"
        wpk_step
    fi
}

# The part of the parent: locks, starts the script again, and ends.
wpk_detach() {
    for wpk_tool in flock setsid timeout od dd; do
        command -v "$wpk_tool" >/dev/null || { wpk_say "$wpk_tool is missing"; exit 2; }
    done
    wpk_unlinked "$wpk_state" && wpk_unlinked var/upgrade || { wpk_say "a folder is a link"; exit 2; }
    [ -d "$wpk_state" ] || mkdir -m 700 "$wpk_state" || exit 2
    [ -O "$wpk_state" ] && [ ! -L "$wpk_state/lock" ] || { wpk_say "$wpk_state is not ours"; exit 2; }
    exec 9>>"$wpk_state/lock" || exit 2
    flock -n 9 || { wpk_say "another installer is at work"; exit 75; }
    if [ "${0##*/}" != finish ] && wpk_waiting; then
        wpk_say "the result of the upgrade before was not delivered yet"
        exit 75
    fi
    wpk_log=/dev/null
    [ -d logs ] && wpk_unlinked logs/wpk-installer.log && wpk_log=logs/wpk-installer.log
    # The lock goes along; it is given back when the last one ends.
    wpk_answer=$(
        setsid "$wpk_own/${0##*/}" wpk-background 8>&1 3>&- 4>&- 5>&- 6>&- 7>&- \
            </dev/null >>"$wpk_log" 2>&1 &
    )
    [ "$wpk_answer" = ready ] || { wpk_say "it did not begin; $wpk_log says why"; exit 2; }
    exit 0
}

wpk_require() {
    command -v "$1" >/dev/null || { wpk_reason="$1 is missing"; wpk_say "$wpk_reason"; wpk_conclude 1; }
}

# Adds a target with the word for what becomes of it.
wpk_target() {
    wpk_plain "$2" && wpk_unlinked "$2" || wpk_fail "$2: no plain path inside the home without links"
    case $2 in "$wpk_state" | "$wpk_state"/* | "$wpk_result") wpk_fail "$2: not a target" ;; esac
    [ ! -e "$2" ] || [ -f "$2" ] || wpk_fail "$2: no plain file"
    wpk_plan="$wpk_plan$1$wpk_tab$wpk_number$wpk_tab$wpk_home$wpk_tab$2
"
}

wpk_put() {
    wpk_plain "$2" && wpk_unlinked "var/upgrade/$2" && [ -f "var/upgrade/$2" ] || wpk_fail "$2: not in the package"
    wpk_kind=add
    [ ! -e "$1" ] || wpk_kind=swap
    wpk_target "$wpk_kind" "$1"
    wpk_sources="$wpk_sources$wpk_number$wpk_tab$1$wpk_tab$2$wpk_tab${3-}
"
    wpk_number=$((wpk_number + 1))
}

wpk_remove() {
    [ -e "$1" ] || return 0
    wpk_target remove "$1"
    wpk_number=$((wpk_number + 1))
}

wpk_stop() { wpk_command stop "$@"; }
wpk_start() { wpk_command start "$@"; }

wpk_command() {
    wpk_line=
    for wpk_word in "$@"; do
        case $wpk_word in '' | *[[:cntrl:]]*) wpk_fail "a command with an empty word or control characters" ;; esac
        wpk_line="$wpk_line${wpk_line:+$wpk_tab}$wpk_word"
    done
    case $wpk_line in
    health*) wpk_checks="$wpk_checks$wpk_line
" ;;
    *) wpk_plan="$wpk_line
$wpk_plan" ;;
    esac
}

wpk_health() { wpk_command health "$@"; }

# Runs a line of tab-separated words, the second of which is a time limit.
wpk_call() {
    wpk_ifs=$IFS
    IFS=$wpk_tab
    set -f
    # Splitting is what is wanted.
    # shellcheck disable=SC2086
    set -- $1
    set +f
    IFS=$wpk_ifs
    wpk_limit=$2
    shift 2
    timeout -k 1 "$wpk_limit" "$@" </dev/null 9>&-
}

# Runs the journal's stop or start command, if it has one.
wpk_call_noted() {
    wpk_line=$(grep "^$2$wpk_tab" "$1" | tail -n 1)
    [ -z "$wpk_line" ] || wpk_call "$wpk_line"
}

# Does all that was asked for, and reports. Does not return.
wpk_end() {
    wpk_folders=
    wpk_missing() {
        case $1 in */*) ;; *) return 0 ;; esac
        [ ! -d "${1%/*}" ] || return 0
        wpk_missing "${1%/*}"
        set -- "${1%/*}"
        case "$wpk_folders" in *"$wpk_tab$1
"*) ;; *) wpk_folders="${wpk_folders}folder$wpk_tab$wpk_home$wpk_tab$1
" ;; esac
    }
    while IFS=$wpk_tab read -r wpk_n wpk_to wpk_from wpk_mode; do
        [ -z "$wpk_to" ] || wpk_missing "$wpk_to"
    done <<EOF
$wpk_sources
EOF
    wpk_note "${wpk_plan}${wpk_folders}planned" || wpk_fail "the journal cannot be written"
    wpk_planned=1
    wpk_step
    printf %s "$wpk_folders" | while IFS=$wpk_tab read -r wpk_word wpk_root wpk_path; do
        mkdir "$wpk_root/$wpk_path" || exit 1
    done || wpk_fail "a folder cannot be made"
    wpk_step
    while IFS=$wpk_tab read -r wpk_n wpk_to wpk_from wpk_mode; do
        [ -z "$wpk_to" ] || wpk_stage || wpk_fail "$wpk_to: cannot be staged"
    done <<EOF
$wpk_sources
EOF
    wpk_each "$wpk_state/journal" wpk_back_up || wpk_fail "not everything can be backed up"
    wpk_sync
    wpk_note ready || wpk_fail "the journal cannot be written"
    wpk_ready=1
    wpk_step
    wpk_call_noted "$wpk_state/journal" stop || wpk_fail "it cannot be stopped"
    wpk_step
    wpk_each "$wpk_state/journal" wpk_change || wpk_fail "not everything can be replaced"
    wpk_sync
    wpk_note changed || wpk_fail "the journal cannot be written"
    wpk_call_noted "$wpk_state/journal" start || wpk_fail "it cannot be started"
    wpk_step
    while read -r wpk_line; do
        [ -z "$wpk_line" ] || wpk_call "$wpk_line" || wpk_fail "not healthy: $wpk_line"
    done <<EOF
$wpk_checks
EOF
    wpk_step
    wpk_conclude 0
}

wpk_stage() {
    case $wpk_to in */*) wpk_folder=${wpk_to%/*} ;; *) wpk_folder=. ;; esac
    wpk_new=$wpk_folder/.wpk-$wpk_run-$wpk_n.new
    if [ -e "$wpk_to" ]; then
        # With the rights of the old one, then the content of the new one.
        cp -p "$wpk_to" "$wpk_new" && chmod u+w "$wpk_new" && cat "var/upgrade/$wpk_from" >"$wpk_new" || return 1
        [ -n "$wpk_mode" ] || wpk_mode=$(stat -c %a "$wpk_to") || return 1
    else
        cp "var/upgrade/$wpk_from" "$wpk_new" || return 1
    fi
    chmod "${wpk_mode:-640}" "$wpk_new" && wpk_sync "$wpk_new"
    wpk_status=$?
    wpk_step
    return $wpk_status
}

# Calls a function with the word, backup, new file and target of each entry.
wpk_each() {
    wpk_bad=0
    while IFS=$wpk_tab read -r wpk_word wpk_n wpk_root wpk_path; do
        case $wpk_word in swap | add | remove) ;; *) continue ;; esac
        wpk_plain "$wpk_path" || { wpk_bad=1; continue; }
        wpk_target_path=$wpk_root/$wpk_path
        wpk_beside=${wpk_target_path%/*}/.wpk-$wpk_run-$wpk_n
        "$2" "$wpk_word" "$wpk_beside.old" "$wpk_beside.new" "$wpk_target_path" || wpk_bad=1
        wpk_step
    done <"$1"
    return $wpk_bad
}

wpk_back_up() { [ "$1" = add ] || ln "$4" "$2" 2>/dev/null || cp -p "$4" "$2"; }

wpk_change() {
    case $1 in
    swap) mv -f "$3" "$4" ;;
    add) [ ! -e "$4" ] && mv "$3" "$4" ;;
    remove) rm -f "$4" ;;
    esac
}

wpk_restore() {
    case $1 in
    add) [ -e "$3" ] || rm -f "$4" ;;
    *) if [ "$2" -ef "$4" ]; then rm -f "$2"; elif [ -e "$2" ]; then mv -f "$2" "$4"; fi ;;
    esac
}

wpk_tidy() { rm -f "$2" "$3"; }

# Brings the old version back, as far as the journal says it was touched.
wpk_undo() {
    [ -n "$wpk_planned" ] && [ -z "$wpk_restored" ] || return 0
    if [ -n "$wpk_ready" ]; then
        wpk_call_noted "$1" stop || wpk_say "the stop command failed"
        wpk_each "$1" wpk_restore || return 1
        wpk_sync
        wpk_call_noted "$1" start || wpk_say "the start command failed"
    fi
    printf 'restored\n' >>"$1" || wpk_say "$1: cannot be written"
    wpk_step
}

# Removes what lies beside the targets, and after a roll back empty new folders.
wpk_clean() {
    wpk_each "$1" wpk_tidy || wpk_say "something is left beside the targets"
    [ "$2" != 0 ] || return 0
    grep "^folder$wpk_tab" "$1" | sort -r | while IFS=$wpk_tab read -r wpk_word wpk_root wpk_path; do
        ! wpk_plain "$wpk_path" || rmdir "$wpk_root/$wpk_path" 2>/dev/null
    done
    return 0
}

wpk_fail() {
    wpk_reason=$(printf %s "$*" | tr '\t' ' ')
    wpk_say "$*"
    wpk_conclude 2
}

# Decides, rolls back unless it is 0, reports once, and ends.
wpk_conclude() {
    wpk_decided=$1
    if [ -z "$wpk_verdict" ] && ! wpk_note "verdict$wpk_tab$1"; then
        # Whoever comes next could not know, and would roll back.
        [ "$1" != 0 ] || wpk_decided=2
    fi
    wpk_step
    wpk_back=0
    [ "$wpk_decided" = 0 ] || wpk_undo "$wpk_state/journal" || wpk_back=1
    [ $wpk_back = 1 ] || wpk_clean "$wpk_state/journal" "$wpk_decided"
    wpk_step
    wpk_digit=$wpk_state/result-$wpk_run
    if [ "$wpk_decided" != 0 ] && [ -n "$wpk_reason" ] && [ -e "$wpk_digit" ]; then
        # Where the disk is full it is told without.
        printf '%s\n' "$wpk_reason" >"$wpk_state/reason.new" && mv -f "$wpk_state/reason.new" "$wpk_reason_file"
        rm -f "$wpk_state/reason.new"
    fi
    if [ -e "$wpk_digit" ]; then
        # In place, so that a full disk does not matter.
        echo "$wpk_decided" | dd of="$wpk_digit" conv=notrunc 2>/dev/null && wpk_sync "$wpk_digit" || exit 2
        if wpk_waiting; then rm -f "$wpk_digit"; else mv -f "$wpk_digit" "$wpk_result" || exit 2; fi
        wpk_sync var/upgrade
        wpk_say "run $wpk_run ends with result $wpk_decided"
    fi
    wpk_step
    # With the journal in place the next start tries again.
    [ $wpk_back = 0 ] || { wpk_say "not everything could be brought back"; exit 2; }
    rm -f "$wpk_state/finish" "$wpk_state/journal"
    wpk_sync "$wpk_state"
    exit 0
}

# Reads how far a run came. A last line without its newline does not count.
wpk_read() {
    wpk_run='' wpk_planned='' wpk_ready='' wpk_verdict='' wpk_restored=''
    [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] || { wpk_say "$1 is not ours"; return 1; }
    while IFS=$wpk_tab read -r wpk_word wpk_one wpk_two; do
        case $wpk_word in
        wpk-installer) [ "$wpk_one" != 1 ] || wpk_run=$wpk_two ;;
        planned) wpk_planned=1 ;;
        ready) wpk_ready=1 ;;
        verdict) wpk_verdict=$wpk_one ;;
        restored) wpk_restored=1 ;;
        esac
    done <"$1"
    case $wpk_run in
    '' | *[!0-9a-fA-F]*) wpk_say "$1 is no journal of version 1"; return 1 ;;
    esac
    # What was cut off must not become part of the next line.
    [ -z "$(tail -c 1 "$1")" ] || echo >>"$1"
}

# Ends an unfinished run without a report.
wpk_settle() {
    wpk_read "$1" || return 1
    wpk_say "run $wpk_run was not finished"
    [ "$wpk_verdict" = 0 ] || wpk_undo "$1" || return 1
    wpk_clean "$1" "${wpk_verdict:-2}"
    rm -f "$wpk_state/result-$wpk_run" "$1"
}

# This file as var/installer/finish: ends what was killed, and reports it.
wpk_finish() {
    wpk_own=$(cd "$(dirname "$0")" && pwd -P) || exit 2
    cd "$wpk_own/../.." || exit 2
    umask 027
    [ "${1-}" = wpk-background ] || wpk_detach
    echo ready >&8
    exec 8>&-
    [ ! -e "$wpk_state/previous" ] || wpk_settle "$wpk_state/previous" || exit 2
    [ -e "$wpk_state/journal" ] || exit 0
    wpk_read "$wpk_state/journal" || exit 2
    [ -n "$wpk_verdict" ] || wpk_reason="the installer was killed, or the machine went down, before its end"
    wpk_conclude "${wpk_verdict:-2}"
}

case $0 in */var/installer/finish | var/installer/finish) wpk_finish "$@" ;; esac
