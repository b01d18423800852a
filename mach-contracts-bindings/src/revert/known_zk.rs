//! Custom errors of the ZK service manager, its adapters, and the verifiers behind them.
//!
//! Source: our own artifacts; `risc0-ethereum-contracts` 3.0.1, SP1's contracts 6, `openvm-sdk` 2.0.2.

/// As [`super::known::ERRORS`].
pub(super) const ZK_ERRORS: &[(&str, &str)] = &[
    (
        "AlreadyConvicted(uint256)",
        "alert {0} has convicted the same before: there is nothing to do",
    ),
    (
        "AlreadyProved(uint256)",
        "alert {0} is proved already: there is nothing to do",
    ),
    (
        "AlreadyScheduled(bytes32)",
        "{0} is there already, or will be: retire it first, and wait until it is",
    ),
    (
        "AttestedOtherwise(bytes32)",
        "operators have attested the block of {0} too, or one that stands on it: attestations convict it no more, a proof may",
    ),
    (
        "BeyondHorizon(bytes32,uint64,uint64)",
        "nobody said that configuration {0} has the rules of block {1}, only of those up to {2}: the owner extends it or schedules another",
    ),
    (
        "BlockNumberMismatch(uint256,uint256)",
        "the alert is about block {0}, what is shown is about block {1}",
    ),
    (
        "ConfigNotActive(bytes32)",
        "configuration {0} does not count here now: prove under one that does, or wait until it takes effect",
    ),
    (
        "ContradictingProof(bytes32,uint16)",
        "proofs contradict each other about block {0} (one of them: first broken rule {1}), so that none counts: have this one kept by `recordProof`, and tell the owner that a program is wrong",
    ),
    (
        "DelayTooLong(uint64,uint64)",
        "a delay of {0} seconds would lock bonds for too long: take one of at most {1}",
    ),
    (
        "DelayTooShort(uint64,uint64)",
        "a delay of {0} seconds is shorter than the {1} seconds that an alert has to be proved: take a longer one",
    ),
    (
        "DevelopmentProof()",
        "the proof is of a development mode and proves nothing: use a prover",
    ),
    (
        "EmptyProof()",
        "the proof is empty, as the native backend's: use a prover",
    ),
    (
        "HeaderMismatch(bytes32,bytes32)",
        "the header hashes to {1}, not to {0}: give the headers from the named block down, each the parent of the one before",
    ),
    (
        "HeadersOfUnpublished()",
        "only what is on L1 is convicted by its ancestors: accuse the ancestor itself, and give no headers",
    ),
    (
        "InvalidAccount()",
        "the proof leads to something that is not an account",
    ),
    (
        "InvalidAccountProof(uint8)",
        "the account proof does not lead from the state root to the message passer (reason {0}): take it from `eth_getProof` at that block",
    ),
    ("InvalidHeader()", "the header is not one in canonical RLP"),
    (
        "InvalidProofLength(uint256)",
        "a proof of {0} bytes is not one for the EVM: have it wrapped",
    ),
    (
        "IsNotPaused()",
        "the contract is not paused: there is nothing to do",
    ),
    (
        "IsPaused()",
        "the contract is paused: its clock stands still, try again when it is not",
    ),
    (
        "NoDescent(bytes32,bytes32)",
        "nobody has shown that block {0} descends from {1}: record the headers between them first",
    ),
    (
        "NoExtension(uint64,uint64)",
        "the configuration judges blocks up to {1}, and loses none: name a later block than {0}, or retire it",
    ),
    (
        "NoSuchSource(uint8)",
        "the rollup has no such contract here: an oracle or a game factory is not set up",
    ),
    (
        "NoVerdict(bytes32,bytes32)",
        "nothing that counts was proved of block {1} under configuration {0}: submit the proof first",
    ),
    (
        "NotAttested(uint256)",
        "operators have not attested block {0}, or not its output root",
    ),
    (
        "NotExpired(uint64)",
        "the alert may be proved until {0} by the contract's clock: wait",
    ),
    (
        "NotGuardian(address)",
        "{0} is neither guardian nor owner: send from one of their accounts",
    ),
    (
        "NotOpen(uint256,uint8)",
        "alert {0} has been decided already (status {1})",
    ),
    (
        "NotPublished(address)",
        "game {0} is not the rollup's own: without a bond only what its proposer claims is accused",
    ),
    ("NothingToWithdraw()", "the account has nothing to withdraw"),
    (
        "NothingWrong()",
        "what is shown does not contradict what is accused",
    ),
    (
        "OpeningMismatch(bytes32,bytes32)",
        "the opening hashes to {1}, the accused output root is {0}: take state root, storage root and block hash of that proposal",
    ),
    (
        "OtherGameType(uint32)",
        "claims of games of type {0} are not looked at here",
    ),
    (
        "ParentNotAttested(bytes32)",
        "the block executes right, but nobody attested its parent {0}, so that an earlier block may be wrong",
    ),
    (
        "ProgramNotActive(bytes32)",
        "program {0} does not count here now: prove with one that does, or wait until it takes effect",
    ),
    (
        "PauseRanOut()",
        "the guardian has paused once, and nobody ended it: the owner may pause again, or end it first",
    ),
    ("ProofRejected()", "the verifier refuses the proof"),
    (
        "RLPInvalidEncoding()",
        "a node of the account proof is not RLP",
    ),
    (
        "TooEarly(uint64)",
        "until {0} by the contract's clock somebody may show that operators attested otherwise: wait",
    ),
    (
        "TooManyHeaders(uint256)",
        "{0} headers are more than one call takes: record the way in steps with `recordDescent`, and give the last of them",
    ),
    (
        "TransferFailed()",
        "the receiver refuses the ether: withdraw to another address",
    ),
    (
        "UnknownSelector(bytes4,bytes4)",
        "the proof is of version {0}, the contract takes {1}: use the prover of that version",
    ),
    (
        "UnprovableFault(uint16)",
        "rule {0} is none that this program proves, or its values are not what such a proof says",
    ),
    (
        "WrongBond(uint256,uint256)",
        "{0} wei were sent, the bond is {1} wei: send exactly that",
    ),
    (
        "ZeroCommitment()",
        "the commitment of the virtual machine is zero: name one",
    ),
    (
        "VerificationFailed()",
        "the verifier of RISC Zero finds the proof wrong for this program and journal",
    ),
    (
        "SelectorMismatch(bytes4,bytes4)",
        "the proof is of version {0}, the verifier is of {1}",
    ),
    (
        "SelectorUnknown(bytes4)",
        "the router of RISC Zero has no verifier for version {0}",
    ),
    (
        "SelectorRemoved(bytes4)",
        "the router of RISC Zero has no verifier for version {0} any more",
    ),
    (
        "RouteNotFound(bytes4)",
        "the gateway of SP1 has no verifier for version {0}",
    ),
    (
        "RouteIsFrozen(bytes4)",
        "the gateway of SP1 takes no proofs of version {0} any more",
    ),
    (
        "WrongVerifierSelector(bytes4,bytes4)",
        "the proof is of version {0}, the verifier is of {1}",
    ),
    (
        "InvalidProof()",
        "the verifier of SP1 finds the proof wrong for this program and journal",
    ),
    (
        "ProofInvalid()",
        "the verifier of SP1 finds the proof wrong for this program and journal",
    ),
    (
        "InvalidExitCode()",
        "the program of the proof of SP1 did not end well",
    ),
    (
        "InvalidVkRoot()",
        "the proof of SP1 is of another release than its verifier",
    ),
    (
        "PublicInputNotInField()",
        "a public input of the proof is too large",
    ),
    (
        "ProofVerificationFailed()",
        "the verifier of OpenVM finds the proof wrong for this program and journal",
    ),
    (
        "InvalidProofDataLength(uint256,uint256)",
        "the proof has {1} bytes, the verifier of OpenVM takes {0}",
    ),
    (
        "InvalidPublicValuesLength(uint256,uint256)",
        "the program reveals {0} bytes for this verifier, not {1}",
    ),
    (
        "InvalidAppExeCommit(bytes32)",
        "{0} is no commitment of a program",
    ),
    (
        "InvalidAppVmCommit(bytes32)",
        "{0} is no commitment of a virtual machine",
    ),
];
