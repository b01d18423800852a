//! What each rollup block says of L1.

use alloy_primitives::{B256, Bytes, TxKind, U256};
use op_alloy_consensus::{L1InfoDepositSource, TxDeposit};

use super::{
    Epoch, OptimismFork, SystemConfig,
    asm::selector,
    predeploys::{DEPOSITOR, L1_BLOCK, SET_BEDROCK, SET_ECOTONE, SET_ISTHMUS, SET_JOVIAN},
};

/// Gas of the deposit from Regolith on.
const GAS_LIMIT: u64 = 1_000_000;

/// Gas of the deposit before Regolith, which did not count against the block's.
const SYSTEM_GAS_LIMIT: u64 = 150_000_000;

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

/// Fees of the rollup at genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeConfig {
    /// Fixed part of the L1 fee before Ecotone, in gas; only on a chain that starts before it.
    pub overhead: u32,
    /// Multiplier of the L1 fee before Ecotone, in millionths; only on a chain that starts before it.
    pub scalar: u32,
    /// Multiplier of the L1 base fee, in millionths.
    pub base_fee_scalar: u32,
    /// Multiplier of the blob base fee, in millionths.
    pub blob_base_fee_scalar: u32,
    /// Multiplier of the gas of a transaction in the operator fee.
    pub operator_fee_scalar: u32,
    /// Constant part of the operator fee, in wei.
    pub operator_fee_constant: u64,
    /// Least base fee, in wei; used from Jovian on.
    pub min_base_fee: u64,
    /// Data-availability footprint per estimated byte; used from Jovian on.
    pub da_footprint_gas_scalar: u16,
}

impl Default for FeeConfig {
    /// The scalars of OP Mainnet before and after Ecotone, and an operator fee so that there is one.
    fn default() -> Self {
        Self {
            overhead: 188,
            scalar: 684_000,
            base_fee_scalar: 1368,
            blob_base_fee_scalar: 810_949,
            operator_fee_scalar: 100,
            operator_fee_constant: 500,
            min_base_fee: 1_000,
            da_footprint_gas_scalar: 400,
        }
    }
}

/// The first transaction of a block under `fork`, in the form that `form` has: a block that
/// activates a fork still speaks to the `L1Block` of the one before.
pub(super) fn deposit(fork: OptimismFork, form: OptimismFork, epoch: &Epoch) -> TxDeposit {
    let is_system_transaction = fork < OptimismFork::Regolith;
    let source = L1InfoDepositSource::new(epoch.origin.hash, epoch.sequence_number);
    TxDeposit {
        source_hash: source.source_hash(),
        from: DEPOSITOR,
        to: TxKind::Call(L1_BLOCK),
        mint: 0,
        value: U256::ZERO,
        gas_limit: if is_system_transaction {
            SYSTEM_GAS_LIMIT
        } else {
            GAS_LIMIT
        },
        is_system_transaction,
        input: if form < OptimismFork::Ecotone {
            bedrock(epoch)
        } else {
            packed(form, epoch)
        },
    }
}

/// ABI-encoded words, 260 bytes with the selector.
///
/// Source: <https://specs.optimism.io/protocol/deposits.html#l1-attributes-deposited-transaction-calldata>.
fn bedrock(epoch: &Epoch) -> Bytes {
    let Epoch {
        origin,
        sequence_number,
        config,
    } = epoch;
    let number = |value: u64| U256::from(value).to_be_bytes::<32>();
    let words = [
        number(origin.number),
        number(origin.timestamp),
        number(origin.base_fee),
        origin.hash.0,
        number(*sequence_number),
        config.batcher.into_word().0,
        config.overhead.to_be_bytes::<32>(),
        config.scalar.to_be_bytes::<32>(),
    ];
    [&selector(SET_BEDROCK)[..], words.as_flattened()]
        .concat()
        .into()
}

/// Packed big-endian fields behind a selector: 164 bytes in Ecotone, 176 in Isthmus, 178 in Jovian.
///
/// Source: <https://specs.optimism.io/protocol/jovian/l1-attributes.html>.
fn packed(form: OptimismFork, epoch: &Epoch) -> Bytes {
    let Epoch {
        origin,
        sequence_number,
        config,
    } = epoch;
    let function = match form {
        OptimismFork::Jovian => SET_JOVIAN,
        OptimismFork::Isthmus => SET_ISTHMUS,
        _ => SET_ECOTONE,
    };
    let (base_fee_scalar, blob_base_fee_scalar) = config.ecotone_scalars();
    let mut data = Vec::with_capacity(178);
    data.extend(selector(function));
    data.extend(base_fee_scalar.to_be_bytes());
    data.extend(blob_base_fee_scalar.to_be_bytes());
    data.extend(sequence_number.to_be_bytes());
    data.extend(origin.timestamp.to_be_bytes());
    data.extend(origin.number.to_be_bytes());
    data.extend(U256::from(origin.base_fee).to_be_bytes::<32>());
    data.extend(U256::from(origin.blob_base_fee).to_be_bytes::<32>());
    data.extend(origin.hash);
    data.extend(config.batcher.into_word());
    if form >= OptimismFork::Isthmus {
        data.extend(config.operator_fee_scalar.to_be_bytes());
        data.extend(config.operator_fee_constant.to_be_bytes());
    }
    if form >= OptimismFork::Jovian {
        data.extend(SystemConfig::da_footprint(config).to_be_bytes());
    }
    data.into()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;

    use super::*;

    /// Selectors and lengths are those of the specification.
    #[test]
    fn calldata_has_the_form_of_the_fork() {
        let fees = FeeConfig::default();
        let epoch = Epoch {
            origin: L1Origin {
                number: 7,
                hash: B256::repeat_byte(1),
                timestamp: 8,
                base_fee: 9,
                blob_base_fee: 10,
                randao: B256::ZERO,
                beacon_root: B256::ZERO,
            },
            sequence_number: 3,
            config: SystemConfig::new(OptimismFork::Jovian, Address::ZERO, &fees, 1),
        };
        let input = |fork| deposit(fork, fork, &epoch).input;
        for (fork, selector, length) in [
            (OptimismFork::Bedrock, [0x01, 0x5d, 0x8e, 0xb9], 260),
            (OptimismFork::Canyon, [0x01, 0x5d, 0x8e, 0xb9], 260),
            (OptimismFork::Ecotone, [0x44, 0x0a, 0x5e, 0x20], 164),
            (OptimismFork::Holocene, [0x44, 0x0a, 0x5e, 0x20], 164),
            (OptimismFork::Isthmus, [0x09, 0x89, 0x99, 0xbe], 176),
            (OptimismFork::Jovian, [0x3d, 0xb6, 0xbe, 0x2b], 178),
        ] {
            assert_eq!(input(fork)[..4], selector, "{fork:?}");
            assert_eq!(input(fork).len(), length, "{fork:?}");
        }
        let jovian = input(OptimismFork::Jovian);
        assert_eq!(input(OptimismFork::Isthmus)[4..], jovian[4..176]);
        assert_eq!(input(OptimismFork::Ecotone)[4..], jovian[4..164]);
    }
}
