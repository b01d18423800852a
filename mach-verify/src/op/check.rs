//! Whether a block is what L1 says it has to be.

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::{B256, BlockNumber, Bytes, Sealed, U256, keccak256};
use mach_core::{Fault, L2Block, Mismatch};

use super::{
    BlockAttributes, L1Attributes, L1Error, Parent, Rollup, l1_attributes::decode_deposit,
    upgrades::is_upgrade,
};

/// EIP-2718 type of a deposit.
const DEPOSIT: u8 = 0x7e;

/// What is known of L1 around the L1 origin that a block claims.
///
/// Everything may be missing: [`verify_against_l1`] says what it needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct L1View<'a> {
    /// L1's block at the height of the claimed L1 origin.
    pub origin: Option<&'a Sealed<Header>>,
    /// Receipts of [`Self::origin`], proven to its receipts root.
    pub receipts: Option<&'a [ReceiptEnvelope]>,
    /// L1's blocks after [`Self::origin`], in order.
    pub following: &'a [Sealed<Header>],
    /// Highest L1 block that can no longer be replaced.
    pub settled: Option<BlockNumber>,
}

/// Checks that `block`, which executes on `parent`, is what L1 says it has to be: `Ok(None)` if it
/// is, `Ok(Some(fault))` names the first broken rule.
///
/// In this order: the timestamp follows the parent's; the first transaction carries L1 attributes;
/// their L1 origin is the parent's or the next, is on L1, and is not younger than the block; the L1
/// attributes are those of the L1 origin and of the configuration; deposits of users follow, all
/// and in order; then those of an upgrade; then no other deposit, and no transaction of the
/// sequencer where there may be none; the block is not too far ahead of its L1 origin; header
/// fields that L1 gives, in header order.
///
/// Only two rules depend on which L1 block is canonical: that the L1 origin is on L1, and that an
/// empty block ahead of its L1 origin could not have moved on. They accuse only if the L1 block is
/// settled, and the L1 block after it names its hash: a damaged header accuses nobody. Everything
/// else is relative to the L1 block whose hash the block itself names.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html>
///
/// Errors: [`L1Error`], whenever L1 is not known well enough.
pub fn verify_against_l1(
    rollup: &Rollup,
    parent: &Parent,
    block: &L2Block,
    l1: &L1View<'_>,
) -> Result<Option<Fault>, L1Error> {
    let found = judge_against_l1(rollup, parent, block, l1)?;
    Ok(found.map(|(fault, _)| fault))
}

/// [`verify_against_l1`], and what the fault is relative to.
pub(crate) fn judge_against_l1(
    rollup: &Rollup,
    parent: &Parent,
    block: &L2Block,
    l1: &L1View<'_>,
) -> Result<Option<(Fault, Basis)>, L1Error> {
    let time = block.header.timestamp;
    rollup.l2.check_supported(block.number(), time)?;
    match check(rollup, parent, block, l1) {
        Ok(()) => Ok(None),
        Err(Stop::Unknown(error)) => Err(error),
        Err(Stop::Fault(fault, basis)) => match rollup.l2.doubt(time) {
            Some(doubt) => Err(doubt.into()),
            None => Ok(Some((*fault, basis))),
        },
    }
}

/// What makes a fault one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The L1 blocks that the block and its parent name.
    Named,
    /// The L1 blocks that are there now: the block may have been right on an L1 that was
    /// reorganised since.
    Canonical,
}

/// Why the check ends early.
enum Stop {
    Fault(Box<Fault>, Basis),
    Unknown(L1Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault), Basis::Named)
    }
}

impl Stop {
    fn canonical(fault: Fault) -> Self {
        Self::Fault(Box::new(fault), Basis::Canonical)
    }
}

impl<E: Into<L1Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Unknown(error.into())
    }
}

fn check(rollup: &Rollup, parent: &Parent, block: &L2Block, l1: &L1View<'_>) -> Result<(), Stop> {
    let header = block.header.inner();
    if header.parent_hash != parent.header.seal() {
        return Err(L1Error::WrongParent {
            expected: header.parent_hash,
            actual: parent.header.seal(),
        }
        .into());
    }
    let timestamp = parent
        .header
        .timestamp
        .saturating_add(rollup.config.block_time);
    payload_field("timestamp", word(header.timestamp), word(timestamp))?;
    let claimed = claimed_attributes(rollup, block)?;
    let origin = origin(parent, &claimed, l1)?;
    if header.timestamp < origin.timestamp {
        return Err(Fault::BeforeL1Origin(Mismatch {
            claimed: header.timestamp,
            computed: origin.timestamp,
        })
        .into());
    }
    let expected = BlockAttributes::new(rollup, parent, origin, l1.receipts)?;
    let after_deposits = deposits(block, &claimed, &expected)?;
    sequencer_drift(rollup, parent, block, after_deposits, l1, origin)?;
    header_fields(header, &expected)
}

