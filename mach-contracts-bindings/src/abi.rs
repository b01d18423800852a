//! What is called, answered and emitted on L1: one interface for each role.
//!
//! The registry roles are EigenLayer's M2 contracts; `MachRegistry` plays all of them. Tests compare
//! every selector and topic with the compiled contracts.
#![allow(
    missing_docs,
    reason = "documented in the Solidity sources and by EigenLayer"
)]
#![allow(
    clippy::too_many_arguments,
    reason = "events have as many values as they have"
)]

use alloy_sol_types::sol;

pub mod bls12381;
mod eigenlayer;
mod service_manager_registry;

pub use eigenlayer::{
    AllocateParams, DeregisterParams, IAllocationManager, IDelegationManager, IDelegationManagerM2,
    IERC20, IERC1271, ISlashingRegistryCoordinator, ISlashingStakeRegistry, IStrategy,
    IStrategyManager, OperatorDetails, OperatorSet, RegisterParams, StrategyParams,
};
pub use service_manager_registry::IMachServiceManagerRegistry;

sol! {
    /// BN254 point, (0, 0) for the identity.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct G1Point {
        uint256 X;
        uint256 Y;
    }

    /// BN254 point over the extension field; each coordinate is [imaginary part, real part].
    #[derive(Debug, Default, PartialEq, Eq)]
    struct G2Point {
        uint256[2] X;
        uint256[2] Y;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct NonSignerStakesAndSignature {
        uint32[] nonSignerQuorumBitmapIndices;
        G1Point[] nonSignerPubkeys;
        G1Point[] quorumApks;
        G2Point apkG2;
        G1Point sigma;
        uint32[] quorumApkIndices;
        uint32[] totalStakeIndices;
        uint32[][] nonSignerStakeIndices;
    }

    /// Header of an alert until May 2024; since then it names its rollup.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct AlertHeaderV1 {
        bytes32 messageHash;
        bytes quorumNumbers;
        bytes quorumThresholdPercentages;
        uint32 referenceBlockNumber;
    }

    /// What the first service managers take alerts with.
    interface IMachServiceManagerV1 {
        function confirmAlert(AlertHeaderV1 alertHeader, NonSignerStakesAndSignature nonSignerStakesAndSignature) external;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct QuorumStakeTotals {
        uint96[] signedStakeForQuorum;
        uint96[] totalStakeForQuorum;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct SignatureWithSaltAndExpiry {
        bytes signature;
        bytes32 salt;
        uint256 expiry;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct PubkeyRegistrationParams {
        G1Point pubkeyRegistrationSignature;
        G1Point pubkeyG1;
        G2Point pubkeyG2;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct AlertHeader {
        bytes32 messageHash;
        bytes quorumNumbers;
        bytes quorumThresholdPercentages;
        uint32 referenceBlockNumber;
        uint256 rollupChainID;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Alert {
        uint8 kind;
        uint256 rollupChainId;
        uint64 blockNumber;
        bytes32 blockHash;
        uint16 rule;
        bytes32 claimed;
        bytes32 computed;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Attestation {
        uint256 rollupChainId;
        uint64 blockNumber;
        bytes32 blockHash;
        bytes32 stateRoot;
        bytes32 outputRoot;
    }

    /// `status` is 0 for unknown, 1 for active, 2 for removed.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct AlertRecord {
        Alert alert;
        uint32 referenceBlockNumber;
        uint64 submittedAt;
        uint8 status;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct OperatorState {
        address operator;
        bytes32 operatorId;
        uint96 stake;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct CheckSignaturesIndices {
        uint32[] nonSignerQuorumBitmapIndices;
        uint32[] quorumApkIndices;
        uint32[] totalStakeIndices;
        uint32[][] nonSignerStakeIndices;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct OperatorInfo {
        bytes32 operatorId;
        uint8 status;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct QuorumParams {
        uint96 minimumStake;
        uint32 maxOperatorCount;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Weight {
        address operator;
        uint8 quorumNumber;
        uint96 weight;
    }

    /// The service manager: V2 surface of the MACH AVS contracts and V3 statements.
    #[derive(Debug, PartialEq, Eq)]
    interface IMachServiceManager {
        constructor(address avsDirectory, address registryCoordinator, address stakeRegistry);
        function initialize(address pauserRegistry, uint256 initialPausedStatus, address initialOwner, address alertConfirmer, address whitelister, uint256[] rollupChainIDs) external;

        // V3 statements
        function submitAlert(Alert alert, uint32 referenceBlockNumber, NonSignerStakesAndSignature nonSignerStakesAndSignature) external;
        function submitAttestation(Attestation attestation, uint32 referenceBlockNumber, NonSignerStakesAndSignature nonSignerStakesAndSignature) external;
        function alertDigest(Alert alert) external view returns (bytes32);
        function attestationDigest(Attestation attestation) external view returns (bytes32);
        function domainSeparator() external view returns (bytes32);
        function eip712Domain() external view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions);
        function statementQuorums() external view returns (bytes quorumNumbers, bytes thresholds);
        function maxReferenceBlockAge() external view returns (uint32);
        function alertByDigest(bytes32 digest) external view returns (AlertRecord);
        function alertCount(uint256 rollupChainId) external view returns (uint256);
        function alertDigests(uint256 rollupChainId, uint256 start, uint256 size) external view returns (bytes32[]);
        function attestedHead(uint256 rollupChainId) external view returns (uint64 blockNumber, bytes32 blockHash);
        function attestation(uint256 rollupChainId, uint64 blockNumber) external view returns (Attestation attested, bytes32 digest);
        function setStatementQuorums(bytes quorumNumbers, bytes thresholds) external;
        function setMaxReferenceBlockAge(uint32 blocks) external;
        function reopenAlert(uint256 rollupChainId, bytes32 messageHash) external;

        event AlertSubmitted(bytes32 indexed digest, uint256 indexed rollupChainId, uint64 indexed blockNumber, Alert alert, uint32 referenceBlockNumber, uint96[] signedStake, uint96[] totalStake, bytes32 signatoryRecordHash);
        event AttestationSubmitted(bytes32 indexed digest, uint256 indexed rollupChainId, uint64 indexed blockNumber, Attestation attestation, uint32 referenceBlockNumber, uint96[] signedStake, uint96[] totalStake, bytes32 signatoryRecordHash);
        event RollupAlertRaised(uint256 indexed rollupChainId, bytes32 indexed messageHash);
        event RollupAlertRemoved(uint256 indexed rollupChainId, bytes32 indexed messageHash);
        event AlertReopened(uint256 indexed rollupChainId, bytes32 indexed messageHash);
        event StatementQuorumsChanged(bytes quorumNumbers, bytes thresholds);
        event MaxReferenceBlockAgeChanged(uint32 blocks);

        error RollupNotEnabled(uint256 rollupChainId);
        error UnknownAlertKind(uint8 kind);
        error AlreadyConfirmed(bytes32 digest);
        error AlertWasRemoved(bytes32 digest);
        error AlertNotRemoved(bytes32 messageHash);
        error ContradictingAttestation(uint256 rollupChainId, uint64 blockNumber, bytes32 attestedBlockHash);
        error ZeroBlockHash();
        error ReferenceBlockNotPast(uint32 referenceBlockNumber, uint256 currentBlock);
        error ReferenceBlockTooOld(uint32 referenceBlockNumber, uint256 oldestAllowed);
        error QuorumWithoutStake(uint8 quorumNumber);
        error ThresholdNotMet(uint8 quorumNumber, uint96 signedStake, uint96 totalStake, uint8 threshold);
        error InvalidStatementQuorums();
        error ZeroReferenceBlockAge();

        // V2 alerts
        function confirmAlert(AlertHeader alertHeader, NonSignerStakesAndSignature nonSignerStakesAndSignature) external;
        function removeAlert(uint256 rollupChainId, bytes32 messageHash) external;
        function totalAlerts(uint256 rollupChainId) external view returns (uint256);
        function contains(uint256 rollupChainId, bytes32 messageHash) external view returns (bool);
        function queryMessageHashes(uint256 rollupChainId, uint256 start, uint256 querySize) external view returns (bytes32[]);
        function rollupChainIDs(uint256 rollupChainId) external view returns (bool);
        function setRollupChainID(uint256 rollupChainId, bool status) external;
        function quorumThresholdPercentage() external view returns (uint8);
        function THRESHOLD_DENOMINATOR() external view returns (uint256);
        function updateQuorumThresholdPercentage(uint8 thresholdPercentage) external;

        event AlertConfirmed(bytes32 indexed alertHeaderHash, bytes32 messageHash);
        event AlertRemoved(bytes32 messageHash, address sender);
        event RollupChainIDUpdated(uint256 rollupChainId, bool status);
        event QuorumThresholdPercentageChanged(uint8 thresholdPercentages);

        error InvalidConfirmer();
        error InvalidSender();
        error InvalidRollupChainID();
        error InvalidReferenceBlockNum();
        error InvalidQuorumParam();
        error InvalidQuorumThresholdPercentage();
        error InsufficientThreshold();
        error InsufficientThresholdPercentages();
        error AlreadyAdded();
        error ResolvedAlert();
        error NoStatusChange();
        error InvalidStartIndex();

        // Operators and roles
        function registerOperatorToAVS(address operator, SignatureWithSaltAndExpiry operatorSignature) external;
        function deregisterOperatorFromAVS(address operator) external;
        function allowOperators(address[] operators) external;
        function disallowOperators(address[] operators) external;
        function allowlist(address operator) external view returns (bool);
        function allowlistEnabled() external view returns (bool);
        function enableAllowlist() external;
        function disableAllowlist() external;
        function alertConfirmer() external view returns (address);
        function whitelister() external view returns (address);
        function setConfirmer(address confirmer) external;
        function setWhitelister(address newWhitelister) external;
        function owner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function renounceOwnership() external;
        function operatorCount() external view returns (uint256);
        function queryOperators(uint256 start, uint256 size) external view returns (address[]);
        function avsDirectory() external view returns (address);
        function updateAVSMetadataURI(string metadataURI) external;
        function getRestakeableStrategies() external view returns (address[]);
        function getOperatorRestakedStrategies(address operator) external view returns (address[]);

        event OperatorAdded(address indexed operator);
        event OperatorRemoved(address indexed operator);
        event OperatorAllowed(address operator);
        event OperatorDisallowed(address operator);
        event AllowlistEnabled();
        event AllowlistDisabled();
        event AlertConfirmerChanged(address previousAddress, address newAddress);
        event WhitelisterChanged(address previousAddress, address newAddress);
        event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

        error ZeroAddress();
        error NotWhitelister();
        error AlreadyInAllowlist();
        error NotAdded();
        error AlreadyEnabled();
        error AlreadyDisabled();
        error OwnableUnauthorizedAccount(address account);
        error OwnableInvalidOwner(address owner);
        error InvalidInitialization();
        error NotInitializing();

        // Signatures
        function checkSignatures(bytes32 msgHash, bytes quorumNumbers, uint32 referenceBlockNumber, NonSignerStakesAndSignature params) external view returns (QuorumStakeTotals totals, bytes32 signatoryRecordHash);
        function trySignatureAndApkVerification(bytes32 msgHash, G1Point apk, G2Point apkG2, G1Point sigma) external view returns (bool pairingSuccessful, bool siganatureIsValid);
        function setStaleStakesForbidden(bool value) external;
        function staleStakesForbidden() external view returns (bool);
        function registryCoordinator() external view returns (address);
        function stakeRegistry() external view returns (address);
        function blsApkRegistry() external view returns (address);
        function delegation() external view returns (address);

        event StaleStakesForbiddenUpdate(bool value);

        error PrecompileFailed(address precompile);
        error QuorumsNotAscending();
        error UnknownQuorum(uint8 quorumNumber);

        // Pause
        function pause(uint256 newPausedStatus) external;
        function pauseAll() external;
        function unpause(uint256 newPausedStatus) external;
        function paused() external view returns (uint256);
        function paused(uint8 index) external view returns (bool);
        function pauserRegistry() external view returns (address);
        function setPauserRegistry(address newPauserRegistry) external;

        event Paused(address indexed account, uint256 newPausedStatus);
        event Unpaused(address indexed account, uint256 newPausedStatus);
        event PauserRegistrySet(address pauserRegistry, address newPauserRegistry);
    }

    /// EigenLayer's RegistryCoordinator.
    #[derive(Debug, PartialEq, Eq)]
    interface IRegistryCoordinator {
        function registerOperator(bytes quorumNumbers, string socket, PubkeyRegistrationParams params, SignatureWithSaltAndExpiry operatorSignature) external;
        function deregisterOperator(bytes quorumNumbers) external;
        function ejectOperator(address operator, bytes quorumNumbers) external;
        function updateSocket(string socket) external;
        function pubkeyRegistrationMessageHash(address operator) external view returns (G1Point);
        function getOperator(address operator) external view returns (OperatorInfo);
        function getOperatorId(address operator) external view returns (bytes32);
        function getOperatorFromId(bytes32 operatorId) external view returns (address);
        function getOperatorStatus(address operator) external view returns (uint8);
        function getCurrentQuorumBitmap(bytes32 operatorId) external view returns (uint192);
        function getQuorumBitmapAtBlockNumberByIndex(bytes32 operatorId, uint32 blockNumber, uint256 index) external view returns (uint192);
        function getQuorumBitmapIndicesAtBlockNumber(uint32 blockNumber, bytes32[] operatorIds) external view returns (uint32[]);
        function quorumCount() external view returns (uint8);
        function quorumUpdateBlockNumber(uint8 quorumNumber) external view returns (uint256);
        function serviceManager() external view returns (address);
        function blsApkRegistry() external view returns (address);
        function stakeRegistry() external view returns (address);
        function indexRegistry() external view returns (address);
        function owner() external view returns (address);

        event OperatorRegistered(address indexed operator, bytes32 indexed operatorId);
        event OperatorDeregistered(address indexed operator, bytes32 indexed operatorId);
        event OperatorSocketUpdate(bytes32 indexed operatorId, string socket);
    }

    /// Who makes room for a newcomer in a full quorum.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct OperatorKickParam {
        uint8 quorumNumber;
        address operator;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct OperatorSetParam {
        uint32 maxOperatorCount;
        uint16 kickBIPsOfOperatorStake;
        uint16 kickBIPsOfTotalStake;
    }

    /// What EigenLayer's coordinators have and `MachRegistry` has not.
    #[derive(Debug, PartialEq, Eq)]
    interface IRegistryCoordinatorChurn {
        function registerOperatorWithChurn(bytes quorumNumbers, string socket, PubkeyRegistrationParams params, OperatorKickParam[] operatorKickParams, SignatureWithSaltAndExpiry churnApproverSignature, SignatureWithSaltAndExpiry operatorSignature) external;
        function calculateOperatorChurnApprovalDigestHash(address registeringOperator, bytes32 registeringOperatorId, OperatorKickParam[] operatorKickParams, bytes32 salt, uint256 expiry) external view returns (bytes32);
        function isChurnApproverSaltUsed(bytes32 salt) external view returns (bool);
        function churnApprover() external view returns (address);
        function ejector() external view returns (address);
        function getOperatorSetParams(uint8 quorumNumber) external view returns (OperatorSetParam);
    }

    /// EigenLayer's BLSApkRegistry.
    #[derive(Debug, PartialEq, Eq)]
    interface IBLSApkRegistry {
        function getApk(uint8 quorumNumber) external view returns (G1Point);
        function getApkHashAtBlockNumberAndIndex(uint8 quorumNumber, uint32 blockNumber, uint256 index) external view returns (bytes24);
        function getApkHistoryLength(uint8 quorumNumber) external view returns (uint32);
        function getApkIndicesAtBlockNumber(bytes quorumNumbers, uint256 blockNumber) external view returns (uint32[]);
        function getRegisteredPubkey(address operator) external view returns (G1Point, bytes32);
        function operatorToPubkeyHash(address operator) external view returns (bytes32);
        function pubkeyHashToOperator(bytes32 pubkeyHash) external view returns (address);

        event NewPubkeyRegistration(address indexed operator, G1Point pubkeyG1, G2Point pubkeyG2);
        event OperatorAddedToQuorums(address operator, bytes32 operatorId, bytes quorumNumbers);
        event OperatorRemovedFromQuorums(address operator, bytes32 operatorId, bytes quorumNumbers);
    }

    /// EigenLayer's StakeRegistry and IndexRegistry.
    #[derive(Debug, PartialEq, Eq)]
    interface IStakeRegistry {
        function getCurrentStake(bytes32 operatorId, uint8 quorumNumber) external view returns (uint96);
        function getCurrentTotalStake(uint8 quorumNumber) external view returns (uint96);
        function getStakeAtBlockNumber(bytes32 operatorId, uint8 quorumNumber, uint32 blockNumber) external view returns (uint96);
        function getStakeAtBlockNumberAndIndex(uint8 quorumNumber, uint32 blockNumber, bytes32 operatorId, uint256 index) external view returns (uint96);
        function getStakeUpdateIndexAtBlockNumber(bytes32 operatorId, uint8 quorumNumber, uint32 blockNumber) external view returns (uint32);
        function getTotalStakeAtBlockNumberFromIndex(uint8 quorumNumber, uint32 blockNumber, uint256 index) external view returns (uint96);
        function getTotalStakeIndicesAtBlockNumber(uint32 blockNumber, bytes quorumNumbers) external view returns (uint32[]);
        function minimumStakeForQuorum(uint8 quorumNumber) external view returns (uint96);
        function weightOfOperatorForQuorum(uint8 quorumNumber, address operator) external view returns (uint96);
        function strategyParamsLength(uint8 quorumNumber) external view returns (uint256);
        function delegation() external view returns (address);
        function getOperatorListAtBlockNumber(uint8 quorumNumber, uint32 blockNumber) external view returns (bytes32[]);
        function totalOperatorsForQuorum(uint8 quorumNumber) external view returns (uint32);

        event OperatorStakeUpdate(bytes32 indexed operatorId, uint8 quorumNumber, uint96 stake);
        event MinimumStakeForQuorumUpdated(uint8 indexed quorumNumber, uint96 minimumStake);
        event QuorumIndexUpdate(bytes32 indexed operatorId, uint8 quorumNumber, uint32 newOperatorIndex);
    }

    /// EigenLayer's AVSDirectory.
    #[derive(Debug, PartialEq, Eq)]
    interface IAVSDirectory {
        function calculateOperatorAVSRegistrationDigestHash(address operator, address avs, bytes32 salt, uint256 expiry) external view returns (bytes32);
        function avsOperatorStatus(address avs, address operator) external view returns (uint8);
        function operatorSaltIsSpent(address operator, bytes32 salt) external view returns (bool);
        function cancelSalt(bytes32 salt) external;
        function domainSeparator() external view returns (bytes32);

        event OperatorAVSRegistrationStatusUpdated(address indexed operator, address indexed avs, uint8 status);
        event AVSMetadataURIUpdated(address indexed avs, string metadataURI);
    }

    /// EigenLayer's OperatorStateRetriever.
    #[derive(Debug, PartialEq, Eq)]
    interface IOperatorStateRetriever {
        function getOperatorState(address registryCoordinator, bytes quorumNumbers, uint32 blockNumber) external view returns (OperatorState[][]);
        function getCheckSignaturesIndices(address registryCoordinator, uint32 referenceBlockNumber, bytes quorumNumbers, bytes32[] nonSignerOperatorIds) external view returns (CheckSignaturesIndices);
        function getQuorumBitmapsAtBlockNumber(address registryCoordinator, bytes32[] operatorIds, uint32 blockNumber) external view returns (uint256[]);

        error NotRegisteredAt(bytes32 operatorId, uint32 blockNumber);
    }

    /// What only our stand-alone registry has.
    #[derive(Debug, PartialEq, Eq)]
    interface IMachRegistry {
        constructor(address owner, address serviceManager, QuorumParams[] quorums);
        function createQuorum(QuorumParams params) external;
        function setQuorumParams(uint8 quorumNumber, QuorumParams params) external;
        function setWeights(Weight[] weights) external;
        function maxOperatorCountForQuorum(uint8 quorumNumber) external view returns (uint32);
        function calculatePubkeyRegistrationMessageHash(address operator) external view returns (bytes32);

        event QuorumCreated(uint8 indexed quorumNumber);
        event QuorumParamsUpdated(uint8 indexed quorumNumber, uint96 minimumStake, uint32 maxOperatorCount);
        event OperatorWeightSet(address indexed operator, uint8 indexed quorumNumber, uint96 weight);

        error TooManyQuorums();
        error ZeroMinimumStake();
        error ZeroServiceManager();
        error NoQuorums();
        error NotServiceManager(address caller);
        error AlreadyInQuorum(bytes32 operatorId, uint256 quorumBitmap);
        error NotInQuorum(bytes32 operatorId, uint256 quorumBitmap);
        error NotRegistered(address operator);
        error QuorumFull(uint8 quorumNumber, uint32 maxOperatorCount);
        error BelowMinimumStake(uint8 quorumNumber, uint96 weight, uint96 minimumStake);
        error ZeroPubkey();
        error PubkeyAlreadyRegistered(bytes32 operatorId);
        error InvalidPubkeyRegistration();
        error SaltAlreadySpent(bytes32 salt);
        error SignatureExpired(uint256 expiry);
        error InvalidOperatorSignature(address operator);
        error NoValueAt(uint256 blockNumber);
        error NotInForceAt(uint256 index, uint256 blockNumber);
    }

    /// Who may pause.
    #[derive(Debug, PartialEq, Eq)]
    interface IPauserRegistry {
        constructor(address[] pausers, address unpauser);
        function isPauser(address account) external view returns (bool);
        function unpauser() external view returns (address);
        function setIsPauser(address pauser, bool canPause) external;
        function setUnpauser(address newUnpauser) external;

        event PauserStatusChanged(address pauser, bool canPause);
        event UnpauserChanged(address previousUnpauser, address newUnpauser);

        error NotUnpauser(address caller);
        error ZeroPauser();
    }

    /// OpenZeppelin's TransparentUpgradeableProxy.
    #[derive(Debug, PartialEq, Eq)]
    interface ITransparentUpgradeableProxy {
        constructor(address logic, address initialOwner, bytes data);
    }

    /// Stake of one operator in one quorum.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct QuorumStake {
        uint8 quorumNumber;
        uint96 stake;
    }

    /// A member who did not sign.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct NonSigner {
        G1Point key;
        QuorumStake[] stakes;
    }

    /// A quorum with its threshold.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct CertificateQuorum {
        uint8 number;
        uint8 threshold;
        G1Point apk;
        uint96 totalStake;
    }

    /// A certificate of an attestation, as a file has it.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct AttestationCertificate {
        Attestation attestation;
        uint64 l1ChainId;
        address serviceManager;
        uint32 referenceBlockNumber;
        CertificateQuorum[] quorums;
        NonSigner[] nonSigners;
        G2Point apkG2;
        G1Point sigma;
    }

    /// The example of a contract that uses `MachCertificate`.
    #[derive(Debug, PartialEq, Eq)]
    interface IAttestedOutputs {
        constructor(uint64 l1ChainId, address serviceManager, uint256 rollupChainId, address owner);
        function trust(bytes32 operators, bool status) external;
        function accept(Attestation attestation, uint32 referenceBlockNumber, NonSignerStakesAndSignature params) external;
        function acceptFile(AttestationCertificate certificate) external;
        function checkFile(AttestationCertificate certificate) external view returns (uint96[] signedStake, bytes32 operators);
        function outputRoots(uint64 blockNumber) external view returns (bytes32);
        function isTrusted(bytes32 operators) external view returns (bool);

        event OutputAccepted(uint64 indexed blockNumber, bytes32 blockHash, bytes32 outputRoot);

        error OtherRollup(uint256 rollupChainId);
        error OtherServiceManager(uint64 l1ChainId, address serviceManager);
        error UnknownOperators(bytes32 operators);
        error ThresholdTooLow(uint8 threshold);
        error OtherOutput(uint64 blockNumber, bytes32 outputRoot);
        error NoQuorums();
        error QuorumsNotAscending(uint8 quorumNumber);
        error InvalidThreshold(uint8 quorumNumber, uint8 threshold);
        error QuorumWithoutStake(uint8 quorumNumber);
        error ThresholdNotMet(uint8 quorumNumber, uint96 signedStake, uint96 totalStake, uint8 threshold);
        error NonSignersNotAscending(bytes32 operatorId);
        error InvalidNonSigner(bytes32 operatorId);
        error IdentityKey();
        error InvalidSignature();
        error ReferenceBlockTooOld(uint32 referenceBlockNumber);
        error PrecompileFailed(address precompile);
        error OwnableUnauthorizedAccount(address account);
        error OwnableInvalidOwner(address owner);
    }
}
