//! What becomes of a task after an attempt: what was seen goes in ([`Ended`]), a
//! decision comes out ([`Outcome`]). Pure, so that the whole table can be read
//! and tested in one place.

use crate::failure::Failure;

/// How an attempt ended, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The agent was told to run the installer and agreed.
    Accepted {
        /// Whether it is going to say how that ended: old versions never do.
        reports: bool,
    },
    /// A step before the installer failed.
    Failed {
        /// Which, and why.
        failure: Failure,
        /// Whether another attempt could end otherwise.
        curable: bool,
    },
    /// The agent was told to run the installer and said no.
    Refused(Failure),
    /// The agent was told to run the installer and said nothing: it may be
    /// running it or not.
    Unanswered(Failure),
    /// The task ended elsewhere meanwhile (time-out, another node); the agent was
    /// not told to run the installer.
    NotOurs,
    /// The task was taken back meanwhile; the agent was not told to run the installer.
    TakenBack,
    /// The agent is at another node now, which has the task; it was not told to run the
    /// installer here.
    GivenAway,
    /// The daemon stops; the agent was not told to run the installer.
    Stopped,
}

impl From<Failure> for Ended {
    /// A failure before the installer that another attempt may cure.
    fn from(failure: Failure) -> Self {
        Self::Failed {
            failure,
            curable: true,
        }
    }
}

impl Ended {
    /// A failure before the installer that would come again.
    pub(super) fn for_good(failure: Failure) -> Self {
        Self::Failed {
            failure,
            curable: false,
        }
    }
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The delivery begins anew, after a pause.
    Again(Failure),
    /// The delivery is over.
    Over(Outcome),
}

/// What becomes of the task when its delivery is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stays In progress until the agent says how the installer ended.
    AwaitsWord,
    /// It stays In progress too: the agent may be running the installer although
    /// it did not say so.
    Silent(Failure),
    /// It ends as Legacy: the agent's word will never come.
    Legacy,
    /// It ends as Failed.
    Failed(Failure),
    /// It is left as it is.
    Left(Left),
}

/// Why a task is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The daemon stops, and finds it again at the next start.
    Interrupted,
    /// The daemon stops, and whether the agent runs the installer is not known:
    /// its word tells, after the next start.
    Unanswered,
    /// It is somebody else's, or ended.
    NotOurs,
    /// It was taken back.
    TakenBack,
    /// We gave it to another node.
    GivenAway,
}

/// Decides. `attempts_left` is how often the delivery may still be begun anew;
/// `stopping`: the daemon is about to end, which takes its connections with it.
pub(super) fn decide(ended: Ended, attempts_left: u32, stopping: bool) -> Next {
    Next::Over(match ended {
        Ended::Accepted { reports: true } => Outcome::AwaitsWord,
        Ended::Accepted { reports: false } => Outcome::Legacy,
        // A stop wins over what fails because of it: agents' connections end at
        // the same moment.
        Ended::Failed { curable: true, .. } if stopping => Outcome::Left(Left::Interrupted),
        Ended::Failed {
            failure,
            curable: true,
        } if attempts_left > 0 => return Next::Again(failure),
        Ended::Failed { failure, .. } | Ended::Refused(failure) => Outcome::Failed(failure),
        // We hung up, not the agent: nothing is known of it that would make the
        // upgrade a failure.
        Ended::Unanswered(_) if stopping => Outcome::Left(Left::Unanswered),
        // Silence is never an outcome.
        Ended::Unanswered(failure) => Outcome::Silent(failure),
        Ended::NotOurs => Outcome::Left(Left::NotOurs),
        Ended::TakenBack => Outcome::Left(Left::TakenBack),
        Ended::GivenAway => Outcome::Left(Left::GivenAway),
        Ended::Stopped => Outcome::Left(Left::Interrupted),
    })
}

#[cfg(test)]
mod tests {
    use wpk_wire::UpgradeCode;

    use super::*;

    fn failure() -> Failure {
        Failure::new(UpgradeCode::SendOpen, "no")
    }

    /// For each end: after the last attempt, with another one left, and with
    /// another one left while the daemon stops.
    #[test]
    fn every_end_has_its_outcome() {
        let over = Next::Over;
        let failed = || over(Outcome::Failed(failure()));
        let silent = || over(Outcome::Silent(failure()));
        let left = |why| over(Outcome::Left(why));
        let thrice = |next: Next| [next.clone(), next.clone(), next];
        let table = [
            (
                Ended::Accepted { reports: true },
                thrice(over(Outcome::AwaitsWord)),
            ),
            (
                Ended::Accepted { reports: false },
                thrice(over(Outcome::Legacy)),
            ),
            (
                Ended::from(failure()),
                [failed(), Next::Again(failure()), left(Left::Interrupted)],
            ),
            (Ended::for_good(failure()), thrice(failed())),
            (Ended::Refused(failure()), thrice(failed())),
            (
                Ended::Unanswered(failure()),
                [silent(), silent(), left(Left::Unanswered)],
            ),
            (Ended::NotOurs, thrice(left(Left::NotOurs))),
            (Ended::TakenBack, thrice(left(Left::TakenBack))),
            (Ended::GivenAway, thrice(left(Left::GivenAway))),
            (Ended::Stopped, thrice(left(Left::Interrupted))),
        ];
        for (ended, wanted) in table {
            let cases = [(0, false), (1, false), (1, true)];
            let decided = cases.map(|(left, stopping)| decide(ended.clone(), left, stopping));
            assert_eq!(decided, wanted, "{ended:?}");
        }
    }
}
