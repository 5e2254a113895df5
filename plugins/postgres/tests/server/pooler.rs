//! Through pgbouncer in transaction mode, where each transaction may have another session.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wpk_plugin_postgres::Settings;
use wpk_testkit::skipped::leave_out;
use wpk_testkit::{PostgresServer, store_suite};

use crate::common::{open, settings};

struct Pooler {
    child: Child,
    port: u16,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pooler {
    async fn before(server: &PostgresServer) -> Option<Self> {
        let there = Command::new("pgbouncer").arg("--version").output().is_ok();
        if !there {
            leave_out("pgbouncer is not installed (apt-get install pgbouncer)");
            return None;
        }
        // It takes no port 0; one that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let folder = server.socket_folder().display();
        let file = server.put(
            "pgbouncer.ini",
            &format!(
                "[databases]\npostgres = host={folder} port={} user=postgres\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
                 pool_mode = transaction\ndefault_pool_size = 5\nunix_socket_dir =\n",
                server.port()
            ),
        );
        let mut command = Command::new("pgbouncer");
        if server.is_somebody_elses() {
            command = Command::new("setpriv");
            command.args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "pgbouncer",
            ]);
        }
        let child = command
            .arg("-q")
            .arg(file)
            .process_group(0)
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self { child, port };
        let up = wpk_testkit::wait_until(Duration::from_secs(20), || async {
            let dialled = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            dialled.ok().map(|_| ())
        });
        up.await.expect("pgbouncer takes connections");
        Some(pooler)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_transaction_mode_is_no_hindrance() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let Some(pooler) = Pooler::before(&server).await else {
        return;
    };
    let next = std::sync::atomic::AtomicU32::new(0);
    let make = async || {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        open(&Settings {
            host: "127.0.0.1".into(),
            port: pooler.port,
            prepared: false,
            listen: false,
            pool: 4,
            ..settings(&server, &format!("pooled{number}"))
        })
    };
    store_suite::contract::run(&make).await;
    store_suite::history::run(&make).await;
    store_suite::races::run(&make).await;
}
