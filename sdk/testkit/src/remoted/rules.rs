//! How single agents deviate from a healthy one: the `remoted_rules` of the
//! recordings, a line `AGENT STEP ANSWER` each.
//!
//! ANSWER is the agent's answer as it stands (it may be empty), or
//!
//! | word | meaning |
//! | --- | --- |
//! | `@close` | close without an answer |
//! | `@count:N:ANSWER` | this answer to the first N requests of the step |
//! | `@ack:E:STATUS` | healthy answer; acknowledge with this error and status |
//! | `@noack` | healthy answer; never acknowledge |
//! | `@hang` | keep the connection open and say nothing |
//! | `@raw:HEX` | write these bytes without a frame, then close |
//!
//! The first line for an agent and step that is not used up counts; AGENT `*`
//! is every agent.

use bytes::Bytes;

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    agent: Option<u32>,
    step: String,
    action: Action,
    left: Option<u64>,
}

/// What a rule makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Answer(Bytes),
    Close,
    Hang,
    Raw(Bytes),
    /// A healthy answer, with another acknowledgement after it (`None`: none).
    Acknowledge(Option<(i64, String)>),
}

/// Reads rules. `Err` names the line that is none.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_line(line).ok_or_else(|| format!("{line:?} is no rule: AGENT STEP ANSWER"))
        })
        .collect()
}

fn parse_line(line: &str) -> Option<Rule> {
    let (agent, rest) = line.split_once(' ')?;
    let agent = match agent {
        "*" => None,
        id => Some(id.parse().ok()?),
    };
    let (step, mut answer) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut left = None;
    if let Some(counted) = answer.strip_prefix("@count:") {
        let (count, rest) = counted.split_once(':')?;
        left = Some(count.parse().ok()?);
        answer = rest;
    }
    Some(Rule {
        agent,
        step: step.to_owned(),
        action: parse_action(answer)?,
        left,
    })
}

fn parse_action(answer: &str) -> Option<Action> {
    Some(match answer {
        "@close" => Action::Close,
        "@hang" => Action::Hang,
        "@noack" => Action::Acknowledge(None),
        other => {
            if let Some(ack) = other.strip_prefix("@ack:") {
                let (error, status) = ack.split_once(':')?;
                Action::Acknowledge(Some((error.parse().ok()?, status.to_owned())))
            } else if let Some(hex) = other.strip_prefix("@raw:") {
                Action::Raw(unhex(hex)?.into())
            } else {
                Action::Answer(Bytes::copy_from_slice(other.as_bytes()))
            }
        }
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

/// What the rules say about one request, counting it.
pub(super) fn find(rules: &mut [Rule], agent: u32, step: &str) -> Option<Action> {
    let rule = rules.iter_mut().find(|rule| {
        rule.agent.is_none_or(|id| id == agent) && rule.step == step && rule.left != Some(0)
    })?;
    rule.left = rule.left.map(|left| left.saturating_sub(1));
    Some(rule.action.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_the_recordings_is_understood() {
        let text = "1 lock_restart \n1 open err Cannot send request\n1 write ok \n\
                    2 open @count:2:err\n2 open @close\n1 upgrade @ack:2:Done\n* sha1 @raw:00fF\n";
        let mut rules = parse(text).unwrap();
        let answer = |text: &'static str| Some(Action::Answer(Bytes::from_static(text.as_bytes())));
        assert_eq!(find(&mut rules, 1, "lock_restart"), answer(""));
        assert_eq!(
            find(&mut rules, 1, "open"),
            answer("err Cannot send request")
        );
        assert_eq!(find(&mut rules, 1, "write"), answer("ok "));
        assert_eq!(find(&mut rules, 2, "open"), answer("err"));
        assert_eq!(find(&mut rules, 2, "open"), answer("err"));
        assert_eq!(find(&mut rules, 2, "open"), Some(Action::Close));
        assert_eq!(find(&mut rules, 2, "close"), None);
        assert_eq!(
            find(&mut rules, 1, "upgrade"),
            Some(Action::Acknowledge(Some((2, "Done".to_owned()))))
        );
        assert_eq!(
            find(&mut rules, 77, "sha1"),
            Some(Action::Raw(Bytes::from_static(&[0, 255])))
        );
    }

    #[test]
    fn nonsense_is_no_rule() {
        for text in [
            "x open ok",
            "1",
            "1 open @count:x:ok",
            "1 upgrade @ack:0",
            "1 sha1 @raw:0",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
