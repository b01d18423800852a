//! What an aggregator is told.

use std::{collections::BTreeSet, num::NonZeroU64, time::Duration};

use alloy_primitives::ChainId;
use mach_core::{Domain, QuorumNumbers, Statement, Threshold};

use crate::RetryPolicy;

/// What an [`Aggregator`](crate::Aggregator) serves, on which terms, within which limits.
#[derive(Clone, Debug)]
pub struct AggregatorConfig {
    /// The service manager that certificates go to.
    pub domain: Domain,
    /// Rollups that statements may be about.
    pub rollups: BTreeSet<ChainId>,
    /// Quorums that have to sign.
    pub quorums: QuorumNumbers,
    /// Threshold of each quorum, in the same order.
    pub thresholds: Vec<Threshold>,
    /// L1 blocks that the reference block lies behind the head, at least one: a reorganisation that
    /// is not deeper changes nothing.
    pub reference_margin: u32,
    /// The reference block is a multiple of this number of L1 blocks: rounds that open together have
    /// one operator set, whichever instance opens them.
    pub reference_interval: u32,
    /// Most rounds at a time. At the limit, a new round takes the place of one that is over or of a
    /// confirmed one, or of the alert with the fewest signers that has been there for longer than the
    /// lifetime of a round: who signed it sends it again.
    pub max_rounds: usize,
    /// Most alerts, and most attestations, without a certificate that an operator has signed when it begins
    /// another one: a few operators cannot fill the aggregator with statements of their own.
    pub max_rounds_per_operator: usize,
    /// How long signatures of an attestation's round are taken while the process runs, and how long its
    /// certificate is brought to an L1 that does not take it. The round of an alert goes on until L1 has
    /// it, and has terms of its day after so long.
    pub round_lifetime: Duration,
    /// How long that is from one process to the next: until L1 is this number of blocks past the
    /// reference block. The time of day, which may jump, is not asked.
    pub round_blocks: u32,
    /// L1 blocks for which a confirmation is looked at again, now and then: what a reorganisation took
    /// back is brought to L1 once more. 0 trusts the first one.
    pub confirmations: u32,
    /// Which statements are brought to L1.
    pub confirm: ToL1,
    /// How long what is over is kept.
    pub retention: Retention,
    /// Whether other instances work on the same store; `None` for the only one.
    pub instance: Option<InstanceConfig>,
    /// For L1 when it does not answer, or refuses a certificate: while its round lives, it is not given up,
    /// and tried ever more seldom, up to a pause of 60 times the longest delay.
    pub retry: RetryPolicy,
}

impl AggregatorConfig {
    /// Every statement goes to L1, and is looked at there for 64 blocks. Rounds of an hour or 300 L1 blocks, at
    /// most 1,024 of them and 256 of one operator, one L1 block behind the head; the only instance.
    pub fn new(
        domain: Domain,
        rollups: impl IntoIterator<Item = ChainId>,
        quorums: QuorumNumbers,
        thresholds: Vec<Threshold>,
    ) -> Self {
        Self {
            domain,
            rollups: rollups.into_iter().collect(),
            quorums,
            thresholds,
            reference_margin: 1,
            reference_interval: 1,
            max_rounds: 1024,
            max_rounds_per_operator: 256,
            round_lifetime: Duration::from_secs(3600),
            round_blocks: 300,
            confirmations: 64,
            confirm: ToL1::All,
            retention: Retention::default(),
            instance: None,
            retry: RetryPolicy::default(),
        }
    }
}

/// Which statements are brought to L1. Whatever is not has a certificate all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToL1 {
    /// Every one.
    #[default]
    All,
    /// Alerts, and attestations of the blocks whose numbers are multiples of this: of their ancestors
    /// L1 knows with them.
    AlertsAndEvery(NonZeroU64),
    /// Alerts alone.
    Alerts,
    /// None: a dry run. What was certified in it is not brought to L1 later either.
    Nothing,
}

impl ToL1 {
    /// Whether this statement is brought to L1. Every instance finds the same.
    pub const fn takes(&self, statement: &Statement) -> bool {
        match (self, statement) {
            (Self::Nothing, _) => false,
            (Self::All, _) | (_, Statement::Alert(_)) => true,
            (Self::AlertsAndEvery(blocks), statement) => {
                statement.block().number.is_multiple_of(blocks.get())
            }
            (Self::Alerts, _) => false,
        }
    }
}

/// How many L1 blocks long what is over is kept: since its confirmation, or since its certificate if
/// it is not brought to L1. Rounds of alerts and their certificates are kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So long late signatures extend the certificate of an attestation. Who comes later is told so.
    pub rounds: u64,
    /// So long rounds and certificates are there, no shorter than that.
    pub certificates: u64,
}

impl Default for Retention {
    /// A day and thirty days, at a block in twelve seconds.
    fn default() -> Self {
        Self {
            rounds: 7_200,
            certificates: 216_000,
        }
    }
}

/// How several aggregators share one store: one of them leads, the others stand by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceConfig {
    /// How often the leader says that it lives, and the others look.
    pub heartbeat: Duration,
    /// How long it may be silent until another one takes over. Each measures that by itself: clocks
    /// need not agree.
    pub takeover: Duration,
}

impl Default for InstanceConfig {
    /// A heartbeat every 100 ms, a takeover after 700 ms.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            takeover: Duration::from_millis(700),
        }
    }
}
