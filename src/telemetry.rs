//! Logs: JSON for machines, text for people.

use std::{any::Any, io::IsTerminal, panic};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// The form of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One readable line each.
    Text,
}

impl LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[must_use]
    pub fn fitting() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// Starts logging to standard error. `filter` is a `tracing` filter such as `info` or `info,mixed_stream_operator=debug`.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn start(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        format!("--log-filter: {error}; use for example info or mixed_stream_operator=debug")
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    }
    .map_err(|error| format!("logging cannot be started: {error}"))
}

/// From now on a panic is one log line. What it says is shown only where it is a text of the program itself: one that was made when it happened can
/// hold whatever was being worked on, an address or a key too.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(
            location,
            what = words(panic.payload()),
            "a panic; this is a defect, please report it"
        );
    }));
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let fixed = payload.downcast_ref::<&'static str>();
    fixed.copied().unwrap_or("not shown")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "that is what is tested")]

    use super::*;

    /// What a panic in `f` says.
    fn said(f: impl FnOnce() + panic::UnwindSafe) -> String {
        let payload = panic::catch_unwind(f).err();
        payload.map_or_else(String::new, |payload| words(&*payload).to_owned())
    }

    #[test]
    fn a_panic_shows_no_text_that_was_made_when_it_happened() {
        let address = "rtmp://push.example.com/live/kéy?auth_key=1-2-3".to_owned();
        let cut = address.find('é').map_or(0, |at| at + 1);
        let parsed: Result<u32, String> = Err(address.clone());
        let slice = address.clone();
        for what in [
            said(move || drop(slice[..cut].to_owned())),
            said(move || panic!("{parsed:?}")),
            said(|| panic!("of the program itself")),
        ] {
            assert!(
                ["not shown", "of the program itself"].contains(&what.as_str()),
                "{what}"
            );
        }
        assert_eq!(
            said(|| panic!("of the program itself")),
            "of the program itself"
        );
    }
}
