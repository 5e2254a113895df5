//! One record for each id of a request, in the order asked, doubles included.
//! What is found out about an id lies beside it, so that nothing is kept in step
//! by its position; the one place where that cannot be helped, because a store
//! answers a list with a list, is [`at_once`].

use wpk_api::AgentId;
use wpk_wire::{AskedId, UpgradeCode};

/// One id of a request, and what was found out about it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked<T> {
    /// As it was sent: it may be nobody's.
    pub(super) id: AskedId,
    pub(super) found: T,
}

/// What the checks found about an id: something, or why it is refused.
pub(super) type Checked<T> = Asked<Result<T, UpgradeCode>>;

impl<T> Asked<T> {
    /// The same id, and something else about it.
    pub(super) fn map<U>(self, learn: impl FnOnce(T) -> U) -> Asked<U> {
        Asked {
            id: self.id,
            found: learn(self.found),
        }
    }
}

/// A record for each id.
pub(super) fn each<T>(ids: &[AskedId], find: impl Fn(AskedId) -> T) -> Vec<Asked<T>> {
    let record = |id: &AskedId| Asked {
        id: *id,
        found: find(*id),
    };
    ids.iter().map(record).collect()
}

/// A record for each id with its agent; `None` for what is nobody's id.
pub(super) fn agents(ids: &[AskedId]) -> Vec<Asked<Option<AgentId>>> {
    each(ids, |id| id.agent().ok())
}

/// The agents that are meant, each once, ascending.
pub(super) fn distinct(ids: &[AskedId]) -> Vec<AgentId> {
    let mut distinct: Vec<AgentId> = ids.iter().filter_map(|id| id.agent().ok()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// Asks for all records in one call that answers each question with one answer,
/// in the same order, and gives each record its own: `None` for one that has no
/// question. `split` takes a record apart into what is kept and what is asked.
///
/// # Errors
/// Those of the call.
pub(super) async fn at_once<T, U, Q, A, E, F>(
    records: Vec<Asked<T>>,
    split: impl Fn(T) -> (U, Option<Q>),
    call: impl FnOnce(Vec<Q>) -> F,
) -> Result<Vec<Asked<(U, Option<A>)>>, E>
where
    F: Future<Output = Result<Vec<A>, E>>,
{
    let mut questions = Vec::with_capacity(records.len());
    let mut apart = |record: Asked<T>| {
        let (rest, question) = split(record.found);
        let asks = question.is_some();
        questions.extend(question);
        (record.id, rest, asks)
    };
    // What is kept takes the room of the records, as far as it fits: there may be 50,000.
    let mut kept: Vec<(AskedId, U, bool)> = records.into_iter().map(&mut apart).collect();
    kept.shrink_to_fit();
    let mut answers = call(questions).await?.into_iter();
    let answered = |(id, rest, asks): (AskedId, U, bool)| {
        let answer = asks.then(|| answers.next()).flatten();
        let found = (rest, answer);
        Asked { id, found }
    };
    Ok(kept.into_iter().map(answered).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Vec<AskedId> {
        [7, -1, 7, 3, 1 << 40].map(AskedId::from).to_vec()
    }

    #[tokio::test]
    async fn each_record_gets_the_answer_to_its_own_question() {
        let call = |questions: Vec<AgentId>| async move {
            let answers = questions.iter().map(|agent| agent.get() * 10).collect();
            Ok::<Vec<u32>, String>(answers)
        };
        let answered = at_once(agents(&ids()), |agent| ((), agent), call)
            .await
            .unwrap();
        let answers: Vec<_> = (answered.iter())
            .map(|asked| (asked.id.number(), asked.found.1))
            .collect();
        let wanted = [
            (7, Some(70)),
            (-1, None),
            (7, Some(70)),
            (3, Some(30)),
            (1 << 40, None),
        ];
        assert_eq!(answers, wanted);
    }

    #[tokio::test]
    async fn a_callee_that_answers_too_little_leaves_the_rest_without_an_answer() {
        let call = |_: Vec<AgentId>| async { Ok::<_, String>(vec!['a']) };
        let answered = at_once(agents(&ids()), |agent| ((), agent), call)
            .await
            .unwrap();
        let answers: Vec<_> = answered.iter().map(|asked| asked.found.1).collect();
        assert_eq!(answers, [Some('a'), None, None, None, None]);
    }

    #[test]
    fn agents_are_looked_up_once_each() {
        let numbers: Vec<u32> = distinct(&ids()).iter().map(|agent| agent.get()).collect();
        assert_eq!(numbers, [3, 7]);
    }
}