/// The L1 attributes of the block, in the encoding of its time.
fn claimed_attributes(rollup: &Rollup, block: &L2Block) -> Result<L1Attributes, Fault> {
    let format = rollup.attributes_format(block.header.timestamp);
    let field = match L1Attributes::of_block(block) {
        Ok(attributes) if attributes.format == format => return Ok(attributes),
        Ok(_) => "selector".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Fault::L1Attributes {
        field,
        values: Mismatch {
            claimed: block.transactions.first().cloned().unwrap_or_default(),
            computed: Bytes::new(),
        },
    })
}

/// The header of the claimed L1 origin, which may follow the parent's and is on L1.
fn origin<'a>(
    parent: &Parent,
    claimed: &L1Attributes,
    l1: &L1View<'a>,
) -> Result<&'a Sealed<Header>, Stop> {
    let least = parent.origin.number;
    let nearest = claimed.number.clamp(least, least.saturating_add(1));
    if let Some(mismatch) = Mismatch::check(claimed.number, nearest) {
        return Err(Fault::L1OriginNumber(mismatch).into());
    }
    let same_hash = |claimed: B256, computed: B256| {
        Mismatch::check(claimed, computed).map_or(Ok(()), |values| Err(Fault::L1Origin(values)))
    };
    if claimed.number == least {
        same_hash(claimed.hash, parent.origin.hash)?;
    }
    let origin = l1.origin.ok_or(L1Error::MissingOrigin(claimed.number))?;
    if origin.number != claimed.number {
        return Err(L1Error::MissingOrigin(claimed.number).into());
    }
    if origin.seal() != claimed.hash {
        settled(origin, l1.following.first(), l1)?;
    }
    same_hash(claimed.hash, origin.seal()).map_err(Stop::canonical)?;
    if claimed.number > least {
        same_hash(parent.origin.hash, origin.parent_hash)?;
    }
    Ok(origin)
}

/// Errors: unless `header` is on L1 for good, which `child` confirms.
fn settled(
    header: &Sealed<Header>,
    child: Option<&Sealed<Header>>,
    l1: &L1View<'_>,
) -> Result<(), L1Error> {
    if l1.settled.is_none_or(|settled| settled < header.number) {
        return Err(L1Error::Unsettled(header.number));
    }
    let next = header.number.saturating_add(1);
    let child = child.ok_or(L1Error::MissingNext(next))?;
    if child.number != next || child.parent_hash != header.seal() {
        return Err(L1Error::Unsettled(header.number));
    }
    Ok(())
}

/// Compares the transactions that do not come from the sequencer. Gives how many there are.
fn deposits(
    block: &L2Block,
    claimed: &L1Attributes,
    expected: &BlockAttributes,
) -> Result<usize, Stop> {
    let transactions = &block.transactions;
    let hash_at = |index: usize| transactions.get(index).map(keccak256);
    for (index, computed) in expected.deposits.iter().enumerate() {
        if transactions.get(index) == Some(computed) {
            continue;
        }
        if index > 0 {
            return Err(Fault::UserDeposits {
                index: index as u64,
                values: Mismatch {
                    claimed: hash_at(index),
                    computed: Some(keccak256(computed)),
                },
            }
            .into());
        }
        if let Some(doubt) = &expected.doubt {
            return Err(L1Error::from(doubt.clone()).into());
        }
        let bytes = transactions.first().cloned().unwrap_or_default();
        return Err(Fault::L1Attributes {
            field: attributes_difference(claimed, expected, &bytes).to_owned(),
            values: Mismatch {
                claimed: bytes,
                computed: computed.clone(),
            },
        }
        .into());
    }
    let first_upgrade = expected.deposits.len();
    for (index, upgrade) in (first_upgrade..).zip(&expected.upgrades) {
        let values = Mismatch {
            claimed: hash_at(index),
            computed: Some(upgrade.hash),
        };
        if values.claimed != values.computed {
            let index = index as u64;
            return Err(Fault::UpgradeDeposits { index, values }.into());
        }
    }
    let end = first_upgrade.saturating_add(expected.upgrades.len());
    for (index, bytes) in transactions.iter().enumerate().skip(end) {
        let hash = keccak256(bytes);
        let index = index as u64;
        let values = Mismatch {
            claimed: Some(hash),
            computed: None,
        };
        if bytes.first() != Some(&DEPOSIT) {
            if expected.no_sequencer_transactions {
                return Err(Fault::SequencerTransaction { index, hash }.into());
            }
        } else if is_upgrade(hash) {
            return Err(Fault::UpgradeDeposits { index, values }.into());
        } else {
            return Err(Fault::UserDeposits { index, values }.into());
        }
    }
    Ok(end)
}

