//! What an operator brings along.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer::Signer;
use mach_core::{Bn254, Curve, G1Bytes, G2Bytes, OperatorId, QuorumNumbers};

use super::{Registration, RegistrationError};
use crate::abi::{OperatorKickParam, PubkeyRegistrationParams, SignatureWithSaltAndExpiry};

/// An operator's wish to join quorums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptIn {
    /// Account of the operator: a key's or a contract's.
    pub operator: Address,
    /// Quorums to join; operator sets have the same numbers.
    pub quorums: QuorumNumbers,
    /// Where the operator is reached.
    pub socket: String,
    /// The BLS key. An operator whose key is registered already may leave it out.
    pub key: Option<KeyProof>,
    /// Terms of the account's consent; ignored where none is asked for.
    pub consent: Consent,
    /// The account's signature of [`Registration::consent_digest`]: 65 bytes of a key, or what the
    /// account's `isValidSignature` (EIP-1271) accepts. `None` leaves the digest in the plan.
    pub signature: Option<Bytes>,
    /// Who makes room in quorums that are full.
    pub churn: Option<Churn>,
}

/// An operator's BLS key, with the proof that the operator holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyProof<C: Curve = Bn254> {
    /// Key in G1.
    pub key_g1: G1Bytes<C>,
    /// Key in G2.
    pub key_g2: G2Bytes<C>,
    /// Signature of [`Registration::key_digest`], or of what another contract asks for.
    pub signature: G1Bytes<C>,
}

/// Consent of an operator to one service manager, for a single use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Any value that the operator has not used before.
    pub salt: B256,
    /// Seconds since the Unix epoch until which the consent can be used.
    pub expiry: u64,
}

/// Permission of the AVS's churn approver to take the place of operators with less stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Churn {
    /// Who leaves which quorum: one for each quorum that is joined, in the same order. Those of quorums
    /// that have room are not looked at.
    pub kicks: Vec<(u8, Address)>,
    /// Any value that the approver has not used before.
    pub salt: B256,
    /// Seconds since the Unix epoch until which the permission can be used.
    pub expiry: u64,
    /// The approver's signature. `None` leaves the digest in the plan.
    pub signature: Option<Bytes>,
}

impl OptIn {
    /// Consents with the account's key, if consent is asked for.
    ///
    /// Errors: [`RegistrationError::OtherSigner`] if `signer` has the key of another account.
    pub async fn signed_by(
        mut self,
        registration: &dyn Registration,
        signer: &(dyn Signer + Send + Sync),
    ) -> Result<Self, RegistrationError> {
        let digest = registration
            .consent_digest(self.operator, self.consent)
            .await?;
        if let Some(digest) = digest {
            if signer.address() != self.operator {
                return Err(RegistrationError::OtherSigner {
                    account: self.operator,
                    signer: signer.address(),
                });
            }
            let signature = signer.sign_hash(&digest).await?;
            self.signature = Some(Bytes::copy_from_slice(&signature.as_bytes()));
        }
        Ok(self)
    }

    pub(super) fn key_params(&self) -> PubkeyRegistrationParams {
        self.key.as_ref().map(Into::into).unwrap_or_default()
    }

    pub(super) fn consent_params(&self) -> SignatureWithSaltAndExpiry {
        SignatureWithSaltAndExpiry {
            signature: self.signature.clone().unwrap_or_default(),
            salt: self.consent.salt,
            expiry: U256::from(self.consent.expiry),
        }
    }
}

impl KeyProof {
    /// Id of the key.
    pub fn id(&self) -> OperatorId {
        OperatorId::from_key(&self.key_g1)
    }
}

impl From<&KeyProof> for PubkeyRegistrationParams {
    fn from(key: &KeyProof) -> Self {
        Self {
            pubkeyRegistrationSignature: key.signature.into(),
            pubkeyG1: key.key_g1.into(),
            pubkeyG2: key.key_g2.into(),
        }
    }
}

impl Churn {
    pub(super) fn kick_params(&self) -> Vec<OperatorKickParam> {
        let kicks = self.kicks.iter();
        kicks
            .map(|(quorum, operator)| OperatorKickParam {
                quorumNumber: *quorum,
                operator: *operator,
            })
            .collect()
    }

    pub(super) fn approval_params(&self) -> SignatureWithSaltAndExpiry {
        SignatureWithSaltAndExpiry {
            signature: self.signature.clone().unwrap_or_default(),
            salt: self.salt,
            expiry: U256::from(self.expiry),
        }
    }
}
