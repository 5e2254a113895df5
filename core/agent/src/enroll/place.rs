//! Where an identity goes: what the settings say, if there are any, else a home with
//! settings that are made for it.

use std::io;
use std::path::{Component, Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, value};
use wpk_api::paths;

use crate::credentials::{Owner, Store, put};
use crate::platform::files;
use crate::settings::DEFAULT_HOME;

/// The place.
#[derive(Debug)]
pub(super) struct Place {
    /// The settings file, there or not.
    pub(super) settings: PathBuf,
    pub(super) store: Store,
    /// The manager, where the settings name one.
    pub(super) address: Option<String>,
    document: DocumentMut,
    is_new: bool,
    home: PathBuf,
}

/// The rights of a home that is made here: those that the packages give it.
const HOME_MODE: u32 = 0o700;

impl Place {
    /// Looks where things lie; changes nothing.
    ///
    /// # Errors
    /// In words for whoever enrolls.
    pub(super) fn find(config: Option<&Path>, home: Option<&Path>) -> Result<Self, String> {
        let settings = match (config, home) {
            (Some(config), _) => config.to_owned(),
            (None, Some(home)) => home.join(paths::AGENT_SETTINGS),
            (None, None) => Path::new(DEFAULT_HOME).join(paths::AGENT_SETTINGS),
        };
        let shown = settings.display();
        let (text, is_new) = match std::fs::read_to_string(&settings) {
            Ok(text) => (text, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), true),
            Err(error) => return Err(format!("{shown}: {error}")),
        };
        let document: DocumentMut = text.parse().map_err(|error| format!("{shown}: {error}"))?;
        let named = document.get("home").and_then(Item::as_str);
        let is_said = home.is_some();
        let home = match (home, named) {
            (Some(home), _) => home.to_owned(),
            (None, Some(named)) => folder(&settings).join(named),
            (None, None) if is_new && config.is_some() => {
                return Err(format!(
                    "{shown} is not there: say where the agent's home is as well: --home DIR"
                ));
            }
            (None, None) => PathBuf::from(DEFAULT_HOME),
        };
        // One that is named and not there is made with the folders in it.
        if !home.is_dir() && (!is_said || home.exists()) {
            return Err(format!(
                "{} is no folder: create it, or name the agent's home with --home DIR",
                home.display()
            ));
        }
        let channel = document.get("channel").and_then(Item::as_table_like);
        let text = |key: &str| channel.and_then(|channel| channel.get(key)?.as_str());
        let file = |key: &str, usual: &str| home.join(text(key).unwrap_or(usual));
        Ok(Self {
            store: Store {
                ca: file("ca", paths::CHANNEL_CA),
                certificate: file("certificate", paths::CHANNEL_CERTIFICATE),
                key: file("key", paths::CHANNEL_KEY),
            },
            address: text("address").map(str::to_owned),
            settings,
            document,
            is_new,
            home,
        })
    }

    /// Makes the folders. What belongs to an identity is nobody else's to look into.
    pub(super) fn prepare(&self) -> io::Result<()> {
        if let Some(above) = self.home.parent() {
            std::fs::create_dir_all(above)?;
        }
        match files::make_folder(&self.home, HOME_MODE) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if let Some(parent) = self.settings.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let store = &self.store;
        for path in [&store.ca, &store.certificate, &store.key] {
            let Some(folder) = path.parent() else {
                continue;
            };
            if let Some(above) = folder.parent() {
                std::fs::create_dir_all(above)?;
            }
            match files::make_folder(folder, 0o700) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Has the settings name the manager; what else they say stays, comments too.
    pub(super) fn write_settings(&self, address: &str) -> io::Result<()> {
        if !self.is_new && self.address.as_deref() == Some(address) {
            return Ok(());
        }
        let mut document = self.document.clone();
        if self.is_new {
            document["home"] = value(self.home_text()?);
        }
        let channel = document
            .entry("channel")
            .or_insert_with(|| Item::Table(Table::new()));
        match channel.as_table_like_mut() {
            Some(channel) => channel.insert("address", value(address)),
            None => return Err(io::Error::other("`channel` in the settings is no table")),
        };
        let mode = match files::mode(&self.settings) {
            Ok(mode) => mode & 0o755,
            Err(_) => 0o640,
        };
        put(
            &self.settings,
            document.to_string().as_bytes(),
            mode,
            Owner::File,
        )
    }

    /// The home as new settings say it: relative where they lie in it, so that it may be
    /// moved.
    fn home_text(&self) -> io::Result<String> {
        let home = self.home.canonicalize()?;
        let folder = folder(&self.settings).canonicalize()?;
        let up = match folder.strip_prefix(&home) {
            Ok(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
            Ok(inside) => inside.components().map(|_| Component::ParentDir).collect(),
            Err(_) => home,
        };
        let text = up.to_str().map(str::to_owned);
        text.ok_or_else(|| io::Error::other("the home's path is no UTF-8"))
    }
}

/// Where relative paths of the settings start.
fn folder(settings: &Path) -> &Path {
    match settings.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_there_keep_what_they_say() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("etc")).unwrap();
        let settings = home.path().join("etc/agent.toml");
        let text = "# ours\nhome = \"..\" # here\n\n[channel]\naddress = \"old:1\" # of 2019\n\
                    key = \"etc/our.key\"\n[limits]\nname = 5\n";
        std::fs::write(&settings, text).unwrap();
        let place = Place::find(Some(&settings), None).unwrap();
        assert_eq!(place.address.as_deref(), Some("old:1"));
        assert!(place.store.key.ends_with("etc/our.key"));
        place.write_settings("old:1").unwrap();
        assert_eq!(std::fs::read_to_string(&settings).unwrap(), text);
        place.write_settings("new:2").unwrap();
        let after = std::fs::read_to_string(&settings).unwrap();
        assert_eq!(
            after.replace("\"new:2\"", "\"old:1\" # of 2019"),
            text,
            "{after}"
        );
        std::fs::write(&settings, "home = \"..\"\n[listen]\n").unwrap();
        let place = Place::find(Some(&settings), None).unwrap();
        place.write_settings("new:2").unwrap();
        let after = std::fs::read_to_string(&settings).unwrap();
        assert_eq!(
            after,
            "home = \"..\"\n[listen]\n\n[channel]\naddress = \"new:2\"\n"
        );
    }

    #[test]
    fn a_home_that_is_named_and_not_there_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("agents/web01");
        let place = Place::find(None, Some(&home)).unwrap();
        place.prepare().unwrap();
        assert_eq!(files::mode(&home).unwrap() & 0o777, HOME_MODE);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Place::find(None, Some(&file)).is_err());
    }

    #[test]
    fn new_settings_lie_in_a_home_that_may_be_moved() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::find(None, Some(home.path())).unwrap();
        place.prepare().unwrap();
        place.write_settings("new:2").unwrap();
        let after = std::fs::read_to_string(home.path().join("etc/wpk-agent.toml")).unwrap();
        assert_eq!(after, "home = \"..\"\n\n[channel]\naddress = \"new:2\"\n");
        let folder = home.path().join("etc/channel");
        let mode = files::mode(&folder).unwrap();
        assert_eq!(mode & 0o777, 0o700);
        let elsewhere = tempfile::tempdir().unwrap();
        let error = Place::find(Some(&elsewhere.path().join("a.toml")), None).unwrap_err();
        assert!(error.contains("--home"), "{error}");
    }
}
