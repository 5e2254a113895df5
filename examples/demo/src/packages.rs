//! What the agents run and what they are upgraded with: a small program in two
//! versions, a signing CA, signed packages, and an HTTP repository with the
//! layout of PROTOCOL.md, section 4.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_package::{BuildOptions, Signer, Source, sha1_hex};
use wpk_testkit::http::HttpServer;

use crate::agents::{CAST, Fate, NEW, OLD, System};
use crate::error::DemoError;
use crate::programs::Programs;
use crate::scratch::Scratch;

/// The installer, the same in every package.
const INSTALLER: &str = include_str!("../program/upgrade.sh");
/// The program, with its version and the digest of its rules left open.
const PROGRAM: &str = include_str!("../program/sensor.sh");
/// An agent that does not come back.
const BROKEN_AGENT: &str = "#!/bin/sh\necho 'this agent is broken' >&2\nexit 1\n";
/// How long a new agent may take to come back, in seconds.
pub(crate) const WITHIN: u64 = 8;
/// Bytes of the program's rules: enough that sending them can be watched.
const RULES: usize = 6 << 20;

/// A running repository, and whom its packages can be checked by.
pub(crate) struct Repository {
    server: HttpServer,
    ca_pem: String,
    stranger_pem: String,
}

impl Repository {
    /// Makes the CA and the packages, and serves them.
    pub(crate) async fn publish(programs: &Programs, scratch: &Scratch) -> Result<Self, DemoError> {
        let folder = scratch.path("repository");
        let payloads = scratch.path("payloads");
        // Keys and packages are work for a processor, not for an event loop.
        let made = tokio::task::spawn_blocking({
            let folder = folder.clone();
            let own = ["wpk-agent", "wpk-agent-installer"].map(|name| programs.path(name));
            move || fill(&folder, &payloads, &own)
        });
        let (ca_pem, stranger_pem) = made
            .await
            .map_err(|error| DemoError::io("making the packages", io::Error::other(error)))??;
        let server = HttpServer::start_folder(&folder)
            .await
            .map_err(|source| DemoError::io("the repository cannot be served", source))?;
        Ok(Self {
            server,
            ca_pem,
            stranger_pem,
        })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Its address as a request names it, with `use_http` beside it.
    pub(crate) fn base(&self) -> String {
        format!("{}/", self.server.address())
    }

    /// The CA certificate that an agent of this fate trusts, PEM.
    pub(crate) fn trusted_by(&self, fate: Fate) -> &str {
        match fate {
            Fate::SignatureRefused => &self.stranger_pem,
            _ => &self.ca_pem,
        }
    }
}

/// Fills the repository. Returns the certificate of the CA, and that of another
/// CA that signed nothing.
fn fill(folder: &Path, payloads: &Path, own: &[PathBuf; 2]) -> Result<(String, String), DemoError> {
    let key = SigningKey::generate;
    let year = Validity::days(365);
    let ca = Authority::root("Demo signing CA", year, &key()?)?;
    let signer = ca.signer("Demo release signer", year, &key()?)?;
    let stranger = Authority::root("Somebody else's CA", year, &key()?)?;

    let good = Payload::write(&payloads.join("good"), NEW, RULES, true)
        .map_err(|source| DemoError::io("writing the new program", source))?;
    let broken = Payload::write(&payloads.join("broken"), NEW, RULES, false)
        .map_err(|source| DemoError::io("writing the broken program", source))?;
    let own = |name: &str, program: Option<&str>| {
        Payload::write_agent(&payloads.join(name), own, program)
            .map_err(|source| DemoError::io("writing the new agent", source))
    };
    let agent = own("agent", None)?;
    let broken_agent = own("broken-agent", Some(BROKEN_AGENT))?;
    for member in &CAST {
        let place = folder.join(member.system.folder);
        if place.exists() {
            continue;
        }
        fs::create_dir_all(&place)
            .map_err(|source| DemoError::io(place.display().to_string(), source))?;
        let payload = match member.fate {
            Fate::InstallerFails => &broken,
            Fate::Updated | Fate::SignatureRefused => &good,
            Fate::AgentUpdated => &agent,
            Fate::AgentRolledBack => &broken_agent,
        };
        payload.pack(&signer, &place, &member.system, NEW)?;
    }
    Ok((
        ca.certificate_pem().to_owned(),
        stranger.certificate_pem().to_owned(),
    ))
}

/// A folder with everything that goes into a package.
pub(crate) struct Payload(PathBuf);

impl Payload {
    /// The program in a version, with so many bytes of rules, and its installer. A
    /// broken one has rules that do not belong to the program, so that it will not run.
    pub(crate) fn write(
        folder: &Path,
        version: &str,
        bytes: usize,
        works: bool,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // Random, so that they do not vanish when they are compressed.
        let mut rules = vec![0; bytes];
        rand::fill(rules.as_mut_slice());
        fs::write(folder.join("sensor"), program(version, &rules)?)?;
        fs::write(folder.join("VERSION"), format!("{version}\n"))?;
        fs::write(folder.join("upgrade.sh"), INSTALLER)?;
        if !works {
            rules.truncate(bytes / 2);
        }
        fs::write(folder.join("rules.dat"), rules)?;
        Ok(Self(folder.to_owned()))
    }

