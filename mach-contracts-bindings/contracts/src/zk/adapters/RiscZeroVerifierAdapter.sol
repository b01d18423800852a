// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {VerifierAdapter} from "./VerifierAdapter.sol";

/// @dev Of RISC Zero's verifiers and of its router.
interface IRiscZeroVerifier {
    function verify(bytes calldata seal, bytes32 imageId, bytes32 journalDigest) external view;
}

/// @title Receipts of RISC Zero
/// @notice One adapter takes the seals of one version, told by their first four bytes: behind a router there may be other
/// verifiers, that of the development mode among them.
contract RiscZeroVerifierAdapter is VerifierAdapter {
    /// @dev Of the receipts that development mode makes up.
    bytes4 private constant FAKE_RECEIPT = 0xffffffff;
    /// @dev Of the mock verifier, as RISC Zero's tests and templates deploy it.
    bytes4 private constant MOCK = 0x00000000;

    IRiscZeroVerifier public immutable verifier;
    bytes4 public immutable selector;

    constructor(IRiscZeroVerifier verifier_, bytes4 selector_) {
        _checkContract(address(verifier_));
        if (selector_ == FAKE_RECEIPT || selector_ == MOCK) revert DevelopmentProof();
        verifier = verifier_;
        selector = selector_;
    }

    /// @param proof the seal: selector, then the proof
    function verify(bytes32 program, bytes32 journalDigest, bytes calldata proof) external view {
        if (proof.length == 0) revert EmptyProof();
        bytes4 received = bytes4(proof);
        if (received == FAKE_RECEIPT || received == MOCK) revert DevelopmentProof();
        if (received != selector) revert UnknownSelector(received, selector);
        try verifier.verify(proof, program, journalDigest) {}
        catch (bytes memory reason) {
            _reject(reason);
        }
    }
}
