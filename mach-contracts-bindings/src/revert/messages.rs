//! Messages of EigenLayer's M2 contracts and of OpenZeppelin 4, each with a sentence.

/// What a message has in it, and the sentence; the first that fits counts.
///
/// Contracts were published under long and under short names (`RegistryCoordinator.`, `RegCoord.`), so
/// that only what comes after the colon is compared.
pub(super) const MESSAGES: &[(&str, &str)] = &[
    (
        "does not meet minimum stake requirement",
        "operator does not meet the minimum stake of a quorum: have more delegated to it",
    ),
    (
        "operator count exceeds maximum",
        "the quorum has its most operators: wait for a place, or register with churn",
    ),
    (
        "operator already registered for some quorums",
        "the operator is registered already for one of these quorums: leave it out",
    ),
    (
        "operator cannot reregister yet",
        "the operator was ejected and has to wait before it registers again",
    ),
    (
        "is not registered for specified quorums",
        "the operator is not registered for one of these quorums: leave it out",
    ),
    (
        "operator is not registered for quorums",
        "the operator is not registered for one of these quorums: leave it out",
    ),
    (
        "operator is not registered in EigenLayer",
        "the account is not an operator of EigenLayer: register it there first (`mach-cli eigenlayer register`)",
    ),
    (
        "operator not registered to EigenLayer",
        "the account is not an operator of EigenLayer: register it there first (`mach-cli eigenlayer register`)",
    ),
    (
        "operator not registered",
        "the operator is not registered with this service manager",
    ),
    (
        "operator is not registered",
        "the operator is not registered: opt in first",
    ),
    (
        "bitmap cannot be 0",
        "no quorum is named: name at least one",
    ),
    (
        "bitmap exceeds max value",
        "there is no quorum with such a number: ask the coordinator how many there are",
    ),
    (
        "orderedBytesArray is not ordered",
        "quorum numbers have to ascend, each once: sort them",
    ),
    (
        "orderedBytesArray is too long",
        "more quorums are named than there are",
    ),
    (
        "cannot churn self",
        "an operator cannot take its own place: name another one",
    ),
    (
        "incoming operator has insufficient stake for churn",
        "the operator has too little stake to take another one's place",
    ),
    (
        "cannot kick operator with more than",
        "the operator to be replaced has too much stake: name another one",
    ),
    (
        "quorumNumber not the same as signed",
        "the churn approver signed for another quorum: ask for another approval",
    ),
    (
        "churnApprover salt already used",
        "the churn approver's salt is spent: ask for another approval",
    ),
    (
        "churnApprover signature expired",
        "the churn approver's signature has expired: ask for another approval",
    ),
    (
        "caller is not the ejector",
        "only the ejector may remove operators",
    ),
    (
        "operator already registered pubkey",
        "the operator has a BLS key already, for ever: use that one",
    ),
    (
        "public key already registered",
        "the BLS key is registered by another operator: use a key of your own",
    ),
    (
        "cannot register zero pubkey",
        "the BLS key is zero: use another one",
    ),
    (
        "either the G1 signature is wrong",
        "the proof of possession does not fit the BLS key and this operator: sign for this coordinator and this chain",
    ),
    (
        "operator already registered",
        "the operator is registered with this service manager already",
    ),
    (
        "operator signature expired",
        "the consent has expired: sign it again with a later expiry",
    ),
    (
        "salt already spent",
        "the salt is spent: sign the consent again with another one",
    ),
    ("cannot cancel spent salt", "the salt is spent already"),
    (
        "ERC1271 signature verification failed",
        "the operator is a contract and does not accept the signature",
    ),
    (
        "signature not from signer",
        "the signature is not the signer's: sign with its key, for this chain and this contract",
    ),
    (
        "empty quorum input",
        "no quorum is named: name at least one",
    ),
    (
        "input quorum length mismatch",
        "two lists of quorums are not equally long",
    ),
    (
        "input nonsigner length mismatch",
        "non-signers and their indices are not equally many",
    ),
    (
        "invalid reference block",
        "the reference block is not past yet: take an older one",
    ),
    (
        "nonSignerPubkeys not sorted",
        "non-signers have to ascend by operator id, each once: sort them",
    ),
    (
        "StakeRegistry updates must be within withdrawalDelayBlocks window",
        "stakes were not updated for too long: have the operators updated, then sign again",
    ),
    (
        "quorumApk hash in storage does not match",
        "the quorum's aggregate key is not that of the reference block: read the operators again",
    ),
    (
        "pairing precompile call failed",
        "a key or a signature is not a point of the curve",
    ),
    (
        "signature is invalid",
        "the aggregate signature is not valid for this digest and these signers",
    ),
    (
        "operator must be registered at blocknumber",
        "an operator that is named absent was in no quorum at the block",
    ),
    (
        "quorum does not exist",
        "there is no such quorum: ask the coordinator how many there are",
    ),
    (
        "quorum did not exist",
        "the quorum is younger than the block",
    ),
    (
        "quorum has no stake history",
        "the quorum is younger than the block",
    ),
    (
        "blockNumber is before the first update",
        "the quorum is younger than the block",
    ),
    (
        "no stake update found for operatorId",
        "the operator had no stake in the quorum at the block",
    ),
    (
        "no bitmap update found",
        "the operator was not registered at the block",
    ),
    (
        "index too recent",
        "the entry is younger than the block: read the indices again",
    ),
    (
        "not latest apk update",
        "there is a newer entry for this block: read the indices again",
    ),
    (
        "there is a newer",
        "there is a newer entry for this block: read the indices again",
    ),
    (
        "is from after blockNumber",
        "the entry is younger than the block: read the indices again",
    ),
    (
        "caller is already actively delegated",
        "the account is an operator or delegates to one already",
    ),
    (
        "already actively delegated",
        "the account is an operator or delegates to one already",
    ),
    (
        "caller must be an operator",
        "the account is not an operator of EigenLayer: register it there first (`mach-cli eigenlayer register`)",
    ),
    (
        "strategy not whitelisted",
        "the strategy takes no deposits: name one that does",
    ),
    (
        "deposit would exceed MAX_STAKER_STRATEGY_LIST_LENGTH",
        "the account has deposits in the most strategies that are allowed",
    ),
    (
        "shares should not be zero",
        "the deposit is too small to count: deposit more",
    ),
    (
        "newShares cannot be zero",
        "the deposit is too small to count: deposit more",
    ),
    (
        "max per deposit exceeded",
        "the deposit is above the strategy's cap for one: deposit less",
    ),
    (
        "max deposits exceeded",
        "the strategy has reached its cap: deposit less, or into another one",
    ),
    (
        "Can only deposit underlyingToken",
        "the strategy holds another token: name its own",
    ),
    (
        "transfer amount exceeds balance",
        "the account has too little of the token: send it more",
    ),
    (
        "insufficient allowance",
        "the spender is allowed too little of the token: approve it first",
    ),
    (
        "amount exceeds allowance",
        "the spender is allowed too little of the token: approve it first",
    ),
    (
        "ERC20 operation did not succeed",
        "the token refuses the transfer: check balance and approval",
    ),
    (
        "contract is paused",
        "the contract is paused: wait until its unpauser ends that",
    ),
    (
        "index is paused",
        "this function is paused: wait until the contract's unpauser ends that",
    ),
    (
        "not permissioned as pauser",
        "only a pauser may do this: send from its account",
    ),
    (
        "not permissioned as unpauser",
        "only the unpauser may do this: send from its account",
    ),
    (
        "invalid attempt to unpause",
        "a pauser may only pause: ask the unpauser",
    ),
    (
        "invalid attempt to pause",
        "the unpauser may only unpause: ask a pauser",
    ),
    (
        "caller is not the owner of the registryCoordinator",
        "only the coordinator's owner may do this: send from its account",
    ),
    (
        "caller is not the registry coordinator",
        "only the coordinator may call this: register through it",
    ),
    (
        "caller is not the RegistryCoordinator",
        "only the coordinator may call this: register through it",
    ),
    (
        "caller is not the owner",
        "only the owner may do this: send from its account",
    ),
    (
        "new owner is the zero address",
        "the new owner is zero: name an account",
    ),
    (
        "contract is already initialized",
        "the contract is initialised already, which happens once",
    ),
    (
        "contract is not initializing",
        "the function runs only while the contract is initialised",
    ),
    ("invalid signature", "the signature is not one: sign again"),
    (
        "reentrant call",
        "the contract was called from within its own call",
    ),
    (
        "call to non-contract",
        "there is no contract at the address: check address and chain",
    ),
];
