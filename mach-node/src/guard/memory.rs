//! A signing guard that lives as long as its process.

use std::collections::HashMap;

use alloy_primitives::{BlockNumber, ChainId};
use async_trait::async_trait;
use mach_core::{
    Domain, Statement,
    ports::{GuardError, SigningGuard},
};
use tokio::sync::Mutex;

use super::history::Height;

/// Remembers every statement in memory, by the rules of [`StoredGuard`](crate::StoredGuard).
///
/// It forgets when the process ends: an operator with stake needs a guard that does not.
#[derive(Debug, Default)]
pub struct MemoryGuard {
    heights: Mutex<HashMap<(Domain, ChainId, BlockNumber), Height>>,
}

impl MemoryGuard {
    /// A guard that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl SigningGuard for MemoryGuard {
    async fn permit(&self, statement: &Statement, domain: &Domain) -> Result<(), GuardError> {
        let key = (
            *domain,
            statement.rollup_chain_id(),
            statement.block().number,
        );
        let mut heights = self.heights.lock().await;
        let height = heights.entry(key).or_default();
        height.permit(statement, domain).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};
    use mach_core::{Alert, AlertKind, Attestation, BlockRef};

    const DOMAIN: Domain = Domain {
        l1_chain_id: 1,
        service_manager: Address::ZERO,
    };

    fn attestation(hash: u8) -> Attestation {
        Attestation {
            rollup_chain_id: 10,
            block: BlockRef {
                number: 5,
                hash: B256::repeat_byte(hash),
            },
            state_root: B256::ZERO,
            output_root: B256::repeat_byte(9),
        }
    }

    fn alert(hash: u8, kind: AlertKind) -> Alert {
        Alert {
            kind,
            rollup_chain_id: 10,
            block: BlockRef {
                number: 5,
                hash: B256::repeat_byte(hash),
            },
            rule: 4,
            claimed: B256::ZERO,
            computed: B256::repeat_byte(9),
        }
    }

    /// What is permitted after what; `true` is permitted.
    #[tokio::test]
    async fn what_contradicts_an_earlier_statement_is_refused() {
        let other_root = Attestation {
            state_root: B256::repeat_byte(7),
            ..attestation(1)
        };
        let other_rule = Alert {
            rule: 5,
            ..alert(1, AlertKind::InvalidBlock)
        };
        let other_output = Alert {
            computed: B256::ZERO,
            ..alert(1, AlertKind::InvalidOutputProposal)
        };
        let cases: [(Statement, Statement, bool); 9] = [
            (attestation(1).into(), attestation(1).into(), true),
            (attestation(1).into(), attestation(2).into(), false),
            (attestation(1).into(), other_root.into(), false),
            (
                attestation(1).into(),
                alert(1, AlertKind::InvalidBlock).into(),
                false,
            ),
            (
                attestation(1).into(),
                alert(2, AlertKind::InvalidBlock).into(),
                true,
            ),
            (
                attestation(1).into(),
                alert(1, AlertKind::InvalidOutputProposal).into(),
                true,
            ),
            (attestation(1).into(), other_output.into(), false),
            (
                alert(1, AlertKind::InvalidBlock).into(),
                other_rule.into(),
                false,
            ),
            (
                alert(1, AlertKind::InvalidBlock).into(),
                alert(2, AlertKind::InvalidBlock).into(),
                true,
            ),
        ];
        for (first, second, permitted) in cases {
            for (first, second) in [(&first, &second), (&second, &first)] {
                let guard = MemoryGuard::new();
                guard.permit(first, &DOMAIN).await.unwrap();
                let outcome = guard.permit(second, &DOMAIN).await;
                assert_eq!(outcome.is_ok(), permitted, "{first:?} then {second:?}");
                if let Err(GuardError::Contradiction { earlier, .. }) = outcome {
                    assert_eq!(earlier, first.digest(&DOMAIN));
                }
            }
        }
    }

    #[tokio::test]
    async fn another_service_manager_is_another_matter() {
        let guard = MemoryGuard::new();
        let elsewhere = Domain {
            l1_chain_id: 2,
            ..DOMAIN
        };
        guard.permit(&attestation(1).into(), &DOMAIN).await.unwrap();
        guard
            .permit(&attestation(2).into(), &elsewhere)
            .await
            .unwrap();
    }
}
