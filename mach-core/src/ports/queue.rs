use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{UnitReport, WorkPlan, WorkUnit};

/// Shares a range of blocks out to workers, and keeps what they found.
///
/// Every unit of the plan is verified at least once and counts once: the first report of a unit
/// stays, and later ones are dropped. A worker that dies, hangs or loses its connection holds a
/// unit until its lease runs out; then another worker gets it. A unit that no worker finishes
/// within the attempts of the plan is reported as undecided by the queue itself, so that none is
/// ever missing.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait WorkQueue: Send + Sync {
    /// Puts the units of `plan` into an empty queue. A queue that holds the same blocks stays as it
    /// is, so that this can be called again after a crash, and by several at a time.
    ///
    /// Answers the plan that is in force.
    ///
    /// Errors: [`QueueError::OtherPlan`] if the queue holds other blocks.
    async fn plan(&self, plan: &WorkPlan) -> Result<WorkPlan, QueueError>;

    /// The plan in force, if there is one.
    async fn planned(&self) -> Result<Option<WorkPlan>, QueueError>;

    /// Takes a unit for as long as the plan says.
    ///
    /// Errors: [`QueueError::NoPlan`].
    async fn claim(&self) -> Result<Claim, QueueError>;

    /// Starts the time of a lease anew. Has no effect on a lease that has run out.
    async fn extend(&self, lease: &Lease) -> Result<(), QueueError>;

    /// Hands in what was found, on the disk when this returns. The lease may have run out: a report
    /// is as good as any other then, if it is the first.
    ///
    /// Errors: [`QueueError::OtherUnit`] if the report is not of the unit of the lease,
    /// [`QueueError::TooLarge`] if the queue cannot keep it.
    async fn complete(&self, lease: &Lease, report: &UnitReport) -> Result<Completion, QueueError>;

    /// Gives a unit back, for anybody to take at once.
    async fn release(&self, lease: &Lease, reason: &Release) -> Result<(), QueueError>;

    /// How far the work is.
    ///
    /// Errors: [`QueueError::NoPlan`].
    async fn progress(&self) -> Result<QueueProgress, QueueError>;

    /// What was found about the unit with this index; `None` before it is done.
    async fn report(&self, index: u64) -> Result<Option<UnitReport>, QueueError>;

    /// Drops the report of a unit, which is to be verified again. Does nothing to one without.
    async fn reopen(&self, index: u64) -> Result<(), QueueError>;
}

/// What a queue has for a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A unit.
    Unit(Lease),
    /// Nothing at present: others hold what is left, and may lose it.
    Wait,
    /// Nothing any more: every unit is done.
    Done,
}

/// A unit that is kept for one worker for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The unit.
    pub unit: WorkUnit,
    /// How often the unit was taken, this time included.
    pub attempt: u32,
    /// What the queue knows the lease by.
    pub token: String,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It is the unit's.
    Counted,
    /// The unit had a report, which stays.
    Duplicate,
}

/// Why a unit is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The worker stops. This does not count as an attempt.
    Interrupted,
    /// The worker cannot finish it, for this reason.
    Failed(String),
}

/// How far a queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueProgress {
    /// Units of the plan.
    pub units: u64,
    /// Units that are done.
    pub done: u64,
    /// Units that workers hold.
    pub leased: u64,
    /// Blocks of the units that are done.
    pub blocks: u64,
    /// Gas of these blocks.
    pub gas_used: u64,
}

/// Why a queue did not do what it was asked for.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Nobody put a plan into the queue yet.
    #[error("the queue holds no plan yet")]
    NoPlan,
    /// The queue shares out other blocks.
    #[error("the queue holds {held}, not {wanted}")]
    OtherPlan {
        /// Plan of the queue.
        held: Box<WorkPlan>,
        /// Plan that was wanted.
        wanted: Box<WorkPlan>,
    },
    /// The report is not of every block of the unit.
    #[error("the report is not of the blocks {}..={}", .0.first, .0.last)]
    OtherUnit(WorkUnit),
    /// The report is longer than the queue can keep.
    #[error("the report has {bytes} bytes, the queue keeps {most}")]
    TooLarge {
        /// Length of the report in bytes.
        bytes: usize,
        /// Most that is kept, in bytes.
        most: usize,
    },
    /// The queue was made by another version of mach.
    #[error("version {found} of the queue's format is not known, version {known} is")]
    Version {
        /// Version of the queue.
        found: u64,
        /// Version that this software reads and writes.
        known: u64,
    },
    /// What the queue holds is not what was put into it.
    #[error("the queue is damaged")]
    Damaged(#[source] BoxError),
    /// The queue cannot be reached, read or written.
    #[error("work queue request failed")]
    Backend(#[source] BoxError),
}

impl QueueError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::NoPlan | Self::Backend(_))
    }
}
