//! `[telemetry] listen`: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever
//! watches processes. Read-only, without secrets, for anybody who reaches the port; `run`
//! opens it before requests are served, and closes it with the daemon.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};
use wpk_api::CancellationToken;
use wpk_loader::LoadedPlugin;
use wpk_runtime::{Control, PluginState};

/// Connections at a time; more wait to be taken.
const MOST_CONNECTIONS: usize = 16;
/// How long a client may take for its request and for all of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;
/// How long nothing is taken after an error of the system.
const PAUSE: Duration = Duration::from_secs(1);

/// What is shown.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) control: Control,
    /// Those that were loaded at the start.
    pub(crate) libraries: Vec<LoadedPlugin>,
}

impl Shown {
    async fn metrics(&self) -> String {
        let state = |library: &LoadedPlugin| PluginState {
            name: library.name().to_owned(),
            up: library.is_up(),
        };
        let plugins: Vec<PluginState> = self.libraries.iter().map(state).collect();
        self.control.metrics(&plugins).await
    }
}

/// Opens the port.
///
/// # Errors
/// With the key and what to do.
pub(crate) async fn open(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("telemetry.listen: {address}: {error}; choose an address of this machine and a free port")
    })?;
    let here = listener.local_addr().unwrap_or(address);
    info!(address = %here, "metrics are served at /metrics");
    if !here.ip().is_loopback() {
        warn!(address = %here, "metrics are served to the network, to anybody who reaches this port");
    }
    Ok(listener)
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, shown: Shown, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let taking = async {
        loop {
            // Closed never.
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    debug!(%error, "a connection for metrics cannot be taken");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (shown, stop) = (shown.clone(), stop.clone());
            tokio::spawn(async move {
                let _place = place;
                let talk = tokio::time::timeout(PATIENCE, talk(stream, shown));
                stop.run_until_cancelled(talk).await;
            });
        }
    };
    stop.run_until_cancelled(taking).await;
}

/// One connection, one request.
async fn talk(stream: TcpStream, shown: Shown) {
    let service = service_fn(move |request| {
        let shown = shown.clone();
        async move { Ok::<_, Infallible>(answer(&request, &shown).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%error, "a client of the metrics");
    }
}

async fn answer(request: &Request<Incoming>, shown: &Shown) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        let allowed = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, allowed);
        return answer;
    }
    match request.uri().path() {
        "/metrics" => {
            let mut answer = text(StatusCode::OK, shown.metrics().await);
            const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let form = HeaderValue::from_static(FORM);
            answer.headers_mut().insert(CONTENT_TYPE, form);
            answer
        }
        // Whoever answers, lives.
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match shown.control.ready().await {
            Ok(()) => text(StatusCode::OK, "ready\n".to_owned()),
            Err(cause) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{cause}\n")),
        },
        _ => {
            let known = "known are /metrics, /healthz and /readyz\n";
            text(StatusCode::NOT_FOUND, known.to_owned())
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    let form = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, form);
    answer
}
