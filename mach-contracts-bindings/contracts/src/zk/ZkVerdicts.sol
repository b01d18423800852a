// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ZkRules} from "./ZkRules.sol";

/// @title Proofs that were verified here
/// @notice A proof is about a header and not about an alert, so that one proof decides every alert that leads to the header.
abstract contract ZkVerdicts is ZkRules {
    event VerdictRecorded(
        bytes32 indexed blockHash, bytes32 indexed configHash, address indexed prover, bytes32 program, Claim claim
    );

    /// @notice The program does not prove faults of this number, or not with such words.
    error UnprovableFault(uint16 fault);
    /// @notice Another proof says something else of the same header under the same configuration.
    error ContradictingProof(bytes32 blockHash, uint16 fault);
    /// @notice No proof about this header was verified here.
    error NoVerdict(bytes32 configHash, bytes32 blockHash);

    uint16 public constant JOURNAL_VERSION = 1;
    uint16 private constant FIRST_CLAIM_OUTSIDE = 128;
    uint16 internal constant OUTPUT_ROOT = 128;

    uint256 public immutable rollupChainID;
    uint256 public immutable settlementChainID;

    mapping(bytes32 key => Verdict) private _verdicts;

    constructor(uint256 rollupChainId) {
        if (rollupChainId == 0) revert ZeroValue();
        rollupChainID = rollupChainId;
        settlementChainID = block.chainid;
    }

    /// @notice Verifies a proof of the sender and keeps what it says.
    function recordProof(bytes32 program, Claim calldata claim, bytes calldata proof) external whenNotPaused {
        _record(program, claim, proof);
    }

    /// @notice sha256 of the journal that a prover's proof has to have.
    function journalDigest(address prover, Claim memory claim) public view returns (bytes32) {
        return sha256(
            abi.encode(
                Journal(
                    JOURNAL_VERSION,
                    block.chainid,
                    address(this),
                    prover,
                    rollupChainID,
                    claim.configHash,
                    claim.parentHash,
                    claim.blockHash,
                    claim.blockNumber,
                    claim.fault,
                    claim.claimed,
                    claim.computed,
                    claim.outputRoot
                )
            )
        );
    }

    /// @notice What was proved of a header under a configuration; its program is zero if nothing was.
    function verdict(bytes32 configHash, bytes32 blockHash, ProgramKind kind) external view returns (Verdict memory) {
        return _verdicts[_key(configHash, blockHash, kind)];
    }

    /// @dev A verdict by a program, and under a configuration, that still count.
    function _verdict(bytes32 configHash, bytes32 blockHash, ProgramKind kind)
        internal
        view
        returns (Verdict storage found)
    {
        found = _verdicts[_key(configHash, blockHash, kind)];
        if (found.program == 0) revert NoVerdict(configHash, blockHash);
        _checkConfig(configHash);
        _activeProgram(found.program);
    }

    function _record(bytes32 program, Claim calldata claim, bytes calldata proof) internal returns (ProgramKind kind) {
        Program storage entry = _activeProgram(program);
        kind = entry.kind;
        _checkConfig(claim.configHash);
        _checkFault(kind, claim);
        entry.verifier.verify(program, journalDigest(msg.sender, claim), proof);

        Verdict storage known = _verdicts[_key(claim.configHash, claim.blockHash, kind)];
        // What a program said that is retired by now may be said anew, and otherwise.
        if (known.program != 0 && isActiveProgram(known.program)) {
            // An output proof names the root that it was made against; what it says of the header is the computed one.
            bool same = known.fault == claim.fault && known.computed == claim.computed
                && (kind == ProgramKind.Output || known.claimed == claim.claimed);
            if (!same) revert ContradictingProof(claim.blockHash, known.fault);
            return kind;
        }
        known.program = program;
        known.prover = msg.sender;
        known.blockNumber = claim.blockNumber;
        known.fault = claim.fault;
        known.parentHash = claim.parentHash;
        known.claimed = claim.claimed;
        known.computed = claim.computed;
        known.outputRoot = claim.outputRoot;
        emit VerdictRecorded(claim.blockHash, claim.configHash, msg.sender, program, claim);
    }

    function _checkFault(ProgramKind kind, Claim calldata claim) private pure {
        bool fits;
        if (kind == ProgramKind.Output) {
            fits = claim.fault == OUTPUT_ROOT && claim.claimed != claim.computed;
        } else if (claim.fault == 0) {
            fits = claim.claimed == claim.blockHash && claim.computed == claim.blockHash;
        } else {
            fits = claim.fault < FIRST_CLAIM_OUTSIDE;
        }
        if (!fits) revert UnprovableFault(claim.fault);
    }

    function _key(bytes32 configHash, bytes32 blockHash, ProgramKind kind) private pure returns (bytes32) {
        return keccak256(abi.encode(configHash, blockHash, kind));
    }
}
