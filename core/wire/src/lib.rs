//! Frames and messages of the agent upgrade protocol, without I/O.
//!
//! Everything that reads or writes bytes of the protocol enters this crate:
//! the listeners (frames, requests, responses), the delivery (commands to an
//! agent and their answers), the agent side (the same commands, seen from the
//! other end), the embedded manager's channel, and the tools. Nothing here
//! opens a socket, reads a clock or remembers anything between two calls but a
//! half-arrived frame.
//!
//! Section numbers in the comments are those of `PROTOCOL.md` beside this crate's
//! sources. Ids, versions, digests, statuses and commands are the types of
//! `wpk-api`; where a peer may send an integer that is no agent's id it is an
//! [`AskedId`], where it may send a number that is no code of ours a [`Code`].
//!
//! The two sockets enter by [`UpgradeRequest`] and [`TaskRequest`] and leave by
//! [`Response`]; our own commands are in [`own`], the agent's side in [`agent`],
//! the embedded manager's channel in [`channel`].
//!
//! ```
//! use wpk_wire::{Dialect, Item, Response, UpgradeCode, UpgradeRequest};
//!
//! let payload = br#"{"command":"upgrade_result","parameters":{"agents":[7,-1]}}"#;
//! let answer = match UpgradeRequest::parse(payload, Dialect::Wazuh4) {
//!     Ok(UpgradeRequest::Result { agents }) => {
//!         let items = agents
//!             .into_iter()
//!             .map(|asked| match asked.agent() {
//!                 Ok(agent) => Item::upgrade(UpgradeCode::AgentNotActive, agent),
//!                 Err(_) => Item::upgrade(UpgradeCode::AgentNotFound, asked),
//!             })
//!             .collect();
//!         Response::success(items)
//!     }
//!     Ok(_) => Response::success(Vec::new()),
//!     Err(refusal) => refusal.to_response(),
//! };
//! assert_eq!(answer.data[0].error, UpgradeCode::AgentNotActive);
//! assert_eq!(answer.data[1].agent.unwrap().number(), -1);
//! ```

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
pub use upgrade::{
    CustomParams, INSTALLER, INSTALLER_OF_WINDOWS, Item, LONGEST_CA, Response, UpgradeCommand,
    UpgradeParams, UpgradeRequest,
};

pub use wpk_api::Dialect;
