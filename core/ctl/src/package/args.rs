//! The options of `wpkctl package`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// Make and sign a WPK from a folder or from files.
    Build(BuildArgs),
    /// Check the signature of a WPK against trusted CAs.
    Verify(VerifyArgs),
    /// Show what a WPK holds and who signed it; checks the signature only with --ca.
    Inspect(InspectArgs),
    /// Put the files of a WPK into a folder.
    Unpack(UnpackArgs),
    /// Make a signing CA and a signing certificate.
    Keygen(KeygenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The WPK to write; a file of that name is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Private key, PEM, 2048-bit RSA.
    #[arg(short, long, value_name = "KEY.pem")]
    pub(crate) key: PathBuf,
    /// Signing certificate, PEM; intermediate CAs may follow in the file.
    #[arg(short, long, value_name = "CERT.pem")]
    pub(crate) cert: PathBuf,
    /// Text of the #TAG line.
    #[arg(short, long)]
    pub(crate) tag: Option<String>,
    /// Folders give everything below them; files are packed by their bare name.
    #[arg(value_name = "FOLDER|FILE", required = true)]
    pub(crate) sources: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The WPK.
    pub(crate) file: PathBuf,
    /// Trusted CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(crate) ca: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The WPK.
    pub(crate) file: PathBuf,
    /// Trusted CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    pub(crate) ca: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UnpackArgs {
    /// The WPK.
    pub(crate) file: PathBuf,
    /// Where to; nothing there is replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Trusted CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required_unless_present = "no_verify", conflicts_with = "no_verify")]
    pub(crate) ca: Vec<PathBuf>,
    /// Unpack whoever signed it. The signature must still fit the content.
    #[arg(long)]
    pub(crate) no_verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Folder for ca.pem, ca.key, signer.pem and signer.key; nothing there is replaced.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Common name of the CA.
    #[arg(long, value_name = "NAME", default_value = "WPK root CA")]
    pub(crate) ca_name: String,
    /// Common name of the signing certificate.
    #[arg(long, value_name = "NAME", default_value = "WPK signer")]
    pub(crate) name: String,
    /// For how many days both certificates are valid.
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
}
