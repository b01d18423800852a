//! What a block has to be before its sequencer has any say.

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_eips::{eip2718::Encodable2718, eip7840::BlobParams};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, Sealed, U256, address};
use mach_core::BlockRef;

use super::{
    AttributesFormat, L1Attributes, L1Error, Parent, Rollup, SystemConfig, UpgradeTransaction,
    upgrade_transactions, upgrades, user_deposits,
};
use crate::Unsupported;

/// Beneficiary of every block.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#building-individual-payload-attributes>
pub const SEQUENCER_FEE_VAULT: Address = address!("4200000000000000000000000000000000000011");

/// Forks that may bring upgrade transactions, in their order in a block.
const UPGRADES: [OpHardfork; 6] = [
    OpHardfork::Ecotone,
    OpHardfork::Fjord,
    OpHardfork::Isthmus,
    OpHardfork::Jovian,
    OpHardfork::Karst,
    OpHardfork::Interop,
];

/// What the block on a parent with a given L1 origin has to be, whatever its sequencer puts behind
/// its deposits.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#building-individual-payload-attributes>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockAttributes {
    /// The parent's plus the block time.
    pub timestamp: u64,
    /// [`SEQUENCER_FEE_VAULT`].
    pub beneficiary: Address,
    /// That of the configuration.
    pub gas_limit: u64,
    /// EIP-1559 parameters and minimum base fee; `None` before Holocene.
    pub extra_data: Option<Bytes>,
    /// That of the L1 origin.
    pub mix_hash: B256,
    /// That of the L1 origin, or zero; `None` before Ecotone.
    pub parent_beacon_block_root: Option<B256>,
    /// L1 attributes, which the first transaction carries.
    pub l1: L1Attributes,
    /// EIP-2718 encodings of the first transactions: the L1 attributes, then the deposits of users.
    pub deposits: Vec<Bytes>,
    /// What follows them where a fork activates.
    pub upgrades: Vec<UpgradeTransaction>,
    /// Whether nothing may follow those.
    pub no_sequencer_transactions: bool,
    /// Configuration that the block is made with.
    pub system_config: SystemConfig,
    /// Why the blob base fee of the L1 attributes may be wrong: a contradiction to it proves
    /// nothing then.
    pub doubt: Option<Unsupported>,
}

impl BlockAttributes {
    /// What a block with the L1 origin `origin` on `parent` has to be.
    ///
    /// `receipts` are those of `origin`, proven to its receipts root; they are needed if and only
    /// if the parent has another L1 origin.
    ///
    /// Errors: [`L1Error`].
    pub fn new(
        rollup: &Rollup,
        parent: &Parent,
        origin: &Sealed<Header>,
        receipts: Option<&[ReceiptEnvelope]>,
    ) -> Result<Self, L1Error> {
        let timestamp = parent
            .header
            .timestamp
            .saturating_add(rollup.config.block_time);
        let mut system_config = parent.system_config;
        let (sequence_number, users) = if follows(origin, parent.origin) {
            let receipts = receipts.ok_or(L1Error::MissingReceipts(origin.number))?;
            let portal = rollup.config.deposit_contract_address;
            let deposits = user_deposits(receipts, origin.seal(), portal)?;
            system_config.update(rollup, receipts, origin.timestamp)?;
            (0, deposits)
        } else if origin.number == parent.origin.number && origin.seal() == parent.origin.hash {
            (parent.sequence_number.saturating_add(1), Vec::new())
        } else {
            return Err(L1Error::Origin {
                origin: BlockRef {
                    number: origin.number,
                    hash: origin.seal(),
                },
                parent: parent.origin,
            });
        };

        let is_regolith = rollup.is_active(OpHardfork::Regolith, timestamp);
        let format = rollup.attributes_format(timestamp);
        let l1 = l1_attributes(rollup, &system_config, origin, sequence_number, format)?;
        let users = users
            .iter()
            .map(|deposit| Bytes::from(deposit.encoded_2718()));
        let deposits = [l1.transaction(is_regolith)]
            .into_iter()
            .chain(users)
            .collect();

        let mut transactions = Vec::new();
        let mut gas_limit = system_config.gas_limit;
        for fork in UPGRADES
            .into_iter()
            .filter(|fork| rollup.activates(*fork, timestamp))
        {
            transactions.extend_from_slice(upgrade_transactions(fork)?);
            gas_limit = gas_limit.saturating_add(upgrades::gas(fork)?);
        }
        let doubt = (format >= AttributesFormat::Ecotone)
            .then(|| blob_fee_doubt(rollup, origin))
            .flatten();
        Ok(Self {
            timestamp,
            beneficiary: SEQUENCER_FEE_VAULT,
            gas_limit,
            extra_data: extra_data(rollup, &system_config, timestamp),
            mix_hash: origin.mix_hash,
            parent_beacon_block_root: rollup
                .is_active(OpHardfork::Ecotone, timestamp)
                .then(|| origin.parent_beacon_block_root.unwrap_or_default()),
            l1,
            deposits,
            upgrades: transactions,
            no_sequencer_transactions: activates_without_sequencer(rollup, timestamp),
            system_config,
            doubt,
        })
    }
}

