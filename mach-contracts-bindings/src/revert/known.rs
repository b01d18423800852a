//! Custom errors of all contracts that a transaction of mach may meet, each with a sentence.
//!
//! `{0}` stands for the first argument. An error without a sentence has a name that says it all, or is
//! none that operators and aggregators meet.
//!
//! Source: the MACH AVS contracts, EigenLayer's M2 and slashing releases, OpenZeppelin 4 and 5, and
//! our own artifacts.

/// Signatures with sentences; a name is there once for each list of arguments.
pub(super) const ERRORS: &[(&str, &str)] = &[
    // Certificates as files
    (
        "QuorumsNotAscending(uint8)",
        "quorum {0} is out of order: name each quorum once, in ascending order",
    ),
    (
        "InvalidNonSigner(bytes32)",
        "absent operator {0} has no stake in a quorum of the certificate, or not these quorums: take the certificate as the aggregator gave it",
    ),
    (
        "ReferenceBlockTooOld(uint32)",
        "reference block {0} is too old: have the statement signed again",
    ),
    (
        "OtherRollup(uint256)",
        "the certificate is about rollup {0}, which is not the one that the contract follows",
    ),
    (
        "OtherServiceManager(uint64,address)",
        "the certificate counts at service manager {1} on chain {0}, not at the one that the contract follows",
    ),
    (
        "UnknownOperators(bytes32)",
        "the operator set {0} is not trusted: have the owner trust it first",
    ),
    (
        "ThresholdTooLow(uint8)",
        "a threshold of {0} percent is lower than the contract asks for: have the statement signed on other terms",
    ),
    (
        "OtherOutput(uint64,bytes32)",
        "block {0} has another output root already: {1}",
    ),
    // Service manager, of all generations
    (
        "ZeroAddress()",
        "an address is zero: name an account or a contract",
    ),
    (
        "InvalidStartIndex()",
        "the list ends before this index: ask from 0 on",
    ),
    (
        "InvalidConfirmer()",
        "only the confirmer may send V1 and V2 alerts: send from its account, or have the owner set another",
    ),
    (
        "NotWhitelister()",
        "only the whitelister may change the allowlist: send from its account",
    ),
    (
        "InvalidSender()",
        "the confirmer has to be a plain account that sends by itself, not a contract",
    ),
    (
        "NoStatusChange()",
        "the rollup has this status already: there is nothing to do",
    ),
    (
        "InvalidRollupChainID()",
        "the service manager takes no alerts about this rollup: check the chain id, or have the owner enable it",
    ),
    (
        "InvalidReferenceBlockNum()",
        "the reference block is not past yet: take an older one",
    ),
    (
        "InsufficientThreshold()",
        "too little stake has signed: collect more signatures",
    ),
    (
        "InsufficientThresholdPercentages()",
        "the threshold is below the one that the service manager asks for: read its threshold and sign again",
    ),
    (
        "InvalidQuorumParam()",
        "quorums and thresholds are not equally many: give each quorum one threshold",
    ),
    (
        "InvalidQuorumThresholdPercentage()",
        "a threshold is above 100 percent, or zero where that is refused: take one from 1 to 100",
    ),
    (
        "AlreadyInAllowlist()",
        "the operator is on the allowlist already: there is nothing to do",
    ),
    (
        "NotAdded()",
        "the operator is not on the allowlist: ask the whitelister of the service manager to allow it",
    ),
    (
        "NotInAllowlist()",
        "the operator is not on the allowlist: ask the owner of the service manager to allow it",
    ),
    (
        "AlreadyAdded()",
        "it is there already: there is nothing to do",
    ),
    (
        "ResolvedAlert()",
        "the owner has removed this alert and it cannot be raised again",
    ),
    (
        "AlreadyEnabled()",
        "the allowlist is enabled already: there is nothing to do",
    ),
    (
        "AlreadyDisabled()",
        "the allowlist is disabled already: there is nothing to do",
    ),
    // V3 statements
    (
        "RollupNotEnabled(uint256)",
        "the service manager takes no statements about rollup {0}: check the chain id, or have the owner enable it",
    ),
    (
        "UnknownAlertKind(uint8)",
        "the service manager knows no alerts of kind {0}: update the contract or the operator",
    ),
    (
        "AlreadyConfirmed(bytes32)",
        "statement {0} stands already: there is nothing to do",
    ),
    (
        "AlertWasRemoved(bytes32)",
        "the owner has removed alert {0}: it counts again once the owner reopens it",
    ),
    (
        "AlertNotRemoved(bytes32)",
        "alert {0} was not removed: there is nothing to reopen",
    ),
    (
        "ContradictingAttestation(uint256,uint64,bytes32)",
        "block {1} of rollup {0} is attested with hash {2}: two blocks of one height cannot both be",
    ),
    ("ZeroBlockHash()", "the block hash is zero: name the block"),
    (
        "ReferenceBlockNotPast(uint32,uint256)",
        "reference block {0} is not past at block {1}: take an older one",
    ),
    (
        "ReferenceBlockTooOld(uint32,uint256)",
        "reference block {0} is too old, {1} is the oldest that counts: sign with a newer one",
    ),
    (
        "QuorumWithoutStake(uint8)",
        "quorum {0} had no stake at the reference block: nothing can be confirmed with it",
    ),
    (
        "ThresholdNotMet(uint8,uint96,uint96,uint8)",
        "{1} of {2} stake in quorum {0} has signed, {3} percent are needed: collect more signatures",
    ),
    (
        "InvalidStatementQuorums()",
        "quorums have to ascend, each with a threshold from 1 to 100",
    ),
    (
        "ZeroReferenceBlockAge()",
        "reference blocks have to be allowed an age of at least one block",
    ),
    (
        "InvalidInitialization()",
        "the contract is initialised already, which happens once",
    ),
    (
        "NotInitializing()",
        "the function runs only while the contract is initialised",
    ),
    (
        "PrecompileFailed(address)",
        "precompile {0} refuses its input: a key or a signature is not a point of the curve",
    ),
    (
        "QuorumsNotAscending()",
        "quorum numbers have to ascend, each once: sort them",
    ),
    (
        "UnknownQuorum(uint8)",
        "there is no quorum {0}: ask the coordinator how many there are",
    ),
    // MachRegistry
    ("TooManyQuorums()", "a registry has at most 192 quorums"),
    (
        "ZeroMinimumStake()",
        "the least stake of a quorum has to be above zero",
    ),
    (
        "ZeroServiceManager()",
        "the registry was given no service manager",
    ),
    ("NoQuorums()", "no quorum is named: name at least one"),
    (
        "NotServiceManager(address)",
        "{0} is not the service manager, which alone may do this",
    ),
    (
        "AlreadyInQuorum(bytes32,uint256)",
        "the operator is registered already for quorums of bitmap {1}: leave these out",
    ),
    (
        "NotInQuorum(bytes32,uint256)",
        "the operator is not registered for quorums of bitmap {1}: leave these out",
    ),
    (
        "NotRegistered(address)",
        "operator {0} is not registered: opt in first",
    ),
    (
        "QuorumFull(uint8,uint32)",
        "quorum {0} has its most operators, {1}: wait for a place, or ask the owner to make room",
    ),
    (
        "BelowMinimumStake(uint8,uint96,uint96)",
        "operator does not meet the minimum stake of quorum {0}: has {1}, needs {2}",
    ),
    ("ZeroPubkey()", "the BLS key is zero: use another one"),
    (
        "PubkeyAlreadyRegistered(bytes32)",
        "BLS key {0} is registered by another operator: use a key of your own",
    ),
    (
        "InvalidPubkeyRegistration()",
        "the proof of possession does not fit the BLS key and this operator: sign for this coordinator and this chain",
    ),
    (
        "SaltAlreadySpent(bytes32)",
        "salt {0} is spent: sign the consent again with another one",
    ),
    (
        "SignatureExpired(uint256)",
        "the consent expired at {0}: sign it again with a later expiry",
    ),
    (
        "InvalidOperatorSignature(address)",
        "the consent is not signed by {0}: sign it with the operator's account key",
    ),
    (
        "NoValueAt(uint256)",
        "the registry knows nothing about block {0}: it is older than what is asked for",
    ),
    (
        "NotInForceAt(uint256,uint256)",
        "entry {0} of a history was not in force at block {1}: read the indices again",
    ),
    (
        "NotRegisteredAt(bytes32,uint32)",
        "operator {0} was in no quorum at block {1}: it cannot be absent",
    ),
    // Verifier on BLS12-381
    (
        "AlreadyRegistered(bytes32)",
        "operator {0} is registered already: there is nothing to do",
    ),
    (
        "IdentityKey()",
        "the BLS key is the identity: use another one",
    ),
    (
        "InvalidDomain(uint256)",
        "the domain has {0} bytes, which cannot be",
    ),
    (
        "InvalidProofOfPossession()",
        "the proof of possession does not fit the BLS key and this operator: sign for this contract and this chain",
    ),
    (
        "InvalidThreshold(uint8,uint8)",
        "threshold {1} of quorum {0} is not from 1 to 100",
    ),
    (
        "NonSignersNotAscending(bytes32)",
        "non-signers have to ascend by operator id, each once: {0} does not",
    ),
    (
        "NotAMember(bytes32)",
        "operator {0} was in none of the quorums at the reference block: it cannot be absent",
    ),
    (
        "OtherQuorumKey(uint8)",
        "the aggregate key of quorum {0} is not that of the reference block: read the operators again",
    ),
    (
        "ERC1967ProxyUninitialized()",
        "the proxy has to be initialised in its constructor",
    ),
    // Pausers, registry of service managers, roles
    (
        "NotUnpauser(address)",
        "{0} is not the unpauser: send from its account",
    ),
    (
        "ZeroPauser()",
        "a pauser or the unpauser is the zero address: name an account",
    ),
    (
        "NotAContract(address)",
        "there is no contract at {0}: check address and chain",
    ),
    (
        "OwnableUnauthorizedAccount(address)",
        "{0} is not the owner: send from the owner's account",
    ),
    (
        "OwnableInvalidOwner(address)",
        "{0} cannot be the owner: name an account",
    ),
    // EigenLayer: coordinator
    (
        "AlreadyRegisteredForQuorums()",
        "the operator is registered already for one of these quorums: leave it out",
    ),
    (
        "NotRegisteredForQuorum()",
        "the operator is not registered for one of these quorums: leave it out",
    ),
    (
        "NotRegistered()",
        "the operator is not registered: opt in first",
    ),
    ("BitmapEmpty()", "no quorum is named: name at least one"),
    (
        "BitmapCannotBeZero()",
        "no quorum is named: name at least one",
    ),
    (
        "BitmapValueTooLarge()",
        "there is no quorum with such a number: ask the coordinator how many there are",
    ),
    (
        "BytesArrayLengthTooLong()",
        "more quorums are named than there are",
    ),
    (
        "BytesArrayNotOrdered()",
        "quorum numbers have to ascend, each once: sort them",
    ),
    (
        "QuorumDoesNotExist()",
        "there is no such quorum: ask the coordinator how many there are",
    ),
    ("QuorumAlreadyExists()", "the quorum is there already"),
    (
        "MaxQuorumsReached()",
        "the coordinator has its most quorums, 192",
    ),
    (
        "MaxOperatorCountReached()",
        "the quorum has its most operators: wait for a place, or register with churn",
    ),
    (
        "CannotReregisterYet()",
        "the operator was ejected and has to wait before it registers again",
    ),
    (
        "OnlyM2QuorumsAllowed()",
        "the quorum is an operator set: register through the AllocationManager",
    ),
    (
        "M2QuorumRegistrationIsDisabled()",
        "M2 registration is over here: register through the AllocationManager",
    ),
    (
        "OperatorSetsNotEnabled()",
        "the coordinator has no operator sets yet: register with it directly",
    ),
    (
        "OperatorSetsAlreadyEnabled()",
        "operator sets are enabled already",
    ),
    (
        "OperatorSetQuorum()",
        "the quorum is an operator set: use the AllocationManager",
    ),
    (
        "OperatorSetsNotSupported()",
        "the coordinator has no operator sets: register with it directly",
    ),
    (
        "InvalidRegistrationType()",
        "the registration is neither a normal one nor one with churn",
    ),
    (
        "InvalidAVS()",
        "the coordinator serves another AVS: check the service manager's address",
    ),
    (
        "OnlyAllocationManager()",
        "only the AllocationManager may call this: register through it",
    ),
    ("OnlyEjector()", "only the ejector may remove operators"),
    (
        "CannotChurnSelf()",
        "an operator cannot take its own place: name another one",
    ),
    (
        "CannotKickOperatorAboveThreshold()",
        "the operator to be replaced has too much stake: name another one",
    ),
    (
        "InsufficientStakeForChurn()",
        "the operator has too little stake to take another one's place",
    ),
    (
        "QuorumOperatorCountMismatch()",
        "the operators of a quorum are not equally many as the coordinator has: read them again",
    ),
    (
        "ChurnApproverSaltUsed()",
        "the churn approver's salt is spent: ask for another approval",
    ),
    (
        "MustUpdateAllOperators()",
        "all operators of the quorum have to be named",
    ),
    (
        "OperatorsNotInAscendingOrder()",
        "operators have to ascend by address: sort them",
    ),
    (
        "NotSorted()",
        "the list has to ascend, each entry once: sort it",
    ),
    (
        "InputLengthMismatch()",
        "two lists that belong together are not equally long",
    ),
    (
        "InputArrayLengthMismatch()",
        "two lists that belong together are not equally long",
    ),
    ("InputArrayLengthZero()", "a list is empty that may not be"),
    ("LookAheadPeriodTooLong()", ""),
    ("OperatorSetQuorumsNotEnabled()", ""),
    // EigenLayer: keys and stakes
    (
        "BLSPubkeyAlreadyRegistered()",
        "the BLS key is registered by another operator: use a key of your own",
    ),
    (
        "OperatorAlreadyRegistered()",
        "the operator has a BLS key already, for ever: use that one",
    ),
    (
        "OperatorNotRegistered()",
        "the operator is not registered: register it first",
    ),
    (
        "OperatorNotRegisteredForQuorum()",
        "the operator is not registered for the quorum",
    ),
    ("OperatorIdDoesNotExist()", "no operator has this id"),
    (
        "InvalidBLSSignatureOrPrivateKey()",
        "the proof of possession does not fit the BLS key and this operator: sign for this coordinator and this chain",
    ),
    ("ZeroPubKey()", "the BLS key is zero: use another one"),
    (
        "G2PubkeyAlreadySet()",
        "the key's half in G2 is known already",
    ),
    (
        "BelowMinimumStakeRequirement()",
        "operator does not meet the minimum stake of a quorum: delegate or allocate more to it",
    ),
    (
        "EmptyStakeHistory()",
        "the operator never had stake in the quorum",
    ),
    ("QuorumNotSlashable()", ""),
    ("InputDuplicateStrategy()", "a strategy is named twice"),
    ("InputMultiplierZero()", "a strategy's multiplier is zero"),
    ("InvalidBlockNumber()", "the block number is not past"),
    (
        "BlockNumberTooRecent()",
        "the block is not past yet: ask about an older one",
    ),
    (
        "BlockNumberNotLatest()",
        "there is a newer entry for this block: read the indices again",
    ),
    (
        "BlockNumberBeforeFirstUpdate()",
        "the quorum is younger than the block",
    ),
    (
        "BitmapUpdateIsAfterBlockNumber()",
        "the entry is younger than the block: read the indices again",
    ),
    (
        "BitmapUpdateNotFound()",
        "the operator was not registered at the block",
    ),
    (
        "NextBitmapUpdateIsBeforeBlockNumber()",
        "there is a newer entry for this block: read the indices again",
    ),
    (
        "OnlyRegistryCoordinator()",
        "only the coordinator may call this: register through it",
    ),
    (
        "OnlyRegistryCoordinatorOwner()",
        "only the coordinator's owner may do this",
    ),
    (
        "OnlySlashingRegistryCoordinator()",
        "only the coordinator may call this: register through it",
    ),
    (
        "OnlySlashingRegistryCoordinatorOwner()",
        "only the coordinator's owner may do this",
    ),
    (
        "OnlyStakeRegistry()",
        "only the stake registry may call this",
    ),
    // EigenLayer: signatures
    (
        "InputEmptyQuorumNumbers()",
        "no quorum is named: name at least one",
    ),
    (
        "InputNonSignerLengthMismatch()",
        "non-signers and their indices are not equally many",
    ),
    (
        "NonSignerPubkeysNotSorted()",
        "non-signers have to ascend by operator id, each once: sort them",
    ),
    (
        "InvalidReferenceBlocknumber()",
        "the reference block is not past yet: take an older one",
    ),
    (
        "InvalidReferenceBlock()",
        "the reference block is not past yet: take an older one",
    ),
    (
        "StaleStakesForbidden()",
        "stakes were not updated for too long: have the operators updated, then sign again",
    ),
    (
        "InvalidQuorumApkHash()",
        "the quorum's aggregate key is not that of the reference block: read the operators again",
    ),
    (
        "InvalidBLSPairingKey()",
        "the pairing refuses its input: a key or a signature is not a point of the curve",
    ),
    (
        "InvalidBLSSignature()",
        "the aggregate signature is not valid for this digest and these signers",
    ),
    (
        "InsufficientSignedStake()",
        "too little stake has signed: collect more signatures",
    ),
    (
        "ECAddFailed()",
        "a key or a signature is not a point of the curve",
    ),
    (
        "ECMulFailed()",
        "a key or a signature is not a point of the curve",
    ),
    (
        "ECPairingFailed()",
        "a key or a signature is not a point of the curve",
    ),
    (
        "ExpModFailed()",
        "a precompile failed: give the transaction more gas",
    ),
    ("ScalarTooLarge()", ""),
    // EigenLayer: consent, directory, pausing
    (
        "InvalidSignature()",
        "the signature is not the signer's: sign with its key, for this chain and this contract",
    ),
    (
        "SignatureExpired()",
        "the signature has expired: sign again with a later expiry",
    ),
    (
        "SaltSpent()",
        "the salt is spent: sign again with another one",
    ),
    (
        "OperatorAlreadyRegisteredToAVS()",
        "the operator is registered with this service manager already",
    ),
    (
        "OperatorNotRegisteredToAVS()",
        "the operator is not registered with this service manager",
    ),
    (
        "OperatorNotRegisteredToEigenLayer()",
        "the account is not an operator of EigenLayer: register it there first (`mach-cli eigenlayer register`)",
    ),
    (
        "CurrentlyPaused()",
        "the contract is paused: wait until its unpauser ends that",
    ),
    (
        "OnlyPauser()",
        "only a pauser may do this: send from its account",
    ),
    (
        "OnlyUnpauser()",
        "only the unpauser may do this: send from its account",
    ),
    (
        "InvalidNewPausedStatus()",
        "a pauser may only pause and the unpauser only unpause",
    ),
    (
        "InputAddressZero()",
        "an address is zero: name an account or a contract",
    ),
    (
        "InvalidAddressZero()",
        "an address is zero: name an account or a contract",
    ),
    // EigenLayer: delegation and deposits
    (
        "ActivelyDelegated()",
        "the account is an operator or delegates to one already",
    ),
    (
        "NotActivelyDelegated()",
        "the account does not delegate to anybody",
    ),
    (
        "OperatorsCannotUndelegate()",
        "an operator cannot stop delegating to itself",
    ),
    (
        "CallerCannotUndelegate()",
        "only the staker, its operator or the approver may undelegate",
    ),
    (
        "StrategyNotWhitelisted()",
        "the strategy takes no deposits: name one that does",
    ),
    (
        "StrategyNotFound()",
        "the strategy is not one of the account's",
    ),
    (
        "NewSharesZero()",
        "the deposit is too small to count: deposit more",
    ),
    (
        "BalanceExceedsMaxTotalDeposits()",
        "the strategy has reached its cap: deposit less, or into another one",
    ),
    (
        "MaxPerDepositExceedsMax()",
        "the deposit is above the strategy's cap for one: deposit less",
    ),
    (
        "TotalSharesExceedsMax()",
        "the strategy has reached its cap",
    ),
    (
        "MaxStrategiesExceeded()",
        "the account has deposits in the most strategies that are allowed",
    ),
    (
        "OnlyUnderlyingToken()",
        "the strategy holds another token: name its own",
    ),
    ("BlacklistedToken()", "the token takes no deposits"),
    ("StakerAddressZero()", "an address is zero: name an account"),
    ("SharesAmountTooHigh()", "more is withdrawn than there is"),
    ("SharesAmountZero()", "nothing is withdrawn"),
    (
        "WithdrawalDelayNotElapsed()",
        "the withdrawal's delay is not over: wait",
    ),
    ("WithdrawalNotQueued()", "no such withdrawal is queued"),
    (
        "WithdrawerNotCaller()",
        "only the withdrawer may complete the withdrawal",
    ),
    (
        "WithdrawalAmountExceedsTotalDeposits()",
        "more is withdrawn than there is",
    ),
    (
        "ERC20InsufficientBalance(address,uint256,uint256)",
        "{0} has {1} of the token and needs {2}: send it more",
    ),
    (
        "ERC20InsufficientAllowance(address,uint256,uint256)",
        "{0} may spend {1} of the token and needs {2}: approve it first",
    ),
    (
        "SafeERC20FailedOperation(address)",
        "token {0} refuses the transfer: check balance and approval",
    ),
    // EigenLayer: operator sets
    (
        "InvalidOperator()",
        "the account is not an operator of EigenLayer: register it there first (`mach-cli eigenlayer register`)",
    ),
    (
        "InvalidOperatorSet()",
        "there is no such operator set: check service manager and set id",
    ),
    (
        "AlreadyMemberOfSet()",
        "the operator is in this operator set already: there is nothing to do",
    ),
    (
        "NotMemberOfSet()",
        "the operator is not in this operator set: there is nothing to leave",
    ),
    (
        "InvalidCaller()",
        "only the operator, or whom it appointed, may do this: send from its account",
    ),
    (
        "InvalidPermissions()",
        "the account may not act for this operator or AVS: send from its own, or have it appointed",
    ),
    (
        "InsufficientMagnitude()",
        "the operator has too little magnitude left to allocate: free some first",
    ),
    (
        "SameMagnitude()",
        "this is allocated already: there is nothing to do",
    ),
    (
        "ModificationAlreadyPending()",
        "an earlier change of the allocation is not in force yet: wait for it",
    ),
    (
        "UninitializedAllocationDelay()",
        "the operator has no allocation delay yet: it counts some days after it was set",
    ),
    (
        "OperatorNotSlashable()",
        "the operator is not slashable by this AVS",
    ),
    (
        "InvalidAVSRegistrar()",
        "the AVS's registrar does not serve it: tell its owner",
    ),
    (
        "NonexistentAVSMetadata()",
        "the AVS has published no metadata: tell its owner",
    ),
    (
        "InvalidStrategy()",
        "the strategy does not belong there: check its address",
    ),
    (
        "StrategyNotInOperatorSet()",
        "the operator set does not count this strategy",
    ),
    (
        "StrategyAlreadyInOperatorSet()",
        "the operator set counts this strategy already",
    ),
    (
        "StrategiesMustBeInAscendingOrder()",
        "strategies have to ascend by address: sort them",
    ),
    (
        "StrategiesNotInAscendingOrder()",
        "strategies have to ascend by address: sort them",
    ),
    ("InvalidWadToSlash()", ""),
    ("FullySlashed()", "the stake was slashed to nothing"),
    ("AdminAlreadyPending()", ""),
    ("AdminAlreadySet()", ""),
    ("AdminNotPending()", ""),
    ("AdminNotSet()", ""),
    ("NotAdmin()", "only an admin of the account may do this"),
    ("CannotHaveZeroAdmins()", ""),
    ("AppointeeAlreadySet()", "the appointment is there already"),
    ("AppointeeNotSet()", "there is no such appointment"),
    ("UnauthorizedCaller()", "the account may not do this"),
    ("OnlyDelegationManager()", ""),
    ("OnlyStrategyManager()", ""),
    ("OnlyStrategyManagerOrEigenPodManager()", ""),
    ("OnlyStrategyWhitelister()", ""),
    ("OnlyEigenPod()", ""),
    ("OnlyEigenPodManager()", ""),
    ("OnlyEigenPodOwner()", ""),
    ("OnlyEigenPodOwnerOrProofSubmitter()", ""),
    ("OnlyRewardsInitiator()", ""),
    ("OnlySlasher()", ""),
    ("AlreadyBlacklisted()", ""),
    ("AlreadySet()", ""),
    ("AmountExceedsMax()", ""),
    ("AmountIsZero()", ""),
    ("BeaconTimestampTooFarInPast()", ""),
    ("CannotCheckpointTwiceInSingleBlock()", ""),
    ("CheckpointAlreadyActive()", ""),
    ("CredentialsAlreadyVerified()", ""),
    ("DelayPeriodNotPassed()", ""),
    ("DurationExceedsMax()", ""),
    ("DurationIsZero()", ""),
    ("EarningsNotGreaterThanClaimed()", ""),
    ("EigenPodAlreadyExists()", ""),
    ("Empty()", ""),
    ("IncorrectSquareResult(uint256,uint256,uint256)", ""),
    ("InsufficientWeight()", ""),
    ("InsufficientWithdrawableBalance()", ""),
    ("InvalidCalculationIntervalSecondsRemainder()", ""),
    ("InvalidClaimProof()", ""),
    ("InvalidDurationRemainder()", ""),
    ("InvalidEIP4788Response()", ""),
    ("InvalidEarner()", ""),
    ("InvalidEarnerLeafIndex()", ""),
    ("InvalidGenesisRewardsTimestampRemainder()", ""),
    ("InvalidLength()", ""),
    ("InvalidProofLength()", ""),
    ("InvalidPubKeyLength()", ""),
    ("InvalidQuorum()", ""),
    ("InvalidRoot()", ""),
    ("InvalidRootIndex()", ""),
    ("InvalidShortString()", "a text of the contract is damaged"),
    ("InvalidSignedWeight()", ""),
    ("InvalidSnapshotOrdering()", ""),
    ("InvalidStartTimestampRemainder()", ""),
    ("InvalidThreshold()", ""),
    ("InvalidTokenLeafIndex()", ""),
    ("InvalidValidatorFieldsLength()", ""),
    ("LegacyWithdrawalsNotCompleted()", ""),
    (
        "LengthMismatch()",
        "two lists that belong together are not equally long",
    ),
    ("MsgValueNot32ETH()", ""),
    ("NewRootMustBeForNewCalculatedPeriod()", ""),
    ("NoActiveCheckpoint()", ""),
    ("NoBalanceToCheckpoint()", ""),
    ("NoOngoingDeployment()", ""),
    ("OutOfBounds()", ""),
    ("PreviousSplitPending()", ""),
    ("RewardsEndTimestampNotElapsed()", ""),
    ("RootAlreadyActivated()", ""),
    ("RootDisabled()", ""),
    ("RootNotActivated()", ""),
    ("SharesNegative()", ""),
    ("SharesNotMultipleOfGwei()", ""),
    ("SplitExceedsMax()", ""),
    ("StartTimestampTooFarInFuture()", ""),
    ("StartTimestampTooFarInPast()", ""),
    ("StrategyAlreadyExists()", ""),
    (
        "StringTooLong(string)",
        "a text is longer than the contract can keep",
    ),
    ("SubmissionNotRetroactive()", ""),
    ("TimestampOutOfRange()", ""),
    ("ValidatorInactiveOnBeaconChain()", ""),
    ("ValidatorIsExitingBeaconChain()", ""),
    ("ValidatorNotActiveInPod()", ""),
    ("ValidatorNotSlashedOnBeaconChain()", ""),
    ("WithdrawalCredentialsNotForEigenPod()", ""),
    (
        "ZeroValue()",
        "a value is zero that must not be: name an id, a hash or a time",
    ),
    // ZK service manager
    (
        "AlreadyInitialized()",
        "the contract is initialised already, which happens once",
    ),
    ("NotInitialized()", "the contract is not initialised"),
    (
        "UselessAlert()",
        "an alert about an earlier block stands: this one adds nothing",
    ),
    (
        "InvalidAlert()",
        "the alert names no block, or roots that agree",
    ),
    (
        "InvalidAlertType()",
        "the block is published to L1 already, or is not yet: use the other kind of alert",
    ),
    ("InvalidProvedIndex()", ""),
    (
        "InvalidCheckpoint()",
        "there is no output proposal to start from",
    ),
    (
        "InvalidIndex()",
        "there is no alert, output or game with this index",
    ),
    (
        "ProveImageIdMismatch()",
        "the proof is of another program than the contract's",
    ),
    (
        "ProveBlockNumberMismatch()",
        "the proof is about another block than the alert",
    ),
    ("ProveOutputRootMismatch()", ""),
    (
        "ParentCheckpointNumberMismatch()",
        "the proof starts from another block than the proposal",
    ),
    (
        "ParentCheckpointOutputRootMismatch()",
        "the proof starts from another output root than the proposal",
    ),
    ("ProveVerifyFailed()", "the proof is not valid"),
    ("InvalidJournal()", "the proof's journal is empty"),
    ("NoAlert()", "there is no alert to be proved"),
    (
        "NotOperator()",
        "only registered operators may do this: opt in first",
    ),
    // Proxies
    (
        "AddressEmptyCode(address)",
        "there is no contract at {0}: check address and chain",
    ),
    (
        "ERC1967InvalidImplementation(address)",
        "there is no contract at {0}: check address and chain",
    ),
    (
        "ERC1967InvalidAdmin(address)",
        "{0} cannot be the admin of a proxy",
    ),
    (
        "ERC1967NonPayable()",
        "the proxy takes no ether with this call",
    ),
    (
        "FailedCall()",
        "a call within the transaction failed without a reason",
    ),
    (
        "FailedInnerCall()",
        "a call within the transaction failed without a reason",
    ),
    (
        "ProxyDeniedAdminAccess()",
        "the proxy's admin may only upgrade: call from another account",
    ),
    ("ReentrancyGuardReentrantCall()", ""),
    (
        "ECDSAInvalidSignature()",
        "the signature is not one: sign again",
    ),
    (
        "ECDSAInvalidSignatureLength(uint256)",
        "the signature has {0} bytes, not 65",
    ),
    (
        "ECDSAInvalidSignatureS(bytes32)",
        "the signature is malleable: use a signer of today",
    ),
];
