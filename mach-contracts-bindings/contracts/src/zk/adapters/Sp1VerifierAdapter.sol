// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {VerifierAdapter} from "./VerifierAdapter.sol";

/// @dev Of SP1's verifiers and of its gateway.
interface ISP1Verifier {
    function verifyProof(bytes32 programVKey, bytes calldata publicValues, bytes calldata proofBytes) external view;
}

/// @title Proofs of SP1
/// @notice The program commits the 32 bytes of the journal's digest. One adapter takes the proofs of one version, told by
/// their first four bytes.
contract Sp1VerifierAdapter is VerifierAdapter {
    ISP1Verifier public immutable verifier;
    bytes4 public immutable selector;

    constructor(ISP1Verifier verifier_, bytes4 selector_) {
        _checkContract(address(verifier_));
        if (selector_ == 0) revert DevelopmentProof();
        verifier = verifier_;
        selector = selector_;
    }

    /// @param proof selector, then the proof; the mock prover's is empty
    function verify(bytes32 program, bytes32 journalDigest, bytes calldata proof) external view {
        if (proof.length == 0) revert EmptyProof();
        if (bytes4(proof) != selector) revert UnknownSelector(bytes4(proof), selector);
        try verifier.verifyProof(program, abi.encodePacked(journalDigest), proof) {}
        catch (bytes memory reason) {
            _reject(reason);
        }
    }
}
