//! The upgrade socket (section 2): requests as types, and the responses of
//! both sockets.
//!
//! The intake reads a payload with [`UpgradeRequest::parse`]; whatever comes
//! of it is printed by [`Response::to_bytes`]. The tools enter from the other
//! side: they print requests and read responses.

pub mod command;
pub mod request;
pub mod response;

pub use command::UpgradeCommand;
pub use request::{
    CustomParams, INSTALLER, INSTALLER_OF_WINDOWS, LONGEST_CA, UpgradeParams, UpgradeRequest,
};
pub use response::{Item, Response, ResponseError};
