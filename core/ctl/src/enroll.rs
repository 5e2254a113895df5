//! `wpkctl agent enroll`: the manager issues an id, a key and a certificate;
//! they become a home folder with which `wpk-agent` can start. The key is in
//! that folder (mode 0600) and nowhere else.

use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;
use wpk_api::paths::{
    AGENT_SETTINGS, CHANNEL_CA as CA, CHANNEL_CERTIFICATE as CERTIFICATE, CHANNEL_FOLDER,
    CHANNEL_KEY as KEY,
};
use wpk_wire::UpgradeRequest;
use wpk_wire::own::{EnrollAgent, EnrolledAgent};

use crate::error::CtlError;
use crate::files::{NewFiles, make_folder, must_be_free};
use crate::manager::client::Client;
use crate::manager::socket;
use crate::options::Global;
use crate::output::{Ending, Output};
use crate::who::detour;

/// The home as the agent's settings say it, from the folder in which they lie: so it may
/// be moved.
const HOME: &str = "..";

#[derive(Debug, Args)]
pub(crate) struct EnrollArgs {
    /// Name of the agent.
    pub(crate) name: String,
    /// The agent's home folder; absent: a folder of the agent's name here.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Where the agent reaches the manager; absent: as the manager says.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
}

/// `etc/wpk-agent.toml`, as far as enrolment decides it.
#[derive(Serialize)]
struct AgentSettings<'a> {
    home: &'a str,
    channel: ChannelSettings<'a>,
}

#[derive(Serialize)]
struct ChannelSettings<'a> {
    address: &'a str,
    ca: &'static str,
    certificate: &'static str,
    key: &'static str,
}

/// Enrolls, and writes the folder.
pub(crate) async fn run(
    global: &Global,
    args: EnrollArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let home = home(&args)?;
    let home_text = home.to_str().ok_or_else(|| {
        CtlError::Usage(format!(
            "{} is no UTF-8 and cannot stand in settings; choose another folder with --out",
            home.display()
        ))
    })?;
    let paths = [CA, CERTIFICATE, KEY, AGENT_SETTINGS].map(|name| home.join(name));
    // Before the manager is asked: an id must not be wasted on a folder in use.
    must_be_free(paths.iter().map(PathBuf::as_path))?;
    make_folder(&home.join(CHANNEL_FOLDER), 0o700)?;

    let mut client = Client::new(socket::path(global)?);
    let enrolled = enroll(&mut client, &args.name).await?;

    let address = args.address.clone().or(enrolled.address);
    let settings = toml::to_string(&AgentSettings {
        home: HOME,
        channel: ChannelSettings {
            address: address.as_deref().unwrap_or_default(),
            ca: CA,
            certificate: CERTIFICATE,
            key: KEY,
        },
    })
    .map_err(|error| {
        CtlError::Unexpected(format!("the agent's settings cannot be written: {error}"))
    })?;
    let [ca, certificate, key, config] = &paths;
    let mut files = NewFiles::default();
    let written = files
        .write(key, enrolled.key.as_bytes(), 0o600)
        .and_then(|()| files.write(certificate, enrolled.certificate.as_bytes(), 0o644))
        .and_then(|()| files.write(ca, enrolled.ca.as_bytes(), 0o644))
        .and_then(|()| files.write(config, settings.as_bytes(), 0o640));
    let id = enrolled.agent;
    written.map_err(|error| {
        CtlError::Unexpected(format!(
            "{error}; the manager enrolled agent {id} already, but its key is lost: \
             enroll again once the folder can be written"
        ))
    })?;
    files.keep();

    out.last(&json!({
        "event": "enrolled",
        "agent": id,
        "name": args.name,
        "address": address,
        "home": home_text,
        "settings": config,
    }))?;
    out.line(format!(
        "agent {id} ({}) is enrolled; its home is {home_text}",
        args.name
    ))?;
    if let Some(detour) = detour(&args.name) {
        out.warn(detour);
    }
    if address.is_none() {
        out.warn(format!(
            "the manager does not know where agents reach it: write channel.address = \"HOST:PORT\" into {}",
            config.display()
        ));
    }
    out.line(steps(&home, home_text))?;
    Ok(Ending::Well)
}

/// What to do next, to be followed to the letter.
fn steps(home: &Path, home_text: &str) -> String {
    let name = home.file_name().and_then(|name| name.to_str());
    let file = format!("{}.tar", name.unwrap_or("agent"));
    let path = home.with_file_name(&file);
    let path = quoted(path.to_str().unwrap_or_default());
    let (from, file) = (quoted(home_text), quoted(&file));
    let config = quoted(&format!("{home_text}/{AGENT_SETTINGS}"));
    format!(
        "next: if this is the agent's machine, run\n  wpk-agent --config {config}\n\
         else pack what it needs (its key is in the file: let nobody read it)\n  \
         (umask 077 && tar -C {from} -cf {path} {CHANNEL_FOLDER} {AGENT_SETTINGS})\n\
         bring the file into the folder on the agent's machine that is to be its home, and \
         run in that folder\n  \
         tar -xpof {file} && rm {file}\n  \
         wpk-agent --config {AGENT_SETTINGS}"
    )
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The absolute path of the agent's home.
fn home(args: &EnrollArgs) -> Result<PathBuf, CtlError> {
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => {
            let folder = PathBuf::from(&args.name);
            let mut parts = folder.components();
            if !matches!(
                (parts.next(), parts.next()),
                (Some(Component::Normal(_)), None)
            ) {
                return Err(CtlError::Usage(format!(
                    "{:?} is no name of a folder; give one with --out DIR",
                    args.name
                )));
            }
            folder
        }
    };
    std::path::absolute(&folder).map_err(|error| CtlError::file("find the folder", &folder, error))
}

/// What the manager issues. Asked once only: each time makes an agent.
async fn enroll(client: &mut Client, name: &str) -> Result<EnrolledAgent, CtlError> {
    let name = name.to_owned();
    let request = UpgradeRequest::Own(EnrollAgent { name }.into());
    let command = request.command();
    let items = client.send(&request).await?;
    let unusable = |what: String| {
        CtlError::Unexpected(format!(
            "the answer of the manager at {} to `{command}` {what}",
            client.socket().display()
        ))
    };
    let item = items
        .first()
        .ok_or_else(|| unusable("is empty".to_owned()))?;
    if !item.error.is_success() {
        return Err(CtlError::Refused {
            command,
            code: item.error,
            message: item.message.to_string(),
        });
    }
    EnrolledAgent::from_item(item).map_err(|incomplete| unusable(incomplete.to_string()))
}
