//! `wpkd import-ossec-conf`: what our own settings would be if nothing were
//! read from the manager's `ossec.conf` any more.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use wpk_config::OssecConf;

use crate::cli::WRONG_SETTINGS;

/// The sample for a 4.x manager, which the printed settings begin with.
const SAMPLE: &str = include_str!("../../../config/wazuh-manager.toml");

/// Prints the settings, or every mistake in the file.
pub(crate) fn print(home: &Path, file: &Path) -> ExitCode {
    let path = home.join(file);
    let conf = match OssecConf::load(&path) {
        Ok(conf) => conf,
        Err(findings) => {
            eprintln!("{findings}");
            return ExitCode::from(WRONG_SETTINGS);
        }
    };
    match settings(home, &conf) {
        Ok(text) => {
            for warning in &conf.warnings {
                eprintln!("warning: {warning}");
            }
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("wpkd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The sample without `[wazuh]`, with the options of the file in their places.
fn settings(home: &Path, conf: &OssecConf) -> Result<String, String> {
    let mut table: toml::Table = SAMPLE
        .parse()
        .map_err(|error| format!("the sample: {error}"))?;
    table.remove("wazuh");
    table.insert("home".into(), home.display().to_string().into());
    let mut ours = conf.to_settings();
    if let Some(url) = &conf.wpk_repository {
        ours["provider"] = json!([{"type": "repository", "url": url}, {"type": "local-file"}]);
    }
    if let Value::Object(sections) = ours {
        for (section, value) in sections {
            let value = toml::Value::try_from(value).map_err(|error| error.to_string())?;
            match (table.get_mut(&section), value) {
                (Some(toml::Value::Table(into)), toml::Value::Table(from)) => into.extend(from),
                (_, value) => {
                    table.insert(section, value);
                }
            }
        }
    }
    let text = toml::to_string_pretty(&table).map_err(|error| error.to_string())?;
    Ok(format!(
        "# Made from {} by wpkd import-ossec-conf.\n{text}",
        conf.path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_the_file_take_their_places() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("ossec.conf");
        let text = "<ossec_config><agent-upgrade><chunk_size>1024</chunk_size>\
            <wpk_repository>example.org/wpk</wpk_repository></agent-upgrade>\
            <cluster><node_name>m1</node_name></cluster></ossec_config>";
        std::fs::write(&path, text).unwrap();
        let conf = OssecConf::load(&path).unwrap();
        let printed: toml::Table = settings(Path::new("/var/ossec"), &conf)
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(printed["delivery"]["chunk_size"].as_integer(), Some(1024));
        assert_eq!(printed["node"]["name"].as_str(), Some("m1"));
        assert_eq!(
            printed["provider"][0]["url"].as_str(),
            Some("example.org/wpk")
        );
        assert_eq!(printed["transport"]["type"].as_str(), Some("remoted"));
        assert!(!printed.contains_key("wazuh"));
    }
}
