//! What must be true of settings that were read: values in their ranges, files
//! and folders that are there. Touches nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;
use wpk_api::settings::{ByteSize, Problems as Checked, Span};

use super::read::Reader;
use super::sections::{ChannelSettings, Limits, ListenSettings, Settings, UpgradeSettings};

/// Where the version of the agent is, if the settings do not say.
pub(super) const VERSION_FILE: &str = "VERSION";
/// No time in the settings is nothing, and none is longer than a year.
const SHORTEST: Span = Span(Duration::from_millis(1));
const LONGEST: Span = Span::seconds(366 * 86_400);
/// The largest size that can be written, in bytes.
const MOST: u64 = 1 << 62;

/// Notes every mistake; paths are absolute already.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    if !settings.home.is_dir() {
        let text = format!("{} is no folder: create it", settings.home.display());
        reader.problem("home", text);
    }
    reader.found("upgrade", check_upgrade(&settings.upgrade));
    reader.found("limits", check_limits(&settings.limits));
    if let Some(listen) = &settings.listen {
        reader.found("listen", check_listen(listen));
    }
    if let Some(channel) = &settings.channel {
        reader.found("channel", check_channel(channel));
    }
    if settings.listen.is_none() && settings.channel.is_none() && reader.problems.is_empty() {
        reader.problem(
            "",
            "neither [listen] nor [channel] is there: the agent would hear nobody",
        );
    }
}

fn check_upgrade(upgrade: &UpgradeSettings) -> Checked {
    let mut checked = Checked::new();
    let factor = upgrade.notification_wait_factor;
    if !(factor > 1.0 && factor <= 100.0) {
        let text = format!("{factor} is not above 1.0 and at most 100");
        checked.add("notification_wait_factor", text);
    }
    if upgrade.notification_wait_max < upgrade.notification_wait_start {
        let text = "is shorter than notification_wait_start: make it at least as long";
        checked.add("notification_wait_max", text);
    }
    for (key, span) in [
        ("notification_wait_start", upgrade.notification_wait_start),
        ("notification_wait_max", upgrade.notification_wait_max),
        ("result_wait", upgrade.result_wait),
        ("result_check", upgrade.result_check),
        ("result_grace", upgrade.result_grace),
        ("result_within", upgrade.result_within),
        ("execution_timeout", upgrade.execution_timeout),
    ] {
        checked.in_range(key, span, SHORTEST..=LONGEST);
    }
    if upgrade.ca_verification.enabled {
        let stores = upgrade.ca_verification.ca_store.first();
        let named = stores.map_or(Path::new(""), PathBuf::as_path);
        let advice = "name at least one file or folder of CA certificates";
        checked.not_empty("ca_verification.ca_store", named, advice);
    }
    checked
}

fn check_limits(limits: &Limits) -> Checked {
    let mut checked = Checked::new();
    let installer_log = ByteSize(4096)..=ByteSize(MOST);
    checked.in_range("installer_log", limits.installer_log, installer_log);
    // With 0 no package would be accepted.
    for (key, size) in [
        ("incoming", limits.incoming),
        ("unpacked", limits.unpacked),
        ("certificate", limits.certificate),
    ] {
        checked.in_range(key, size, ByteSize(1)..=ByteSize(MOST));
    }
    for (key, count) in [("entries", limits.entries), ("name", limits.name)] {
        checked.in_range(key, count, 1..=usize::MAX);
    }
    checked
}

fn check_listen(listen: &ListenSettings) -> Checked {
    let mut checked = Checked::new();
    checked.in_range("timeout", listen.timeout, SHORTEST..=LONGEST);
    for (key, path) in [("socket", &listen.socket), ("queue", &listen.queue)] {
        if path.as_os_str().len() > 107 {
            let text = format!(
                "{} has over 107 bytes, more than a socket may have",
                path.display()
            );
            checked.add(key, text);
        }
    }
    if let Some(Err(error)) = listen.group.as_deref().map(wpk_socket_file::group_id) {
        checked.add("group", error.to_string());
    }
    checked
}

fn check_channel(channel: &ChannelSettings) -> Checked {
    let mut checked = Checked::new();
    let port = channel
        .address
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()));
    if !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
        let text = format!("{:?} is no address: write \"host:port\"", channel.address);
        checked.add("address", text);
    }
    if ServerName::try_from(channel.server_name.as_str()).is_err() {
        let text = format!("{:?} is no DNS name", channel.server_name);
        checked.add("server_name", text);
    }
    for (key, path) in [
        ("ca", &channel.ca),
        ("certificate", &channel.certificate),
        ("key", &channel.key),
    ] {
        // A new one may be all that there is: it takes its place with the first welcome.
        let opened = std::fs::File::open(path).or_else(|error| {
            std::fs::File::open(crate::credentials::next(path)).map_err(|_| error)
        });
        if let Err(error) = opened {
            let text = format!(
                "{}: {error}; enroll the agent: wpk-agent enroll",
                path.display()
            );
            checked.add(key, text);
        }
    }
    for (key, span) in [
        ("connect_timeout", channel.connect_timeout),
        ("reconnect_min", channel.reconnect_min),
        ("reconnect_max", channel.reconnect_max),
    ] {
        checked.in_range(key, span, SHORTEST..=LONGEST);
    }
    if channel.reconnect_max < channel.reconnect_min {
        checked.add("reconnect_max", "is shorter than reconnect_min");
    }
    checked
}
