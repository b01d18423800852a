//! What each rollup block says of L1.

use alloy_primitives::{B256, Bytes, TxKind, U256};
use op_alloy_consensus::{L1InfoDepositSource, TxDeposit};

use super::{
    OptimismFork,
    asm::selector,
    predeploys::{DEPOSITOR, L1_BLOCK, SET_ISTHMUS, SET_JOVIAN},
};

/// Gas of the deposit.
const GAS_LIMIT: u64 = 1_000_000;

/// The L1 block that a rollup block follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L1Origin {
    /// Height.
    pub number: u64,
    /// Hash of the header.
    pub hash: B256,
    /// Time of the block, in seconds since 1970.
    pub timestamp: u64,
    /// Base fee, in wei.
    pub base_fee: u64,
    /// Price of blob gas, in wei.
    pub blob_base_fee: u128,
    /// `prevRandao` of the block.
    pub randao: B256,
    /// Root of the beacon block before it.
    pub beacon_root: B256,
}

/// What the rollup's owner sets in the `SystemConfig` contract on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeConfig {
    /// Multiplier of the L1 base fee, in millionths.
    pub base_fee_scalar: u32,
    /// Multiplier of the blob base fee, in millionths.
    pub blob_base_fee_scalar: u32,
    /// Multiplier of the gas of a transaction in the operator fee.
    pub operator_fee_scalar: u32,
    /// Constant part of the operator fee, in wei.
    pub operator_fee_constant: u64,
    /// Data-availability footprint per estimated byte; used from Jovian on.
    pub da_footprint_gas_scalar: u16,
}

impl Default for FeeConfig {
    /// The scalars of OP Mainnet after Ecotone, and an operator fee so that there is one.
    fn default() -> Self {
        Self {
            base_fee_scalar: 1368,
            blob_base_fee_scalar: 810_949,
            operator_fee_scalar: 100,
            operator_fee_constant: 500,
            da_footprint_gas_scalar: 400,
        }
    }
}

/// The first transaction of a rollup block.
pub(super) fn deposit(
    fork: OptimismFork,
    fees: &FeeConfig,
    origin: &L1Origin,
    sequence_number: u64,
) -> TxDeposit {
    TxDeposit {
        source_hash: L1InfoDepositSource::new(origin.hash, sequence_number).source_hash(),
        from: DEPOSITOR,
        to: TxKind::Call(L1_BLOCK),
        mint: 0,
        value: U256::ZERO,
        gas_limit: GAS_LIMIT,
        is_system_transaction: false,
        input: calldata(fork, fees, origin, sequence_number),
    }
}

/// Packed big-endian fields behind a selector: 176 bytes in Isthmus, 178 in Jovian.
///
/// Source: <https://specs.optimism.io/protocol/jovian/l1-attributes.html>.
fn calldata(
    fork: OptimismFork,
    fees: &FeeConfig,
    origin: &L1Origin,
    sequence_number: u64,
) -> Bytes {
    let function = match fork {
        OptimismFork::Isthmus => SET_ISTHMUS,
        OptimismFork::Jovian => SET_JOVIAN,
    };
    let mut data = Vec::with_capacity(178);
    data.extend(selector(function));
    data.extend(fees.base_fee_scalar.to_be_bytes());
    data.extend(fees.blob_base_fee_scalar.to_be_bytes());
    data.extend(sequence_number.to_be_bytes());
    data.extend(origin.timestamp.to_be_bytes());
    data.extend(origin.number.to_be_bytes());
    data.extend(U256::from(origin.base_fee).to_be_bytes::<32>());
    data.extend(U256::from(origin.blob_base_fee).to_be_bytes::<32>());
    data.extend(origin.hash);
    data.extend(super::BATCHER.into_word());
    data.extend(fees.operator_fee_scalar.to_be_bytes());
    data.extend(fees.operator_fee_constant.to_be_bytes());
    if fork == OptimismFork::Jovian {
        data.extend(fees.da_footprint_gas_scalar.to_be_bytes());
    }
    data.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Selectors and lengths are those of the specification.
    #[test]
    fn calldata_has_the_form_of_the_fork() {
        let origin = L1Origin {
            number: 7,
            hash: B256::repeat_byte(1),
            timestamp: 8,
            base_fee: 9,
            blob_base_fee: 10,
            randao: B256::ZERO,
            beacon_root: B256::ZERO,
        };
        let isthmus = calldata(OptimismFork::Isthmus, &FeeConfig::default(), &origin, 3);
        assert_eq!(isthmus[..4], [0x09, 0x89, 0x99, 0xbe]);
        assert_eq!(isthmus.len(), 176);
        let jovian = calldata(OptimismFork::Jovian, &FeeConfig::default(), &origin, 3);
        assert_eq!(jovian[..4], [0x3d, 0xb6, 0xbe, 0x2b]);
        assert_eq!(jovian.len(), 178);
        assert_eq!(isthmus[4..], jovian[4..176]);
    }
}
