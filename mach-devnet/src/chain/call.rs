//! `eth_call` and gas estimation.

use alloy_evm::{Evm, EvmEnv, EvmFactory};
use alloy_primitives::U256;
use alloy_rpc_types_eth::TransactionRequest;
use revm::{
    context::BlockEnv,
    context_interface::result::{ExecutionResult, HaltReason},
};

use super::role::CallError;

/// Environment of a call: that of the block with the checks off that only a signed transaction
/// must pass.
#[derive(Debug)]
pub(crate) struct Call<Spec> {
    environment: EvmEnv<Spec>,
}

impl<Spec> Call<Spec> {
    pub(crate) fn new(mut environment: EvmEnv<Spec>, request: &TransactionRequest) -> Self {
        let cfg = &mut environment.cfg_env;
        cfg.disable_eip3607 = true;
        cfg.disable_nonce_check = true;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
        // A call without a price is free, and like in geth it then sees a base fee of zero.
        let price = request
            .gas_price
            .or(request.max_fee_per_gas)
            .unwrap_or_default();
        if price == 0 {
            environment.block_env.basefee = 0;
        }
        Self { environment }
    }

    pub(crate) const fn environment(&self) -> &EvmEnv<Spec> {
        &self.environment
    }

    pub(crate) fn run<F, DB, H>(
        self,
        factory: F,
        db: DB,
        transaction: F::Tx,
    ) -> Result<ExecutionResult, CallError>
    where
        F: EvmFactory<Spec = Spec, BlockEnv = BlockEnv, HaltReason = H>,
        DB: alloy_evm::Database,
        H: TryInto<HaltReason>,
    {
        let outcome = factory
            .create_evm(db, self.environment)
            .transact_raw(transaction)
            .map_err(|error| CallError::Invalid(error.to_string()))?;
        // A deposit's halt has no counterpart, and a call is none.
        Ok(outcome
            .result
            .map_haltreason(|reason| reason.try_into().unwrap_or(HaltReason::OutOfFunds)))
    }
}

/// Gas that `balance` buys at the price of `request`, after its value; `None` without a price.
pub(crate) fn allowance(request: &TransactionRequest, balance: U256) -> Option<u64> {
    let price = request
        .gas_price
        .or(request.max_fee_per_gas)
        .filter(|price| *price > 0)?;
    let left = balance.saturating_sub(request.value.unwrap_or_default());
    Some((left / U256::from(price)).saturating_to())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowance_is_what_is_left_of_the_balance() {
        let request = TransactionRequest {
            gas_price: Some(10),
            ..Default::default()
        }
        .value(U256::from(100));
        assert_eq!(allowance(&request, U256::from(1_000)), Some(90));
        assert_eq!(allowance(&request, U256::from(50)), Some(0));
        assert_eq!(allowance(&TransactionRequest::default(), U256::ZERO), None);
    }
}
