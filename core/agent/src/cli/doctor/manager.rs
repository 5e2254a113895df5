//! Whether the manager is reached, and whether the two trust each other. No Hello is said:
//! a second connection of this agent would end that of the agent which runs.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wpk_api::examine::Check;

use crate::channel::connector;
use crate::credentials::Store;
use crate::settings::ChannelSettings;

const NAME: &str = "manager";
/// In TLS 1.3 a server that does not take our certificate says so after the handshake.
const REFUSAL: Duration = Duration::from_millis(500);

/// Dials it.
pub(super) fn look(settings: &ChannelSettings) -> Vec<Check> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(dial(settings)),
        Err(error) => vec![Check::failure(NAME, format!("no runtime: {error}"), "")],
    }
}

async fn dial(settings: &ChannelSettings) -> Vec<Check> {
    let (address, limit) = (&settings.address, settings.connect_timeout.0);
    let begin = Instant::now();
    let tcp = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => {
            let advice =
                "is channel.address right, does wpkd run there, does a firewall let it by?";
            return vec![Check::failure(NAME, format!("{address}: {error}"), advice)];
        }
        Err(_) => {
            let detail = format!("{address}: nobody answered within {limit:?}");
            return vec![Check::failure(NAME, detail, "does a firewall swallow it?")];
        }
    };
    let reached = format!("{address} answers within {:.0?}", begin.elapsed());
    let mut checks = vec![Check::ok(NAME, reached)];
    checks.push(match handshake(settings, tcp).await {
        Ok(()) => Check::ok(
            "TLS",
            "the manager and this agent take each other's certificate",
        ),
        Err(reason) => {
            let advice = "another manager, or another CA than this agent was enrolled with: \
                          enroll it again";
            Check::failure("TLS", format!("{address}: {reason}"), advice)
        }
    });
    checks
}

async fn handshake(settings: &ChannelSettings, tcp: TcpStream) -> Result<(), String> {
    let limit = settings.connect_timeout.0;
    let store = Store {
        ca: settings.ca.clone(),
        certificate: settings.certificate.clone(),
        key: settings.key.clone(),
    };
    let pairs = store.pairs().map_err(|error| error.to_string())?;
    let pair = pairs.first().ok_or("there is no identity")?;
    let (connector, name) =
        connector(&store, pair, &settings.server_name).map_err(|error| error.to_string())?;
    let mut stream = timeout(limit, connector.connect(name, tcp))
        .await
        .map_err(|_| format!("no handshake within {limit:?}"))?
        .map_err(|error| error.to_string())?;
    match timeout(REFUSAL, stream.read_u8()).await {
        // It waits for a Hello.
        Err(_) | Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err("the manager closed the connection after the handshake".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
    }
}
