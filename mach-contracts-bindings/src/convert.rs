//! Between mach-core's types and the contracts' structs.

use alloy_primitives::{FixedBytes, U256, Uint, aliases::U96};
use mach_core::{Alert, Attestation, Certificate, G1Bytes, G2Bytes, Stake, Statement};

use crate::abi;

impl From<G1Bytes> for abi::G1Point {
    fn from(point: G1Bytes) -> Self {
        Self {
            X: word(point.0.as_slice(), 0),
            Y: word(point.0.as_slice(), 1),
        }
    }
}

impl From<abi::G1Point> for G1Bytes {
    fn from(point: abi::G1Point) -> Self {
        Self(join([point.X, point.Y]))
    }
}

// The wire has the real part of a coordinate first, the contracts the imaginary one (EIP-197).
impl From<G2Bytes> for abi::G2Point {
    fn from(point: G2Bytes) -> Self {
        let bytes = point.0.as_slice();
        Self {
            X: [word(bytes, 1), word(bytes, 0)],
            Y: [word(bytes, 3), word(bytes, 2)],
        }
    }
}

impl From<abi::G2Point> for G2Bytes {
    fn from(point: abi::G2Point) -> Self {
        let ([x1, x0], [y1, y0]) = (point.X, point.Y);
        Self(join([x0, x1, y0, y1]))
    }
}

impl From<&Alert> for abi::Alert {
    fn from(alert: &Alert) -> Self {
        Self {
            kind: alert.kind as u8,
            rollupChainId: U256::from(alert.rollup_chain_id),
            blockNumber: alert.block.number,
            blockHash: alert.block.hash,
            rule: alert.rule,
            claimed: alert.claimed,
            computed: alert.computed,
        }
    }
}

impl From<&Attestation> for abi::Attestation {
    fn from(attestation: &Attestation) -> Self {
        Self {
            rollupChainId: U256::from(attestation.rollup_chain_id),
            blockNumber: attestation.block.number,
            blockHash: attestation.block.hash,
            stateRoot: attestation.state_root,
            outputRoot: attestation.output_root,
        }
    }
}

impl abi::AttestationCertificate {
    /// `None` for the certificate of an alert, which contracts other than the service manager do not
    /// take.
    pub fn new(certificate: &Certificate) -> Option<Self> {
        let Statement::Attestation(attestation) = &certificate.statement else {
            return None;
        };
        let quorums = certificate.round.terms().zip(&certificate.quorums);
        let quorums = quorums.map(|((number, threshold), tally)| abi::CertificateQuorum {
            number,
            threshold: threshold.value(),
            apk: tally.apk.into(),
            totalStake: stake_to_u96(tally.total),
        });
        let absent = certificate.non_signers.iter().map(|absent| abi::NonSigner {
            key: absent.key_g1.into(),
            stakes: (absent.stakes.iter())
                .map(|of| abi::QuorumStake {
                    quorumNumber: of.quorum,
                    stake: stake_to_u96(of.stake),
                })
                .collect(),
        });
        Some(Self {
            attestation: attestation.into(),
            l1ChainId: certificate.domain.l1_chain_id,
            serviceManager: certificate.domain.service_manager,
            referenceBlockNumber: certificate.round.reference_block(),
            quorums: quorums.collect(),
            nonSigners: absent.collect(),
            apkG2: certificate.apk_g2.into(),
            sigma: certificate.sigma.into(),
        })
    }
}

/// A stake as the contracts take it.
pub(crate) const fn stake_to_u96(stake: Stake) -> U96 {
    // Both hold 96 bits, so that nothing is cut off.
    U96::from_limbs_slice(&[stake.weight() as u64, (stake.weight() >> 64) as u64])
}

/// A stake as the contracts answer it.
pub(crate) fn stake_from_u96(stake: U96) -> Stake {
    Stake::new(stake.to()).unwrap_or(Stake::MAX)
}

fn word(bytes: &[u8], index: usize) -> U256 {
    let (words, _) = bytes.as_chunks::<32>();
    words
        .get(index)
        .map_or(U256::ZERO, |word| U256::from_be_bytes(*word))
}

fn join<const WORDS: usize, const BYTES: usize>(words: [U256; WORDS]) -> FixedBytes<BYTES> {
    const { assert!(BYTES == WORDS * 32) };
    let mut bytes = FixedBytes::ZERO;
    for (slot, word) in bytes.0.as_chunks_mut::<32>().0.iter_mut().zip(words) {
        *slot = Uint::to_be_bytes(&word);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_get_the_imaginary_part_first() {
        let mut wire = [0; 128];
        for (index, byte) in [(31, 1), (63, 2), (95, 3), (127, 4)] {
            wire[index] = byte;
        }
        let wire = G2Bytes(FixedBytes(wire));
        let point = abi::G2Point::from(wire);
        assert_eq!(point.X, [U256::from(2), U256::from(1)]);
        assert_eq!(point.Y, [U256::from(4), U256::from(3)]);
        assert_eq!(G2Bytes::from(point), wire);
    }

    #[test]
    fn stakes_keep_all_their_bits() {
        for stake in [Stake::ZERO, Stake::MAX, Stake::new(1 << 70).unwrap()] {
            assert_eq!(stake_from_u96(stake_to_u96(stake)), stake);
        }
    }
}
