//! Commands to an agent and their answers, seen from both ends.
//!
//! The delivery prints [`AgentCommand`]s and judges answers with
//! [`AgentReply::parse`] (section 5); the agent side reads the same commands
//! with [`AgentRequest::parse`] and answers with [`AgentResponse`] (section 7).

pub mod command;
pub mod reply;
pub mod request;
pub mod response;

pub use command::{AgentCommand, CommandForm, Step};
pub use reply::{AgentReply, ReplyError};
pub use request::{AgentRefusal, AgentRequest, Routed, route};
pub use response::AgentResponse;
