# A history before the copy; after it everything is lost; what was put back tells the history,
# and the agents are connected again.
history() {
    wpkctl --json result --all | sed 's/"confirmation".*//' | sort
}
before() {
    case $1 in
    1)
        wpkctl upgrade 1,2 --file "$STAND/agent.wpk" --watch
        history > "$STAND/history"
        test "$(wc -l < "$STAND/history")" = 2
        ;;
    3)
        rm -rf "$STAND/var/lib/wpkd/etc" "$STAND/var/lib/wpkd/queue/channel" \
            "$STAND/var/lib/wpkd/var"
        rm "$STAND/etc/wpkd/wpkd.toml"
        ;;
    esac
}
after() {
    case $1 in
    2)
        # The copies made without a stop have all of it, too.
        for name in agents tasks; do
            test "$(sqlite3 "$STAND/root/$name.db" 'PRAGMA integrity_check')" = ok
        done
        ;;
    3)
        history | diff "$STAND/history" -
        await connected
        wpkctl upgrade 3 --file "$STAND/agent.wpk" --watch
        ;;
    esac
}
