// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title One proof system on this chain
interface IProofVerifier {
    /// @notice A proof that is empty: what a prover gives that only executes.
    error EmptyProof();
    /// @notice A proof of the kind that development modes make.
    error DevelopmentProof();

    /// @notice Reverts unless `proof` shows that `program` ended well and gave a journal with this digest.
    /// @param program RISC Zero image id, SP1 verification key hash, or OpenVM commitment of the executable
    /// @param journalDigest sha256 of the ABI-encoded journal
    function verify(bytes32 program, bytes32 journalDigest, bytes calldata proof) external view;
}
