//! Alerts and digests of the original MACH AVS, generations V1 and V2.
//!
//! Service managers that are deployed on L1 check these. The digests bind neither contract nor
//! settlement chain; new deployments sign [`Statement`](crate::Statement)s.

use alloy_primitives::{B256, ChainId, U256, keccak256};
use alloy_sol_types::SolValue;

use crate::{Bn254, Curve, G1Bytes, G2Bytes, NonSigner, QuorumTally, Round};

/// Alert of the original.
///
/// Source: `legacy/core/alert/alert.go` of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegacyAlert {
    /// The output root of a block is wrong.
    BlockMismatch {
        /// Output root that was published.
        invalid_output_root: B256,
        /// Output root that is right.
        expect_output_root: B256,
        /// Height of the block.
        l2_block_number: u64,
    },
    /// An output proposal in the `L2OutputOracle` is wrong.
    BlockOutputOracleMismatch {
        /// Output root that is right.
        expect_output_root: B256,
        /// Index of the proposal.
        invalid_output_index: u64,
    },
    /// A block hash is wrong.
    BlockHashMismatch {
        /// The wrong hash.
        hash: B256,
    },
}

impl LegacyAlert {
    /// Message hash: keccak-256 of the roots and the number's minimal big-endian bytes, none for
    /// zero. The hash of a [`Self::BlockHashMismatch`] is its message hash.
    pub fn message_hash(&self) -> B256 {
        match self {
            Self::BlockMismatch {
                invalid_output_root,
                expect_output_root,
                l2_block_number,
            } => keccak256(
                [
                    invalid_output_root.as_slice(),
                    expect_output_root.as_slice(),
                    &U256::from(*l2_block_number).to_be_bytes_trimmed_vec(),
                ]
                .concat(),
            ),
            Self::BlockOutputOracleMismatch {
                expect_output_root,
                invalid_output_index,
            } => keccak256(
                [
                    expect_output_root.as_slice(),
                    &U256::from(*invalid_output_index).to_be_bytes_trimmed_vec(),
                ]
                .concat(),
            ),
            Self::BlockHashMismatch { hash } => *hash,
        }
    }
}

/// Aggregate signature of an alert, as `confirmAlert` takes it.
///
/// As in a [`Certificate`](crate::Certificate), `non_signers` is strictly ascending by id and `quorums`
/// in the order of the round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCertificate<C: Curve = Bn254> {
    /// Message hash of the alert.
    pub message_hash: B256,
    /// The rollup that a V2 signature binds; `None` for V1.
    pub rollup_chain_id: Option<ChainId>,
    /// Terms of the round.
    pub round: Round,
    /// Members of at least one quorum who did not sign, strictly ascending by id.
    pub non_signers: Vec<NonSigner<C>>,
    /// One entry for each quorum of the round, in its order.
    pub quorums: Vec<QuorumTally<C>>,
    /// Sum of the signers' G2 keys, each counted once for every quorum that it is in.
    pub apk_g2: G2Bytes<C>,
    /// Sum of the signatures, each counted once for every quorum that its signer is in.
    pub sigma: G1Bytes<C>,
}

impl<C: Curve> AlertCertificate<C> {
    /// The digest that is signed.
    pub fn digest(&self) -> B256 {
        let reference_block = self.round.reference_block();
        match self.rollup_chain_id {
            Some(rollup) => digest_v2(self.message_hash, reference_block, rollup),
            None => digest_v1(self.message_hash, reference_block),
        }
    }
}

/// V1 digest: keccak-256 of message hash and reference block, 64 bytes.
///
/// Source: `MachServiceManager` before May 2024.
pub fn digest_v1(message_hash: B256, reference_block: u32) -> B256 {
    keccak256((message_hash, U256::from(reference_block)).abi_encode())
}

/// V2 digest: keccak-256 of message hash, reference block and rollup chain id, 96 bytes.
///
/// Source: `MachServiceManager` since May 2024.
pub fn digest_v2(message_hash: B256, reference_block: u32, rollup_chain_id: ChainId) -> B256 {
    keccak256(
        (
            message_hash,
            U256::from(reference_block),
            U256::from(rollup_chain_id),
        )
            .abi_encode(),
    )
}

