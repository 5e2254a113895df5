//! Frames and messages of the agent upgrade protocol, without I/O.
//!
//! Everything that reads or writes bytes of the protocol enters this crate:
//! the listeners (frames, requests, responses), the delivery (commands to an
//! agent and their answers), the agent side (the same commands, seen from the
//! other end), the embedded manager's channel, and the tools. Nothing here
//! opens a socket, reads a clock or remembers anything between two calls but a
//! half-arrived frame.
//!
//! Section numbers in the comments are those of the protocol reference.

pub mod ack;
pub mod agent;
mod agents;
mod asked;
pub mod channel;
pub mod codes;
pub mod frame;
pub mod json;
pub mod own;
mod parameters;
pub mod refusal;
pub mod remoted;
pub mod task;
pub mod upgrade;
mod word;

pub use ack::{Acknowledgement, Verdict};
pub use agent::{AgentCommand, AgentReply, AgentRequest, AgentResponse, CommandForm, Step};
pub use asked::AskedId;
pub use channel::{ChannelError, ChannelMessage, Hello, Welcome};
pub use codes::{AgentCode, Code, TaskCode, UpgradeCode};
pub use frame::{FrameDecoder, FrameError, PEER_MAX_PAYLOAD};
pub use own::OwnRequest;
pub use refusal::Refusal;
pub use task::{TaskCommand, TaskRequest};
pub use upgrade::{CustomParams, Item, Response, UpgradeCommand, UpgradeParams, UpgradeRequest};

pub use wpk_api::Dialect;
