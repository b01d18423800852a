//! What the machine of a rollup is from Osaka on.

use std::sync::LazyLock;

use alloy_evm::EvmEnv;
use alloy_op_evm::evm_env_for_op_block;
use mach_core::L2Block;
use op_revm::{OpSpecId, precompiles};
use revm::precompile::{
    EthPrecompileResult, Precompile, PrecompileHalt, PrecompileId, Precompiles, bn254,
    eth_precompile_fn,
};

use crate::ChainSpec;

/// Longest input of the BN254 pairing from Karst on, in bytes: 300 pairs.
///
/// Source: <https://specs.optimism.io/protocol/karst/exec-engine.html#precompile-input-size-restrictions>
const KARST_PAIRING_INPUT: usize = 57_600;

/// Environment of the block.
///
/// Karst brings Osaka: EIP-7823, EIP-7825 but for deposits, EIP-7883, EIP-7939, EIP-7951. Base's
/// Azul brings the same; the machine's name for both is Karst.
///
/// Source: <https://specs.optimism.io/protocol/karst/overview.html>, Base documentation, "Azul:
/// Execution Engine".
pub(super) fn environment(spec: &ChainSpec, block: &L2Block) -> EvmEnv<OpSpecId> {
    let mut env = evm_env_for_op_block(block.header.inner(), spec, spec.chain_id());
    if spec.is_azul_active_at_timestamp(block.header.timestamp) {
        env.cfg_env.set_spec_and_mainnet_gas_params(OpSpecId::KARST);
    }
    env
}

/// Precompiles from Karst on. Those of op-revm 20 lack the shorter limit of the pairing, which Azul
/// does not have.
pub(super) fn karst_precompiles() -> &'static Precompiles {
    static KARST: LazyLock<Precompiles> = LazyLock::new(|| {
        let mut precompiles = precompiles::karst().clone();
        precompiles.extend([Precompile::new(
            PrecompileId::Bn254Pairing,
            bn254::pair::ADDRESS,
            karst_pairing,
        )]);
        precompiles
    });
    &KARST
}

eth_precompile_fn!(karst_pairing, pairing_of_bounded);

fn pairing_of_bounded(input: &[u8], gas_limit: u64) -> EthPrecompileResult {
    if input.len() > KARST_PAIRING_INPUT {
        return Err(PrecompileHalt::Bn254PairLength);
    }
    bn254::run_pair(
        input,
        bn254::pair::ISTANBUL_PAIR_PER_POINT,
        bn254::pair::ISTANBUL_PAIR_BASE,
        gas_limit,
    )
}

#[cfg(test)]
mod tests {
    use alloy_op_hardforks::OpHardfork;
    use alloy_primitives::{Address, address};
    use revm::context_interface::Cfg;

    use super::*;

    const PAIR: usize = 192;

    fn succeeds(precompiles: &Precompiles, address: Address, input: &[u8], gas: u64) -> bool {
        let precompile = precompiles.get(&address).unwrap();
        precompile
            .execute(input, gas, 0)
            .is_ok_and(|output| !output.is_halt())
    }

    /// 300 pairs from Karst on, 427 before it and on Base: limits of the specifications.
    #[test]
    fn karst_shortens_the_pairing_and_azul_does_not() {
        let pairs = |count| vec![0; count * PAIR];
        let address = bn254::pair::ADDRESS;
        for (precompiles, limit) in [
            (precompiles::jovian(), 427),
            (precompiles::karst(), 427),
            (karst_precompiles(), 300),
        ] {
            assert!(succeeds(precompiles, address, &pairs(limit), u64::MAX));
            assert!(!succeeds(precompiles, address, &pairs(limit + 1), u64::MAX));
        }
    }

    /// EIP-7951: 6900 gas in the place of 3450. EIP-7883: at least 500 gas in the place of 200.
    #[test]
    fn osaka_makes_precompiles_dearer() {
        let p256 = address!("0000000000000000000000000000000000000100");
        let modexp = address!("0000000000000000000000000000000000000005");
        for (address, before, after) in [(p256, 3450, 6900), (modexp, 200, 500)] {
            let jovian = precompiles::jovian();
            assert!(succeeds(jovian, address, &[], before), "{address}");
            assert!(!succeeds(jovian, address, &[], before - 1), "{address}");
            let karst = karst_precompiles();
            assert!(succeeds(karst, address, &[], after), "{address}");
            assert!(!succeeds(karst, address, &[], after - 1), "{address}");
        }
    }

    /// EIP-7825: 2^24 gas for a transaction.
    #[test]
    fn osaka_caps_the_gas_of_a_transaction() {
        let cap = |spec: &ChainSpec, timestamp| {
            let mut block = L2Block::new(spec.chain_id(), Default::default(), vec![]);
            block.header = alloy_primitives::Sealed::new(alloy_consensus::Header {
                timestamp,
                ..Default::default()
            });
            environment(spec, &block).cfg_env.tx_gas_limit_cap()
        };
        let karst = ChainSpec::optimism(10).with_op_forks_from_genesis(OpHardfork::Karst);
        assert_eq!(cap(&karst, 1), 16_777_216);
        let base = ChainSpec::base();
        assert_eq!(cap(&base, 1_779_991_199), u64::MAX);
        assert_eq!(cap(&base, 1_779_991_200), 16_777_216);
    }
}
