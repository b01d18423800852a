// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {VerifierAdapter} from "./VerifierAdapter.sol";

/// @dev Of OpenVM 2.0.
interface IOpenVmHalo2Verifier {
    function verify(bytes calldata publicValues, bytes calldata proofData, bytes32 appExeCommit, bytes32 appVmCommit)
        external
        view;
}

/// @title Proofs of OpenVM for the EVM
/// @notice The program reveals the 32 bytes of the journal's digest. One adapter takes the proofs of one virtual machine,
/// told by its commitment.
contract OpenVmVerifierAdapter is VerifierAdapter {
    error ZeroCommitment();
    /// @notice Not a proof for the EVM; a STARK proof, for example, has another length.
    error InvalidProofLength(uint256 length);

    /// @notice Twelve words of the KZG accumulator, 43 of the proof.
    uint256 public constant PROOF_LENGTH = (12 + 43) * 32;

    IOpenVmHalo2Verifier public immutable verifier;
    bytes32 public immutable vmCommitment;

    constructor(IOpenVmHalo2Verifier verifier_, bytes32 vmCommitment_) {
        _checkContract(address(verifier_));
        if (vmCommitment_ == 0) revert ZeroCommitment();
        verifier = verifier_;
        vmCommitment = vmCommitment_;
    }

    function verify(bytes32 program, bytes32 journalDigest, bytes calldata proof) external view {
        if (proof.length == 0) revert EmptyProof();
        if (proof.length != PROOF_LENGTH) revert InvalidProofLength(proof.length);
        try verifier.verify(abi.encodePacked(journalDigest), proof, program, vmCommitment) {}
        catch (bytes memory reason) {
            _reject(reason);
        }
    }
}
