//! Each step of a delivery, failing in each way: the task has the documented
//! text and the cause, and the agent hears nothing more.

use wpk_api::Status;
use wpk_testkit::memory::Say;

use crate::stand::Stand;

const BAD: Say = Say::Words(r#"{"error":9,"message":"no \u001b[2J","data":[]}"#);
const PLAIN: Say = Say::Words("err no");

async fn fails(agent: u32, step: &'static str, say: Say, text: &str, cause: &str) {
    let stand = Stand::new().await;
    stand.rule(agent, step, say);
    assert_eq!(stand.upgrade(&[agent]).await, [0]);
    let task = stand.until(agent, Status::Failed).await;
    assert_eq!(task.error_msg.as_deref(), Some(text));
    let steps = stand.steps(agent);
    assert_eq!(steps.last().map(String::as_str), Some(step), "{steps:?}");
    let timeline = stand.timeline(agent);
    let failure = timeline.last().and_then(|entry| entry.failure.clone());
    let said = failure.expect("a cause").said;
    assert!(said.contains(cause), "{said:?} does not say {cause:?}");
    assert!(!said.chars().any(char::is_control), "{said:?}");
}

macro_rules! each_way {
    ($($step:ident, $text:literal;)*) => {$(
        mod $step {
            use super::*;

            const STEP: &str = stringify!($step);

            #[tokio::test(start_paused = true)]
            async fn the_agent_refuses() {
                fails(1, STEP, BAD, $text, "no").await;
            }

            #[tokio::test(start_paused = true)]
            async fn an_old_agent_refuses() {
                fails(10, STEP, PLAIN, $text, "no").await;
            }

            #[tokio::test(start_paused = true)]
            async fn the_channel_refuses() {
                let words = "err Cannot send request";
                fails(1, STEP, Say::Refuse(words), $text, words).await;
            }

            #[tokio::test(start_paused = true)]
            async fn the_agent_is_not_connected() {
                fails(1, STEP, Say::NotConnected, $text, "not connected").await;
            }

            #[tokio::test(start_paused = true)]
            async fn the_channel_is_away() {
                fails(1, STEP, Say::Unavailable, $text, "it is away").await;
            }
        }
    )*};
}

each_way! {
    lock_restart, "Send lock restart error";
    open, "Send open file error";
    write, "Send write file error";
    close, "Send close file error";
    sha1, "Send verify sha1 error";
    upgrade, "Send upgrade command error";
}

/// Silence before the installer is a failure: nothing was begun.
macro_rules! silence {
    ($($step:ident, $text:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $step() {
            fails(1, stringify!($step), Say::TimeOut, $text, "did not answer in time").await;
            fails(1, stringify!($step), Say::Close, $text, "it hung up").await;
        }
    )*};
}

mod silence_before_the_installer {
    use super::*;

    silence! {
        lock_restart, "Send lock restart error";
        write, "Send write file error";
        close, "Send close file error";
        sha1, "Send verify sha1 error";
    }
}
