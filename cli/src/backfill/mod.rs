//! `mach-cli backfill`: a range of blocks on all cores, or on many machines.

mod args;
mod meter;
mod queue;
mod show;
mod source;

use std::{
    io,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use eyre::WrapErr;
use mach_core::{
    WorkPlan,
    ports::{QueueError, QueueProgress, WorkQueue},
};
use mach_node::backfill::{
    Backfill, BackfillConfig, BackfillReport, BackfillStatus, Judge, ReportError, rules_with_l1,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use self::args::BackfillArgs;
use self::{
    meter::{Meter, say},
    queue::Queue,
    show::ReportFile,
    source::{Blocks, Source},
};
use crate::{
    outcome::{Outcome, print_json_error},
    remote::runtime,
    signals::Ended,
    spec::Specs,
};

/// Time between two looks at how far the work is.
const LOOK: Duration = Duration::from_millis(200);
/// The same where looking costs requests.
const REMOTE_LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &BackfillArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    match runtime()?.block_on(backfill(args, &specs)) {
        Err(error) if args.json => {
            print_json_error(&error);
            Ok(Outcome::from_error(error))
        }
        outcome => outcome,
    }
}

async fn backfill(args: &BackfillArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let stop = stopped_by_signals()?;
    let started = Instant::now();
    let source = Source::open(args, specs).await?;
    let wanted = match &source {
        _ if args.worker => None,
        Some(source) => {
            let blocks = source.range(args.blocks.as_ref()).await?;
            let plan = plan(args, source.spec.chain_id(), &blocks)?;
            Some(plan.with_rules(source.rules()))
        }
        None => match (args.chain_id, &args.blocks) {
            (Some(chain_id), Some(blocks)) => {
                let plan = plan(args, chain_id, blocks)?;
                // Where the rules are not known, each worker brings its own.
                Some(match specs.of(chain_id) {
                    Ok(spec) => plan.with_rules(match args.l1.rules(specs, chain_id)? {
                        Some(l1) => rules_with_l1(spec, l1),
                        None => spec.hash(),
                    }),
                    Err(_) => plan,
                })
            }
            _ => eyre::bail!("of which chain are the blocks? name it with --chain-id"),
        },
    };
    let (queue, told) = queue::open(args, wanted.as_ref()).await?;
    // Not before: who has the queue may be writing it.
    let mut file = args.report.as_deref().map(ReportFile::create).transpose()?;
    let held = match &wanted {
        Some(wanted) => queue::put(&queue, wanted, &told).await?,
        None => {
            say(&format!("{told}: waiting for what there is to do"));
            tokio::select! {
                plan = queue::planned(&queue) => plan?,
                () = stop.cancelled() => return Ok(Outcome::NoVerdict),
            }
        }
    };
    if let Some(source) = &source {
        (source.check_done(&queue, &held).await).wrap_err_with(|| told.clone())?;
    }
    say(&format!("{held}, {told}"));
    if args.retry_undecided {
        let reopened = queue::reopen_undecided(&queue, &held).await?;
        say(&format!(
            "{reopened} units had undecided blocks and are verified again"
        ));
    }
    let before = if args.worker {
        QueueProgress::default()
    } else {
        asked(|| queue.progress()).await?
    };
    if before.done > 0 {
        say(&format!(
            "{} of {} blocks are done",
            before.blocks,
            held.block_count()
        ));
    }
    let mut meter = Meter::new(&held, &before);
    let with_l1 = source.as_ref().is_some_and(|source| source.with_l1);
    let worked = match source {
        _ if args.coordinate => watch(&queue, &mut meter, &stop).await.map(|()| None),
        Some(source) => work(args, &queue, source, &mut meter, &stop)
            .await
            .map(Some),
        None => eyre::bail!("there is nothing to take blocks from"),
    };
    meter.finish();
    if worked.is_err() || stop.is_cancelled() {
        say(&format!(
            "stopped; the same command goes on where this one ended ({told})"
        ));
    }
    let status = worked?;
    match status {
        Some(status) if args.worker => Ok(end_of_worker(&status)),
        _ => report(args, &queue, &held, started, with_l1, &mut file).await,
    }
}

fn plan(
    args: &BackfillArgs,
    chain_id: u64,
    blocks: &crate::args::BlockRange,
) -> eyre::Result<WorkPlan> {
    Ok(WorkPlan::new(chain_id, blocks.numbers())?
        .with_unit_blocks(args.unit)?
        .with_attempts(args.attempts)
        .with_lease(Duration::from_secs(args.lease.get())))
}

/// Has the blocks of the queue judged.
async fn work(
    args: &BackfillArgs,
    queue: &Queue,
    source: Source,
    meter: &mut Meter,
    stop: &CancellationToken,
) -> eyre::Result<BackfillStatus> {
    match source.blocks {
        Blocks::Nodes(_, judge) => judged(args, queue, judge, meter, stop).await,
        Blocks::Recorded(_, judge) => judged(args, queue, judge, meter, stop).await,
    }
}

async fn judged<J: Judge>(
    args: &BackfillArgs,
    queue: &Queue,
    judge: J,
    meter: &mut Meter,
    stop: &CancellationToken,
) -> eyre::Result<BackfillStatus> {
    let backfill = Arc::new(Backfill::new(Arc::clone(queue), judge, config(args))?);
    let status = backfill.status();
    let run = backfill.run(stop);
    tokio::pin!(run);
    let is_shared = args.queue.is_some();
    let mut looks = tokio::time::interval(if is_shared { REMOTE_LOOK } else { LOOK });
    let outcome = loop {
        tokio::select! {
            outcome = &mut run => break outcome,
            _ = looks.tick() => {
                // A worker shows what it does, since reading what all do costs as much as doing it.
                if is_shared && !args.worker {
                    if let Ok(progress) = queue.progress().await {
                        meter.show_progress(&progress);
                    }
                } else {
                    meter.show_status(&status.borrow().clone());
                }
            }
        }
    };
    outcome?;
    let status = *status.borrow();
    Ok(status)
}

/// Watches others work.
async fn watch(queue: &Queue, meter: &mut Meter, stop: &CancellationToken) -> eyre::Result<()> {
    let mut looks = tokio::time::interval(REMOTE_LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = looks.tick() => {}
        }
        match queue.progress().await {
            Ok(progress) => {
                meter.show_progress(&progress);
                if progress.done >= progress.units {
                    return Ok(());
                }
            }
            Err(error) if error.is_transient() => {
                meter.say(&format!("the queue does not answer: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn report(
    args: &BackfillArgs,
    queue: &Queue,
    plan: &WorkPlan,
    started: Instant,
    with_l1: bool,
    file: &mut Option<ReportFile>,
) -> eyre::Result<Outcome> {
    let each = |block: &mach_core::BlockReport| -> io::Result<()> {
        if args.json {
            print(&show::line(plan.chain_id(), block, with_l1));
        }
        file.as_mut().map_or(Ok(()), |file| file.block(block))
    };
    let report = match BackfillReport::collect(queue, each).await {
        Err(ReportError::Consumer(error)) => {
            return Err(eyre::Report::new(error).wrap_err("the report cannot be written"));
        }
        other => other?,
    };
    let elapsed = started.elapsed();
    if let Some(file) = file.take() {
        file.finish(&report)?;
    }
    if args.json {
        let mut totals = serde_json::to_value(&report)?;
        if let Some(totals) = totals.as_object_mut() {
            totals.insert("seconds".to_owned(), Value::from(elapsed.as_secs_f64()));
            if with_l1 {
                totals.insert("comparedWithL1".to_owned(), Value::from(true));
            }
        }
        print(&totals);
    } else {
        print(&show::summary(
            &report,
            elapsed,
            with_l1,
            &args.evidence.folder,
        ));
    }
    Ok(show::outcome(&report))
}

/// A worker answers for what it saw.
fn end_of_worker(status: &BackfillStatus) -> Outcome {
    say(&format!(
        "{} units, {} blocks: {} valid, {} invalid, {} without a verdict",
        status.units,
        status.blocks(),
        status.valid,
        status.invalid,
        status.undecided
    ));
    match (status.invalid, status.undecided) {
        (0, 0) => Outcome::Valid,
        (0, _) => Outcome::NoVerdict,
        _ => Outcome::Invalid,
    }
}

fn config(args: &BackfillArgs) -> BackfillConfig {
    let jobs = args
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let mut config = BackfillConfig::with_jobs(jobs);
    if let Some(fetches) = args.fetches {
        config.fetches = fetches;
    }
    config.worker = match (&args.name, &args.queue) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => format!("{}:{}", host(), std::process::id()),
        (None, None) => config.worker,
    };
    config
}

/// Name of this machine, as far as the system says it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_default();
    match name.trim() {
        "" => "worker".to_owned(),
        name => name.chars().take(64).collect(),
    }
}

/// Asks a queue a few times: it may just be starting.
async fn asked<T, F: Future<Output = Result<T, QueueError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, QueueError> {
    for _ in 0..5 {
        match ask().await {
            Err(error) if error.is_transient() => tokio::time::sleep(REMOTE_LOOK).await,
            other => return other,
        }
    }
    ask().await
}

/// A token that the first Ctrl-C (or a polite end of the service) cancels; the second ends the
/// process on the spot.
fn stopped_by_signals() -> eyre::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let token = stop.clone();
    let mut ended = Ended::new()?;
    tokio::spawn(async move {
        ended.wait().await;
        say("stopping, what is in work is given back; again to leave at once");
        token.cancel();
        ended.wait().await;
        std::process::exit(2);
    });
    Ok(stop)
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(line: &impl std::fmt::Display) {
    println!("{line}");
}
