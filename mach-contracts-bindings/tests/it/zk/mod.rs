//! The ZK service manager on the devnet's L1, over the rollup's own contracts, blocks and proofs.

mod adapters;
mod alerts;
mod defects;
mod descent;
mod direct;
mod evidence;
mod genuine;
mod horizon;
mod journal;
mod owner;
mod proofs;
mod risc_zero;
mod unopened;
mod verdicts;
mod wrappers;

use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_provider::{Provider, RootProvider};
use alloy_sol_types::{SolCall, SolEvent, sol};
use mach_contracts_bindings::{
    CallError, SubmitError, Submitter,
    zk::{
        Raise, RaiseError, ZkBlockTimes, ZkConfig, ZkProgram, ZkRules, ZkServiceManager,
        abi::{
            Accused, Alert, Claim, Ground, IMachZkServiceManager as Z, NewConfig, Opening, Path,
            ProgramKind, Status,
        },
    },
};
use mach_core::L2Block;
use mach_devnet::{
    DISPUTE_GAME_FACTORY, DevAccount, Devnet, DevnetConfig, L1_BLOCK, L2_OUTPUT_ORACLE, Lie,
    MESSAGE_PASSER, OptimismFork, PROPOSER,
};

use crate::clients::POLICY;

const BLOCK_PROGRAM: B256 = B256::repeat_byte(0xb1);
const OUTPUT_PROGRAM: B256 = B256::repeat_byte(0x07);
const CONFIG: B256 = B256::repeat_byte(0xc0);
const BOND: u128 = 1_000_000_007;
const WINDOW: u64 = 7 * 24 * 60 * 60;
const GAME_TYPE: u32 = 0;
/// Time of the devnet's genesis blocks.
const GENESIS: u64 = 1_767_225_600;

/// A proof of anything to the verifier of these tests: the digest of the journal. What the contract rebuilds
/// has to be, word for word, what was encoded and hashed here.
const VERIFIER: [u8; 24] = [
    // deploy what follows
    0x60, 0x0f, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, //
    // stop if the first word of the proof is the digest, else revert
    0x60, 0x24, 0x35, 0x60, 0x84, 0x35, 0x14, 0x60, 0x0d, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00,
];

sol! {
    function create(uint32 gameType, bytes32 rootClaim, bytes extraData) external payable returns (address proxy);
    function deleteL2Outputs(uint256 l2OutputIndex) external;
    function proposeL2Output(bytes32 outputRoot, uint256 l2BlockNumber, bytes32 l1BlockHash, uint256 l1BlockNumber) external payable;
    function getL2Output(uint256 index) external view returns (bytes32, uint128, uint128);
    function gameAtIndex(uint256 index) external view returns (uint32 gameType, uint64 timestamp, address proxy);
}

struct World {
    devnet: Devnet,
    zk: ZkServiceManager,
    owner: Submitter,
    alerter: Submitter,
    prover: Submitter,
    stranger: Submitter,
    config: ZkConfig,
}

async fn submitter(devnet: &Devnet, account: &DevAccount) -> Submitter {
    let wallet = EthereumWallet::from(account.signer());
    Submitter::connect(devnet.l1().provider(), wallet, POLICY)
        .await
        .unwrap()
}

impl World {
    async fn new() -> Self {
        Self::with(OptimismFork::Isthmus, |_| {}).await
    }

