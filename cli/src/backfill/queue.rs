//! Where the work is shared out and kept.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::hex;
use eyre::WrapErr;
use mach_core::{
    BlockOutcome, WorkPlan,
    ports::{QueueError, WorkQueue},
};
use mach_node::{
    backfill::{NatsQueue, StoredQueue},
    store::{RedbStore, StoreError},
};
use url::Url;

use super::args::BackfillArgs;
use crate::remote::shown;

/// Time between two looks for a plan that somebody else is to make.
const PLAN_POLL: Duration = Duration::from_secs(1);

/// Name of a queue whose URL has none.
const DEFAULT_NAME: &str = "backfill";

pub(super) type Queue = Arc<dyn WorkQueue>;

/// The queue that the flags name, and how to come back to it.
pub(super) async fn open(
    args: &BackfillArgs,
    plan: Option<&WorkPlan>,
) -> eyre::Result<(Queue, String)> {
    match (&args.queue, plan) {
        (Some(url), _) => {
            let name = queue_name(url);
            let told = format!("queue {name} on {}", shown(url));
            let mut server = url.clone();
            server.set_path("");
            let queue = NatsQueue::connect(server.as_str(), &name).await;
            Ok((Arc::new(queue.wrap_err_with(|| told.clone())?), told))
        }
        (None, Some(plan)) => {
            let path = match &args.checkpoint {
                Some(path) => path.clone(),
                None => default_path(plan)?,
            };
            let told = format!("checkpoint {}", path.display());
            let store = tokio::task::spawn_blocking(move || checkpoint(&path)).await?;
            let store = store.wrap_err_with(|| told.clone())?;
            let queue = StoredQueue::open(store).await;
            Ok((Arc::new(queue.wrap_err_with(|| told.clone())?), told))
        }
        (None, None) => eyre::bail!("there is neither a queue nor a range"),
    }
}

/// Puts the plan into the queue. Answers the one that is in force.
pub(super) async fn put(queue: &Queue, plan: &WorkPlan, told: &str) -> eyre::Result<WorkPlan> {
    match queue.plan(plan).await {
        Err(error @ QueueError::OtherPlan { .. }) => Err(eyre::Report::new(error).wrap_err(
            format!("{told} belongs to another backfill: finish it, or name another one"),
        )),
        other => other.wrap_err_with(|| told.to_owned()),
    }
}

/// Waits for the plan of somebody else.
pub(super) async fn planned(queue: &Queue) -> Result<WorkPlan, QueueError> {
    loop {
        match queue.planned().await {
            Ok(Some(plan)) => return Ok(plan),
            Ok(None) => {}
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PLAN_POLL).await;
    }
}

/// Lets the units be verified again that have undecided blocks. Answers how many.
pub(super) async fn reopen_undecided(queue: &Queue, plan: &WorkPlan) -> Result<u64, QueueError> {
    let mut reopened = 0;
    for index in 0..plan.unit_count() {
        let is_open = queue.report(index).await?.is_some_and(|report| {
            (report.blocks.iter()).any(|block| matches!(block.outcome, BlockOutcome::Undecided(_)))
        });
        if is_open {
            queue.reopen(index).await?;
            reopened += 1;
        }
    }
    Ok(reopened)
}

/// Opens the checkpoint, or makes it.
fn checkpoint(path: &Path) -> eyre::Result<RedbStore> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match RedbStore::open(path) {
        Err(error @ StoreError::InUse(_)) => {
            Err(eyre::Report::new(error).wrap_err("a backfill of these blocks is running already"))
        }
        Err(error) if !error.is_transient() => {
            Err(eyre::Report::new(error).wrap_err("move the file away to begin anew"))
        }
        other => Ok(other?),
    }
}

/// Verified by other rules, the same blocks have other verdicts.
fn default_path(plan: &WorkPlan) -> eyre::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    let Some(state) = state else {
        eyre::bail!("there is no home folder to keep what is done in: give --checkpoint");
    };
    let (chain, blocks) = (plan.chain_id(), plan.blocks());
    let rules = plan.rules().unwrap_or_default();
    let rules = rules.get(..4).map(hex::encode).unwrap_or_default();
    let name = format!("{chain}-{}-{}-{rules}.redb", blocks.start(), blocks.end());
    Ok(state.join("mach").join("backfill").join(name))
}

fn queue_name(url: &Url) -> String {
    match url.path().trim_matches('/') {
        "" => DEFAULT_NAME.to_owned(),
        name => name.to_owned(),
    }
}
