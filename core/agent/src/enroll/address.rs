//! Where a manager is, as people write it.

use std::net::Ipv6Addr;

/// The port of the channel.
const PORT: u16 = 1517;

/// `HOST`, `HOST:PORT`, an address of either kind, with brackets or without, as
/// `host:port`.
///
/// # Errors
/// It is none of these.
pub(super) fn read(text: &str) -> Result<String, String> {
    let bad = || format!("{text:?} is no place of a manager: write HOST or HOST:PORT");
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{text}]:{PORT}"));
    }
    if text.ends_with(']') {
        return Ok(format!("{text}:{PORT}"));
    }
    let strange = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    if text.is_empty() || text.len() > 300 || text.chars().any(strange) {
        return Err(bad());
    }
    match text.rsplit_once(':') {
        None => Ok(format!("{text}:{PORT}")),
        Some((host, port))
            if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(text.to_owned())
        }
        Some(_) => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn hosts_have_a_port_in_the_end() {
        for (text, read_as) in [
            ("manager", "manager:1517"),
            ("manager.example.org:99", "manager.example.org:99"),
            ("192.0.2.7", "192.0.2.7:1517"),
            ("2001:db8::7", "[2001:db8::7]:1517"),
            ("[2001:db8::7]", "[2001:db8::7]:1517"),
            ("[2001:db8::7]:9", "[2001:db8::7]:9"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(read_as));
        }
        for bad in [
            "",
            ":9",
            "host:",
            "host:0",
            "host:x",
            "ho st",
            "https://host",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
