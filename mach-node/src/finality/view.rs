//! What readers are told: the same values in REST, JSON-RPC and events.

use alloy_primitives::{Address, B256, BlockNumber, ChainId, TxHash};
use mach_core::{Alert, AlertKind, BlockRef, Confirmation, Domain, QuorumTally, Round, Stake};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::stake::by_least_share;

/// How sure a block is.
///
/// Whatever holds of a block holds of its ancestors, for a block names its parent by its hash: an
/// attestation counts for all blocks that it is known to build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Finality {
    /// This server does not know the block.
    Unknown,
    /// The rollup's node has the block in its chain, and no certificate vouches for it yet.
    Seen,
    /// Enough stake attested the block or one that builds on it.
    Attested,
    /// Such an attestation stands on L1.
    Confirmed,
    /// Enough stake says that the block, or one that it builds on, is wrong.
    Alerted,
    /// Certificates say that another block is at this height, or that this one is both right and
    /// wrong, or the rollup's node has replaced it by one that was attested.
    Contradicted,
}

/// What is known of one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockView {
    /// EIP-155 id of the rollup.
    pub rollup: ChainId,
    /// How sure the block is.
    pub status: Finality,
    /// The block, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BlockRefSchema>)]
    pub block: Option<BlockRef>,
    /// Whether the rollup's node has the block in its chain.
    pub is_canonical: bool,
    /// Stake behind the attestation that counts; of a block that is only seen, the stake that has
    /// signed so far, which is not proved until there is a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stake: Option<StakeShare>,
    /// The attestation that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<AttestationView>,
    /// The alert that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertView>,
    /// Another block of this height, where there is a contradiction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "hex")]
    pub other_hash: Option<B256>,
}

/// What is known of one transaction: that of its block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionView {
    /// Hash of the transaction.
    #[schema(value_type = String, format = "hex")]
    pub transaction: TxHash,
    /// The block that it is in.
    #[serde(flatten)]
    pub block: BlockView,
}

/// Stake that signed, in each quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StakeShare {
    /// The least share of any quorum, in percent, rounded down.
    pub percent: u8,
    /// Each quorum of the round.
    pub quorums: Vec<QuorumShare>,
}

/// Stake that signed in one quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuorumShare {
    /// Number of the quorum.
    pub quorum: u8,
    /// Stake that signed, in decimal digits.
    #[schema(value_type = String)]
    pub signed: Stake,
    /// All stake, in decimal digits.
    #[schema(value_type = String)]
    pub total: Stake,
    /// Share that has to sign, in percent.
    pub threshold: u8,
}

impl StakeShare {
    pub(crate) fn new(round: &Round, tallies: &[QuorumTally]) -> Self {
        let quorums = round.terms().zip(tallies);
        Self::of(quorums.map(|((quorum, threshold), tally)| QuorumShare {
            quorum,
            signed: tally.signed,
            total: tally.total,
            threshold: threshold.value(),
        }))
    }

    pub(crate) fn of(quorums: impl IntoIterator<Item = QuorumShare>) -> Self {
        let quorums: Vec<_> = quorums.into_iter().collect();
        let percent = quorums.iter().map(QuorumShare::percent).min();
        Self {
            percent: percent.unwrap_or_default(),
            quorums,
        }
    }
}

impl StakeShare {
    /// Whether it takes the place of another one, as it does where certificates are kept.
    pub(super) fn covers_more_than(&self, other: &Self) -> bool {
        let shares = |it: &Self| {
            it.quorums
                .clone()
                .into_iter()
                .map(|it| (it.signed, it.total))
        };
        by_least_share(shares(self), shares(other)).is_gt()
    }
}

impl QuorumShare {
    fn percent(&self) -> u8 {
        // 96 bits times 100 fit.
        let percent = (self.signed.weight() * 100).checked_div(self.total.weight());
        percent.map_or(0, |percent| percent.min(100) as u8)
    }
}

/// A certified attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttestationView {
    /// What is signed; also what the certificate is asked for by.
    #[schema(value_type = String, format = "hex")]
    pub digest: B256,
    /// EIP-155 id of the rollup.
    pub rollup: ChainId,
    /// The block that is attested.
    #[schema(value_type = BlockRefSchema)]
    pub block: BlockRef,
    /// Stake behind it.
    pub stake: StakeShare,
    /// Where it stands on L1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ConfirmationSchema>)]
    pub confirmation: Option<Confirmation>,
}

/// A certified alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// What is signed; also what the certificate is asked for by.
    #[schema(value_type = String, format = "hex")]
    pub digest: B256,
    /// EIP-155 id of the rollup.
    pub rollup: ChainId,
    /// The block that is accused.
    #[schema(value_type = BlockRefSchema)]
    pub block: BlockRef,
    /// What kind of thing is wrong.
    #[schema(value_type = AlertKindSchema)]
    pub kind: AlertKind,
    /// Number of the broken rule.
    pub rule: u16,
    /// What was published, as a 32-byte word.
    #[schema(value_type = String, format = "hex")]
    pub claimed: B256,
    /// What the rule gives, as a 32-byte word.
    #[schema(value_type = String, format = "hex")]
    pub computed: B256,
    /// Stake behind it; without any quorum if it was found on L1, which has checked it, and there is no
    /// certificate here.
    pub stake: StakeShare,
    /// Where it stood first on L1, or where it was found that it had stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ConfirmationSchema>)]
    pub confirmation: Option<Confirmation>,
    /// Whether it was withdrawn on L1.
    pub is_resolved: bool,
}

