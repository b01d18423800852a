//! What an index is told.

use std::{collections::BTreeSet, time::Duration};

use alloy_primitives::ChainId;
use mach_core::Domain;

/// What a [`FinalityIndex`](super::FinalityIndex) keeps.
#[derive(Clone, Debug)]
pub struct FinalityConfig {
    /// Where the statements count.
    pub domain: Domain,
    /// Rollups that are served.
    pub rollups: BTreeSet<ChainId>,
    /// Blocks of each rollup that are kept, with their transactions and certificates, at least one.
    /// Alerts that stand are kept for ever.
    pub retain: u64,
    /// Whether other instances write to the same store, and how often this one looks at what they wrote;
    /// `None` for the only one.
    pub shared: Option<Duration>,
}

impl FinalityConfig {
    /// A day of blocks of 2 seconds.
    pub fn new(domain: Domain, rollups: impl IntoIterator<Item = ChainId>) -> Self {
        Self {
            domain,
            rollups: rollups.into_iter().collect(),
            retain: 43_200,
            shared: None,
        }
    }
}
