//! What the table may say of a task, given what the agent knows of it. The whole
//! truth is the one table below; everything else in this suite only makes
//! histories that are held against it.

use wpk_api::{Status, Task};

/// What an agent knows of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knows {
    /// Nothing, and the manager has not written down that the installer is begun.
    Nothing,
    /// Nothing, but the manager has written it down: the command may be lost.
    NothingYet,
    /// It was told to run the installer and refused, or the installer ended badly
    /// at once: it will say no more.
    Refused,
    /// Its installer runs.
    Runs,
    /// Its installer runs or ran, and its new version never reports.
    RunsMute,
    /// The installer ended, and the agent has not said so (yet, or it never will).
    EndedUnsaid,
    /// It ended well, and the agent said so at least once.
    SaidDone,
    /// It ended badly, and the agent said so at least once.
    SaidFailed,
}

/// What the table says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    InQueue,
    Updating,
    Updated,
    /// Error, because the agent reported failure (codes 24 and 25).
    Reported,
    /// Error, because a step before the installer failed or the agent refused.
    Failed,
    Cancelled,
    Timeout,
    Legacy,
}

impl Says {
    /// What the table says of a task; `None` for a status that nobody knows.
    pub fn of(task: &Task) -> Option<Self> {
        let reported = |text: &String| text.starts_with("Upgrade procedure exited");
        Some(match &task.status {
            Status::Pending => Self::InQueue,
            Status::InProgress => Self::Updating,
            Status::Done => Self::Updated,
            Status::Failed if task.error_msg.as_ref().is_some_and(reported) => Self::Reported,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Cancelled,
            Status::Timeout => Self::Timeout,
            Status::Legacy => Self::Legacy,
            Status::Other(_) => return None,
        })
    }

    const fn column(self) -> usize {
        self as usize
    }
}

/// What that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// So it is; nothing needs to follow.
    True,
    /// Not the last word: something is under way that will change it.
    Open,
    /// The table says what is not so, or more than anybody knows.
    Untrue,
}
use Worth::{Open as O, True as T, Untrue as X};

/// The truth. At the end, when everything is healthy and quiet, an open word is a
/// task that is stuck or a report that was lost.
#[rustfmt::skip]
const TRUTH: [(Knows, [Worth; 8]); 8] = [
    //                    InQueue Updating Updated Reported Failed Cancelled Timeout Legacy
    (Knows::Nothing,     [O,      O,       X,      X,       T,     T,        X,      X]),
    (Knows::NothingYet,  [X,      O,       X,      X,       T,     X,        T,      X]),
    (Knows::Refused,     [X,      O,       X,      X,       T,     X,        T,      X]),
    (Knows::Runs,        [X,      O,       X,      X,       X,     X,        O,      X]),
    (Knows::RunsMute,    [X,      O,       X,      X,       X,     X,        T,      T]),
    (Knows::EndedUnsaid, [X,      O,       X,      X,       X,     X,        T,      X]),
    (Knows::SaidDone,    [X,      O,       T,      X,       X,     X,        O,      X]),
    (Knows::SaidFailed,  [X,      O,       X,      T,       X,     X,        O,      X]),
];

/// What the table's word is worth.
pub fn judge(knows: Knows, says: Says) -> Worth {
    let row = TRUTH.iter().find(|(known, _)| *known == knows);
    row.map_or(X, |(_, worth)| worth[says.column()])
}

/// The same when nothing more is going to happen.
pub fn judge_at_the_end(knows: Knows, says: Says) -> Result<(), Fault> {
    match (judge(knows, says), says) {
        (Worth::True, _) => Ok(()),
        (Worth::Open, Says::InQueue | Says::Updating) => Err(Fault::Stuck),
        (Worth::Open | Worth::Untrue, _) => Err(Fault::Untrue),
    }
}

/// What a soak looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// An accepted task is not in the table, or went while it lived.
    Lost,
    /// An agent was told twice to run the installer of one task, or ran it twice.
    Twice,
    /// Nothing moves a task, an agent or a request any more.
    Stuck,
    /// The table's word against what the agent knows.
    Untrue,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYS: [Says; 8] = [
        Says::InQueue,
        Says::Updating,
        Says::Updated,
        Says::Reported,
        Says::Failed,
        Says::Cancelled,
        Says::Timeout,
        Says::Legacy,
    ];

    /// The columns are in the order of the words, and each row has its own.
    #[test]
    fn the_table_is_whole() {
        for (at, says) in SAYS.into_iter().enumerate() {
            assert_eq!(says.column(), at, "{says:?}");
        }
        for (at, (knows, _)) in TRUTH.iter().enumerate() {
            assert_eq!(*knows as usize, at, "{knows:?}");
        }
    }

    /// Histories that a manager wrote which guesses, each with what is wrong.
    #[test]
    fn a_manager_that_guesses_is_found_out() {
        let guesses = [
            ("an earlier report moved it", Knows::Nothing, Says::Updated),
            ("silence was taken for an error", Knows::Runs, Says::Failed),
            ("a report was turned round", Knows::SaidDone, Says::Reported),
            ("good news for bad", Knows::SaidFailed, Says::Updated),
            (
                "a failure that nobody told",
                Knows::EndedUnsaid,
                Says::Reported,
            ),
            ("taken back while it runs", Knows::Runs, Says::Cancelled),
            ("timed out in the queue", Knows::Nothing, Says::Timeout),
            ("a refusal as a success", Knows::Refused, Says::Updated),
        ];
        for (why, knows, says) in guesses {
            assert_eq!(judge(knows, says), Worth::Untrue, "{why}");
        }
    }

    #[test]
    fn what_is_only_on_its_way_is_wrong_at_the_end_alone() {
        for (knows, says, end) in [
            (Knows::SaidDone, Says::Timeout, Fault::Untrue),
            (Knows::SaidDone, Says::Updating, Fault::Stuck),
            (Knows::Nothing, Says::InQueue, Fault::Stuck),
        ] {
            assert_eq!(judge(knows, says), Worth::Open, "{knows:?} {says:?}");
            assert_eq!(judge_at_the_end(knows, says), Err(end));
        }
        for (knows, says) in [
            (Knows::SaidDone, Says::Updated),
            (Knows::SaidFailed, Says::Reported),
            (Knows::EndedUnsaid, Says::Timeout),
            (Knows::NothingYet, Says::Timeout),
            (Knows::RunsMute, Says::Legacy),
        ] {
            assert_eq!(judge_at_the_end(knows, says), Ok(()), "{knows:?} {says:?}");
        }
    }
}
