//! User and password of a repository, and how an address is shown without them.
//!
//! A URL that somebody wrote (settings, `ossec.conf`, a request) may hold a
//! password. It reaches logs, errors and answers only through [`shown`], or as a
//! [`Base`](super::Base), whose text never holds one.

use std::fmt;

/// What stands where something was left out.
const HIDDEN: &str = "***";

/// A user and a password, for HTTP basic authentication. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The user; holds no colon.
    pub user: String,
    /// The password; may be empty.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

impl Login {
    /// Reads `USER` or `USER:PASSWORD` as it stands before the `@` of a URL, with
    /// `%XX` for what a URL cannot hold.
    ///
    /// # Errors
    /// What is wrong with it; the text holds nothing of it.
    pub fn of_url(text: &str) -> Result<Self, &'static str> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let (user, password) = (decoded(user)?, decoded(password)?);
        if user.is_empty() {
            return Err("it names no user before the @");
        }
        if user.contains(':') {
            return Err("a user's name cannot hold a colon");
        }
        Ok(Self { user, password })
    }
}

/// A text of a URL with `%XX` read.
fn decoded(text: &str) -> Result<String, &'static str> {
    const BROKEN: &str = "write % in a user or password as %25, and two hexadecimal digits after %";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit(), digit());
        let value = high
            .zip(low)
            .and_then(|(h, l)| u8::try_from(h * 16 + l).ok());
        bytes.push(value.ok_or(BROKEN)?);
    }
    let text = String::from_utf8(bytes).map_err(|_| "a user or password is no UTF-8")?;
    match text.contains(char::is_control) {
        true => Err("a user or password holds a control character"),
        false => Ok(text),
    }
}

/// A URL, or what was to be one, without what may be secret in it: user and
/// password, query and fragment. What cannot be told apart for sure is left out.
///
/// ```
/// use wpk_api::repository::shown;
///
/// assert_eq!(shown("https://user:pw@r.local/wpk/"), "https://***@r.local/wpk/");
/// assert_eq!(shown("https://r.local/wpk/?key=pw"), "https://r.local/wpk/?***");
/// ```
pub fn shown(url: &str) -> String {
    let scheme = url.find("://").filter(|at| is_scheme(&url[..*at]));
    let (scheme, rest) = url.split_at(scheme.map_or(0, |at| at + 3));
    let (login, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{HIDDEN}@"), rest),
        None => (String::new(), rest),
    };
    match rest.find(['?', '#']) {
        Some(at) => format!("{scheme}{login}{}{HIDDEN}", &rest[..=at]),
        None => format!("{scheme}{login}{rest}"),
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_password_is_shown() {
        for url in [
            "https://user:secret@r.local/wpk/",
            "user:secret@r.local",
            "https://user:sec/ret@r.local/wpk/",
            "https://user:secret@x@r.local/",
            "https://user:://secret@r.local/",
            "user:x://secret@r.local/",
            "//user:secret@r.local",
            "https://r.local/?token=secret",
            "https://r.local/#secret",
            "https://user:se?cret@r.local/",
            "https://r.local/?a=secret@x?secret",
        ] {
            let shown = shown(url);
            assert!(
                !shown.contains("secret") && !shown.contains("ret@"),
                "{shown}"
            );
        }
        assert_eq!(shown("r.local/wpk"), "r.local/wpk");
        assert_eq!(shown("ftp://r.local/"), "ftp://r.local/");
        let login = Login::of_url("user:secret").unwrap();
        assert_eq!(format!("{login:?}"), "Login(***)");
    }

    #[test]
    fn logins_are_read_as_urls_write_them() {
        let read = |text: &str| Login::of_url(text).map(|login| (login.user, login.password));
        let login = |user: &str, password: &str| Ok((user.to_owned(), password.to_owned()));
        assert_eq!(read("u:p"), login("u", "p"));
        assert_eq!(read("u"), login("u", ""));
        assert_eq!(read("u:p:q"), login("u", "p:q"));
        assert_eq!(read("a%40b:%C3%A4%2F%25"), login("a@b", "ä/%"));
        for bad in [
            "", ":p", "u:%", "u:%4", "u:%zz", "u:%ff", "u:%0a", "a%3Ab:p",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
