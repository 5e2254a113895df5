//! One library's border: every operation begins here and ends here.
//!
//! The plugin's completions come in on its own threads; what it does wrong is
//! counted, logged, and in the end answered with quarantine: no function of the
//! library is called again, everything that is open ends as an error, and the
//! daemon goes on.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tracing::{error, warn};
use wpk_abi::codes::{operation as op, status};
use wpk_abi::host::{HostCalls, HostTable, PluginView, ReadLimits};
use wpk_abi::{BadBytes, Received};

use crate::LoadOptions;
use crate::deadlines::{Deadlines, Overdue, TakenBack};
use crate::failure::{CallError, tame};
use crate::handles::{Handle, InstanceHandle, Lives, StreamHandle};
use crate::logs::{self, Logs};
use crate::operation::{self, Completed, Ended, MAX_BODY, MAX_JSON, NEXT, Open, PIECE, Stage};
use crate::requests::Serving;
use crate::workers::Workers;

/// Threads in which a plugin's `call` and `next` run.
const CALLERS: usize = 16;
/// Broken rules after which a plugin is quarantined.
const TOLERATED: u32 = 100;
/// How long a source may take to stop.
const STOP: Duration = Duration::from_secs(15);
/// How long closing what was dropped is waited for.
const SETTLE: Duration = Duration::from_secs(5);

/// Tokens are never used twice in the life of the process.
static LAST_TOKEN: AtomicU64 = AtomicU64::new(0);

/// One library. It lives as long as the process.
pub(crate) struct Border {
    file: String,
    name: OnceLock<String>,
    host: OnceLock<HostTable>,
    view: OnceLock<PluginView>,
    deadline: Option<Duration>,
    grace: Duration,
    open: Deadlines,
    /// Run operations, which may block.
    callers: Workers,
    /// Tells what must not block, in order: cancel, close, answer.
    teller: Workers,
    serving: Serving,
    logs: Logs,
    broken_rules: AtomicU32,
    lives: Lives,
    quarantine: OnceLock<String>,
}