    /// A new `wpk-agent`, or `program` in its place, with the installer that brings it, as
    /// `config/package --wpk` packs it.
    fn write_agent(
        folder: &Path,
        [agent, installer]: &[PathBuf; 2],
        program: Option<&str>,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        match program {
            Some(text) => fs::write(folder.join("wpk-agent"), text)?,
            None => fs::copy(agent, folder.join("wpk-agent")).map(drop)?,
        }
        // What a manager calls an installer if nobody says another name.
        fs::copy(installer, folder.join("upgrade.sh"))?;
        fs::write(folder.join("VERSION"), format!("{NEW}\n"))?;
        fs::write(folder.join("within"), format!("{WITHIN}\n"))?;
        Ok(Self(folder.to_owned()))
    }

    /// Builds and signs the package of a version, and adds it to `versions`.
    pub(crate) fn pack(
        &self,
        signer: &Signer,
        place: &Path,
        system: &System,
        version: &str,
    ) -> Result<(), DemoError> {
        let sources: Vec<Source> = wpk_package::collect_folder(&self.0)?;
        // Random bytes do not become fewer, so the time for trying is saved.
        let options = BuildOptions {
            level: 1,
            ..BuildOptions::default()
        };
        let file = place.join(system.file_name(version));
        let built = wpk_package::build(&sources, signer, &file, &options)?;
        let versions = place.join("versions");
        let mut list = OpenOptions::new();
        list.create(true)
            .append(true)
            .open(&versions)
            .and_then(|mut list| writeln!(list, "{version} {}", built.sha1))
            .map_err(|source| DemoError::io(versions.display().to_string(), source))
    }
}

/// Puts the old program into an agent's home, as if it had always been there.
pub(crate) fn install_old_program(home: &Path) -> io::Result<()> {
    let rules = b"the rules of the old program\n";
    for folder in ["bin", "share"] {
        fs::create_dir_all(home.join(folder))?;
    }
    fs::write(home.join("VERSION"), format!("{OLD}\n"))?;
    fs::write(home.join("share/rules.dat"), rules)?;
    let sensor = home.join("bin/sensor");
    fs::write(&sensor, program(OLD, rules)?)?;
    fs::set_permissions(sensor, fs::Permissions::from_mode(0o750))
}

/// The program's text for a version and its rules.
fn program(version: &str, rules: &[u8]) -> io::Result<String> {
    Ok(PROGRAM
        .replace("@VERSION@", version)
        .replace("@RULES@", &sha1_hex(rules)?))
}
