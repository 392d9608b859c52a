//! Logs: text on a terminal, one JSON object a line elsewhere. `LOG_FORMAT`, `text` or `json`, says otherwise, and
//! `RUST_LOG` sets the levels.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use slog::{Drain, KV};
use tracing_subscriber::EnvFilter;

/// Sends this process's logs to standard output.
pub fn init_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter);
    // Fails only where a logger is set already, which then stays.
    let _ = if wants_text() {
        logs.with_ansi(std::io::stdout().is_terminal()).try_init()
    } else {
        logs.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
}

fn wants_text() -> bool {
    match std::env::var("LOG_FORMAT").as_deref() {
        Ok("text") => true,
        Ok("json") => false,
        _ => std::io::stdout().is_terminal(),
    }
}

/// A logger for dropshot. Its warnings go where ours go. Its own line per request is left out: ours says more.
pub(crate) fn dropshot_logger() -> slog::Logger {
    slog::Logger::root(ToTracing.fuse(), slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, values: &slog::OwnedKVList) -> Result<(), slog::Never> {
        if !record.level().is_at_least(slog::Level::Warning) {
            return Ok(());
        }
        let mut fields = Fields::default();
        let _ = values.serialize(record, &mut fields);
        let _ = record.kv().serialize(record, &mut fields);
        tracing::warn!(target: "dropshot", fields = ?fields.0, "{}", record.msg());
        Ok(())
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl slog::Serializer for Fields {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        // The query may hold what somebody searched for.
        let text = value.to_string();
        let text = text.split('?').next().unwrap_or_default().to_owned();
        self.0.insert(AsRef::<str>::as_ref(&key).to_owned(), text);
        Ok(())
    }
}
