//! One library's border: every operation begins here and ends here.
//!
//! The plugin's completions come in on its own threads; what it does wrong is
//! counted, logged, and in the end answered with quarantine: no function of the
//! library is called again, everything that is open ends as an error, and the
//! daemon goes on.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tracing::{error, warn};
use wpk_abi::Operation;
use wpk_abi::host::PluginView;

use crate::deadlines::{Deadlines, Overdue, TakenBack};
use crate::failure::{CallError, tame};
use crate::handles::{Closes, Handle, Lives};
use crate::logs::Logs;
use crate::operation::{self, Asked, Ended, Open, Stage};
use crate::options::LoadOptions;
use crate::requests::{Back, Serving, Slot};
use crate::suspects::Suspect;
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
    suspect: &'static Suspect,
}

impl Border {
    /// A border for the library `file`.
    pub(crate) fn new(
        file: &str,
        suspect: &'static Suspect,
        options: &LoadOptions,
    ) -> &'static Self {
        Box::leak(Box::new(Self {
            file: tame(file),
            name: OnceLock::new(),
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
            suspect,
        }))
    }

    /// The library has entered; from now on it may be asked.
    pub(crate) fn connect(&'static self, view: PluginView, name: &str) {
        let _ = self.name.set(name.to_owned());
        self.suspect.set_name(name);
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

    pub(crate) fn open_operations(&self) -> usize {
        self.open.count()
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Whether the library was built for a minor version of the interface or a
    /// later one.
    pub(crate) fn speaks(&self, minor: u16) -> bool {
        self.view
            .get()
            .is_some_and(|view| view.header().minor >= minor)
    }

    /// Whether a token was ever given.
    pub(crate) fn gave(token: u64) -> bool {
        (1..=LAST_TOKEN.load(Ordering::Relaxed)).contains(&token)
    }

    /// Ends the operation of a completion, or tells why it has none.
    pub(crate) fn complete(&'static self, token: u64) -> Option<Open> {
        let open = self.open.complete(token);
        if open.is_none() {
            self.broke_a_rule(&if self.quarantined().is_some() {
                format!("token {token} was completed too late, which is ignored")
            } else if Self::gave(token) {
                format!("token {token} was completed, which is completed already or not its own")
            } else {
                format!("token {token} was completed, which was never given")
            });
        }
        open
    }

    /// Writes a line of the plugin's.
    pub(crate) fn log(&self, level: u32, line: &[u8]) {
        self.logs.write(self.name(), level, line);
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
        what: Asked,
        about: Handle,
        done: impl FnOnce(Ended) + Send + 'static,
        run: impl FnOnce(&PluginView) + Send + 'static,
    ) {
        let kept = about.clone();
        let limit = operation::usual_limit(what).map(|usual| {
            self.deadline
                .filter(|_| what != Operation::Serves.into())
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
                self.suspect.run(|| run(view));
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
                self.suspect.run(|| word(view));
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

    /// Whoever waits for the operation gets its end.
    pub(crate) fn end(&self, open: Open, ended: Ended) {
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
                    let what = open.what;
                    let reason = format!(
                        "plugin {}: all its {CALLERS} threads are taken, `{what}` found none in time",
                        self.name()
                    );
                    self.end(open, Err(CallError::Busy(reason.clone())));
                    self.broke_a_rule(&reason);
                }
                Overdue::Ignored(open) => {
                    let what = open.what;
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

    /// Why it is in quarantine, for those who waited.
    pub(crate) fn reason(&self) -> String {
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
}

impl Closes for Border {
    fn close(&'static self, instance: u64) {
        self.tell(move |view| view.close(instance));
    }

    fn close_stream(&'static self, stream: u64) {
        self.tell(move |view| view.close_stream(stream));
    }

    fn lives(&self) -> &Lives {
        &self.lives
    }
}

impl Back for Border {
    fn name(&self) -> &str {
        self.name()
    }

    fn answer(&'static self, token: u64, status: i32, body: Bytes, sent: Option<Slot>) {
        self.tell(move |view| {
            view.answer(token, status, &body);
            drop(sent);
        });
    }

    fn broke_a_rule(&'static self, rule: &str) {
        self.broke_a_rule(rule);
    }
}
