//! How a command ends: exit codes, errors and logs.

use std::{
    any::Any,
    io::IsTerminal,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use eyre::WrapErr;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// What a command says of the blocks that it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0: done, and every block is valid.
    Valid,
    /// Exit code 1: a block is invalid.
    Invalid,
    /// Exit code 2: no verdict on some block, or the command failed.
    NoVerdict,
}

impl Outcome {
    /// Shows `error` with its causes.
    #[expect(clippy::print_stderr, reason = "the command line's last word")]
    pub(crate) fn from_error(error: eyre::Report) -> Self {
        eprintln!("mach-cli: {error:#}");
        Self::NoVerdict
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Valid => Self::SUCCESS,
            Outcome::Invalid => Self::from(1),
            Outcome::NoVerdict => Self::from(2),
        }
    }
}

/// Exit code of a command that nobody reads any more, as if SIGPIPE had ended it.
const NOBODY_READS: u8 = 141;

/// Runs a command. Where standard output is closed, as `head` does, it ends without a word.
pub(crate) fn while_somebody_reads(run: impl FnOnce() -> ExitCode) -> ExitCode {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if !is_closed(panicked.payload()) {
            tell(panicked);
        }
    }));
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(code) => code,
        Err(payload) if is_closed(&*payload) => ExitCode::from(NOBODY_READS),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// Whether `println!` had nobody to print for.
fn is_closed(payload: &dyn Any) -> bool {
    let text = payload.downcast_ref::<String>();
    text.is_some_and(|it| it.starts_with("failed printing to stdout: Broken pipe"))
}

/// Shows `error` to scripts that read JSON lines.
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub(crate) fn print_json_error(error: &eyre::Report) {
    println!("{}", serde_json::json!({ "error": format!("{error:#}") }));
}

/// Shows an error to scripts too, if it is `json` that they read.
pub(crate) fn told_as_json(outcome: eyre::Result<Outcome>, json: bool) -> eyre::Result<Outcome> {
    if let (Err(error), true) = (&outcome, json) {
        print_json_error(error);
    }
    outcome
}

/// Logs go to standard error, so that `--json` owns standard output. `RUST_LOG` chooses what is
/// shown; warnings are by default.
pub(crate) fn init_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// Logs of a service, as its configuration says; `RUST_LOG` beats the level.
pub(crate) fn init_service_logging(log: &crate::config::Log) -> eyre::Result<()> {
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) => filter,
        Err(_) => EnvFilter::try_new(&log.level).wrap_err("log.level")?,
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Pretty => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}
