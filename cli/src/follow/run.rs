//! What `follow` says of what happens.

use std::{sync::Arc, time::Duration};

use alloy_primitives::BlockNumber;
use mach_core::{BlockRef, L2Block, Verdict};
use mach_verify::{
    Witness,
    follow::{Followed, Following},
    source::RecordedBlock,
};
use serde_json::json;
use tokio::time::Instant;

use super::progress::Keeper;
use crate::{
    against_l1::AgainstL1,
    evidence::Bundles,
    nodes::{Node, Nodes},
    outcome::Outcome,
    report::{Row, mgas, print},
};

#[derive(Debug, Default)]
struct Totals {
    valid: u64,
    invalid: u64,
    undecided: u64,
    /// Blocks, with a verdict or without, whose parent was not looked at.
    unlinked: u64,
    reorgs: u64,
    gas: u64,
}

/// Takes what happens, shows it, and says how it ends.
pub(super) struct Run<'a> {
    nodes: &'a Nodes,
    pub(super) l1: Option<AgainstL1>,
    pub(super) keeper: Option<Keeper<Arc<dyn Node>>>,
    /// Between two tries of a comparison with L1.
    pub(super) poll_interval: Duration,
    bundles: Bundles,
    json: bool,
    totals: Totals,
    has_head: bool,
    started: Instant,
}

/// How often a block is compared with L1 before it is undecided: L1's node may lag.
const L1_TRIES: usize = 5;

impl<'a> Run<'a> {
    pub(super) fn new(nodes: &'a Nodes, bundles: Bundles, json: bool) -> Self {
        Self {
            nodes,
            l1: None,
            keeper: None,
            poll_interval: Duration::from_secs(1),
            bundles,
            json,
            totals: Totals::default(),
            has_head: true,
            started: Instant::now(),
        }
    }

    /// Takes what happens until block `last`.
    pub(super) async fn follow(
        &mut self,
        mut following: Following,
        last: Option<BlockNumber>,
    ) -> eyre::Result<()> {
        loop {
            let event = following.next().await?;
            let reached = self.tell(event).await?;
            if last.is_some_and(|last| reached.is_some_and(|reached| last <= reached)) {
                return Ok(());
            }
        }
    }

    /// Shows what happened. Returns the height that is behind.
    async fn tell(&mut self, event: Followed) -> eyre::Result<Option<BlockNumber>> {
        let mut row = Row::unknown(self.nodes.name.clone());
        row.chain_id = Some(self.nodes.chain_id());
        let mut linked = true;
        match event {
            Followed::Judged {
                block,
                result,
                witness,
                is_linked,
                elapsed,
            } => {
                row.set_block(&block);
                row.elapsed = elapsed;
                row.result = result.map_err(Into::into);
                linked = is_linked;
                self.add(*block, *witness, &mut row).await;
            }
            Followed::Missing { number, error } => {
                row.number = Some(number);
                row.result = Err(error.into());
            }
            Followed::Reorg { left, fork } => {
                self.has_head = true;
                self.totals.reorgs += 1;
                self.show_reorg(left, fork);
                if let Some(keeper) = &mut self.keeper {
                    keeper.went_back(fork);
                }
                return Ok(None);
            }
            Followed::NoHead { error } => {
                self.has_head = false;
                let error = eyre::Report::new(error);
                if self.json {
                    print(&json!({ "head": null, "error": format!("{error:#}") }));
                } else {
                    print(&format!("NO HEAD  {error:#}"));
                }
                return Ok(None);
            }
            event => eyre::bail!("not understood: {event:?}"),
        }
        self.has_head = true;
        self.count(&row, linked);
        self.show(&row, linked);
        if let (Some(keeper), Some(number)) = (&mut self.keeper, row.number) {
            let decided = row.block.filter(|_| row.result.is_ok() && linked);
            keeper.reached(number, decided).await?;
        }
        Ok(row.number)
    }

    /// What is to be done with a block that was executed: of an invalid one a bundle, with a valid
    /// one the comparison with L1.
    async fn add(&self, block: L2Block, witness: Witness, row: &mut Row) {
        match &row.result {
            Ok(Verdict::Invalid(fault)) => {
                let fault = fault.clone();
                let recorded = RecordedBlock {
                    block,
                    witness,
                    source: None,
                };
                self.bundles.keep(&self.nodes.spec, recorded, &fault, row);
            }
            Ok(_) => {
                let Some(l1) = &self.l1 else { return };
                for _ in 1..L1_TRIES {
                    if !l1.compare(&block, &self.bundles, row).await {
                        return;
                    }
                    tokio::time::sleep(self.poll_interval).await;
                }
                l1.compare(&block, &self.bundles, row).await;
            }
            Err(_) => {}
        }
    }

    fn count(&mut self, row: &Row, linked: bool) {
        match &row.result {
            Ok(Verdict::Valid(_)) => self.totals.valid += 1,
            Ok(Verdict::Invalid(_)) => self.totals.invalid += 1,
            Err(_) => self.totals.undecided += 1,
        }
        self.totals.unlinked += u64::from(!linked);
        self.totals.gas += row.gas;
    }

    fn show(&self, row: &Row, linked: bool) {
        if !self.json {
            let line = row.to_line();
            let note = if linked {
                ""
            } else {
                "  UNLINKED: its parent was not verified"
            };
            print(&format!("{line}{note}"));
            return;
        }
        let mut line = row.to_json();
        if let Some(line) = line.as_object_mut() {
            line.insert("linked".to_owned(), linked.into());
        }
        print(&line);
    }

    fn show_reorg(&self, left: BlockRef, fork: Option<BlockNumber>) {
        if self.json {
            print(&json!({ "reorg": { "left": left, "fork": fork } }));
        } else {
            match fork {
                Some(fork) => print(&format!(
                    "REORG  {} blocks, from {left} back to block {fork}",
                    left.number.saturating_sub(fork)
                )),
                None => print(&format!(
                    "REORG  from {left} to a branch that leaves it deeper than is known"
                )),
            }
        }
    }

    pub(super) fn finish(&self) -> Outcome {
        let Totals {
            valid,
            invalid,
            undecided,
            unlinked,
            reorgs,
            gas,
        } = self.totals;
        let blocks = valid + invalid + undecided;
        let elapsed = self.started.elapsed();
        if self.json {
            print(&json!({
                "blocks": blocks,
                "valid": valid,
                "invalid": invalid,
                "undecided": undecided,
                "unlinked": unlinked,
                "reorgs": reorgs,
                "gas": gas,
                "seconds": elapsed.as_secs_f64(),
                "mgasPerSecond": mgas(gas, elapsed),
            }));
        } else {
            print(&format!(
                "{blocks} blocks followed: {valid} valid, {invalid} invalid, {undecided} without \
                 verdict, {unlinked} unlinked, {reorgs} reorgs"
            ));
        }
        // No block at all is no reason to call anything valid.
        if invalid > 0 {
            Outcome::Invalid
        } else if valid == 0 || undecided > 0 || unlinked > 0 || !self.has_head {
            Outcome::NoVerdict
        } else {
            Outcome::Valid
        }
    }
}