/// How the host's functions reach the border they belong to.
struct Calls(&'static Border);

impl Border {
    /// A border for the library `file`, and the thread that watches it.
    pub(crate) fn new(file: &str, options: &LoadOptions) -> &'static Self {
        let border: &'static Self = Box::leak(Box::new(Self {
            file: tame(file),
            name: OnceLock::new(),
            host: OnceLock::new(),
            view: OnceLock::new(),
            deadline: options.deadline,
            grace: options.grace,
            open: Deadlines::default(),
            callers: Workers::new("wpk-plugin", CALLERS),
            teller: Workers::new("wpk-plugin-tell", 1),
            serving: Serving::default(),
            logs: Logs::default(),
            broken_rules: AtomicU32::new(0),
            lives: Lives::default(),
            quarantine: OnceLock::new(),
        }));
        border.host();
        border
    }

    /// The table for the library's entry.
    pub(crate) fn host(&'static self) -> &'static HostTable {
        self.host
            .get_or_init(|| HostTable::publish(Arc::new(Calls(self))))
    }

    /// The library has entered; from now on it may be asked.
    pub(crate) fn connect(&'static self, view: PluginView, name: &str) {
        let _ = self.name.set(name.to_owned());
        let _ = self.view.set(view);
        let watching = std::thread::Builder::new()
            .name("wpk-plugin-watch".to_owned())
            .spawn(move || self.watch());
        if let Err(error) = watching {
            self.isolate(&format!("its watching thread cannot be started: {error}"));
        }
    }

    /// The plugin's name; before it has said it, that of its file.
    pub(crate) fn name(&self) -> &str {
        self.name.get().unwrap_or(&self.file)
    }

    pub(crate) fn quarantined(&self) -> Option<&str> {
        self.quarantine.get().map(String::as_str)
    }

    pub(crate) fn buffers(&'static self) -> (u64, u64) {
        let count = self.host().buffers();
        (count.received(), count.released())
    }

    pub(crate) fn open_operations(&self) -> usize {
        self.open.count()
    }

    /// The instances and streams that are not closed.
    pub(crate) fn lives(&self) -> &Lives {
        &self.lives
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.serving
    }

    /// A token for [`begin`](Self::begin).
    pub(crate) fn token(&self) -> u64 {
        LAST_TOKEN.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Begins the operation `token`: `run` calls the plugin, on another thread;
    /// `done` gets its end exactly once, on any thread, unless the operation
    /// is given up before.
    pub(crate) fn begin(
        &'static self,
        token: u64,
        what: u32,
        about: Handle,
        done: impl FnOnce(Ended) + Send + 'static,
        run: impl FnOnce(&PluginView) + Send + 'static,
    ) {
        let kept = about.clone();
        let limit = operation::usual_limit(what).map(|usual| {
            self.deadline
                .filter(|_| what != op::SERVES)
                .unwrap_or(usual)
        });
        let open = Open {
            what,
            about,
            due: None,
            limit,
            stage: Stage::Queued,
            inside: false,
            owed: 0,
            done: Some(Box::new(done)),
        };
        self.open.add(token, open);
        self.callers.submit(Box::new(move || {
            if let Some(view) = self.view.get()
                && self.quarantined().is_none()
                && self.open.begin(token)
            {
                run(view);
                self.tell_to_give_up(token, self.open.returned(token));
            }
            // Not before the plugin's function returned may it be closed.
            drop(kept);
        }));
        // After the operation was added, so that one of the two sees the other.
        if self.quarantined().is_some() {
            self.end_all();
        }
    }

    /// Nobody waits for the operation any more.
    pub(crate) fn give_up(&'static self, token: u64) {
        self.take_back(token, self.grace, false);
    }

    /// The operation, which serves, is to end in order.
    pub(crate) fn stop(&'static self, token: u64) {
        self.take_back(token, STOP, true);
    }

    fn take_back(&'static self, token: u64, grace: Duration, listen: bool) {
        match self.open.take_back(token, grace, listen) {
            TakenBack::Tell(times) => self.tell_to_give_up(token, times),
            TakenBack::Unseen(open) => self.end(open, Err(CallError::Busy("taken back".into()))),
            TakenBack::Nothing => {}
        }
    }

    fn tell_to_give_up(&'static self, token: u64, times: u8) {
        for _ in 0..times {
            self.tell(move |view| view.cancel(token));
        }
    }

    /// Tells the plugin something, unless it is quarantined.
    pub(crate) fn tell(&'static self, word: impl FnOnce(&PluginView) + Send + 'static) {
        self.teller.submit(Box::new(move || {
            if let Some(view) = self.view.get()
                && self.quarantined().is_none()
            {
                word(view);
            }
        }));
    }

    /// Waits until what was dropped is closed, within limits.
    pub(crate) fn settle(&'static self) {
        self.lives.wait(SETTLE);
        let (send, receive) = mpsc::channel::<()>();
        self.teller.submit(Box::new(move || drop(send)));
        // Nothing is ever sent: it ends when the job was run or thrown away.
        let _ = receive.recv_timeout(SETTLE);
    }

    fn end(&self, open: Open, ended: Ended) {
        if let Some(done) = open.done {
            done(ended);
        }
    }

    fn watch(&'static self) {
        loop {
            match self.open.wait(self.grace) {
                Overdue::Tell(token, times) => {
                    warn!(
                        plugin = self.name(),
                        token, "an operation takes too long; it is cancelled"
                    );
                    self.tell_to_give_up(token, times);
                }
                Overdue::Queued(open) => {
                    let what = operation::name(open.what);
                    let reason = format!(
                        "plugin {}: all its {CALLERS} threads are taken, `{what}` found none in time",
                        self.name()
                    );
                    self.end(open, Err(CallError::Busy(reason.clone())));
                    self.broke_a_rule(&reason);
                }
                Overdue::Ignored(open) => {
                    let what = operation::name(open.what);
                    let limit = open.limit.unwrap_or(STOP);
                    self.isolate(&format!(
                        "`{what}` was not completed within its deadline ({limit:?}), nor after it was cancelled"
                    ));
                    let error = CallError::Quarantined(self.reason());
                    self.end(open, Err(error));
                }
            }
        }
    }

    /// Counts something the plugin did wrong and logs it.
    pub(crate) fn broke_a_rule(&'static self, rule: &str) {
        let before = self.broken_rules.fetch_add(1, Ordering::Relaxed);
        if before < TOLERATED {
            warn!(
                plugin = self.name(),
                "the plugin broke a rule of the interface: {rule}"
            );
        }
        if before + 1 == TOLERATED {
            self.isolate(&format!(
                "it broke {TOLERATED} rules of the interface, lastly: {rule}"
            ));
        }
    }

    fn reason(&self) -> String {
        let reason = self.quarantined().unwrap_or("no reason");
        format!(
            "plugin {} is quarantined until wpkd is restarted: {reason}",
            self.name()
        )
    }

    /// From now on the plugin is not called any more.
    pub(crate) fn isolate(&'static self, reason: &str) {
        if self.quarantine.set(reason.to_owned()).is_err() {
            return;
        }
        error!(
            plugin = self.name(),
            "the plugin is quarantined until wpkd is restarted: {reason}"
        );
        self.callers.close();
        self.teller.close();
        self.end_all();
    }

    fn end_all(&self) {
        for open in self.open.take_all() {
            let error = CallError::Quarantined(self.reason());
            self.end(open, Err(error));
        }
    }

    /// What a completion says, or why it makes no sense.
    fn read(
        &'static self,
        open: &Open,
        status: i32,
        handle: u64,
        json: &Received,
        body: &Received,
    ) -> Result<Completed, BadBytes> {
        let most = if open.what == NEXT { PIECE } else { MAX_BODY };
        let json = json.bytes(MAX_JSON)?.to_vec();
        let body = Bytes::copy_from_slice(body.bytes(most)?);
        let handle = match (&open.about, open.what) {
            (_, op::OPEN) if status == status::OK => {
                Handle::Instance(InstanceHandle::new(self, handle))
            }
            (Handle::Instance(instance), op::FETCH) if status == status::OK => {
                Handle::Stream(StreamHandle::new(instance.clone(), handle))
            }
            _ => Handle::None,
        };
        Ok(Completed {
            status,
            json,
            body,
            handle,
        })
    }
}

impl HostCalls for Calls {
    fn complete(&self, token: u64, status: i32, handle: u64, json: Received, body: Received) {
        let border = self.0;
        let Some(open) = border.open.complete(token) else {
            border.broke_a_rule(&if border.quarantined().is_some() {
                format!("token {token} was completed too late, which is ignored")
            } else if token == 0 || token > LAST_TOKEN.load(Ordering::Relaxed) {
                format!("token {token} was completed, which was never given")
            } else {
                format!("token {token} was completed, which is completed already or not its own")
            });
            return;
        };
        let read = border.read(&open, status, handle, &json, &body);
        // Given back before anybody goes on: whoever sees the end finds them gone.
        drop((json, body));
        match read {
            Ok(completed) => border.end(open, Ok(completed)),
            Err(bad) => {
                let what = operation::name(open.what);
                border.isolate(&format!("`{what}` was completed with {bad}"));
                let error = CallError::Quarantined(border.reason());
                border.end(open, Err(error));
            }
        }
    }

    fn request(
        &self,
        serve: u64,
        json: Result<&[u8], BadBytes>,
        payload: Result<&[u8], BadBytes>,
        token: u64,
    ) {
        match (json, payload) {
            (Ok(json), Ok(payload)) => self.0.serving.take(self.0, serve, json, payload, token),
            (Err(bad), _) | (_, Err(bad)) => {
                self.0.isolate(&format!("a request came with {bad}"));
            }
        }
    }

    fn log(&self, level: u32, message: Result<&[u8], BadBytes>) {
        match message {
            Ok(line) => self.0.logs.write(self.0.name(), level, line),
            Err(bad) => self.0.broke_a_rule(&format!("a log line of {bad}")),
        }
    }

    fn log_enabled(&self, level: u32) -> bool {
        logs::is_enabled(level)
    }

    fn limits(&self) -> ReadLimits {
        ReadLimits {
            json: 64 << 10,
            payload: 64 << 20,
            log: 8 << 10,
        }
    }
}
