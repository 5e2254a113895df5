//! Making a package: merge, gzip, sign (section 8). The output is written to
//! a temporary file, synced, and renamed into place, so that a repository
//! never shows half a package. Equal input gives an equal payload.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};

use crate::digest::{BUFFER, Hashing, fingerprints};
use crate::error::{BuildError, PackageError};
use crate::file::{FileError, parent_of};
use crate::limits::Limits;
use crate::merged::TAG_LIMIT;
use crate::name::{self, NameError, NameSet};
use crate::reader::{MAGIC, SIGNATURE};
use crate::signer::Signer;

/// A file to pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in the package: relative, no `..`.
    pub name: PathBuf,
    /// Where it is.
    pub path: PathBuf,
}

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Text of the `#TAG` line; none by default.
    pub tag: Option<String>,
    /// gzip level, 0 (store) to 9 (smallest). Default 6.
    pub level: u32,
    /// What agents accept; a package beyond it is not built.
    pub limits: Limits,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            tag: None,
            level: 6,
            limits: Limits::default(),
        }
    }
}

/// A package that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Size in bytes.
    pub size: u64,
    /// SHA-1 of the file, for a `versions` line; 40 hex digits.
    pub sha1: String,
    /// SHA-256 of the file; 64 hex digits.
    pub sha256: String,
    /// Number of files packed.
    pub entries: usize,
}

