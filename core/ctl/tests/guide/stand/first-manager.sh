# The page starts a manager that does not run yet, and goes on with the CA when all are ready;
# not so with its last step, for which they may take a minute.
before() {
    case $1 in
    1) systemctl stop wpkd ;;
    5) await ready ;;
    esac
}
ready() {
    wpkctl --json agent ca | grep -q '"behind_count":0'
}