    /// A rollup with an output for every block, and five blocks.
    async fn with(fork: OptimismFork, change: impl FnOnce(&mut ZkConfig)) -> Self {
        let devnet = DevnetConfig {
            l2_fork: fork,
            output_interval: 1,
            ..DevnetConfig::default()
        };
        let devnet = devnet.build().unwrap();
        for _ in 0..5 {
            devnet.sequencer().produce().unwrap();
        }
        // The oracle takes no outputs from the future.
        devnet.l1().increase_time(3600);
        devnet.l1().mine().unwrap();
        let accounts = &mach_devnet::DEV_ACCOUNTS;
        let owner = submitter(&devnet, &accounts[0]).await;
        let (verifier, _) = owner
            .deploy(Bytes::copy_from_slice(&VERIFIER))
            .await
            .unwrap();
        let program = |id, kind| ZkProgram { id, verifier, kind };
        let mut config = ZkConfig {
            oracle: Some(L2_OUTPUT_ORACLE),
            game_factory: Some(DISPUTE_GAME_FACTORY),
            game_type: GAME_TYPE,
            proposer: Some(PROPOSER.address),
            times: Some(ZkBlockTimes {
                first_block: 0,
                first_timestamp: GENESIS,
                block_time: 2,
            }),
            beneficiary: Address::repeat_byte(0xbe),
            bond: BOND,
            configs: vec![ZkRules::without_horizon(CONFIG)],
            programs: vec![
                program(BLOCK_PROGRAM, ProgramKind::Block),
                program(OUTPUT_PROGRAM, ProgramKind::Output),
            ],
            ..ZkConfig::new(devnet.l2().chain_id(), owner.sender())
        };
        change(&mut config);
        let zk = ZkServiceManager::deploy(&owner, &config).await.unwrap();
        Self {
            alerter: submitter(&devnet, &accounts[1]).await,
            prover: submitter(&devnet, &accounts[2]).await,
            stranger: submitter(&devnet, &accounts[3]).await,
            owner,
            zk,
            devnet,
            config,
        }
    }

    fn l1(&self) -> RootProvider {
        self.devnet.l1().provider()
    }

    fn block(&self, number: u64) -> L2Block {
        self.devnet.l2().l2_block(number).unwrap()
    }

    fn header(&self, number: u64) -> Bytes {
        alloy_rlp::encode(self.block(number).header.inner()).into()
    }

    /// Header of `first` and those before it, down to that of `last`.
    fn headers(&self, first: u64, last: u64) -> Vec<Bytes> {
        (last..=first)
            .rev()
            .map(|number| self.header(number))
            .collect()
    }

    /// What the right output root of a block is the hash of, with the account proof from the rollup's node.
    async fn opening(&self, number: u64) -> (Opening, Vec<Bytes>) {
        let block = self.block(number);
        let l2: RootProvider = self.devnet.l2().provider();
        let proof = l2
            .get_proof(MESSAGE_PASSER, vec![])
            .block_id(number.into())
            .await
            .unwrap();
        let opening = Opening {
            stateRoot: block.header.state_root,
            messagePasserStorageRoot: proof.storage_hash,
            blockHash: block.hash(),
        };
        (opening, proof.account_proof)
    }

    /// When the oracle got the output with this index.
    async fn posted_at(&self, index: u64) -> u64 {
        let call = getL2OutputCall {
            index: U256::from(index),
        };
        let request = alloy_rpc_types_eth::TransactionRequest::default()
            .to(L2_OUTPUT_ORACLE)
            .input(call.abi_encode().into());
        let answer = self.l1().call(request).await.unwrap();
        let output = getL2OutputCall::abi_decode_returns(&answer).unwrap();
        output._1.try_into().unwrap()
    }

    /// Has the proposer post an output in the oracle, whose index is the number less one, and as a game.
    fn propose(&self, number: u64) -> U256 {
        self.devnet.proposer().propose(number).unwrap();
        U256::from(number - 1)
    }

    /// Has the proposer post whatever it is in the oracle.
    async fn post_root(&self, root: B256, number: u64) {
        let call = proposeL2OutputCall {
            outputRoot: root,
            l2BlockNumber: U256::from(number),
            l1BlockHash: B256::ZERO,
            l1BlockNumber: U256::ZERO,
        };
        let proposer = submitter(&self.devnet, &PROPOSER).await;
        proposer.call(L2_OUTPUT_ORACLE, &call).await.unwrap();
    }

    /// Makes a dispute game; anybody can.
    async fn game(&self, sender: &Submitter, root: B256, number: u64) -> u64 {
        let call = createCall {
            gameType: GAME_TYPE,
            rootClaim: root,
            extraData: U256::from(number).to_be_bytes_vec().into(),
        };
        sender.call(DISPUTE_GAME_FACTORY, &call).await.unwrap();
        let count = self.games().await;
        count - 1
    }

    async fn games(&self) -> u64 {
        let mut count = 0;
        while self.game_at(count).await.is_some() {
            count += 1;
        }
        count
    }

    async fn game_at(&self, index: u64) -> Option<Address> {
        let call = gameAtIndexCall {
            index: U256::from(index),
        };
        let request = alloy_rpc_types_eth::TransactionRequest::default()
            .to(DISPUTE_GAME_FACTORY)
            .input(call.abi_encode().into());
        let answer = self.l1().call(request).await.ok()?;
        Some(gameAtIndexCall::abi_decode_returns(&answer).unwrap().proxy)
    }

