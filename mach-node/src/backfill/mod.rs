//! A range of blocks, verified by all cores of one machine or of many.
//!
//! A [`WorkQueue`](mach_core::ports::WorkQueue) cuts the range into units and keeps what was found;
//! a [`Backfill`] takes units from it and brings their blocks to verdicts by a [`Judge`]; a
//! [`BackfillReport`] says what came of the whole range.

mod engine;
mod judge;
#[cfg(feature = "nats")]
mod nats;
mod report;
mod stored;

pub use engine::{Backfill, BackfillConfig, BackfillError, BackfillStatus};
pub use judge::{
    Fetched, Judge, JudgeError, Judged, Recorded, Stateless, Validated, rules_with_l1,
};
#[cfg(feature = "nats")]
pub use nats::NatsQueue;
pub use report::{
    BackfillReport, FaultyBlock, Gap, MAX_LISTED, ReportError, UndecidedBlock, WorkerShare,
};
pub use stored::StoredQueue;
pub(crate) use stored::record;

use mach_core::{UnitReport, WorkUnit};
/// What a queue says of a unit that nobody finished.
fn given_up(unit: WorkUnit, attempts: u32, reason: Option<&str>) -> UnitReport {
    let mut text = format!("given up after {attempts} attempts");
    if let Some(reason) = reason {
        text = format!("{text}, the last of which failed: {reason}");
    }
    UnitReport::undecided(unit, "", &text)
}

/// Gas of the blocks of a unit.
fn gas_of(report: &UnitReport) -> u64 {
    let published = report.blocks.iter().filter_map(|block| block.published);
    published.fold(0, |sum, block| sum.saturating_add(block.gas_used))
}
