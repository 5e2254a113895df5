# The page starts a manager that does not run yet.
before() {
    test "$1" != 1 || systemctl stop wpkd
}
