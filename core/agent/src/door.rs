//! The file of the listening socket (`wpk-socket-file`): what the settings want of it,
//! what a check says of it, and what is done after a kill. The start (`run`) and the
//! program's other commands enter here.

use wpk_socket_file::{
    GivenBack, Names, SocketError, SocketFile, Standing, Wanted, builtin_path, give_back, group_id,
    standing,
};

use crate::settings::{ListenSettings, Problem, Settings};

/// The rights of the socket.
const MODE: u32 = 0o660;

/// Puts the socket into place and says who serves it now.
pub(crate) fn open(listen: &ListenSettings) -> Result<SocketFile, SocketError> {
    let socket = SocketFile::open(Wanted {
        path: listen.socket.clone(),
        mode: MODE,
        group: listen.group.as_deref().map(group_id).transpose()?,
        take_over: listen.take_over,
        names: Names::AGENT,
    })?;
    tracing::info!("upgrade socket {}", socket.told());
    Ok(socket)
}

impl Settings {
    /// Who serves the upgrade socket now, in one line; `None` without `[listen]`. Nothing
    /// is changed.
    ///
    /// # Errors
    /// What would stop the start, with its key.
    pub fn outlook(&self) -> Result<Option<String>, Problem> {
        let Some(listen) = &self.listen else {
            return Ok(None);
        };
        let path = &listen.socket;
        let problem = |key, error: SocketError| Err(Problem::new(key, error.to_string()));
        let standing = match standing(path) {
            Ok(standing) => standing,
            Err(error @ SocketError::TooLong(_)) => return problem("listen.socket", error),
            // Whoever asks may not look into the folder.
            Err(error) => return Ok(Some(format!("upgrade socket {error}"))),
        };
        let then = match standing {
            Standing::Another if !listen.take_over => {
                return problem("listen.take_over", SocketError::Served(path.clone()));
            }
            Standing::NoSocket => {
                return problem("listen.socket", SocketError::NoSocket(path.clone()));
            }
            Standing::Another => format!(
                "; when wpk-agent starts it takes it over, and that is behind it at {}",
                builtin_path(path).display()
            ),
            Standing::Nobody => " yet; wpk-agent will when it starts".to_owned(),
            _ => String::new(),
        };
        let told = standing.told(path, Names::AGENT);
        Ok(Some(format!("upgrade socket {told}{then}")))
    }

    /// After a kill: puts the socket of the agent daemon's own module back to its path.
    /// What was done, in one line.
    ///
    /// # Errors
    /// [`SocketError`]
    pub fn give_back(&self) -> Result<String, SocketError> {
        let Some(listen) = &self.listen else {
            return Ok("there is no [listen], so there is nothing to give back".to_owned());
        };
        let done = match give_back(&listen.socket)? {
            GivenBack::Yes => "given back to the agent's own module",
            GivenBack::NobodyBehind => "removed what a killed wpk-agent left; nobody is behind it",
            GivenBack::NotOurs => "nothing of wpk-agent's lies there",
            GivenBack::Running => "left alone, a wpk-agent runs and serves it",
        };
        Ok(format!("{}: {done}", listen.socket.display()))
    }
}
