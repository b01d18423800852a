//! What the JSON of a certificate is, for the OpenAPI document: mach-core's own types, described.

#![expect(dead_code, reason = "descriptions are not made into values")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use crate::finality::{
    QuorumShare,
    view::{AlertKindSchema, BlockRefSchema, ConfirmationSchema, DomainSchema},
};

/// A certificate in a file of its own.
#[derive(ToSchema)]
#[schema(as = CertificateFile)]
pub(super) struct CertificateFileSchema {
    /// Version of the file: 1.
    version: u32,
    /// `bn254`.
    curve: String,
    #[schema(inline = false)]
    certificate: CertificateSchema,
}

/// Aggregate signature of a statement, with as much of the operator set as it takes to check it.
#[derive(ToSchema)]
#[schema(as = Certificate, rename_all = "camelCase")]
pub(super) struct CertificateSchema {
    statement: StatementSchema,
    domain: DomainSchema,
    round: RoundSchema,
    /// Members of at least one quorum who did not sign, strictly ascending by id.
    non_signers: Vec<NonSignerSchema>,
    /// One for each quorum of the round, in its order.
    quorums: Vec<QuorumTallySchema>,
    /// Sum of the signers' G2 keys, each once for every quorum that it is in: 128 bytes.
    #[schema(format = "hex")]
    apk_g2: String,
    /// Sum of the signatures, likewise: 64 bytes.
    #[schema(format = "hex")]
    sigma: String,
}

/// What is signed.
#[derive(ToSchema)]
#[schema(as = Statement)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum StatementSchema {
    /// The block, or what was published about it, is wrong.
    Alert(AlertSchema),
    /// The block is valid.
    Attestation(AttestationSchema),
}

/// The claim that a block is wrong.
#[derive(ToSchema)]
#[schema(as = Alert, rename_all = "camelCase")]
pub(super) struct AlertSchema {
    kind: AlertKindSchema,
    rollup_chain_id: u64,
    block: BlockRefSchema,
    rule: u16,
    #[schema(format = "hex")]
    claimed: String,
    #[schema(format = "hex")]
    computed: String,
}

/// The claim that a block is valid, and what follows from it.
#[derive(ToSchema)]
#[schema(as = Attestation, rename_all = "camelCase")]
pub(super) struct AttestationSchema {
    rollup_chain_id: u64,
    block: BlockRefSchema,
    #[schema(format = "hex")]
    state_root: String,
    #[schema(format = "hex")]
    output_root: String,
}

/// Terms on which signatures were collected.
#[derive(ToSchema)]
#[schema(as = Round, rename_all = "camelCase")]
pub(super) struct RoundSchema {
    /// L1 block that operators and stakes are taken at.
    reference_block: u32,
    quorums: Vec<u32>,
    /// Threshold of each quorum, in percent.
    thresholds: Vec<u32>,
}

/// A member who did not sign.
#[derive(ToSchema)]
#[schema(as = NonSigner, rename_all = "camelCase")]
pub(super) struct NonSignerSchema {
    #[schema(format = "hex")]
    id: String,
    #[schema(format = "hex")]
    key_g1: String,
    stakes: Vec<QuorumStakeSchema>,
}

/// Stake of one operator in one quorum.
#[derive(ToSchema)]
#[schema(as = QuorumStake)]
pub(super) struct QuorumStakeSchema {
    quorum: u8,
    /// In decimal digits.
    stake: String,
}

/// Outcome of one quorum.
#[derive(ToSchema)]
#[schema(as = QuorumTally)]
pub(super) struct QuorumTallySchema {
    quorum: u8,
    /// Sum of the G1 keys of all its members.
    #[schema(format = "hex")]
    apk: String,
    /// In decimal digits.
    signed: String,
    /// In decimal digits.
    total: String,
}

/// A round of signatures.
#[derive(ToSchema)]
#[schema(as = RoundView, rename_all = "camelCase")]
pub(super) struct RoundViewSchema {
    /// Digest of the statement.
    #[schema(format = "hex")]
    digest: String,
    statement: StatementSchema,
    /// L1 block that operators and stakes are taken at.
    reference_block: u32,
    /// How far each quorum is.
    quorums: Vec<QuorumShare>,
    /// Operators whose signatures count, ascending by id.
    signers: Vec<String>,
    /// All other operators, ascending by id.
    absent: Vec<String>,
    state: RoundStateSchema,
    /// Of each operator that is absent, in words, what the other rounds show of it.
    reasons: BTreeMap<String, String>,
}

/// How far a round is.
#[derive(ToSchema)]
#[schema(as = RoundState)]
#[serde(tag = "state", rename_all = "camelCase")]
pub(super) enum RoundStateSchema {
    /// Some quorum is below its threshold.
    Collecting,
    /// There is a certificate.
    Certified,
    /// The statement stands on L1.
    Confirmed(ConfirmationSchema),
}