/// Whether the block at `timestamp` activates a fork whose first block has no transactions of the
/// sequencer.
///
/// Source: <https://specs.optimism.io/protocol/jovian/derivation.html#activation-block-rules>, and
/// `checkSingularBatch` in op-node for the forks after it.
fn activates_without_sequencer(rollup: &Rollup, timestamp: u64) -> bool {
    [OpHardfork::Jovian, OpHardfork::Karst, OpHardfork::Interop]
        .into_iter()
        .any(|fork| rollup.activates(fork, timestamp))
}

/// Whether `origin` is the L1 block right after `parent`.
fn follows(origin: &Sealed<Header>, parent: BlockRef) -> bool {
    Some(origin.number) == parent.number.checked_add(1) && origin.parent_hash == parent.hash
}

fn l1_attributes(
    rollup: &Rollup,
    system_config: &SystemConfig,
    origin: &Sealed<Header>,
    sequence_number: u64,
    format: AttributesFormat,
) -> Result<L1Attributes, L1Error> {
    let mut attributes = L1Attributes {
        number: origin.number,
        timestamp: origin.timestamp,
        base_fee: U256::from(origin.base_fee_per_gas.unwrap_or_default()),
        hash: origin.seal(),
        sequence_number,
        batcher: system_config.batcher,
        ..L1Attributes::empty(format)
    };
    if format == AttributesFormat::Bedrock {
        attributes.overhead = system_config.overhead;
        attributes.scalar = system_config.scalar;
        return Ok(attributes);
    }
    (attributes.base_fee_scalar, attributes.blob_base_fee_scalar) = system_config.fee_scalars()?;
    attributes.blob_base_fee = U256::from(blob_base_fee(rollup, origin));
    if format >= AttributesFormat::Isthmus {
        attributes.operator_fee_scalar = system_config.operator_fee_scalar();
        attributes.operator_fee_constant = system_config.operator_fee_constant();
    }
    if format >= AttributesFormat::Jovian {
        attributes.da_footprint_gas_scalar = system_config.da_footprint_gas_scalar();
    }
    Ok(attributes)
}

/// Blob base fee of an L1 block, in wei; 1 before L1 has blobs.
///
/// Source: <https://specs.optimism.io/protocol/ecotone/l1-attributes.html>,
/// <https://specs.optimism.io/protocol/pectra-blob-schedule/derivation.html>
fn blob_base_fee(rollup: &Rollup, origin: &Header) -> u128 {
    let late =
        (rollup.config.forks.pectra_blob_schedule_time).is_some_and(|time| origin.timestamp < time);
    let params = if late {
        Some(BlobParams::cancun())
    } else {
        rollup.l1.blob_params(origin.timestamp)
    };
    (params.zip(origin.excess_blob_gas)).map_or(1, |(params, excess)| params.calc_blob_fee(excess))
}

/// Why the blob schedule of L1 at this block is not known for certain.
fn blob_fee_doubt(rollup: &Rollup, origin: &Header) -> Option<Unsupported> {
    (rollup
        .l1
        .check_supported(origin.number, origin.timestamp)
        .err())
    .or_else(|| rollup.l1.doubt(origin.timestamp))
}

/// `extraData` that the configuration gives.
///
/// Source: <https://specs.optimism.io/protocol/holocene/exec-engine.html#dynamic-eip-1559-parameters>,
/// <https://specs.optimism.io/protocol/jovian/exec-engine.html#minimum-base-fee-in-block-header>
fn extra_data(rollup: &Rollup, system_config: &SystemConfig, timestamp: u64) -> Option<Bytes> {
    if !rollup.is_active(OpHardfork::Holocene, timestamp) {
        return None;
    }
    let is_jovian = rollup.is_active(OpHardfork::Jovian, timestamp);
    let (denominator, elasticity) = system_config.eip1559().unwrap_or_else(|| {
        let params = rollup.l2.base_fee_params(timestamp);
        let word = |value: u128| u32::try_from(value).unwrap_or(u32::MAX);
        (
            word(params.max_change_denominator),
            word(params.elasticity_multiplier),
        )
    });
    let mut bytes = vec![u8::from(is_jovian)];
    bytes.extend_from_slice(&denominator.to_be_bytes());
    bytes.extend_from_slice(&elasticity.to_be_bytes());
    if is_jovian {
        bytes.extend_from_slice(&system_config.min_base_fee.to_be_bytes());
    }
    Some(bytes.into())
}
