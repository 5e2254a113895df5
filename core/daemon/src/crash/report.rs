//! What is known of a crash: a line for each word, `key value`, the signal first.

use std::fmt;

use wpk_api::words::clean;

/// The longest value, in bytes.
const LONGEST: usize = 512;

/// A crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    signal: String,
    /// The plugin whose code was running, and its file.
    plugin: Option<(String, String)>,
}

impl Report {
    /// Reads what the handler wrote; `None` if there is no crash in it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let values = text.lines().filter_map(|line| line.split_once(' '));
            let mut values = values.filter(|(name, _)| *name == key);
            values.next().map(|(_, value)| clean(value, LONGEST))
        };
        let name = value("plugin");
        Some(Self {
            signal: value("signal")?,
            plugin: name.map(|name| (name, value("file").unwrap_or_default())),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, plugin } = self;
        match plugin {
            Some((name, file)) => {
                write!(
                    f,
                    "{signal} while the code of plugin {name} ({file}) was running"
                )
            }
            None => write!(f, "{signal} in no code of a plugin, as far as was seen"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<String> {
        Report::parse(text).map(|report| report.to_string())
    }

    #[test]
    fn a_report_names_the_plugin_where_there_is_one() {
        assert_eq!(words(""), None);
        assert_eq!(words("garbage\n\0\0"), None);
        assert_eq!(
            words("signal SIGSEGV\nplugin odd\nfile /opt/odd.so\n").unwrap(),
            "SIGSEGV while the code of plugin odd (/opt/odd.so) was running"
        );
        assert_eq!(
            words("signal SIGABRT\n").unwrap(),
            "SIGABRT in no code of a plugin, as far as was seen"
        );
        let hostile = words("signal SIG\u{1b}[2J\nplugin a\n").unwrap();
        assert!(!hostile.contains('\u{1b}'), "{hostile}");
    }

    /// Two threads may have crashed at once.
    #[test]
    fn the_first_report_counts() {
        let text = "signal SIGSEGV\nplugin one\nfile /1\nsignal SIGABRT\nplugin two\nfile /2\n";
        assert!(words(text).unwrap().contains("plugin one (/1)"));
    }
}
