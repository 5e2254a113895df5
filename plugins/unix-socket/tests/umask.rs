//! The rights of the sockets do not depend on the umask. Alone in its process,
//! because the umask is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::os::unix::fs::MetadataExt;

use rustix::fs::Mode;
use serde_json::json;
use wpk_api::Factory;
use wpk_plugin_unix_socket::plugin;
use wpk_testkit::Home;

#[tokio::test]
async fn the_mode_is_exact_under_any_umask() {
    for umask in [0o000, 0o022, 0o077, 0o277] {
        for mode in ["0660", "0600", "0666", "0640"] {
            let home = Home::new().unwrap();
            let settings = json!({"mode": mode});
            let before = rustix::process::umask(Mode::from_raw_mode(umask));
            let source = plugin().build(&settings, &home.context());
            rustix::process::umask(before);
            let _source = source.unwrap();
            for path in [home.upgrade_socket(), home.task_socket()] {
                let found = std::fs::metadata(path).unwrap().mode() & 0o7777;
                assert_eq!(format!("{found:04o}"), mode, "umask {umask:03o}");
            }
        }
    }
}
