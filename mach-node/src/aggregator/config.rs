//! What an aggregator is told.

use std::{collections::BTreeSet, time::Duration};

use alloy_primitives::ChainId;
use mach_core::{Domain, QuorumNumbers, Threshold};

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
    /// Most rounds at a time. At the limit, a new round takes the place of one that is over, of a
    /// confirmed one, or of one that no operator has signed.
    pub max_rounds: usize,
    /// How long signatures of a round are taken.
    pub round_lifetime: Duration,
    /// For L1 when it does not answer. While its round lives, a certificate is not given up.
    pub retry: RetryPolicy,
}

impl AggregatorConfig {
    /// Rounds of an hour, at most 1,024 of them, one L1 block behind the head.
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
            max_rounds: 1024,
            round_lifetime: Duration::from_secs(3600),
            retry: RetryPolicy::default(),
        }
    }
}
