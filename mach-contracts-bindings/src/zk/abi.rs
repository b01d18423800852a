//! `MachZkServiceManager`, what it makes, and the adapters of proof systems.
#![allow(missing_docs, reason = "documented in the Solidity sources")]
#![allow(
    clippy::too_many_arguments,
    reason = "calls and events have as many values as they have"
)]

use alloy_sol_types::sol;

sol! {
    /// All that a proof says; its digest is sha256 of the ABI encoding.
    #[derive(Debug, Default, PartialEq, Eq)]
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

    /// The words of a journal that the contract does not know by itself.
    #[derive(Debug, Default, PartialEq, Eq)]
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

    /// What an output root is the hash of, after 32 zero bytes.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Opening {
        bytes32 stateRoot;
        bytes32 messagePasserStorageRoot;
        bytes32 blockHash;
    }

    /// The way from what is accused to the header that was judged.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Path {
        Opening opening;
        bytes[] headers;
    }

    #[derive(Debug, PartialEq, Eq)]
    enum ProgramKind { Block, Output }

    #[derive(Debug, PartialEq, Eq)]
    enum Accused { BlockHash, OutputRoot, OracleOutput, GameClaim }

    #[derive(Debug, PartialEq, Eq)]
    enum Status { Raised, Proved, Refuted, Expired }

    #[derive(Debug, PartialEq, Eq)]
    enum Ground { None, BlockProof, OutputProof, StateRoot, BlockNumber, MessagePasser, Attestation, Timestamp }

    #[derive(Debug, PartialEq, Eq)]
    enum Conviction { None, Standing, Cleared }

    #[derive(Debug, PartialEq, Eq)]
    struct Program {
        address verifier;
        ProgramKind kind;
        uint64 activeFrom;
        uint64 activeUntil;
        uint16 generation;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct NewProgram {
        bytes32 program;
        address verifier;
        ProgramKind kind;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Config {
        uint64 activeFrom;
        uint64 activeUntil;
        uint64 lastBlock;
        uint64 extendedTo;
        uint64 extendedFrom;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct NewConfig {
        bytes32 configHash;
        uint64 lastBlock;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Posting {
        address source;
        uint64 index;
        uint64 postedAt;
        bool published;
        uint256 blockNumber;
        bytes32 accused;
    }

    #[derive(Debug, PartialEq, Eq)]
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

    #[derive(Debug, PartialEq, Eq)]
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

    #[derive(Debug, PartialEq, Eq)]
    struct Games {
        uint32 gameType;
        address proposer;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct BlockTimes {
        uint64 firstBlock;
        uint64 firstTimestamp;
        uint64 blockTime;
    }

    #[derive(Debug, PartialEq, Eq)]
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

    /// Alerts about one rollup, decided by proofs or by the EVM itself.
    #[derive(Debug, PartialEq, Eq)]
    interface IMachZkServiceManager {
        constructor(Setup setup);

        function alertBlockMismatch(bytes32 invalidOutputRoot, bytes32 expectOutputRoot, uint256 l2BlockNumber) external payable returns (uint256 id);
        function alertBlockHash(bytes32 blockHash, bytes32 expectOutputRoot, uint256 l2BlockNumber) external payable returns (uint256 id);
        function alertBlockOutputOracleMismatch(uint256 invalidOutputIndex, bytes32 expectOutputRoot) external payable returns (uint256 id);
        function alertDisputeGameMismatch(uint256 invalidGameIndex, bytes32 expectOutputRoot) external payable returns (uint256 id);

        function submitProve(uint256 id, bytes32 program, Claim claim, bytes proof, Path path) external;
        function accuse(Accused kind, uint256 index, bytes32 program, Claim claim, bytes proof, Path path) external returns (uint256 id);
        function recordProof(bytes32 program, Claim claim, bytes proof) external;
        function settle(uint256 id, bytes32 configHash, ProgramKind kind, Path path) external;
        function convictDirectly(uint256 id, Opening opening, bytes header, bytes[] accountProof) external;
        function accuseDirectly(Accused kind, uint256 index, Opening opening, bytes header, bytes[] accountProof) external returns (uint256 id);
        function refuteDirectly(uint256 id, Opening opening, bytes header) external;
        function judgeByAttestation(uint256 id, uint64 attested, bytes[] headers, bytes header, bytes[] accountProof) external;
        function expire(uint256 id) external;
        function withdraw(address to) external;

        function clearAlert(uint256 id) external;
        function setBond(uint96 bond) external;
        function setBeneficiary(address beneficiary) external;
        function scheduleProgram(NewProgram added) external;
        function retireProgram(bytes32 program) external;
        function scheduleConfig(NewConfig added) external;
        function extendConfig(NewConfig extended) external;
        function retireConfig(bytes32 configHash) external;
        function scheduleGames(Games next) external;
        function addToAllowlist(address operator) external;
        function removeFromAllowlist(address operator) external;
        function enableAllowlist() external;
        function disableAllowlist() external;
        function setGuardian(address guardian) external;
        function pause() external;
        function unpause() external;
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
        function renounceOwnership() external;

        function getAlert(uint256 id) external view returns (Alert memory);
        function deadline(uint256 id) external view returns (uint64);
        function getAlertsLength() external view returns (uint256);
        function queryAlerts(uint256 start, uint256 size) external view returns (Alert[] memory);
        function latestAlertBlockNumber() external view returns (uint256);
        function totalAlerts(uint256 rollupChainId) external view returns (uint256);
        function conviction(address source, uint64 index, uint64 postedAt, bytes32 outputRoot) external view returns (Conviction);
        function verdict(bytes32 configHash, bytes32 blockHash, ProgramKind kind) external view returns (Verdict memory);
        function contradictedBy(bytes32 configHash, bytes32 blockHash, ProgramKind kind) external view returns (bytes32);
        function journalDigest(address prover, Claim claim) external view returns (bytes32);
        function programs(bytes32 program) external view returns (Program memory);
        function configs(bytes32 configHash) external view returns (Config memory);
        function horizon(bytes32 configHash) external view returns (uint64);
        function NO_HORIZON() external view returns (uint64);
        function isActiveProgram(bytes32 program) external view returns (bool);
        function isActiveConfig(bytes32 configHash) external view returns (bool);
        function clock() external view returns (uint64);
        function paused() external view returns (bool);
        function bond() external view returns (uint96);
        function beneficiary() external view returns (address);
        function guardian() external view returns (address);
        function withdrawable(address account) external view returns (uint256);
        function allowlist(address account) external view returns (bool);
        function allowlistEnabled() external view returns (bool);
        function provingWindow() external view returns (uint64);
        function delay() external view returns (uint64);
        function rollupChainID() external view returns (uint256);
        function settlementChainID() external view returns (uint256);
        function l2OutputOracle() external view returns (address);
        function disputeGameFactory() external view returns (address);
        function games() external view returns (Games memory);
        function gamesOf(uint64 madeAt) external view returns (Games[] memory);
        function MAX_DELAY() external view returns (uint64);
        function MAX_PAUSE() external view returns (uint64);
        function attestations() external view returns (address);
        function evidence() external view returns (address);
        function JOURNAL_VERSION() external view returns (uint16);
        function owner() external view returns (address);
        function pendingOwner() external view returns (address);

        event AlertRaised(uint256 indexed id, address indexed submitter, Accused indexed kind, uint256 blockNumber, bytes32 accused);
        event AlertBlockMismatch(bytes32 invalidOutputRoot, bytes32 expectOutputRoot, uint256 indexed l2BlockNumber);
        event AlertBlockOutputOracleMismatch(uint256 indexed invalidOutputIndex, bytes32 invalidOutputRoot, bytes32 expectOutputRoot, uint256 indexed l2BlockNumber);
        event AlertProved(uint256 indexed id, Ground ground, bytes32 judged, uint16 fault, bytes32 claimed, bytes32 computed);
        event AlertRefuted(uint256 indexed id, Ground ground);
        event AlertExpired(uint256 indexed id);
        event RollupConvicted(uint256 indexed id, bytes32 indexed accused, uint256 indexed blockNumber);
        event ConvictionCleared(uint256 indexed id);
        event VerdictRecorded(bytes32 indexed blockHash, bytes32 indexed configHash, address indexed prover, bytes32 program, Claim claim);
        event ProofsContradict(bytes32 indexed blockHash, bytes32 indexed configHash, address indexed prover, bytes32 program, Claim claim);
        event BondReleased(uint256 indexed id, address indexed account, uint256 amount);
        event Withdrawn(address indexed account, address to, uint256 amount);
        event BondChanged(uint96 bond);
        event BeneficiaryChanged(address beneficiary);
        event ProgramScheduled(bytes32 indexed program, address verifier, ProgramKind kind, uint64 activeFrom);
        event ProgramRetired(bytes32 indexed program, uint64 activeUntil);
        event ConfigScheduled(bytes32 indexed configHash, uint64 activeFrom, uint64 lastBlock);
        event ConfigExtended(bytes32 indexed configHash, uint64 extendedFrom, uint64 lastBlock);
        event ConfigRetired(bytes32 indexed configHash, uint64 activeUntil);
        event GamesScheduled(uint32 gameType, address proposer, uint64 activeFrom);
        event OperatorAllowed(address operator);
        event OperatorDisallowed(address operator);
        event AllowlistEnabled();
        event AllowlistDisabled();
        event Paused(address account);
        event Unpaused(address account);
        event GuardianChanged(address previous, address current);
        event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
        event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

        error InvalidAlert();
        error InvalidIndex();
        error InvalidStartIndex();
        error NotInAllowlist();
        error WrongBond(uint256 sent, uint256 bond);
        error NoSuchSource(Accused kind);
        error OtherGameType(uint32 gameType);
        error AlreadyProved(uint256 id);
        error AlreadyConvicted(uint256 id);
        error NotPublished(address source);
        error NotOpen(uint256 id, Status status);
        error NotExpired(uint64 deadline);
        error OpeningMismatch(bytes32 accused, bytes32 opened);
        error HeadersOfUnpublished();
        error BlockNumberMismatch(uint256 alerted, uint256 judged);
        error NothingWrong();
        error ParentNotAttested(bytes32 parentHash);
        error NotAttested(uint256 blockNumber);
        error AttestedOtherwise(bytes32 accused);
        error TooEarly(uint64 from);
        error NothingToWithdraw();
        error TransferFailed();
        error UnprovableFault(uint16 fault);
        error ContradictingProof(bytes32 blockHash, uint16 fault);
        error NoVerdict(bytes32 configHash, bytes32 blockHash);
        error ZeroAddress();
        error ZeroValue();
        error NotAContract(address account);
        error DelayTooShort(uint64 delay, uint64 provingWindow);
        error DelayTooLong(uint64 delay, uint64 most);
        error AlreadyEnabled();
        error AlreadyDisabled();
        error AlreadyAdded();
        error NotAdded();
        error NotGuardian(address account);
        error IsPaused();
        error IsNotPaused();
        error PauseRanOut();
        error ProgramNotActive(bytes32 program);
        error ConfigNotActive(bytes32 configHash);
        error BeyondHorizon(bytes32 configHash, uint64 blockNumber, uint64 lastBlock);
        error NoExtension(uint64 lastBlock, uint64 current);
        error AlreadyScheduled(bytes32 id);
        error OwnableUnauthorizedAccount(address account);
        error OwnableInvalidOwner(address owner);
    }

    /// What the EVM can see by itself of headers and output roots.
    #[derive(Debug, PartialEq, Eq)]
    interface IZkEvidence {
        struct Header {
            bytes32 parentHash;
            bytes32 stateRoot;
            uint256 number;
            uint256 timestamp;
            bytes32 withdrawalsRoot;
            uint256 fields;
        }

        constructor(BlockTimes times);

        function firstBlock() external view returns (uint64);
        function firstTimestamp() external view returns (uint64);
        function blockTime() external view returns (uint64);
        function posting(address oracle, address factory, address rules, Accused kind, uint256 index) external view returns (Posting memory found);
        function open(bytes32 blockHash, bytes header) external pure returns (Header memory);
        function descend(bytes32 blockHash, bytes[] headers) external view returns (bytes32);
        function number(bytes32 blockHash, bytes header) external pure returns (uint256);
        function recordDescent(bytes32 blockHash, bytes[] headers) external returns (bytes32 ancestor);
        function joinDescents(bytes32 blockHash, bytes32 between, bytes32 ancestor) external;
        function isAncestor(bytes32 blockHash, bytes32 ancestor) external view returns (bool);
        function contradiction(uint256 proposed, Opening opening, bytes header, bytes[] accountProof) external view returns (Ground ground, bytes32 claimed, bytes32 computed);
        function outputBelow(bytes32 blockHash, bytes[] headers, bytes header, bytes[] accountProof) external view returns (bytes32 below, uint256 height, bytes32 outputRoot);
        function messagePasser(bytes32 blockHash, bytes header, bytes[] accountProof) external pure returns (Header memory parsed, bytes32 storageRoot);
        function MAX_HEADERS() external view returns (uint256);

        event DescentRecorded(bytes32 indexed blockHash, bytes32 indexed ancestor);

        error HeaderMismatch(bytes32 expected, bytes32 actual);
        error TooManyHeaders(uint256 count);
        error NoDescent(bytes32 blockHash, bytes32 ancestor);
        error InvalidHeader();
        error InvalidAccountProof(uint8 reason);
        error InvalidAccount();
        error RLPInvalidEncoding();
    }

    /// One proof system on this chain, behind an adapter.
    #[derive(Debug, PartialEq, Eq)]
    interface IProofVerifier {
        function verify(bytes32 program, bytes32 journalDigest, bytes proof) external view;

        error EmptyProof();
        error DevelopmentProof();
        error NotAContract(address verifier);
        error UnknownSelector(bytes4 received, bytes4 expected);
        error ProofRejected();
    }

    /// Receipts of RISC Zero.
    #[derive(Debug, PartialEq, Eq)]
    interface IRiscZeroVerifierAdapter {
        constructor(address verifier, bytes4 selector);
        function verify(bytes32 program, bytes32 journalDigest, bytes proof) external view;
        function verifier() external view returns (address);
        function selector() external view returns (bytes4);
    }

    /// Proofs of SP1.
    #[derive(Debug, PartialEq, Eq)]
    interface ISp1VerifierAdapter {
        constructor(address verifier, bytes4 selector);
        function verify(bytes32 program, bytes32 journalDigest, bytes proof) external view;
        function verifier() external view returns (address);
        function selector() external view returns (bytes4);
    }

    /// Proofs of OpenVM for the EVM.
    #[derive(Debug, PartialEq, Eq)]
    interface IOpenVmVerifierAdapter {
        constructor(address verifier, bytes32 vmCommitment);
        function verify(bytes32 program, bytes32 journalDigest, bytes proof) external view;
        function verifier() external view returns (address);
        function vmCommitment() external view returns (bytes32);
        function PROOF_LENGTH() external view returns (uint256);

        error ZeroCommitment();
        error InvalidProofLength(uint256 length);
    }
}
