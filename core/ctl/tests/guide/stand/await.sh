# Asks until it is so, half a minute at most.
await() {
    end=$(($(date +%s) + 30))
    until "$@"; do
        test "$(date +%s)" -lt "$end" || { echo "waited in vain for: $*"; return 1; }
        sleep 0.1
    done
}