/// First part of the L1-attributes deposit that differs, in the order of the deposit's fields.
fn attributes_difference(
    claimed: &L1Attributes,
    expected: &BlockAttributes,
    bytes: &[u8],
) -> &'static str {
    if let Some(name) = expected.l1.first_difference(claimed) {
        return name;
    }
    let computed = expected
        .deposits
        .first()
        .and_then(|bytes| decode_deposit(bytes));
    let Some((claimed, computed)) = decode_deposit(bytes).zip(computed) else {
        return "encoding";
    };
    let parts = [
        ("sourceHash", claimed.source_hash == computed.source_hash),
        ("from", claimed.from == computed.from),
        ("to", claimed.to == computed.to),
        ("mint", claimed.mint == computed.mint),
        ("value", claimed.value == computed.value),
        ("gas", claimed.gas_limit == computed.gas_limit),
        (
            "isSystemTransaction",
            claimed.is_system_transaction == computed.is_system_transaction,
        ),
    ];
    let different = parts.into_iter().find(|(_, same)| !same);
    different.map_or("encoding", |(name, _)| name)
}

/// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>
fn sequencer_drift(
    rollup: &Rollup,
    parent: &Parent,
    block: &L2Block,
    after_deposits: usize,
    l1: &L1View<'_>,
    origin: &Sealed<Header>,
) -> Result<(), Stop> {
    let drift = rollup.max_sequencer_drift(origin.timestamp);
    let last = origin.timestamp.saturating_add(drift);
    let timestamp = block.header.timestamp;
    if timestamp <= last {
        return Ok(());
    }
    let fault = |last| {
        Fault::SequencerDrift(Mismatch {
            claimed: timestamp,
            computed: last,
        })
    };
    if block.transactions.len() > after_deposits {
        return Err(fault(last).into());
    }
    // An empty block may be ahead, so that the chain goes on while L1 does not: until it can take
    // the next L1 origin.
    if parent.origin.number != origin.number {
        return Ok(());
    }
    let number = origin.number.saturating_add(1);
    let next = l1.following.first().ok_or(L1Error::MissingNext(number))?;
    if next.number != number || next.parent_hash != origin.seal() {
        return Err(L1Error::Unsettled(number).into());
    }
    if timestamp < next.timestamp {
        return Ok(());
    }
    settled(next, l1.following.get(1), l1)?;
    let last = last.max(next.timestamp.saturating_sub(1));
    Err(Stop::canonical(fault(last)))
}

fn header_fields(header: &Header, expected: &BlockAttributes) -> Result<(), Stop> {
    payload_field(
        "beneficiary",
        header.beneficiary.into_word(),
        expected.beneficiary.into_word(),
    )?;
    configured("gasLimit", word(header.gas_limit), word(expected.gas_limit))?;
    if let Some(extra_data) = &expected.extra_data {
        configured(
            "extraData",
            keccak256(&header.extra_data),
            keccak256(extra_data),
        )?;
    }
    payload_field("mixHash", header.mix_hash, expected.mix_hash)?;
    payload_field(
        "parentBeaconBlockRoot",
        header.parent_beacon_block_root.unwrap_or_default(),
        expected.parent_beacon_block_root.unwrap_or_default(),
    )?;
    Ok(())
}

fn payload_field(name: &str, claimed: B256, computed: B256) -> Result<(), Fault> {
    Mismatch::check(claimed, computed).map_or(Ok(()), |values| {
        Err(Fault::PayloadAttributes {
            field: name.to_owned(),
            values,
        })
    })
}

fn configured(name: &str, claimed: B256, computed: B256) -> Result<(), Fault> {
    Mismatch::check(claimed, computed).map_or(Ok(()), |values| {
        Err(Fault::SystemConfig {
            field: name.to_owned(),
            values,
        })
    })
}

fn word(value: u64) -> B256 {
    U256::from(value).into()
}
