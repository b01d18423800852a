//! What the paying account holds.

use alloy_primitives::U256;
use alloy_provider::Provider;

use super::{Candidate, Doctor, Finding, Intent, Subject, ether};
use crate::CallError;

/// Gas of joining: what EigenLayer's operator sets take, the dearer of both worlds, and a margin.
const GAS_TO_JOIN: u64 = 1_300_000;
/// Gas of leaving, with a margin.
const GAS_TO_LEAVE: u64 = 600_000;

impl Doctor {
    /// Whether the account that pays can.
    pub(super) async fn balance(&mut self, candidate: &Candidate) {
        let Some(payer) = candidate.payer else {
            return;
        };
        let balance = self.provider.get_balance(payer).await;
        let Some(balance) = self.heard(Subject::Balance, balance.map_err(CallError::from)) else {
            return;
        };
        let price = self.provider.get_gas_price().await;
        let Some(price) = self.heard(Subject::Balance, price.map_err(CallError::from)) else {
            return;
        };
        let gas = match candidate.intent {
            Intent::Join => GAS_TO_JOIN,
            Intent::Leave => GAS_TO_LEAVE,
        };
        let cost = U256::from(gas).saturating_mul(U256::from(price));
        // Fees are offered at twice the base fee, so that they last for some full blocks.
        let offered = cost.saturating_mul(U256::from(2));
        let has = ether(balance);
        let finding = if balance < cost {
            Finding::blocker(
                Subject::Balance,
                format!(
                    "{payer} holds {has} ether, the transaction costs about {}",
                    ether(cost)
                ),
                format!("send it at least {} ether", ether(offered - balance)),
            )
        } else if balance < offered {
            Finding::warning(
                Subject::Balance,
                format!(
                    "{payer} holds {has} ether, the transaction costs about {}",
                    ether(cost)
                ),
                format!(
                    "nodes want {} ether to be there, for rising fees",
                    ether(offered)
                ),
            )
        } else {
            Finding::passed(Subject::Balance, format!("{payer} holds {has} ether"))
        };
        self.found(finding);
    }
}