    async fn raise(&self, raise: Raise) -> U256 {
        self.zk.raise(&self.alerter, &raise).await.unwrap()
    }

    async fn alert(&self, id: U256) -> Alert {
        self.zk.alert(id).await.unwrap()
    }

    /// The contract's time, in seconds.
    async fn clock(&self) -> u64 {
        let request = alloy_rpc_types_eth::TransactionRequest::default()
            .to(self.zk.address())
            .input(Z::clockCall {}.abi_encode().into());
        let answer = self.l1().call(request).await.unwrap();
        Z::clockCall::abi_decode_returns(&answer).unwrap()
    }

    async fn status(&self, id: U256) -> (Status, Ground) {
        let alert = self.alert(id).await;
        (alert.status, alert.ground)
    }

    async fn convictions(&self) -> u64 {
        let convictions = self.zk.convictions(self.config.rollup).await;
        convictions.unwrap().to()
    }

    async fn withdrawable(&self, account: Address) -> u128 {
        self.zk.withdrawable(account).await.unwrap().to()
    }

    /// The claim of a proof about a block of the rollup.
    fn claim(&self, number: u64, fault: u16) -> Claim {
        let block = self.block(number);
        let (claimed, computed) = if fault == 0 {
            (block.hash(), block.hash())
        } else {
            (B256::repeat_byte(1), B256::repeat_byte(2))
        };
        Claim {
            configHash: CONFIG,
            parentHash: block.header.parent_hash,
            blockHash: block.hash(),
            blockNumber: number,
            fault,
            claimed,
            computed,
            outputRoot: B256::ZERO,
        }
    }

    /// A proof of `prover` that the verifier of these tests takes.
    fn proof(&self, prover: &Submitter, claim: &Claim) -> Bytes {
        let journal = claim.journal(
            prover.sender(),
            self.zk.address(),
            self.config.rollup,
            self.devnet.l1().chain_id(),
        );
        journal.digest().into()
    }

    async fn submit(&self, id: U256, claim: &Claim, path: &Path) -> Result<(), SubmitError> {
        let proof = self.proof(&self.prover, claim);
        let program = if claim.fault == 128 {
            OUTPUT_PROGRAM
        } else {
            BLOCK_PROGRAM
        };
        let sent = self
            .zk
            .submit_proof(&self.prover, id, program, claim, &proof, path);
        sent.await.map(drop)
    }

    async fn owner_calls(&self, call: &impl SolCall) -> Result<(), SubmitError> {
        self.owner.call(self.zk.address(), call).await.map(drop)
    }

    fn pass(&self, seconds: u64) {
        self.devnet.l1().increase_time(seconds);
        self.devnet.l1().mine().unwrap();
    }
}

/// A configuration that judges all blocks.
fn always(config_hash: B256) -> NewConfig {
    NewConfig::from(&ZkRules::without_horizon(config_hash))
}

fn output_root(opening: &Opening) -> B256 {
    let Opening {
        stateRoot,
        messagePasserStorageRoot,
        blockHash,
    } = *opening;
    keccak256([B256::ZERO, stateRoot, messagePasserStorageRoot, blockHash].concat())
}

fn at(opening: &Opening) -> Path {
    Path {
        opening: opening.clone(),
        headers: vec![],
    }
}

/// Name of the error that a contract refused with.
trait Refusal {
    fn refusal(&self) -> String;
}

impl<T: std::fmt::Debug> Refusal for Result<T, SubmitError> {
    fn refusal(&self) -> String {
        let error = self.as_ref().unwrap_err();
        let revert = error.revert().unwrap_or_else(|| panic!("{error:?}"));
        assert!(revert.explanation().is_some(), "{revert}");
        revert.to_string()
    }
}

impl<T: std::fmt::Debug> Refusal for Result<T, RaiseError> {
    fn refusal(&self) -> String {
        match self.as_ref().unwrap_err() {
            RaiseError::Submit(error) => error.revert().unwrap().to_string(),
            error => panic!("{error:?}"),
        }
    }
}

impl<T: std::fmt::Debug> Refusal for Result<T, CallError> {
    fn refusal(&self) -> String {
        self.as_ref().unwrap_err().revert().unwrap().to_string()
    }
}