/// Golden values of COMPAT 1.4: from the original's own log and computed with its rules.
#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    #[test]
    fn the_originals_log_is_reproduced() {
        let root = b256!("5fc8d32690cc91d4c39d9d3abcbd16989f875700000000000000000000000000");
        let alert = LegacyAlert::BlockMismatch {
            invalid_output_root: root,
            expect_output_root: root,
            l2_block_number: 2000,
        };
        let message_hash =
            b256!("8d110c62e49b8d73f9b8822e5c07336859f49c28bfc3e5d20981fe2ed306d880");
        assert_eq!(alert.message_hash(), message_hash);
        assert_eq!(
            digest_v1(message_hash, 34),
            b256!("70096c3577ea889b4ccf2863346e2b171a6f545fae91c87660e62676a7c57dbd")
        );
    }

    #[test]
    fn message_hashes_use_the_minimal_bytes_of_the_number() {
        let cases = [
            (
                0,
                b256!("3e92e0db88d6afea9edc4eedf62fffa4d92bcdfc310dccbe943747fe8302e871"),
            ),
            (
                1,
                b256!("82349b2812dcf2654130e8eeae8e6e8c4668fea9ab69733f17085e3f575a3452"),
            ),
            (
                256,
                b256!("99e4b40bcc80885952ed6c80786a829d2b04eb407b6a8aef8a6e132065a5de21"),
            ),
            (
                2000,
                b256!("4a641bade066ebd5a700ae8973edaadc6b30d2741a589f92fad12c8fe6994a9f"),
            ),
            (
                u64::MAX,
                b256!("ce9f1f7c468dc8540a58e9d096bdbd56445e6473d8777ac70f7fe55be35923ea"),
            ),
        ];
        for (l2_block_number, expected) in cases {
            let alert = LegacyAlert::BlockMismatch {
                invalid_output_root: B256::repeat_byte(0x11),
                expect_output_root: B256::repeat_byte(0x22),
                l2_block_number,
            };
            assert_eq!(alert.message_hash(), expected, "block {l2_block_number}");
        }
        let cases = [
            (
                0,
                b256!("c4bd59e1394781d1c7bf20a2c0b30c2acc9fbdd52dc5e0d76917de4034ebdf59"),
            ),
            (
                2000,
                b256!("83e140d1b63b4bcbdec66e439dc53e71f661662b892cf82eed3a6e398bb912be"),
            ),
        ];
        for (invalid_output_index, expected) in cases {
            let alert = LegacyAlert::BlockOutputOracleMismatch {
                expect_output_root: B256::repeat_byte(0x22),
                invalid_output_index,
            };
            assert_eq!(
                alert.message_hash(),
                expected,
                "output {invalid_output_index}"
            );
        }
    }

    #[test]
    fn digests_match_the_golden_values() {
        let message_hash =
            b256!("4a641bade066ebd5a700ae8973edaadc6b30d2741a589f92fad12c8fe6994a9f");
        assert_eq!(
            digest_v1(message_hash, 20_000_000),
            b256!("b4fbbfe9ece56d3ed467b500c2255134a376842782e8fb0e7ecaf5276809c9e1")
        );
        assert_eq!(
            digest_v2(message_hash, 20_000_000, 10),
            b256!("6faaac024b3e0787185d316c6d59ac0f1dafde01ea0183457055165fb6e2b403")
        );
        assert_eq!(
            digest_v2(message_hash, 20_000_000, 42161),
            b256!("b5c8a8aeb1632fc5563c246a58529c74689063d2bb15a503f51eff667aa99eac")
        );
        // The V2 contract's own test suite: message hash "foo", reference block 201, chain 1.
        let foo = B256::right_padding_from(b"foo");
        assert_eq!(
            digest_v2(foo, 201, 1),
            b256!("0e5419e0bfeab144076ec7e6b5bbc386156bae289e1329773ff747215d9dd905")
        );
    }
}
