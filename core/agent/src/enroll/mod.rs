//! `wpk-agent enroll`: an identity on this machine, with a token that the manager issued.
//!
//! The key is made here and stays here. The manager is known by the digest of its CA in
//! the token (or by `--ca`), and is told the token only then (PROTOCOL.md, section 16).
//! Everything that can be found wrong here is found before the manager is asked: a token
//! may have one use. The program's `main` enters.

mod address;
mod pinned;
mod place;
mod talk;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use wpk_wire::channel::{Enroll, EnrollToken, PROTOCOL};

use crate::credentials::{Age, certificates, certificates_in, digest, new_key};
use place::Place;
use talk::Trust;

/// A token is far below this many bytes.
const LONGEST_TOKEN: u64 = 4 * 1024;

/// What `wpk-agent enroll` is told.
#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// Where the manager is; without a port 1517. Absent: as the settings say.
    #[arg(long, value_name = "HOST[:PORT]")]
    manager: Option<String>,
    /// The token that `wpkctl agent token` printed. Other users of this machine may see it
    /// here: `--token-file` shows it to nobody.
    #[arg(long, value_name = "TOKEN", required_unless_present = "token_file")]
    token: Option<String>,
    /// A file with the token; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The agent's name; absent: this machine's.
    #[arg(long)]
    name: Option<String>,
    /// The manager's CA (PEM), by which it is known, instead of the digest in the token.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Replace the identity that is there; the manager goes on to know the old one until
    /// it is revoked.
    #[arg(long)]
    again: bool,
}

/// No identity came of it.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Nothing was asked of the manager, or nothing came of it: the token is as good as
    /// before. The text says what to do.
    #[error("{0}")]
    Before(String),
    /// The manager counts a use of the token, but the identity is not on this disk.
    #[error(
        "agent {agent} was enrolled, but its identity could not be written: {reason}; mend that, \
         have the agent revoked (wpkctl agent revoke {agent}) and enroll with a fresh token"
    )]
    After {
        /// Its id.
        agent: String,
        /// Why.
        reason: String,
    },
}

/// Enrolls, and answers what to tell whoever did it.
///
/// # Errors
/// [`EnrollError`].
pub fn enroll(
    args: &EnrollArgs,
    config: Option<&Path>,
    home: Option<&Path>,
) -> Result<String, EnrollError> {
    let before = |error: &dyn std::fmt::Display| EnrollError::Before(error.to_string());
    let place = Place::find(config, home).map_err(EnrollError::Before)?;
    if place.store.is_there() && !args.again {
        return Err(EnrollError::Before(format!(
            "{} is there: this agent has an identity already; give --again to replace it",
            place.store.certificate.display()
        )));
    }
    let address = match &args.manager {
        Some(manager) => address::read(manager).map_err(EnrollError::Before)?,
        None => place.address.clone().ok_or_else(|| {
            EnrollError::Before("say where the manager is: --manager HOST[:PORT]".to_owned())
        })?,
    };
    let token: EnrollToken = token(args)?.parse().map_err(|error| before(&error))?;
    let trust = match &args.ca {
        Some(path) => Trust::Authorities(certificates(path).map_err(|error| before(&error))?),
        None => Trust::Digest(token.ca),
    };
    let name = match &args.name {
        Some(name) => name.clone(),
        None => machine_name()?,
    };
    let (key, csr) = new_key().map_err(|error| before(&error))?;
    place
        .prepare()
        .and_then(|()| place.store.stage_key(&key))
        .map_err(|error| before(&error))?;

    let wish = Enroll {
        protocol: PROTOCOL,
        token,
        name,
        csr,
        renews: true,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| before(&error))?;
    let enrolled = runtime
        .block_on(talk::enroll(&address, wish, &trust))
        .map_err(EnrollError::Before)?;

    let after = |reason: String| EnrollError::After {
        agent: enrolled.agent.to_string(),
        reason,
    };
    let authorities = certificates_in(&enrolled.ca).map_err(after)?;
    if !authorities.iter().any(|one| trust.knows(one)) {
        return Err(after(
            "it came with another CA than that it was asked by".to_owned(),
        ));
    }
    keep(&place, &address, &key, &enrolled.certificate, &enrolled.ca).map_err(after)?;
    Ok(format!(
        "agent {} ({}) is enrolled with {address}; start it: wpk-agent --config {}",
        enrolled.agent,
        enrolled.name,
        place.settings.display()
    ))
}

fn keep(
    place: &Place,
    address: &str,
    key: &str,
    certificate: &str,
    authorities: &str,
) -> Result<(), String> {
    let store = &place.store;
    store
        .stage(key, certificate, Some(authorities))
        .map_err(|error| error.to_string())?;
    let pairs = store.pairs().map_err(|error| error.to_string())?;
    if !pairs.first().is_some_and(|pair| pair.age == Age::Next) {
        return Err("its certificate is for another key".to_owned());
    }
    store
        .settle()
        .and_then(|()| place.write_settings(address))
        .and_then(|()| store.promote())
        .and_then(|()| store.forget_old())
        .map_err(|error| error.to_string())
}

/// The text of the token, wherever it comes from.
fn token(args: &EnrollArgs) -> Result<String, EnrollError> {
    let failed = |what: &str, error: std::io::Error| {
        EnrollError::Before(format!("the token cannot be read from {what}: {error}"))
    };
    let mut text = String::new();
    match (&args.token, &args.token_file) {
        (Some(token), _) => text.clone_from(token),
        (None, Some(path)) if path.as_os_str() != "-" => {
            let shown = path.display().to_string();
            std::fs::File::open(path)
                .and_then(|file| file.take(LONGEST_TOKEN).read_to_string(&mut text))
                .map_err(|error| failed(&shown, error))?;
        }
        _ => {
            let stdin = std::io::stdin();
            let read = if stdin.is_terminal() {
                // Whoever types it sees that it is waited for.
                let mut out = std::io::stderr();
                let _ = out.write_all(b"token: ").and_then(|()| out.flush());
                stdin.read_line(&mut text)
            } else {
                stdin.lock().take(LONGEST_TOKEN).read_to_string(&mut text)
            };
            read.map_err(|error| failed("standard input", error))?;
        }
    }
    Ok(text)
}

/// This machine's name, as far as an agent may have it.
fn machine_name() -> Result<String, EnrollError> {
    let name = crate::platform::service::machine_name();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name == "(none)" || !name.chars().all(allowed) {
        return Err(EnrollError::Before(
            "this machine's name is none for an agent: give one with --name".to_owned(),
        ));
    }
    Ok(name)
}

impl Trust {
    /// Whether a CA is the one that the manager is known by.
    fn knows(&self, authority: &rustls::pki_types::CertificateDer<'_>) -> bool {
        match self {
            Self::Digest(known) => digest(authority) == *known,
            Self::Authorities(known) => known.iter().any(|one| one == authority),
        }
    }
}