impl AlertView {
    pub(crate) const fn new(alert: &Alert, digest: B256, stake: StakeShare) -> Self {
        Self {
            digest,
            rollup: alert.rollup_chain_id,
            block: alert.block,
            kind: alert.kind,
            rule: alert.rule,
            claimed: alert.claimed,
            computed: alert.computed,
            stake,
            confirmation: None,
            is_resolved: false,
        }
    }
}

/// The newest blocks of a rollup, each at its confidence. Any of them may go back: when the rollup
/// replaces blocks, or when an alert is raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heads {
    /// Newest block of the rollup's node.
    #[schema(value_type = Option<BlockRefSchema>)]
    pub seen: Option<BlockRef>,
    /// Newest block that enough stake attested, below every alert that stands and off no chain that
    /// the rollup's node is on.
    #[schema(value_type = Option<BlockRefSchema>)]
    pub finalized_by_stake: Option<BlockRef>,
    /// Newest such block whose attestation stands on L1.
    #[schema(value_type = Option<BlockRefSchema>)]
    pub confirmed: Option<BlockRef>,
}

/// A rollup that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollupView {
    /// EIP-155 id of the rollup.
    pub rollup: ChainId,
    /// Its newest blocks.
    pub heads: Heads,
    /// Alerts that stand, ascending by block.
    pub alerts: Vec<AlertView>,
    /// Oldest block whose ancestors and transactions can be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_block: Option<BlockNumber>,
    /// Where its statements count.
    #[schema(value_type = DomainSchema)]
    pub domain: Domain,
}

/// What happened. Each is true of the moment, and a later one may take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum FinalityEvent {
    /// How everything stands: comes first, and again where events were missed. Whatever was known
    /// before is replaced by it.
    Snapshot {
        /// All rollups that are served.
        rollups: Vec<RollupView>,
    },
    /// Enough stake attested a block, or more stake than before.
    Attested(AttestationView),
    /// A statement stands on L1.
    Confirmed {
        /// EIP-155 id of the rollup.
        rollup: ChainId,
        /// Digest of the statement.
        #[schema(value_type = String, format = "hex")]
        digest: B256,
        /// The block that it is about.
        #[schema(value_type = BlockRefSchema)]
        block: BlockRef,
        /// Whether it is an alert.
        is_alert: bool,
        /// Where it stands.
        #[schema(value_type = ConfirmationSchema)]
        confirmation: Confirmation,
    },
    /// A statement does not stand on L1 any more: a reorganisation of L1 took it back, and L1 does not take it
    /// again as things are. Of an alert that was withdrawn there is [`Self::Resolved`].
    Unconfirmed {
        /// EIP-155 id of the rollup.
        rollup: ChainId,
        /// Digest of the statement.
        #[schema(value_type = String, format = "hex")]
        digest: B256,
        /// The block that it is about.
        #[schema(value_type = BlockRefSchema)]
        block: BlockRef,
        /// Whether it is an alert.
        is_alert: bool,
    },
    /// Enough stake says that a block is wrong.
    Alerted(AlertView),
    /// An alert was withdrawn on L1.
    Resolved {
        /// EIP-155 id of the rollup.
        rollup: ChainId,
        /// Digest of the alert.
        #[schema(value_type = String, format = "hex")]
        digest: B256,
        /// The block that was accused.
        #[schema(value_type = BlockRefSchema)]
        block: BlockRef,
    },
    /// A head of the rollup is another one.
    Head {
        /// EIP-155 id of the rollup.
        rollup: ChainId,
        /// Its newest blocks.
        #[serde(flatten)]
        heads: Heads,
    },
}

impl FinalityEvent {
    /// The `type` of its JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Snapshot { .. } => "snapshot",
            Self::Attested(_) => "attested",
            Self::Confirmed { .. } => "confirmed",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Alerted(_) => "alerted",
            Self::Resolved { .. } => "resolved",
            Self::Head { .. } => "head",
        }
    }
}

/// An event with its place in the order of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
    /// Grows by one with each event, across restarts; who reconnects names the last one that it saw.
    pub id: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: FinalityEvent,
}

/// Number and hash of a block.
#[derive(ToSchema)]
#[schema(as = BlockRef)]
#[expect(dead_code, reason = "says what the JSON of BlockRef is")]
pub(super) struct BlockRefSchema {
    /// Height of the block.
    number: u64,
    /// Keccak-256 of the header.
    #[schema(format = "hex")]
    hash: String,
}

/// Where a statement stands on L1.
#[derive(ToSchema)]
#[schema(as = Confirmation, rename_all = "camelCase")]
#[expect(dead_code, reason = "says what the JSON of Confirmation is")]
pub(super) struct ConfirmationSchema {
    /// Digest of the statement.
    #[schema(format = "hex")]
    digest: String,
    /// The transaction; none if it stood there before.
    #[schema(format = "hex")]
    transaction: Option<String>,
    /// L1 block of the transaction, or in which the statement was found.
    l1_block: u64,
    /// Gas of the transaction.
    gas_used: Option<u64>,
}

/// What kind of thing is wrong.
#[derive(ToSchema)]
#[schema(as = AlertKind, rename_all = "camelCase")]
#[expect(dead_code, reason = "says what the JSON of AlertKind is")]
pub(super) enum AlertKindSchema {
    InvalidBlock,
    InvalidOutputProposal,
    WrongBlockHash,
    NotDerivable,
}

/// A service manager on L1.
#[derive(ToSchema)]
#[schema(as = Domain, rename_all = "camelCase")]
#[expect(dead_code, reason = "says what the JSON of Domain is")]
pub(super) struct DomainSchema {
    /// EIP-155 id of L1.
    l1_chain_id: u64,
    /// Address of the service manager.
    #[schema(value_type = String, format = "hex")]
    service_manager: Address,
}
