use std::{ffi::OsStr, path::Path, process::Stdio};

use mach_core::ports::BoxError;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{ChildStdin, ChildStdout, Command},
};

use crate::{
    BackendName, ProveError,
    protocol::{Failure, MAX_MESSAGE_BYTES, Message},
};

/// Bytes of standard error that are remembered.
const MAX_STDERR_BYTES: usize = 4096;

/// A prover at work. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    /// The prover watches the other end: it closes when this process ends, however it ends.
    _stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: tokio::task::JoinHandle<String>,
    backend: BackendName,
    memory_limit: Option<u64>,
}

impl Child {
    pub(super) fn start(
        prover: &Path,
        arguments: &[&OsStr],
        backend: BackendName,
        memory_limit: Option<u64>,
    ) -> Result<Self, ProveError> {
        let mut command = Command::new(prover);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C in a terminal is for us to hear: the prover ends when we let go of it.
        #[cfg(unix)]
        command.process_group(0);
        let mut process =
            (command.spawn()).map_err(|error| failed(format!("{}: {error}", prover.display())))?;
        let pipes = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed("no pipes"));
        };
        Ok(Self {
            process,
            _stdin: stdin,
            stdout: BufReader::new(stdout),
            stderr: tokio::spawn(tail(stderr)),
            backend,
            memory_limit,
        })
    }

    /// Gives what it says to `hear`, until it says that it is done or has failed.
    pub(super) async fn finish(
        &mut self,
        mut hear: impl FnMut(Message) + Send,
    ) -> Result<(), ProveError> {
        let mut outcome = None;
        while let Some(message) = self.message().await? {
            match message {
                Message::Done => outcome = Some(Ok(())),
                Message::Failed { failure, message } => {
                    outcome = Some(Err(self.failure(failure, message)));
                }
                message => hear(message),
            }
            if outcome.is_some() {
                break;
            }
        }
        if let Some(outcome) = outcome {
            // It has nothing more to say, and nothing more to do.
            let _ = self.process.start_kill();
            return outcome;
        }
        let status = self.process.wait().await.map_err(failed)?;
        // Not by us: on Linux the machine does that when memory is short.
        if is_killed(status)
            && let Some(limit) = self.memory_limit
        {
            return Err(ProveError::Memory { limit });
        }
        let words = (&mut self.stderr).await.unwrap_or_default();
        Err(failed(format!("{status}: {}", words.trim())))
    }

    /// The next line.
    async fn message(&mut self) -> Result<Option<Message>, ProveError> {
        loop {
            let mut line = Vec::new();
            let most = MAX_MESSAGE_BYTES as u64 + 1;
            let mut limited = (&mut self.stdout).take(most);
            let read = limited.read_until(b'\n', &mut line).await;
            if read.map_err(failed)? == 0 {
                return Ok(None);
            }
            if line.len() > MAX_MESSAGE_BYTES {
                return Err(failed("a line of the prover is too long"));
            }
            // A library that prints something is no reason to throw the work away.
            if let Ok(message) = serde_json::from_slice(&line) {
                return Ok(Some(message));
            }
        }
    }

    fn failure(&self, failure: Failure, message: String) -> ProveError {
        let message: BoxError = message.into();
        match (failure, self.memory_limit) {
            (Failure::Invalid, _) => ProveError::Invalid(message),
            (Failure::Memory, Some(limit)) => ProveError::Memory { limit },
            (Failure::Refused | Failure::Unable, _) => ProveError::Unable {
                backend: self.backend,
                reason: message.to_string(),
            },
            _ => ProveError::Backend(message),
        }
    }
}

#[cfg(unix)]
fn is_killed(status: std::process::ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL)
}

#[cfg(not(unix))]
const fn is_killed(_status: std::process::ExitStatus) -> bool {
    false
}

/// The last words of a prover.
async fn tail(mut stderr: impl AsyncRead + Unpin) -> String {
    let (mut words, mut chunk) = (Vec::new(), [0; MAX_STDERR_BYTES]);
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        words.extend_from_slice(chunk.get(..count).unwrap_or_default());
        let surplus = words.len().saturating_sub(MAX_STDERR_BYTES);
        words.drain(..surplus);
    }
    String::from_utf8_lossy(&words).into_owned()
}

fn failed(error: impl Into<BoxError>) -> ProveError {
    ProveError::Backend(error.into())
}
