// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ZkRules} from "./ZkRules.sol";

/// @title Proofs that were verified here
/// @notice A proof is about a header and not about an alert, so that one proof decides every alert that leads to the header.
abstract contract ZkVerdicts is ZkRules {
    event VerdictRecorded(
        bytes32 indexed blockHash, bytes32 indexed configHash, address indexed prover, bytes32 program, Claim claim
    );

    /// @notice A proof was verified that says something else than the one on record: until the owner retires a program of one of
    /// them, neither counts.
    event ProofsContradict(
        bytes32 indexed blockHash, bytes32 indexed configHash, address indexed prover, bytes32 program, Claim claim
    );

    /// @notice The program does not prove faults of this number, or not with such words.
    error UnprovableFault(uint16 fault);
    /// @notice Proofs say different things of the same header under the same configuration, so that neither counts.
    error ContradictingProof(bytes32 blockHash, uint16 fault);
    /// @notice No proof about this header was verified here, or none that counts still.
    error NoVerdict(bytes32 configHash, bytes32 blockHash);

    uint16 public constant JOURNAL_VERSION = 1;
    uint16 private constant FIRST_CLAIM_OUTSIDE = 128;
    uint16 internal constant OUTPUT_ROOT = 128;

    uint256 public immutable rollupChainID;
    uint256 public immutable settlementChainID;

    /// @dev By what program, in which generation, a verdict was contradicted last.
    struct Contradiction {
        bytes32 program;
        uint16 generation;
    }

    mapping(bytes32 key => Verdict) private _verdicts;
    mapping(bytes32 key => Contradiction) private _contradictions;

    constructor(uint256 rollupChainId) {
        if (rollupChainId == 0) revert ZeroValue();
        rollupChainID = rollupChainId;
        settlementChainID = block.chainid;
    }

    /// @notice Verifies a proof of the sender and keeps what it says, or that it contradicts what is kept.
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

    /// @notice What was proved of a header under a configuration, as it is scheduled now; its program is zero if nothing was.
    function verdict(bytes32 configHash, bytes32 blockHash, ProgramKind kind) external view returns (Verdict memory) {
        return _verdicts[_key(configHash, blockHash, kind)];
    }

    /// @notice The program of a proof that counts and contradicts what was proved of a header; zero if there is none.
    function contradictedBy(bytes32 configHash, bytes32 blockHash, ProgramKind kind) public view returns (bytes32) {
        bytes32 key = _key(configHash, blockHash, kind);
        Contradiction storage contradiction = _contradictions[key];
        bytes32 program = contradiction.program;
        if (program != 0 && _counts(program, contradiction.generation)) return program;
        // A block that is right has one output root, whichever program tells it.
        bool isBlock = kind == ProgramKind.Block;
        Verdict storage found = _verdicts[key];
        Verdict storage other = _verdicts[_key(configHash, blockHash, isBlock ? ProgramKind.Output : ProgramKind.Block)];
        Verdict storage executed = isBlock ? found : other;
        bytes32 output = (isBlock ? other : found).computed;
        bool differ = executed.fault == 0 && executed.outputRoot != 0 && output != 0 && executed.outputRoot != output;
        return differ && _counts(other.program, other.generation) ? other.program : bytes32(0);
    }

    /// @dev A verdict by a program, and under a configuration, that still count, and that nothing contradicts that counts.
    function _verdict(bytes32 configHash, bytes32 blockHash, ProgramKind kind)
        internal
        view
        returns (Verdict storage found)
    {
        _checkConfig(configHash);
        found = _verdicts[_key(configHash, blockHash, kind)];
        if (!_counts(found.program, found.generation)) revert NoVerdict(configHash, blockHash);
        if (contradictedBy(configHash, blockHash, kind) != 0) revert ContradictingProof(blockHash, found.fault);
    }

    function _record(bytes32 program, Claim calldata claim, bytes calldata proof) internal returns (ProgramKind kind) {
        Program storage entry = _activeProgram(program);
        kind = entry.kind;
        _checkConfig(claim.configHash);
        _checkFault(kind, claim);
        entry.verifier.verify(program, journalDigest(msg.sender, claim), proof);

        bytes32 key = _key(claim.configHash, claim.blockHash, kind);
        Verdict storage known = _verdicts[key];
        if (_counts(known.program, known.generation)) {
            if (!_agree(kind, known, claim)) {
                _contradictions[key] = Contradiction(program, entry.generation);
                emit ProofsContradict(claim.blockHash, claim.configHash, msg.sender, program, claim);
                return kind;
            }
            // Before Isthmus not every proof knows the output root; one that does says more.
            if (known.outputRoot != 0 || claim.outputRoot == 0) return kind;
        } else if (known.program != 0) {
            // What a program said that is retired by now may be said anew, and otherwise.
            delete _contradictions[key];
        }
        known.program = program;
        known.prover = msg.sender;
        known.blockNumber = claim.blockNumber;
        known.fault = claim.fault;
        known.generation = entry.generation;
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

    /// @dev Whether a proof and a verdict can both be right.
    function _agree(ProgramKind kind, Verdict storage known, Claim calldata claim) private view returns (bool) {
        // An output proof names the root that it was made against; what it says of the header is the computed one.
        return known.fault == claim.fault && known.computed == claim.computed && known.parentHash == claim.parentHash
            && known.blockNumber == claim.blockNumber && (kind == ProgramKind.Output || known.claimed == claim.claimed)
            && (known.outputRoot == 0 || claim.outputRoot == 0 || known.outputRoot == claim.outputRoot);
    }

    function _key(bytes32 configHash, bytes32 blockHash, ProgramKind kind) private view returns (bytes32) {
        return keccak256(abi.encode(configHash, _activeFrom(configHash), blockHash, kind));
    }
}
