//! The bounds on everything a package states about itself. Whoever opens a
//! package chooses them once; every stage holds the package against them.

/// Upper bounds for one package. `Default` gives the values of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the certificate block, all certificates together. Default 64 KiB.
    pub certificate: usize,
    /// Files in the package; also the number of distinct folders. Default 20,000.
    pub entries: usize,
    /// Bytes of one entry's name, folders included. Default 1,024.
    pub name: usize,
    /// Bytes of the unzipped ("merged") content. Default 2 GiB.
    pub unpacked: u64,
    /// Bytes of the compressed part; checked where a package arrives as a
    /// stream and must be put on disk. Default 2 GiB.
    pub packed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            certificate: 64 * 1024,
            entries: 20_000,
            name: 1_024,
            unpacked: 2 * 1024 * 1024 * 1024,
            packed: 2 * 1024 * 1024 * 1024,
        }
    }
}
