//! Certificates on BLS12-381 and the contract that checks them.

use alloy_primitives::{Address, B256, Bytes, ChainId, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_sol_types::{SolStruct, eip712_domain, sol};
use mach_core::{Bls12381, Certificate, G1Bytes, G2Bytes, QuorumTally};

use crate::{
    CallError,
    abi::bls12381::{self as abi, IMachBls12381Verifier as V},
    call::call,
    convert::stake_from_u96,
};

/// Reads of a `MachBls12381Verifier`.
#[derive(Clone, Debug)]
pub struct Bls12381Verifier {
    provider: DynProvider,
    address: Address,
}

impl Bls12381Verifier {
    /// The verifier at `address` of the chain behind `provider`.
    pub fn new(provider: impl Provider + 'static, address: Address) -> Self {
        Self {
            provider: provider.erased(),
            address,
        }
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

impl From<&Certificate<Bls12381>> for abi::Certificate {
    fn from(certificate: &Certificate<Bls12381>) -> Self {
        let round = &certificate.round;
        let thresholds: Vec<u8> = round.terms().map(|(_, percent)| percent.value()).collect();
        Self {
            digest: certificate.digest(),
            referenceBlockNumber: round.reference_block(),
            quorumNumbers: Bytes::copy_from_slice(round.quorums().as_bytes()),
            thresholds: thresholds.into(),
            quorumApks: certificate
                .quorums
                .iter()
                .map(|tally| tally.apk.into())
                .collect(),
            nonSigners: certificate
                .non_signers
                .iter()
                .map(|operator| operator.key_g1.into())
                .collect(),
            apkG2: certificate.apk_g2.into(),
            sigma: certificate.sigma.into(),
        }
    }
}

// Both sides have the order of EIP-2537: nothing is swapped.
impl From<G1Bytes<Bls12381>> for abi::G1Point {
    fn from(point: G1Bytes<Bls12381>) -> Self {
        let [x, y] = elements(&point.0.0);
        Self { X: x, Y: y }
    }
}

impl From<G2Bytes<Bls12381>> for abi::G2Point {
    fn from(point: G2Bytes<Bls12381>) -> Self {
        let [x0, x1, y0, y1] = elements(&point.0.0);
        Self {
            X: abi::Fp2 { c0: x0, c1: x1 },
            Y: abi::Fp2 { c0: y0, c1: y1 },
        }
    }
}

fn elements<const N: usize, const BYTES: usize>(bytes: &[u8; BYTES]) -> [abi::Fp; N] {
    const { assert!(BYTES == 64 * N) };
    let mut elements = [abi::Fp::default(); N];
    let (words, _) = bytes.as_chunks::<32>();
    let (pairs, _) = words.as_chunks::<2>();
    for (element, [high, low]) in elements.iter_mut().zip(pairs) {
        *element = abi::Fp {
            high: U256::from_be_bytes(*high),
            low: U256::from_be_bytes(*low),
        };
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_sol_types::SolValue;

    /// EIP-2537: what the contract hashes and hands to precompiles is the wire form.
    #[test]
    fn the_abi_form_of_a_point_is_its_wire_form() {
        let bytes: Vec<u8> = (0..=255).collect();
        let g1 = G1Bytes::<Bls12381>(bytes.as_slice()[..128].try_into().unwrap());
        let g2 = G2Bytes::<Bls12381>(bytes.as_slice().try_into().unwrap());
        assert_eq!(abi::G1Point::from(g1).abi_encode(), bytes[..128]);
        assert_eq!(abi::G2Point::from(g2).abi_encode(), bytes);
    }
}
