# A release that an example before denied is another one's.
before() {
    test "$1" != 7 || wpkctl release allow v4.14.7
}
