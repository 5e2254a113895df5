//! What must be true of settings that were read: values in their ranges, files
//! and folders that are there. Touches nothing.

use std::time::Duration;

use rustls::pki_types::ServerName;
use wpk_api::settings::{ByteSize, Span};

use super::read::Reader;
use super::sections::{ChannelSettings, Limits, ListenSettings, Settings, UpgradeSettings};

/// Where the version of the agent is, if the settings do not say.
pub(super) const VERSION_FILE: &str = "VERSION";
/// No time in the settings is longer: a year.
const LONGEST: Span = Span(Duration::from_secs(366 * 86_400));

/// Notes every mistake; paths are absolute already.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    if !settings.home.is_dir() {
        let text = format!("{} is no folder: create it", settings.home.display());
        reader.problem("home", text);
    }
    check_upgrade(&settings.upgrade, reader);
    check_limits(&settings.limits, reader);
    if let Some(listen) = &settings.listen {
        check_listen(listen, reader);
    }
    if let Some(channel) = &settings.channel {
        check_channel(channel, reader);
        check_version(settings, reader);
    }
    if settings.listen.is_none() && settings.channel.is_none() && reader.problems.is_empty() {
        reader.problem(
            "",
            "neither [listen] nor [channel] is there: the agent would hear nobody",
        );
    }
}

/// The manager wants to hear the agent's version.
fn check_version(settings: &Settings, reader: &mut Reader) {
    let (agent, usual) = (&settings.agent, settings.home.join(VERSION_FILE));
    if agent.version.is_none() && agent.version_file.is_none() && !usual.is_file() {
        let text = format!(
            "missing, and {} cannot be read: set `version` or `version_file`",
            usual.display()
        );
        reader.problem("agent.version", text);
    }
}

fn check_upgrade(upgrade: &UpgradeSettings, reader: &mut Reader) {
    let factor = upgrade.notification_wait_factor;
    if !(factor > 1.0 && factor <= 100.0) {
        let text = format!("{factor} is not above 1.0 and at most 100");
        reader.problem("upgrade.notification_wait_factor", text);
    }
    if upgrade.notification_wait_max < upgrade.notification_wait_start {
        reader.problem(
            "upgrade.notification_wait_max",
            "is shorter than notification_wait_start: make it at least as long",
        );
    }
    for (key, span) in [
        ("notification_wait_start", upgrade.notification_wait_start),
        ("notification_wait_max", upgrade.notification_wait_max),
        ("result_wait", upgrade.result_wait),
        ("result_check", upgrade.result_check),
        ("execution_timeout", upgrade.execution_timeout),
    ] {
        in_range(reader, &format!("upgrade.{key}"), span);
    }
    if upgrade.ca_verification.enabled && upgrade.ca_verification.ca_store.is_empty() {
        reader.problem(
            "upgrade.ca_verification.ca_store",
            "is empty: name at least one file or folder of CA certificates",
        );
    }
}

fn check_limits(limits: &Limits, reader: &mut Reader) {
    if limits.installer_log < ByteSize(4096) {
        reader.problem(
            "limits.installer_log",
            "is below 4KiB: too little to tell anything",
        );
    }
    for (key, zero) in [
        ("incoming", limits.incoming.0 == 0),
        ("unpacked", limits.unpacked.0 == 0),
        ("entries", limits.entries == 0),
        ("name", limits.name == 0),
        ("certificate", limits.certificate.0 == 0),
    ] {
        if zero {
            reader.problem(
                format!("limits.{key}"),
                "is 0: no package would be accepted",
            );
        }
    }
}

fn check_listen(listen: &ListenSettings, reader: &mut Reader) {
    in_range(reader, "listen.timeout", listen.timeout);
    for (key, path) in [
        ("listen.socket", &listen.socket),
        ("listen.queue", &listen.queue),
    ] {
        if path.as_os_str().len() > 107 {
            let text = format!(
                "{} has over 107 bytes, more than a socket may have",
                path.display()
            );
            reader.problem(key, text);
        }
    }
    if let Some(Err(message)) = listen.group.as_deref().map(crate::socket::group_id) {
        reader.problem("listen.group", message);
    }
}

fn check_channel(channel: &ChannelSettings, reader: &mut Reader) {
    let port = channel
        .address
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()));
    if !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
        let text = format!("{:?} is no address: write \"host:port\"", channel.address);
        reader.problem("channel.address", text);
    }
    if ServerName::try_from(channel.server_name.as_str()).is_err() {
        reader.problem(
            "channel.server_name",
            format!("{:?} is no DNS name", channel.server_name),
        );
    }
    for (key, path) in [
        ("ca", &channel.ca),
        ("certificate", &channel.certificate),
        ("key", &channel.key),
    ] {
        if let Err(error) = std::fs::File::open(path) {
            let text = format!("{}: {error}; enroll the agent again", path.display());
            reader.problem(format!("channel.{key}"), text);
        }
    }
    for (key, span) in [
        ("connect_timeout", channel.connect_timeout),
        ("reconnect_min", channel.reconnect_min),
        ("reconnect_max", channel.reconnect_max),
    ] {
        in_range(reader, &format!("channel.{key}"), span);
    }
    if channel.reconnect_max < channel.reconnect_min {
        reader.problem("channel.reconnect_max", "is shorter than reconnect_min");
    }
}

/// Not none, and no longer than anybody means.
fn in_range(reader: &mut Reader, key: &str, span: Span) {
    if span.0 == Duration::ZERO {
        reader.problem(key, "is 0: give a time");
    } else if span > LONGEST {
        reader.problem(key, format!("{span} is longer than {LONGEST}"));
    }
}
