#!/bin/sh
# The installer inside the demo's packages. The agent runs it in its own home
# folder, after it has unpacked the package into var/upgrade.
#
# It returns 0 at once and goes on in the background, because the installer of a
# real agent has to stop the very agent that waits for its answer. At its end it
# writes one digit: 0 upgraded, 1 a dependency is missing, 2 failed.
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
package=var/upgrade
backup=var/backup

if [ "${1-}" != "background" ]; then
    command -v setsid >/dev/null || exit 1
    mkdir -p logs
    # A session of its own: whatever becomes of the agent, the upgrade goes on.
    setsid "$0" background </dev/null >>logs/upgrade.log 2>&1 &
    exit 0
fi

# How often one was begun here is counted in its log.
echo "begun"

# The rename makes the digit and its newline appear at once.
report() {
    echo "result $1"
    printf '%s\n' "$1" >"$package/.result" && mv -f "$package/.result" "$package/upgrade_result"
    exit 0
}

# Each file is complete before it takes the place of the old one.
replace() {
    cp "$1" "$2.new" && chmod "$3" "$2.new" && mv -f "$2.new" "$2"
}

install_from() {
    replace "$1/rules.dat" share/rules.dat 640 &&
        replace "$1/sensor" bin/sensor 750 &&
        replace "$1/VERSION" VERSION 640
}

command -v sha1sum >/dev/null || report 1

rm -rf "$backup" && mkdir -p "$backup" &&
    cp -p bin/sensor share/rules.dat VERSION "$backup" || report 2

if install_from "$package" && [ "$(bin/sensor --version)" = "$(cat "$package/VERSION")" ]; then
    rm -rf "$backup"
    report 0
fi

echo "the new program does not run, so the old one comes back"
install_from "$backup" || echo "it could not be put back; it is in $backup"
report 2
