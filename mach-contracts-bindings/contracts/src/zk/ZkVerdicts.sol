// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ZkRules} from "./ZkRules.sol";

/// @title Proofs that were verified here
/// @notice A proof is about a header and not about an alert, so that one proof decides every alert that leads to the header.
///
/// What each program says of a header is kept for itself, and no other proof takes it away. It counts for as long as program and
/// configuration are used as they were scheduled then; whoever's word goes, the others decide. Of words that count:
///
/// | said of one header under one configuration          | decides of the block     | decides of the output root |
/// |-----------------------------------------------------|--------------------------|----------------------------|
/// | nothing by a program of the kind                    | nothing, `NoVerdict`     | nothing, `NoVerdict`       |
/// | wrong, whichever rule each program names            | wrong, as was said first |                            |
/// | right                                               | right                    |                            |
/// | right, with the same output root as all who know it | right, with that root    |                            |
/// | that output root, by an output program              |                          | that root                  |
/// | right and wrong                                     | `ContradictingProof`     |                            |
/// | right, and different output roots                   | `ContradictingProof`     | `ContradictingProof`       |
/// | different output roots, by output programs          |                          | `ContradictingProof`       |
/// | by the kind: another parent or number               | `ContradictingProof`     | `ContradictingProof`       |
///
/// A program that contradicts itself counts as two.
abstract contract ZkVerdicts is ZkRules {
    event VerdictRecorded(
        bytes32 indexed blockHash, bytes32 indexed configHash, address indexed prover, bytes32 program, Claim claim
    );

    /// @notice The recorded proof cannot be right together with one that counts: until the owner retires a program of one of them,
    /// neither decides what they contradict each other about.
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

    /// @dev Of three words of one program about one header two contradict each other, or there are not three.
    uint256 private constant MAX_WORDS = 3;

    mapping(bytes32 key => Verdict[]) private _words;

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

    /// @notice What decides of what was proved of a header, unless it is contradicted; its program is zero if nothing that was
    /// proved counts.
    function verdict(bytes32 configHash, bytes32 blockHash, ProgramKind kind) external view returns (Verdict memory found) {
        (found,) = _weigh(configHash, blockHash, kind);
    }

    /// @notice The program of a proof that counts and contradicts the one that would decide; zero if there is none.
    function contradictedBy(bytes32 configHash, bytes32 blockHash, ProgramKind kind)
        external
        view
        returns (bytes32 program)
    {
        (, program) = _weigh(configHash, blockHash, kind);
    }

    /// @dev What was proved by a program, and under a configuration, that still count, and that nothing contradicts that counts.
    function _verdict(bytes32 configHash, bytes32 blockHash, ProgramKind kind) internal view returns (Verdict memory found) {
        _checkConfig(configHash);
        bytes32 against;
        (found, against) = _weigh(configHash, blockHash, kind);
        if (found.program == 0) revert NoVerdict(configHash, blockHash);
        if (against != 0) revert ContradictingProof(blockHash, found.fault);
    }

    function _record(bytes32 program, Claim calldata claim, bytes calldata proof) internal returns (ProgramKind kind) {
        Program storage entry = _activeProgram(program);
        kind = entry.kind;
        _checkConfig(claim.configHash);
        _checkHorizon(claim.configHash, claim.blockNumber);
        _checkFault(kind, claim);
        entry.verifier.verify(program, journalDigest(msg.sender, claim), proof);

        Verdict memory said = Verdict(
            program,
            msg.sender,
            claim.blockNumber,
            claim.fault,
            entry.generation,
            claim.parentHash,
            claim.claimed,
            claim.computed,
            claim.outputRoot
        );
        Verdict[] storage words = _words[_key(claim.configHash, claim.blockHash)];
        uint256 before;
        bool contradicts;
        for (uint256 i = 0; i < words.length; ++i) {
            Verdict memory word = words[i];
            if (!_counts(word)) continue;
            bool agrees = _agree(said, word);
            if (!agrees) contradicts = true;
            // Before Isthmus not every proof knows the output root; one that does says more.
            bool heard = agrees && (_root(said) == 0 || _root(word) != 0);
            if (word.program == program && (heard || ++before == MAX_WORDS)) return kind;
        }
        words.push(said);
        emit VerdictRecorded(claim.blockHash, claim.configHash, msg.sender, program, claim);
        if (contradicts) emit ProofsContradict(claim.blockHash, claim.configHash, msg.sender, program, claim);
    }

    /// @dev Of what counts, the first of its kind, or the first affirmation that knows the output root; and the program of
    /// another that it cannot be right with.
    function _weigh(bytes32 configHash, bytes32 blockHash, ProgramKind kind)
        private
        view
        returns (Verdict memory found, bytes32 against)
    {
        Verdict[] storage words = _words[_key(configHash, blockHash)];
        for (uint256 i = 0; i < words.length; ++i) {
            Verdict memory word = words[i];
            if (_isOutput(word) != (kind == ProgramKind.Output) || !_counts(word)) continue;
            if (found.program == 0 || (found.fault == 0 && _root(found) == 0 && _root(word) != 0)) found = word;
        }
        for (uint256 i = 0; i < words.length && found.program != 0; ++i) {
            Verdict memory word = words[i];
            if (_counts(word) && !_agree(found, word)) against = word.program;
        }
    }

    function _isOutput(Verdict memory word) private pure returns (bool) {
        return word.fault == OUTPUT_ROOT;
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

    /// @dev Whether two proofs about one header can both be right. That they name different rules first is none of it: the header
    /// is wrong by either.
    function _agree(Verdict memory one, Verdict memory other) private pure returns (bool) {
        if (_isOutput(one) == _isOutput(other)) {
            bool same = (one.fault == 0) == (other.fault == 0) && one.parentHash == other.parentHash
                && one.blockNumber == other.blockNumber;
            if (!same) return false;
        }
        (bytes32 root, bytes32 otherRoot) = (_root(one), _root(other));
        return root == 0 || otherRoot == 0 || root == otherRoot;
    }

    /// @dev The output root of the header, if a proof says it: the claimed one of an output proof is what it was made against.
    function _root(Verdict memory said) private pure returns (bytes32) {
        if (_isOutput(said)) return said.computed;
        return said.fault == 0 ? said.outputRoot : bytes32(0);
    }

    function _counts(Verdict memory word) private view returns (bool) {
        return _counts(word.program, word.generation);
    }

    function _key(bytes32 configHash, bytes32 blockHash) private view returns (bytes32) {
        return keccak256(abi.encode(configHash, _activeFrom(configHash), blockHash));
    }
}
