//! `mach-cli top`: what the dashboard shows, in the terminal.

mod app;
mod details;
mod picture;
mod view;

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use clap::Args;
use eyre::{OptionExt, WrapErr};
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{self, Event, KeyEventKind},
};
use tokio::sync::mpsc;
use url::Url;

use self::{app::App, picture::Api};
use crate::{
    config,
    outcome::{Outcome, told_as_json},
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
/// Rollups with their heads and how far the verifiers are, the stake behind the newest attestations,
/// the rounds with who signed, who did not and why, the alerts with their evidence, which `curl`
/// fetches from --api and `mach-cli verify` replays. --once prints all rollups, with who is absent
/// from which round and all of each alert.
///
/// With --config the API is that of `top.api` in the file, or else the one that the aggregator of
/// this file serves at `api.listen`. --api and its environment twin beat the file.
///
/// Keys: tab next rollup, left and right between rounds and alerts, up and down to choose one, q ends.
///
/// Exit code: 0; with --once and --json 1 if an alert stands; 2 failure.
///
/// Examples:
///   mach-cli top --config mach.toml
///   mach-cli top --api http://localhost:8080
///   mach-cli top --api http://localhost:8080 --once      (one look, without a terminal)
///   mach-cli top --api http://localhost:8080 --json | jq '.rollups[].heads'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("where").args(["config", "api"]).required(true).multiple(true))]
pub(crate) struct TopArgs {
    /// Configuration file, as `mach-cli init` writes it: its `top.api` or `api.listen` is where the API
    /// is
    #[arg(long, env = "MACH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// URL of an aggregator, or of another server of the finality API
    #[arg(long, env = "MACH_API", value_name = "URL", hide_env_values = true)]
    api: Option<Url>,

    /// Milliseconds between two looks
    #[arg(long, env = "MACH_TOP_INTERVAL", value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..))]
    interval: u64,

    /// One look, printed
    #[arg(long, env = "MACH_ONCE")]
    once: bool,

    /// One look, as one JSON object
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

pub(crate) fn run(args: &TopArgs) -> eyre::Result<Outcome> {
    told_as_json(runtime()?.block_on(top(args)), args.json)
}

impl TopArgs {
    /// Where the finality API is.
    fn url(&self) -> eyre::Result<Url> {
        if let Some(api) = &self.api {
            return Ok(api.clone());
        }
        let of_file = match &self.config {
            Some(file) => config::load(file)?.finality_api(),
            None => None,
        };
        of_file.ok_or_eyre(
            "the file of --config does not say where the finality API is: set top.api, or \
             api.listen if the aggregator has this file, or give --api",
        )
    }
}

async fn top(args: &TopArgs) -> eyre::Result<Outcome> {
    let url = args.url()?;
    let source = shown(&url);
    let api = Api::new(url)?;
    if args.json || args.once {
        let picture = api.look().await;
        let picture =
            picture.wrap_err_with(|| format!("no answer from the finality API at {source}"))?;
        let outcome = if picture.has_alert() {
            Outcome::Invalid
        } else {
            Outcome::Valid
        };
        if args.json {
            print(&serde_json::to_string(&picture)?);
        } else {
            let mut app = App::new(source);
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
    let app = App::new(source);
    let outcome = watch(args.interval, &api, app, &mut terminal, &mut ended).await;
    ratatui::restore();
    outcome.map(|()| Outcome::Valid)
}

async fn watch(
    interval: u64,
    api: &Api,
    mut app: App,
    terminal: &mut ratatui::DefaultTerminal,
    ended: &mut Ended,
) -> eyre::Result<()> {
    let mut keys = keys();
    let mut ticks = tokio::time::interval(Duration::from_millis(interval));
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
