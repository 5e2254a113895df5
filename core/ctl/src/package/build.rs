//! `wpkctl package build`.

use std::path::Path;

use serde_json::json;
use wpk_package::{BuildOptions, Signer, Source, build, collect_folder};

use super::args::BuildArgs;
use super::certificates::{describe, object};
use crate::error::CtlError;
use crate::output::{Ending, Output};

pub(super) fn run(args: &BuildArgs, out: &Output) -> Result<Ending, CtlError> {
    let signer = Signer::load(&args.key, &args.cert)?;
    let mut sources = Vec::new();
    for path in &args.sources {
        sources.extend(collect(path)?);
    }
    let options = BuildOptions {
        tag: args.tag.clone(),
        ..BuildOptions::default()
    };
    let built = build(&sources, &signer, &args.out, &options)?;
    out.last(&json!({
        "event": "built",
        "file": args.out,
        "size": built.size,
        "sha1": built.sha1,
        "sha256": built.sha256,
        "files": built.entries,
        "signer": object(signer.certificate()),
    }))?;
    out.line(format!(
        "{}: {} files, {} bytes",
        args.out.display(),
        built.entries,
        built.size
    ))?;
    out.line(format!("sha1   {}", built.sha1))?;
    out.line(format!("sha256 {}", built.sha256))?;
    out.line(format!("signer {}", describe(signer.certificate())))?;
    Ok(Ending::Well)
}

/// A folder gives everything below it, a file itself by its bare name.
fn collect(path: &Path) -> Result<Vec<Source>, CtlError> {
    let meta = path
        .metadata()
        .map_err(|error| CtlError::file("read", path, error))?;
    if meta.is_dir() {
        return Ok(collect_folder(path)?);
    }
    let name = path.file_name().ok_or_else(|| {
        CtlError::Usage(format!("{} is no name of a file to pack", path.display()))
    })?;
    Ok(vec![Source {
        name: name.into(),
        path: path.to_owned(),
    }])
}
