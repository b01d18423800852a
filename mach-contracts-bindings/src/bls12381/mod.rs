//! The contract that checks certificates on BLS12-381.

mod convert;
mod registry;

use alloy_primitives::{Address, B256, Bytes, ChainId};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::{SolConstructor, SolStruct, eip712_domain, sol};
use mach_core::{Bls12381, Certificate, QuorumTally};

use crate::{
    Admission, Artifact, CallError, KeyProof, SubmitError, Submitter,
    abi::bls12381::{self as abi, IMachBls12381Verifier as V},
    call::call,
    convert::{stake_from_u96, stake_to_u96},
};

/// A `MachBls12381Verifier`: operators on BLS12-381, their stakes, and what it says of certificates.
#[derive(Clone, Debug)]
pub struct Bls12381Verifier {
    provider: DynProvider,
    address: Address,
    /// No event of the contract is older.
    first_block: u64,
}

impl Bls12381Verifier {
    /// The verifier at `address` of the chain behind `provider`, deployed in `first_block` or later.
    pub fn new(provider: impl Provider + 'static, address: Address, first_block: u64) -> Self {
        Self {
            provider: provider.erased(),
            address,
            first_block,
        }
    }

    /// Deploys a verifier whose operators sign under the domain separation tag `signature_domain`
    /// (RFC 9380), of 1 to 255 bytes.
    pub async fn deploy(
        submitter: &Submitter,
        owner: Address,
        signature_domain: &[u8],
    ) -> Result<Self, SubmitError> {
        let constructor = V::constructorCall {
            owner,
            signatureDomain: Bytes::copy_from_slice(signature_domain),
        };
        let code = Artifact::MachBls12381Verifier.bytecode();
        let code = [code.as_ref(), &constructor.abi_encode()].concat();
        let (address, receipt) = submitter.deploy(code.into()).await?;
        let first_block = receipt.block_number.unwrap_or_default();
        Ok(Self::new(
            submitter.provider().clone(),
            address,
            first_block,
        ))
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Records the key of the submitter's account, for ever.
    pub async fn register_key(
        &self,
        submitter: &Submitter,
        key: &KeyProof<Bls12381>,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = V::registerKeyCall {
            key: key.key_g1.into(),
            keyG2: key.key_g2.into(),
            proof: key.signature.into(),
        };
        submitter.call(self.address, &call).await
    }

    /// Sets stakes of operators whose keys are registered; a stake of zero ends a membership.
    /// `submitter` must be the owner.
    pub async fn set_stakes(
        &self,
        submitter: &Submitter,
        operators: &[Admission],
    ) -> Result<TransactionReceipt, SubmitError> {
        let members = operators.iter().flat_map(|operator| {
            let stakes = operator.stakes.iter();
            stakes.map(|(quorum, stake)| abi::Member {
                operator: operator.address,
                quorumNumber: *quorum,
                stake: stake_to_u96(*stake),
            })
        });
        let call = V::setStakesCall {
            members: members.collect(),
        };
        submitter.call(self.address, &call).await
    }

    /// What the contract says of `certificate`: the tallies of its quorums as the chain has them.
    ///
    /// Errors: [`CallError::Reverted`] names what is wrong with the certificate.
    pub async fn check(
        &self,
        certificate: &Certificate<Bls12381>,
    ) -> Result<Vec<QuorumTally<Bls12381>>, CallError> {
        let request = V::checkCertificateCall {
            certificate: certificate.into(),
        };
        let answer = call(&self.provider, self.address, &request).await?;
        let stakes = answer.signedStake.into_iter().zip(answer.totalStake);
        Ok(certificate
            .quorums
            .iter()
            .zip(stakes)
            .map(|(tally, (signed, total))| QuorumTally {
                signed: stake_from_u96(signed),
                total: stake_from_u96(total),
                ..*tally
            })
            .collect())
    }

    /// Domain separation tag under which digests are hashed to the curve.
    pub async fn signature_domain(&self) -> Result<Bytes, CallError> {
        call(&self.provider, self.address, &V::signatureDomainCall {}).await
    }
}

/// What an operator's key on BLS12-381 signs to be registered with the verifier at `verifier`.
///
/// Source: `MachBls12381Verifier.keyRegistrationDigest`.
pub fn bls12381_key_digest(operator: Address, verifier: Address, l1_chain_id: ChainId) -> B256 {
    sol! {
        struct BLS12381KeyRegistration {
            address operator;
        }
    }
    let domain = eip712_domain! {
        name: "MachBls12381Verifier",
        version: "1",
        chain_id: l1_chain_id,
        verifying_contract: verifier,
    };
    BLS12381KeyRegistration { operator }.eip712_signing_hash(&domain)
}
