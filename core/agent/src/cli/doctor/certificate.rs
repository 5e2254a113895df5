//! How long a certificate is good for.

use std::fmt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::credentials::Life;
use crate::facts::now;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// From so many days on its end is said.
const NEAR: i64 = 30;

/// When it ends, or begins.
#[derive(Debug)]
pub(crate) struct End {
    begins: i64,
    ends: i64,
    now: i64,
    shown: String,
}

/// Looks at the first certificate of a PEM file.
///
/// # Errors
/// Why nothing can be told, with the file.
pub(crate) fn look(path: &Path) -> Result<End, String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let certificate =
        CertificateDer::from_pem_slice(&text).map_err(|error| format!("{shown}: {error}"))?;
    let life = Life::of(&certificate).ok_or_else(|| format!("{shown} holds no certificate"))?;
    Ok(End {
        begins: life.from,
        ends: life.until,
        now: i64::try_from(now()).unwrap_or(i64::MAX),
        shown: shown.to_string(),
    })
}

impl End {
    /// Whether it is not good now.
    pub(crate) fn is_over(&self) -> bool {
        self.now > self.ends || self.now < self.begins
    }

    /// Whether it will not be good for much longer.
    pub(crate) fn is_near(&self) -> bool {
        let life = self.ends.saturating_sub(self.begins);
        // One with a short life is renewed within it.
        self.ends.saturating_sub(self.now) < (NEAR * DAY).min(life / 4)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.shown;
        let left = self.ends.saturating_sub(self.now);
        if self.now < self.begins {
            write!(f, "{shown} is not good yet: is this machine's clock right?")
        } else if left < 0 {
            write!(f, "{shown} expired {} ago", time(-left))
        } else {
            write!(f, "{shown} is good for another {}", time(left))
        }
    }
}

/// In the unit that people would take.
fn time(seconds: i64) -> String {
    match seconds {
        172_800.. => format!("{} days", seconds / DAY),
        7_200.. => format!("{} hours", seconds / 3_600),
        _ => format!("{} minutes", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(begins: i64, ends: i64) -> End {
        End {
            begins: begins * DAY,
            ends: ends * DAY,
            now: 0,
            shown: "a.pem".to_owned(),
        }
    }

    #[test]
    fn the_end_is_told_in_words() {
        for (end, over, near, text) in [
            (
                end(-10, 80),
                false,
                false,
                "a.pem is good for another 80 days",
            ),
            (
                end(-70, 20),
                false,
                true,
                "a.pem is good for another 20 days",
            ),
            (end(-1, 9), false, false, "a.pem is good for another 9 days"),
            (end(-90, -3), true, true, "a.pem expired 3 days ago"),
            (
                end(1, 90),
                true,
                false,
                "a.pem is not good yet: is this machine's clock right?",
            ),
        ] {
            assert_eq!((end.is_over(), end.is_near()), (over, near), "{text}");
            assert_eq!(end.to_string(), text);
        }
    }
}
