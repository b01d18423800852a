//! `mach-cli top`: what the dashboard shows, in the terminal.

mod app;
mod details;
mod picture;
mod view;

use std::{io::IsTerminal, time::Duration};

use clap::Args;
use eyre::WrapErr;
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{self, Event, KeyEventKind},
};
use tokio::sync::mpsc;
use url::Url;

use self::{app::App, picture::Api};
use crate::{
    outcome::Outcome,
    remote::{runtime, shown},
    signals::Ended,
};

/// How often the terminal is asked for keys, so that the thread that asks ends with the command.
const KEYS_EVERY: Duration = Duration::from_millis(100);

/// Size of what `--once` shows.
const WIDTH: u16 = 110;
const HEIGHT: u16 = 40;

/// Show what the dashboard shows, in the terminal
///
/// Rollups with their heads and how far the verifiers are, the stake behind the newest attestations, the
/// rounds with who signed, who did not and why, the alerts with their evidence, which `curl` fetches
/// from --api and `mach-cli verify` replays. --once prints all rollups, with who is absent from which round and all of each alert.
///
/// Keys: tab next rollup, left and right between rounds and alerts, up and down to choose one, q ends.
///
/// Exit code: 0; with --once and --json 1 if an alert stands; 2 failure.
///
/// Examples:
///   mach-cli top --api http://localhost:8080
///   mach-cli top --api http://localhost:8080 --once      (one look, without a terminal)
///   mach-cli top --api http://localhost:8080 --json | jq '.rollups[].heads'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct TopArgs {
    /// URL of an aggregator, or of another server of the finality API
    #[arg(long, env = "MACH_API", value_name = "URL", hide_env_values = true)]
    api: Url,

    /// Milliseconds between two looks
    #[arg(long, env = "MACH_TOP_INTERVAL", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..))]
    interval: u64,

    /// One look, printed
    #[arg(long, env = "MACH_ONCE")]
    once: bool,

    /// One look, as one JSON object
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

pub(crate) fn run(args: &TopArgs) -> eyre::Result<Outcome> {
    runtime()?.block_on(top(args))
}

async fn top(args: &TopArgs) -> eyre::Result<Outcome> {
    let api = Api::new(args.api.clone())?;
    if args.json || args.once {
        let picture = api.look().await.wrap_err("no answer from --api")?;
        let outcome = if picture.has_alert() {
            Outcome::Invalid
        } else {
            Outcome::Valid
        };
        if args.json {
            print(&serde_json::to_string(&picture)?);
        } else {
            let mut app = App::new(shown(&args.api));
            let rollups = picture.rollups.len().max(1);
            app.take(Ok(picture));
            for _ in 0..rollups {
                print(&format!("{}\n{}", text(&app, WIDTH, HEIGHT)?, app.told()));
                app.next_rollup();
            }
        }
        return Ok(outcome);
    }
    eyre::ensure!(
        std::io::stdout().is_terminal(),
        "standard output is no terminal: use --once or --json"
    );
    let mut ended = Ended::new()?;
    let mut terminal = ratatui::try_init().wrap_err("the terminal cannot be used")?;
    let outcome = watch(args, &api, &mut terminal, &mut ended).await;
    ratatui::restore();
    outcome.map(|()| Outcome::Valid)
}

async fn watch(
    args: &TopArgs,
    api: &Api,
    terminal: &mut ratatui::DefaultTerminal,
    ended: &mut Ended,
) -> eyre::Result<()> {
    let mut app = App::new(shown(&args.api));
    let mut keys = keys();
    let mut ticks = tokio::time::interval(Duration::from_millis(args.interval));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        terminal.draw(|frame| app.draw(frame))?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                    if app.press(key) {
                        return Ok(());
                    }
                }
                // Another size is drawn with the next turn.
                Some(_) => {}
                None => eyre::bail!("the terminal gives no keys"),
            },
            picture = async { ticks.tick().await; api.look().await } => app.take(picture),
            () = ended.wait() => return Ok(()),
        }
    }
}

/// What is pressed, from a thread that ends with the receiver.
fn keys() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let event = match event::poll(KEYS_EVERY) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let Ok(event) = event else { return };
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What the terminal would show, as lines of text.
fn text(app: &App, width: u16, height: u16) -> eyre::Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height))?;
    terminal.draw(|frame| app.draw(frame))?;
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(width.into());
    let lines = lines.map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    Ok(lines.collect::<Vec<_>>().join("\n").trim_end().to_owned())
}

#[expect(clippy::print_stdout, reason = "what the command shows")]
fn print(text: &str) {
    println!("{text}");
}