/// Every file below `folder`, named by its path from there, sorted by name.
///
/// # Errors
/// Stage [`Build`](crate::Stage::Build): unreadable folders, links, and
/// anything else that is neither file nor folder.
pub fn collect_folder(folder: &Path) -> Result<Vec<Source>, PackageError> {
    let limits = Limits::default();
    let mut sources = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        let path = folder.join(&inside);
        let fail = |e| PackageError::build(folder, FileError::new("read", &path, e));
        for item in fs::read_dir(&path).map_err(fail)? {
            let item = item.map_err(fail)?;
            let name = inside.join(item.file_name());
            let kind = item.file_type().map_err(fail)?;
            if kind.is_dir() {
                open.push(name);
            } else if kind.is_file() {
                sources.push(Source {
                    name,
                    path: item.path(),
                });
            } else {
                let path = item.path().display().to_string();
                return Err(PackageError::build(folder, BuildError::NotAFile { path }));
            }
            if sources.len().max(open.len()) > limits.entries {
                let limit = limits.entries as u64;
                let error = BuildError::TooMuch {
                    what: "entries",
                    limit,
                };
                return Err(PackageError::build(folder, error));
            }
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

/// Packs `sources`, sorted by name, signs the package and puts it at `out`
/// (mode 0644, replacing a file of that name).
///
/// # Errors
/// Stage [`Build`](crate::Stage::Build); `out` is then as it was.
pub fn build(
    sources: &[Source],
    signer: &Signer,
    out: &Path,
    options: &BuildOptions,
) -> Result<Built, PackageError> {
    build_inner(sources, signer, out, options).map_err(|error| PackageError::build(out, error))
}

fn build_inner(
    sources: &[Source],
    signer: &Signer,
    out: &Path,
    options: &BuildOptions,
) -> Result<Built, BuildError> {
    let sources = checked(sources, options)?;
    let folder = parent_of(out);
    let mut temp = tempfile::Builder::new()
        .prefix(".wpk-")
        .tempfile_in(folder)
        .map_err(|e| FileError::new("create a file in", folder, e))?;
    let failed = |action| move |e: std::io::Error| FileError::new(action, out, e);

    let certificates = signer.certificates_pem();
    let file = temp.as_file_mut();
    let head = [MAGIC, certificates.as_bytes(), &[0], &[0; SIGNATURE]].concat();
    file.write_all(&head).map_err(failed("write"))?;
    let digest = write_payload(file, &sources, out, options)?;
    let place = SeekFrom::Start((head.len() - SIGNATURE) as u64);
    file.seek(place).map_err(failed("seek in"))?;
    file.write_all(&signer.sign(&digest)?)
        .map_err(failed("write"))?;

    file.rewind().map_err(failed("seek in"))?;
    let (size, sha1, sha256) = fingerprints(&mut *file).map_err(failed("read"))?;
    // Public by nature: a web server under another user hands it out.
    file.set_permissions(Permissions::from_mode(0o644))
        .map_err(failed("set the mode of"))?;
    file.sync_all().map_err(failed("sync"))?;
    temp.persist(out)
        .map_err(|e| FileError::new("create", out, e.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| FileError::new("sync", folder, e))?;
    Ok(Built {
        size,
        sha1,
        sha256,
        entries: sources.len(),
    })
}

/// Sorted and held against the rules that the reader applies.
fn checked(sources: &[Source], options: &BuildOptions) -> Result<Vec<Source>, BuildError> {
    let limits = &options.limits;
    if sources.is_empty() {
        return Err(BuildError::Empty);
    }
    if sources.len() > limits.entries {
        return Err(BuildError::TooMuch {
            what: "entries",
            limit: limits.entries as u64,
        });
    }
    if options.level > 9 {
        return Err(BuildError::Level {
            level: options.level,
        });
    }
    if options
        .tag
        .as_ref()
        .is_some_and(|tag| tag.len() > TAG_LIMIT || tag.contains(['\n', '\0']))
    {
        return Err(BuildError::Tag { limit: TAG_LIMIT });
    }
    let mut names = NameSet::new(limits.entries);
    let mut sorted = Vec::with_capacity(sources.len());
    for source in sources {
        let bad = |error| match error {
            NameError::TooManyFolders { limit } => BuildError::TooMuch {
                what: "folders",
                limit: limit as u64,
            },
            error => BuildError::Name {
                path: source.path.display().to_string(),
                source: error,
            },
        };
        let name = name::parse(source.name.as_os_str().as_bytes(), limits.name).map_err(bad)?;
        names.add(&name).map_err(bad)?;
        sorted.push(Source {
            name,
            path: source.path.clone(),
        });
    }
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sorted)
}

/// Writes the gzip stream and answers its SHA-256.
fn write_payload(
    file: &mut File,
    sources: &[Source],
    out: &Path,
    options: &BuildOptions,
) -> Result<[u8; 32], BuildError> {
    let failed = |e: std::io::Error| BuildError::from(FileError::new("write", out, e));
    let hashing = Hashing::new(std::io::BufWriter::with_capacity(BUFFER, file));
    // No name and no time in the gzip header: equal input, equal payload.
    let mut gzip = GzBuilder::new().write(hashing, Compression::new(options.level));
    let mut total: u64 = 0;
    let mut room = |bytes: u64| {
        total = total.saturating_add(bytes);
        let limit = options.limits.unpacked;
        if total > limit {
            Err(BuildError::TooMuch {
                what: "bytes",
                limit,
            })
        } else {
            Ok(())
        }
    };
    if let Some(tag) = &options.tag {
        let line = format!("#{tag}\n");
        room(line.len() as u64)?;
        gzip.write_all(line.as_bytes()).map_err(failed)?;
    }
    for source in sources {
        let (input, size) = open_source(&source.path)?;
        let mut header = format!("!{size} ").into_bytes();
        header.extend_from_slice(source.name.as_os_str().as_bytes());
        header.push(b'\n');
        room(size.saturating_add(header.len() as u64))?;
        gzip.write_all(&header).map_err(failed)?;
        copy_source(input, size, source, &mut gzip, &failed)?;
    }
    let (mut writer, digest, _) = gzip.finish().map_err(failed)?.finish();
    writer.flush().map_err(failed)?;
    Ok(digest)
}

fn open_source(path: &Path) -> Result<(File, u64), BuildError> {
    // Not blocking: the open of a pipe would wait for a writer for ever.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|e| FileError::new("open", path, e))?;
    let meta = file
        .metadata()
        .map_err(|e| FileError::new("inspect", path, e))?;
    if !meta.is_file() {
        return Err(BuildError::NotAFile {
            path: path.display().to_string(),
        });
    }
    Ok((file, meta.len()))
}

/// Copies exactly the `size` bytes that the header promised.
fn copy_source(
    mut input: File,
    size: u64,
    source: &Source,
    out: &mut impl Write,
    failed: &dyn Fn(std::io::Error) -> BuildError,
) -> Result<(), BuildError> {
    let mut buffer = vec![0; BUFFER];
    let mut copied: u64 = 0;
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(FileError::new("read", &source.path, e).into()),
        };
        copied += n as u64;
        if copied > size {
            break;
        }
        out.write_all(buffer.get(..n).unwrap_or_default())
            .map_err(failed)?;
    }
    if copied == size {
        Ok(())
    } else {
        Err(BuildError::Changed {
            path: source.path.display().to_string(),
        })
    }
}
