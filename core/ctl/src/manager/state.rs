//! The state of an agent's upgrade as the tool sees it: what the manager shows
//! in either dialect (PROTOCOL.md, section 3), and what only the asker knows.

use wpk_api::Status;
use wpk_wire::task::read_status;

/// Where an upgrade stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The manager created no task.
    Refused,
    /// Waiting.
    Queued,
    /// Being delivered, or the agent's word is awaited.
    Updating,
    /// The agent reported success.
    Updated,
    /// The same, and the manager waits to see the version it was sent.
    Confirming,
    /// The agent reported success, and the version it was sent was not seen.
    Unconfirmed,
    /// It failed.
    Error,
    /// Given up before it began.
    Cancelled,
    /// The agent never reported.
    Timeout,
    /// Delivered to an agent that cannot report.
    Legacy,
    /// The manager lost sight of the task.
    Unknown,
}

impl State {
    /// The state behind a `status` text of either dialect; `None` for any other text.
    pub(crate) fn from_shown(text: &str) -> Option<Self> {
        Some(match read_status(text)? {
            Status::Pending => Self::Queued,
            Status::InProgress => Self::Updating,
            Status::Done => Self::Updated,
            Status::Failed => Self::Error,
            Status::Cancelled => Self::Cancelled,
            Status::Timeout => Self::Timeout,
            Status::Legacy => Self::Legacy,
            Status::Other(_) => return None,
        })
    }

    /// The word that is printed: the documented one where there is one.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Refused => "Refused",
            Self::Queued => "In queue",
            Self::Updating => "Updating",
            Self::Updated => "Updated",
            Self::Confirming => "Confirming",
            Self::Unconfirmed => "Unconfirmed",
            Self::Error => "Error",
            Self::Cancelled => "Cancelled",
            Self::Timeout => "Timeout",
            Self::Legacy => "Legacy",
            Self::Unknown => "Unknown",
        }
    }

    /// The word for scripts: that of the task's status.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Confirming | Self::Unconfirmed => Self::Updated.word(),
            other => other.word(),
        }
    }

    /// The word for scripts that tells all outcomes apart.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Queued => "queued",
            Self::Updating => "updating",
            Self::Updated => "updated",
            Self::Confirming => "confirming",
            Self::Unconfirmed => "unconfirmed",
            Self::Error => "failed",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timed_out",
            Self::Legacy => "legacy",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing more will happen.
    pub(crate) fn ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Updating | Self::Confirming)
    }

    /// Whether it is not known, once nobody looks any more, how the upgrade
    /// ended: it may have succeeded or not.
    pub(crate) fn open(self) -> bool {
        let unheard = matches!(
            self,
            Self::Timeout | Self::Unknown | Self::Unconfirmed | Self::Legacy
        );
        unheard || !self.ended()
    }

    /// Whether the upgrade ended well, as far as anybody knows.
    pub(crate) fn well(self) -> bool {
        self == Self::Updated
    }

    /// The same as the 4.x tool sees it: an agent that is too old to report is not told apart.
    pub(crate) fn well_as_4x(self) -> bool {
        self.well() || self == Self::Legacy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_both_dialects_are_understood() {
        for (text, state) in [
            ("In queue", State::Queued),
            ("Updating", State::Updating),
            ("Updated", State::Updated),
            ("Error", State::Error),
            ("Cancelled", State::Cancelled),
            (
                "Task cancelled since the manager was restarted",
                State::Cancelled,
            ),
            ("Timeout", State::Timeout),
            (
                "Timeout reached while waiting for the response from the agent, check the result manually on the agent for more information",
                State::Timeout,
            ),
            ("Legacy", State::Legacy),
            (
                "Legacy upgrade: check the result manually since the agent cannot report the result of the task",
                State::Legacy,
            ),
        ] {
            assert_eq!(State::from_shown(text), Some(state), "{text}");
        }
        assert_eq!(State::from_shown("Done"), None);
    }

    #[test]
    fn only_one_state_ends_well() {
        let all = [
            State::Refused,
            State::Queued,
            State::Updating,
            State::Updated,
            State::Confirming,
            State::Unconfirmed,
            State::Error,
            State::Cancelled,
            State::Timeout,
            State::Legacy,
            State::Unknown,
        ];
        let well: Vec<_> = all.into_iter().filter(|state| state.well()).collect();
        assert_eq!(well, [State::Updated]);
        let mut outcomes = all.map(State::outcome).to_vec();
        outcomes.sort_unstable();
        outcomes.dedup();
        assert_eq!(outcomes.len(), all.len(), "each has its own word");
        assert_eq!(all.into_iter().filter(|state| !state.ended()).count(), 3);
        let open: Vec<_> = all.into_iter().filter(|state| state.open()).collect();
        let unknown = [
            State::Queued,
            State::Updating,
            State::Confirming,
            State::Unconfirmed,
            State::Timeout,
            State::Legacy,
            State::Unknown,
        ];
        assert_eq!(open, unknown);
    }
}
