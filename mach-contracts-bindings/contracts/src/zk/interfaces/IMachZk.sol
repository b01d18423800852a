// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {OutputRoots} from "../libraries/OutputRoots.sol";
import {IProofVerifier} from "./IProofVerifier.sol";

/// @notice What a proof says, and what an alert is. The journal is `mach_prove::Journal` in Rust.
interface IMachZk {
    /// @notice There is no alert, output or game with this index.
    error InvalidIndex();
    /// @notice The rollup has no such contract here.
    error NoSuchSource(Accused kind);
    error OtherGameType(uint32 gameType);

    /// @notice Whose games are the rollup's own that were made then: those of now, and those that were in force then or later. So
    /// nobody makes a false game just before a change, and nobody who proposes no more makes one after it.
    /// @param madeAt time of the block that a game was made in
    function gamesOf(uint64 madeAt) external view returns (Games[] memory);

    /// @notice All that a proof says. Its digest is sha256 of the ABI encoding: 13 words, 416 bytes.
    /// @param prover who may show the proof, so that nobody else can
    /// @param configHash hash of the rollup's configuration that decided
    /// @param blockHash hash of the header that is judged
    /// @param fault number of the first broken rule; 0 if none is; 128 is an output root that is not the header's
    /// @param claimed what was published
    /// @param computed what the rule gives; for fault 0 both are the block hash
    /// @param outputRoot of the block as execution gives it, zero if it cannot be had
    struct Journal {
        uint16 version;
        uint256 l1ChainId;
        address serviceManager;
        address prover;
        uint256 rollupChainId;
        bytes32 configHash;
        bytes32 parentHash;
        bytes32 blockHash;
        uint64 blockNumber;
        uint16 fault;
        bytes32 claimed;
        bytes32 computed;
        bytes32 outputRoot;
    }

    /// @notice The words of a journal that the contract does not know by itself.
    struct Claim {
        bytes32 configHash;
        bytes32 parentHash;
        bytes32 blockHash;
        uint64 blockNumber;
        uint16 fault;
        bytes32 claimed;
        bytes32 computed;
        bytes32 outputRoot;
    }

    /// @notice What a program proves.
    enum ProgramKind {
        // Executes a block: faults below 128, or none.
        Block,
        // Compares an output root with the header that it names: fault 128.
        Output
    }

    /// @notice A program and the adapter that verifies its proofs; for the times see `clock`.
    /// @param generation how often it was scheduled: what it said under an earlier one counts no more
    struct Program {
        IProofVerifier verifier;
        ProgramKind kind;
        uint64 activeFrom;
        uint64 activeUntil;
        uint16 generation;
    }

    struct NewProgram {
        bytes32 program;
        IProofVerifier verifier;
        ProgramKind kind;
    }

    /// @notice Times between which the hash of a configuration counts, and the blocks that it judges; see `clock`.
    /// @param lastBlock that it judges
    /// @param extendedTo last block that it judges from `extendedFrom` on; nothing is announced if that is zero
    struct Config {
        uint64 activeFrom;
        uint64 activeUntil;
        uint64 lastBlock;
        uint64 extendedTo;
        uint64 extendedFrom;
    }

    /// @param configHash hash of the rollup's rules
    /// @param lastBlock number of the last block that surely has these rules; `NO_HORIZON` if all have
    struct NewConfig {
        bytes32 configHash;
        uint64 lastBlock;
    }

    /// @notice A proof that was verified here.
    /// @param generation of the program when it was verified
    struct Verdict {
        bytes32 program;
        address prover;
        uint64 blockNumber;
        uint16 fault;
        uint16 generation;
        bytes32 parentHash;
        bytes32 claimed;
        bytes32 computed;
        bytes32 outputRoot;
    }

    /// @notice What an alert is about.
    enum Accused {
        // A header by its hash, on the parent that it names itself. Nobody published it on L1.
        BlockHash,
        // An output root that nobody published on L1, and the header that it names.
        OutputRoot,
        // An output root in the L2OutputOracle.
        OracleOutput,
        // The root claim of a dispute game.
        GameClaim
    }

