#!/bin/sh
# The program that the demo upgrades. It tells its version, but only beside the
# rules it was shipped with.
PATH=/usr/bin:/bin
rules=$(dirname "$0")/../share/rules.dat
found=$(sha1sum <"$rules" | cut -d ' ' -f 1)
if [ "$found" != "@RULES@" ]; then
    echo "sensor @VERSION@: $rules does not belong to this program" >&2
    exit 1
fi
echo "@VERSION@"
