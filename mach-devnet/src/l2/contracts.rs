//! The rollup's contracts on L1, which are there from genesis on.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, address, b256};
use alloy_sol_types::{SolEvent, sol};
use op_alloy_consensus::{TxDeposit, UserDepositSource};
use serde::Deserialize;

use super::SystemConfig;
use crate::{DEV_ACCOUNTS, DevAccount, chain::Genesis};

/// `OptimismPortal`: takes deposits.
pub const OPTIMISM_PORTAL: Address = address!("6d61636800000000000000000000000000000001");

/// `SystemConfig`: what the rollup's owner sets.
pub const SYSTEM_CONFIG: Address = address!("6d61636800000000000000000000000000000002");

/// `L2OutputOracle`: output roots that the proposer claims.
pub const L2_OUTPUT_ORACLE: Address = address!("6d61636800000000000000000000000000000003");

/// `DisputeGameFactory`: output roots that anybody claims and disputes.
pub const DISPUTE_GAME_FACTORY: Address = address!("6d61636800000000000000000000000000000004");

/// Where the batcher sends the rollup's data.
pub const BATCH_INBOX: Address = address!("ff00000000000000000000000000000000000901");

/// Who may change the rollup's `SystemConfig`, and delete outputs.
pub const ROLLUP_OWNER: DevAccount = DEV_ACCOUNTS[0];

/// Who posts the rollup's data: account 10 of the [mnemonic](crate::DEV_MNEMONIC).
pub const BATCHER: DevAccount = DevAccount {
    address: address!("Bcd4042DE499D14e55001CcbB24a551F3b954096"),
    key: b256!("f214f2b2cd398c806f84e317254e0f0b801d0643303237d97a22a48e01628897"),
};

/// Who proposes output roots: account 11 of the [mnemonic](crate::DEV_MNEMONIC).
pub const PROPOSER: DevAccount = DevAccount {
    address: address!("71bE63f3384f5fb98995898A86B02Fb2426c5788"),
    key: b256!("701b615bbdfb9de65240bc28bd21bbc0d996645a3dd57e7b12bc2bdf6f192c82"),
};

sol! {
    /// Source: `OptimismPortal` of ethereum-optimism/optimism.
    #[derive(Debug)]
    event TransactionDeposited(
        address indexed from, address indexed to, uint256 indexed version, bytes opaqueData
    );
    function depositTransaction(
        address to, uint256 value, uint64 gasLimit, bool isCreation, bytes data
    ) external payable;

    /// Source: `SystemConfig` of ethereum-optimism/optimism; the kind is an enum there.
    #[derive(Debug)]
    event ConfigUpdate(uint256 indexed version, uint8 indexed updateType, bytes data);

    function proposeL2Output(
        bytes32 outputRoot, uint256 l2BlockNumber, bytes32 l1BlockHash, uint256 l1BlockNumber
    ) external payable;
    function create(uint32 gameType, bytes32 rootClaim, bytes extraData) external payable
        returns (address);
}

/// What the contracts say at genesis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContractsConfig {
    pub(crate) system: SystemConfig,
    /// Time of the rollup's genesis block, in seconds since 1970.
    pub(crate) timestamp: u64,
    /// Seconds between blocks of the rollup.
    pub(crate) block_time: u64,
    /// Blocks between outputs of the oracle.
    pub(crate) submission_interval: u64,
}

/// Puts all of them into the genesis of L1.
pub(crate) fn deploy(genesis: &mut Genesis, config: &ContractsConfig) {
    let system = &config.system;
    let number = |value: u64| U256::from(value);
    let account = |address: Address| U256::from_be_bytes(address.into_word().0);
    let (denominator, elasticity) = system.eip1559;
    // In the order of the variables in the sources.
    let system_slots = [
        account(ROLLUP_OWNER.address),
        account(system.batcher),
        system.overhead,
        system.scalar,
        number(system.gas_limit),
        number(denominator.into()),
        number(elasticity.into()),
        number(system.operator_fee_scalar.into()),
        number(system.operator_fee_constant),
        number(system.min_base_fee),
        number(system.da_footprint_gas_scalar.into()),
        account(system.unsafe_block_signer),
    ];
    let oracle_slots = [
        U256::ZERO, // no outputs
        U256::ZERO, // the first block
        number(config.timestamp),
        number(config.submission_interval),
        number(config.block_time),
        account(PROPOSER.address),
        account(ROLLUP_OWNER.address),
        number(7 * 24 * 60 * 60),
    ];
    for (address, artifact, slots) in [
        (
            OPTIMISM_PORTAL,
            include_str!("../../artifacts/OptimismPortal.json"),
            &[][..],
        ),
        (
            SYSTEM_CONFIG,
            include_str!("../../artifacts/SystemConfig.json"),
            &system_slots,
        ),
        (
            L2_OUTPUT_ORACLE,
            include_str!("../../artifacts/L2OutputOracle.json"),
            &oracle_slots,
        ),
        (
            DISPUTE_GAME_FACTORY,
            include_str!("../../artifacts/DisputeGameFactory.json"),
            &[],
        ),
    ] {
        let storage = (0u64..)
            .zip(slots)
            .filter(|(_, value)| !value.is_zero())
            .map(|(slot, value)| (U256::from(slot).into(), (*value).into()))
            .collect();
        let account = GenesisAccount::default()
            .with_nonce(Some(1))
            .with_code(Some(code(artifact)))
            .with_storage(Some(storage));
        genesis.accounts.insert(address, account);
    }
    for account in [BATCHER, PROPOSER] {
        genesis.fund(account.address);
    }
}

fn code(artifact: &str) -> Bytes {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Artifact {
        deployed_bytecode: Bytes,
    }
    let artifact: Artifact =
        serde_json::from_str(artifact).expect("artifacts are JSON with their bytecode");
    artifact.deployed_bytecode
}

/// The deposit that the portal records in `log`, as a transaction of the rollup.
///
/// Source: <https://specs.optimism.io/protocol/deposits.html#user-deposited-transactions>.
pub(super) fn deposit(l1_block: B256, log_index: u64, log: &Log) -> Option<TxDeposit> {
    if log.address != OPTIMISM_PORTAL {
        return None;
    }
    let event = TransactionDeposited::decode_log(log).ok()?.data;
    let data = &event.opaqueData;
    let (mint, rest) = data.split_first_chunk::<32>()?;
    let (value, rest) = rest.split_first_chunk::<32>()?;
    let (gas, rest) = rest.split_first_chunk::<8>()?;
    let (creation, input) = rest.split_first()?;
    Some(TxDeposit {
        source_hash: UserDepositSource::new(l1_block, log_index).source_hash(),
        from: event.from,
        to: match creation {
            0 => TxKind::Call(event.to),
            _ => TxKind::Create,
        },
        mint: U256::from_be_bytes(*mint).saturating_to(),
        value: U256::from_be_bytes(*value),
        gas_limit: u64::from_be_bytes(*gas),
        is_system_transaction: false,
        input: Bytes::copy_from_slice(input),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_belongs_to_its_address() {
        for account in [BATCHER, PROPOSER] {
            assert_eq!(account.signer().address(), account.address);
        }
    }
}