    /// @notice An output root and where it stands on L1.
    /// @param source the oracle or the game; zero if there is none
    /// @param index of the output or of the game
    /// @param postedAt when the oracle got the output, so that one that is posted again is another; zero if it is none of an oracle
    /// @param published whether it is the rollup's own: anybody may make a game with a false claim
    /// @param blockNumber that the output root is said to be of
    struct Posting {
        address source;
        uint64 index;
        uint64 postedAt;
        bool published;
        uint256 blockNumber;
        bytes32 accused;
    }

    enum Status {
        // Raised; nothing is shown yet.
        Raised,
        // What it says is shown.
        Proved,
        // The contrary is shown.
        Refuted,
        // Nobody showed anything in time.
        Expired
    }

    /// @notice By what an alert was decided.
    enum Ground {
        None,
        // A proof of execution.
        BlockProof,
        // A proof of the header's output root.
        OutputProof,
        // In the EVM: the header has another state root than the output root says.
        StateRoot,
        // In the EVM: the header has another number than the proposal, or than the alert, says.
        BlockNumber,
        // In the EVM: the message passer has another storage root than the output root says.
        MessagePasser,
        // Operators have attested the block, or one that descends from it.
        Attestation,
        // In the EVM: the header has another time than a block of its number.
        Timestamp
    }

    /// @param published whether the rollup's proposer put what is accused on L1; if not, the alert convicts nobody
    /// @param bond that is still held, in wei
    /// @param raisedAt in the time of `clock`
    /// @param source the oracle or the game; zero if there is none
    /// @param index of the output or of the game; zero if there is none
    /// @param postedAt of the posting
    /// @param accused block hash or output root
    /// @param expected output root that the alerter has, zero if it does not say
    struct Alert {
        address submitter;
        Accused kind;
        Status status;
        Ground ground;
        bool published;
        uint64 raisedAt;
        uint96 bond;
        address source;
        uint64 index;
        uint64 postedAt;
        uint256 blockNumber;
        bytes32 accused;
        bytes32 expected;
    }

    /// @notice The way from what is accused to the header that was judged.
    /// @param opening what the accused output root is the hash of; not looked at for a block hash
    /// @param headers RLP of the header that the output root names, or of an ancestor of it that `ZkEvidence` has on record, of
    /// its parent, and so on: the judged block is the parent of the last. Empty if it is the named header itself. Only for what
    /// is published on L1.
    struct Path {
        OutputRoots.Opening opening;
        bytes[] headers;
    }

    /// @notice Which dispute games are the rollup's own. Anybody may make one, with a false claim.
    /// @param gameType type of the games whose root claims are output roots
    /// @param proposer who makes them
    struct Games {
        uint32 gameType;
        address proposer;
    }

    /// @notice The times of the rollup's blocks: from a first one on, each is `blockTime` seconds after the one before. That is a
    /// rule of derivation, with the values of `rollup.json`: `genesis.l2.number`, `genesis.l2_time`, `block_time`. It is never
    /// changed here, so that a rollup whose block time may change leaves it out.
    /// @param blockTime in seconds; zero if the rule is left out
    struct BlockTimes {
        uint64 firstBlock;
        uint64 firstTimestamp;
        uint64 blockTime;
    }

    /// @param rollupChainId the one rollup
    /// @param guardian may pause, as the owner may
    /// @param beneficiary gets forfeited bonds
    /// @param oracle zero if the rollup has none
    /// @param gameFactory zero if the rollup has none
    /// @param games not looked at without a factory
    /// @param times of the rollup's blocks
    /// @param attestations a `MachServiceManager` whose attestations are believed; zero if none is
    /// @param provingWindow seconds that an alert has to be proved
    /// @param delay seconds until a change of programs, configurations or games takes effect, not less than `provingWindow`
    /// @param bond that an alert costs, in wei
    struct Setup {
        uint256 rollupChainId;
        address owner;
        address guardian;
        address beneficiary;
        address oracle;
        address gameFactory;
        Games games;
        BlockTimes times;
        address attestations;
        uint64 provingWindow;
        uint64 delay;
        uint96 bond;
        bool allowlistEnabled;
        NewConfig[] configs;
        NewProgram[] programs;
    }
}
