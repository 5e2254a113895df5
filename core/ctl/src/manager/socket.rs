//! Where the manager's upgrade socket is: as given, or as the manager's own
//! settings say, which are those of the package where nobody says others.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wpk_config::{Settings, Sources, default_home, load};

use crate::error::CtlError;
use crate::options::Global;

/// The settings and homes of the two services of the package, as their units have them.
const PACKAGED: [(&str, Option<&str>); 2] = [
    ("etc/wpkd/wpkd.toml", Some("var/lib/wpkd")),
    ("etc/wpkd/wazuh-manager.toml", None),
];

/// Where the manager's settings are: as said; else in the home of whoever asks, if a manager
/// is there; else those of the package.
///
/// # Errors
/// [`CtlError::File`] if the home is no path that can be made absolute.
pub(crate) fn sources(global: &Global) -> Result<Sources, CtlError> {
    let absolute = |home: &PathBuf| {
        std::path::absolute(home).map_err(|error| CtlError::file("find the folder", home, error))
    };
    let said = Sources {
        file: global.config.clone(),
        home: global.home.as_ref().map(absolute).transpose()?,
    };
    let usual = default_home().join(wpk_api::paths::UPGRADE_SOCKET);
    // A variable is as good as an option.
    let is_said =
        said.file.is_some() || said.home.is_some() || std::env::var_os("WPKD_HOME").is_some();
    match is_said || stands(&usual) == Stands::Yes {
        true => Ok(said),
        false => Ok(packaged(Path::new("/")).unwrap_or(said)),
    }
}

/// Whether there is something at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Yes,
    /// Nobody lets us see.
    Hidden,
    No,
}

fn stands(path: &Path) -> Stands {
    match path.symlink_metadata() {
        Ok(_) => Stands::Yes,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Stands::Hidden,
        Err(_) => Stands::No,
    }
}

/// The settings of the package's service whose socket stands; of several and where that
/// cannot be seen, the first.
fn packaged(root: &Path) -> Option<Sources> {
    let services = PACKAGED.iter().filter_map(|(file, home)| {
        let file = root.join(file);
        let sources = Sources {
            home: home.map(|home| root.join(home)),
            file: file.is_file().then_some(file),
        };
        let settings = sources
            .file
            .is_some()
            .then(|| load(&sources, None).ok())??;
        let stands = upgrade_socket(&settings).map_or(Stands::No, |socket| stands(&socket));
        Some((sources, stands))
    });
    let services: Vec<(Sources, Stands)> = services.collect();
    let with = |wanted| services.iter().find(|(_, stands)| *stands == wanted);
    let found = with(Stands::Yes).or_else(|| with(Stands::Hidden))?;
    Some(found.0.clone())
}

/// The path of the upgrade socket.
///
/// # Errors
/// [`CtlError::Settings`] if it is not given and the settings cannot be read or
/// name none.
pub(crate) fn path(global: &Global) -> Result<PathBuf, CtlError> {
    if let Some(socket) = &global.socket {
        return Ok(socket.clone());
    }
    let settings =
        load(&sources(global)?, None).map_err(|found| CtlError::Settings(found.to_string()))?;
    upgrade_socket(&settings).ok_or_else(|| {
        CtlError::Settings("there is no [[source]] of the type \"unix-socket\"".to_owned())
    })
}

/// The path of the upgrade socket in the manager's settings; `None` if they have
/// no `unix-socket` source.
pub(crate) fn upgrade_socket(settings: &Settings) -> Option<PathBuf> {
    let usual = || settings.path(wpk_api::paths::UPGRADE_SOCKET);
    if settings.sources.is_empty() {
        return Some(usual());
    }
    let mut sources = settings.sources.iter();
    // Without a type it is the usual one.
    let source = sources.find(|source| matches!(&*source.kind, "unix-socket" | ""))?;
    let path = source.settings.get("upgrade").and_then(Value::as_str);
    Some(path.map_or_else(usual, |path| settings.path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with the package's settings, and sockets in these homes.
    fn machine(sockets: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc/wpkd");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::write(etc.join("wpkd.toml"), "").unwrap();
        let ossec = root.path().join("var/ossec");
        let text = format!("home = \"{}\"\n", ossec.display());
        std::fs::write(etc.join("wazuh-manager.toml"), text).unwrap();
        for home in sockets {
            let socket = root.path().join(home).join(wpk_api::paths::UPGRADE_SOCKET);
            std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
            std::fs::write(socket, "").unwrap();
        }
        root
    }

    #[test]
    fn the_packaged_service_that_runs_is_found() {
        for (sockets, file) in [
            (&["var/lib/wpkd"][..], "wpkd.toml"),
            (&["var/ossec"], "wazuh-manager.toml"),
            (&["var/lib/wpkd", "var/ossec"], "wpkd.toml"),
        ] {
            let root = machine(sockets);
            let found = packaged(root.path()).unwrap();
            assert!(found.file.unwrap().ends_with(file), "{sockets:?}");
        }
        assert!(packaged(machine(&[]).path()).is_none());
        assert!(packaged(tempfile::tempdir().unwrap().path()).is_none());
    }
}
