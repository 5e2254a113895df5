//! The two local sockets in a folder of their own.

use serde_json::json;
use wpk_api::{Endpoint, Peer, RequestSource};

use super::{AnyFactory, build};
use crate::source_suite::{SourceClient, Stand};
use crate::suite::{now, ok};
use crate::{Client, Home};

/// The longest request, in bytes.
const MAX_FRAME: usize = 1 << 20;

/// Sets up the folder, for `source_suite`.
pub async fn unix_socket(factory: AnyFactory<dyn RequestSource>) -> Stand {
    let home = ok("making a folder", Home::new());
    let (upgrade, task) = (home.upgrade_socket(), home.task_socket());
    let peer = Peer::Local {
        uid: rustix::process::geteuid().as_raw(),
    };
    let context = home.context();
    let settings = json!({"max_frame": MAX_FRAME});
    Stand::new(
        peer,
        move || now(build(&factory, &settings, &context)),
        move |endpoint| {
            let path = match endpoint {
                Endpoint::Upgrade => upgrade.clone(),
                Endpoint::Task => task.clone(),
            };
            async move { Ok(Box::new(Client::connect(path).await?) as Box<dyn SourceClient>) }
        },
    )
    .max_request(MAX_FRAME)
    .keep(home)
}
