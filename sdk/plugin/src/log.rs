//! `tracing` events and panic messages of the plugin, on their way to the
//! daemon's log.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use wpk_abi::codes::level;
use wpk_abi::export::HostView;

/// The longest line the host reads, in bytes.
const LONGEST: usize = 8 << 10;

/// Sends everything this library logs to the host. A library has its own copy of
/// `tracing` and of the panic hook, so this changes nothing for anybody else.
pub(crate) fn start(host: HostView) {
    // A second start is harmless: the first one stays.
    let _ = tracing::subscriber::set_global_default(ToHost(host));
    std::panic::set_hook(Box::new(move |panic| {
        host.log(level::ERROR, cut(&panic.to_string()));
    }));
}

struct ToHost(HostView);

fn number(of: &Level) -> u32 {
    match *of {
        Level::ERROR => level::ERROR,
        Level::WARN => level::WARN,
        Level::INFO => level::INFO,
        Level::DEBUG => level::DEBUG,
        Level::TRACE => level::TRACE,
    }
}

fn cut(line: &str) -> &str {
    let mut end = line.len().min(LONGEST);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or_default()
}

impl Subscriber for ToHost {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The daemon may change what it wants to see.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.0.log_enabled(number(metadata.level()))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = match (line.message.is_empty(), line.fields.is_empty()) {
            (_, true) => line.message,
            (true, _) => line.fields.trim_start().to_owned(),
            _ => line.message + &line.fields,
        };
        self.0.log(number(event.metadata().level()), cut(&text));
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
