//! Who we are at a repository. `provider` enters here.
//!
//! A user and a password come from the settings (in `url`, or `user` and
//! `password_file`), from the repository that a 4.x manager names, or from a
//! request's own address. They are sent to the scheme, host and port they were
//! written for and nowhere else: not where a redirect leads, and not over `http`
//! where the address left the scheme open.

use std::collections::VecDeque;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use reqwest::{RequestBuilder, Url};
use wpk_api::repository::{Base, Login};
use wpk_api::{BuildError, Context};

use crate::settings::Settings;

/// The longest password, in bytes.
const MAX_PASSWORD: u64 = 4_096;
/// How many addresses of requests are remembered until their files are fetched.
const REMEMBERED: usize = 256;

/// The logins that are known.
pub(crate) struct Logins {
    own: Option<Own>,
    /// Of requests, newest last: the file a request asked for, and its login.
    asked: Mutex<VecDeque<(String, Login)>>,
}

/// That of the configured repository.
struct Own {
    origin: Url,
    login: Source,
}

enum Source {
    Written(Login),
    File { user: String, path: PathBuf },
}

impl Logins {
    /// `configured` is the address of the configured repository.
    ///
    /// # Errors
    /// [`BuildError::Failed`] if there is a user and no repository, or the password's
    /// file cannot be used.
    pub(crate) fn new(
        settings: &Settings,
        configured: Option<&str>,
        context: &Context,
    ) -> Result<Self, BuildError> {
        // What is no address is told when it is asked for.
        let base = configured.and_then(|text| Base::complete(text, false).ok());
        let origin = base
            .as_ref()
            .and_then(|base| Url::parse(base.as_str()).ok());
        let written = base.as_ref().and_then(Base::login).cloned();
        let login = match (&settings.user, &settings.password_file) {
            (Some(user), Some(path)) => {
                if origin.is_none() {
                    return Err(BuildError::Failed(
                        "user and password_file are for the repository of url: name it".to_owned(),
                    ));
                }
                let path = context.path(path);
                password(&path).map_err(BuildError::Failed)?;
                let user = user.clone();
                Some(Source::File { user, path })
            }
            _ => written.map(Source::Written),
        };
        Ok(Self {
            own: origin
                .zip(login)
                .map(|(origin, login)| Own { origin, login }),
            asked: Mutex::default(),
        })
    }

    /// What to say at `base`, which a request named if `requested`.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(crate) async fn at(&self, base: &Base, requested: bool) -> Result<Option<Login>, String> {
        if let (true, Some(login)) = (requested, base.login()) {
            return Ok(Some(login.clone()));
        }
        match Url::parse(base.as_str()) {
            Ok(url) => self.own(&url).await,
            Err(_) => Ok(None),
        }
    }

    /// A request's login will be wanted again, for this file.
    pub(crate) fn remember(&self, file: &str, login: Option<&Login>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|(known, _)| known != file);
        if let Some(login) = login {
            asked.push_back((file.to_owned(), login.clone()));
        }
        if asked.len() > REMEMBERED {
            asked.pop_front();
        }
    }

    /// What to say when this file is fetched.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(crate) async fn of_file(&self, file: &Url, text: &str) -> Result<Option<Login>, String> {
        let known = {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let known = asked.iter().find(|(known, _)| known == text);
            known.map(|(_, login)| login.clone())
        };
        match known {
            Some(login) => Ok(Some(login)),
            None => self.own(file).await,
        }
    }

    async fn own(&self, url: &Url) -> Result<Option<Login>, String> {
        let Some(own) = self
            .own
            .as_ref()
            .filter(|own| own.origin.origin() == url.origin())
        else {
            return Ok(None);
        };
        match &own.login {
            Source::Written(login) => Ok(Some(login.clone())),
            Source::File { user, path } => {
                let (user, path) = (user.clone(), path.clone());
                let read = tokio::task::spawn_blocking(move || password(&path)).await;
                let password = read.map_err(|error| error.to_string())??;
                Ok(Some(Login { user, password }))
            }
        }
    }
}

/// The request, with the login if there is one.
pub(crate) fn signed(request: RequestBuilder, login: Option<&Login>) -> RequestBuilder {
    match login {
        Some(login) => request.basic_auth(&login.user, Some(&login.password)),
        None => request,
    }
}

/// The first line of a password's file.
fn password(path: &Path) -> Result<String, String> {
    let failed = |what: &str| format!("password_file {}: {what}", path.display());
    let file = std::fs::OpenOptions::new()
        .read(true)
        // Never waits for the other end of a FIFO.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| failed(&error.to_string()))?;
    let meta = file
        .metadata()
        .map_err(|error| failed(&error.to_string()))?;
    if !meta.is_file() {
        return Err(failed("it is no file"));
    }
    if meta.mode() & 0o006 != 0 {
        let mode = meta.mode() & 0o7777;
        return Err(failed(&format!(
            "every user of this machine may use it (mode {mode:04o}): chmod 0640 it, and give it the group of wpkd"
        )));
    }
    let mut bytes = Vec::new();
    file.take(MAX_PASSWORD + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error.to_string()))?;
    if bytes.len() as u64 > MAX_PASSWORD {
        return Err(failed("it is longer than 4096 bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("it is no UTF-8 text"))?;
    let line = text.lines().next().unwrap_or_default();
    match line.is_empty() {
        true => Err(failed("its first line is empty: write the password there")),
        false => Ok(line.to_owned()),
    }
}
