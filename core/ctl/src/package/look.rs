//! `wpkctl package verify`, `inspect` and `unpack`.

use std::time::SystemTime;

use serde_json::json;
use wpk_package::{
    Contents, Limits, Package, Trust, UnpackOptions, inspect as look_into, sha1_of_file,
    unpack as unpack_into,
};

use super::args::{InspectArgs, UnpackArgs, VerifyArgs};
use super::certificates::{describe, object, trusted};
use crate::error::CtlError;
use crate::output::{Ending, Output, clean};
use crate::table::{render, table};

pub(super) fn verify(args: &VerifyArgs, out: &Output) -> Result<Ending, CtlError> {
    let store = trusted(&args.ca, out)?;
    let trust = trust(store.as_ref());
    let mut package = Package::open(&args.file, &Limits::default())?;
    let verified = package.verify(trust, SystemTime::now())?;
    let sha1 = sha1_of_file(&args.file).map_err(|error| CtlError::Unexpected(error.to_string()))?;
    out.last(&json!({
        "event": "verified",
        "file": args.file,
        "sha1": sha1,
        "signer": object(verified.signer()),
    }))?;
    out.line(format!("{}: the signature is good", args.file.display()))?;
    out.line(format!("signer {}", describe(verified.signer())))?;
    out.line(format!("sha1   {sha1}"))?;
    Ok(Ending::Well)
}

pub(super) fn inspect(args: &InspectArgs, out: &Output) -> Result<Ending, CtlError> {
    let store = trusted(&args.ca, out)?;
    let trust = store.as_ref().map(Trust::Store);
    let summary = look_into(&args.file, trust, SystemTime::now(), &Limits::default())?;
    out.last(&json!({
        "event": "inspected",
        "file": args.file,
        "size": summary.size,
        "sha1": summary.sha1,
        "sha256": summary.sha256,
        "verified": summary.verified.is_some(),
        "certificates": summary.certificates.iter().map(object).collect::<Vec<_>>(),
        "tag": summary.contents.tag,
        "unpacked": summary.unpacked,
        "files": files(&summary.contents),
    }))?;
    out.line(format!("{}: {} bytes", args.file.display(), summary.size))?;
    out.line(format!("sha1   {}", summary.sha1))?;
    out.line(format!("sha256 {}", summary.sha256))?;
    for certificate in &summary.certificates {
        out.line(format!("signer {}", describe(certificate)))?;
    }
    out.line(match summary.verified {
        Some(_) => "the signature is good",
        None => "the signature was not checked: give --ca FILE to check it",
    })?;
    if let Some(tag) = &summary.contents.tag {
        out.line(format!("tag    {}", clean(tag)))?;
    }
    let mut table = table(&["size", "file"]);
    for entry in &summary.contents.entries {
        table.add_row([entry.size.to_string(), clean(&entry.name.to_string_lossy())]);
    }
    out.line(format!("\n{}\n", render(&table)))?;
    out.line(format!(
        "{} files, {} bytes unpacked",
        summary.contents.entries.len(),
        summary.unpacked
    ))?;
    Ok(Ending::Well)
}

pub(super) fn unpack(args: &UnpackArgs, out: &Output) -> Result<Ending, CtlError> {
    let store = trusted(&args.ca, out)?;
    let unpacked = unpack_into(
        &args.file,
        &args.to,
        trust(store.as_ref()),
        SystemTime::now(),
        &UnpackOptions::default(),
    )?;
    out.last(&json!({
        "event": "unpacked",
        "file": args.file,
        "to": args.to,
        "verified": store.is_some(),
        "signer": object(unpacked.verified.signer()),
        "tag": unpacked.contents.tag,
        "files": files(&unpacked.contents),
    }))?;
    out.line(format!("signer {}", describe(unpacked.verified.signer())))?;
    if store.is_none() {
        out.warn("no CA vouches for the signer: --no-verify was given");
    }
    for entry in &unpacked.contents.entries {
        let path = args.to.join(&entry.name);
        out.line(clean(&path.to_string_lossy()))?;
    }
    Ok(Ending::Well)
}

/// Without CAs only the signature itself counts.
fn trust(store: Option<&wpk_package::CaStore>) -> Trust<'_> {
    store.map_or(Trust::AnySigner, Trust::Store)
}

fn files(contents: &Contents) -> Vec<serde_json::Value> {
    contents
        .entries
        .iter()
        .map(|entry| json!({"name": entry.name.to_string_lossy(), "size": entry.size}))
        .collect()
}
