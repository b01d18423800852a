//! The genuine contract on the devnet's L1.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context as Task, Poll},
    time::Duration,
};

use alloy_json_rpc::{ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload};
use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_client::RpcClient;
use alloy_sol_types::{SolCall, SolValue, sol};
use alloy_transport::{TransportError, TransportFut};
use mach_contracts_bindings::{
    SubmitPolicy, Submitter,
    zk::{
        Raise, ZkConfig as OnL1, ZkProgram, ZkRules, ZkServiceManager,
        abi::{
            Accused, Claim, Games, Ground, IMachZkServiceManager as Z, NewConfig, NewProgram,
            ProgramKind, Status,
        },
    },
};
use mach_core::{Alert, Fault, Mismatch, Verdict, ports::AlertSink};
use mach_devnet::{
    DEV_ACCOUNTS, DISPUTE_GAME_FACTORY, DevAccount, Devnet, DevnetConfig, DevnetTransport,
    L2_OUTPUT_ORACLE, Lie, OptimismFork, PROPOSER, Settling, UserDeposit,
};
use mach_node::{
    store::{Change, Expected, MemoryStore, Store, Table, Written},
    zk::{Case, Descent, L1ZkContract, RollupChain, Stage, Target, ZkConfig, ZkContract, ZkMode},
};
use mach_prove::Worth;
use mach_verify::{
    Evidence, EvidenceFolder, Witness, source::RecordedBlock, verify_block, verify_output_proposal,
};
use serde_json::value::RawValue;
use tempfile::TempDir;
use tower::Service;

use super::{DigestBackend, PROGRAM, accusation, config, is_shown, settle, until};

/// Deploys a contract that takes a proof whose first word is the digest of the journal: what the
/// contract rebuilds has to be, word for word, what the guest made.
const VERIFIER: [u8; 24] = [
    // deploy what follows
    0x60, 0x0f, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, //
    // stop if the first word of the proof is the digest, else revert
    0x60, 0x24, 0x35, 0x60, 0x84, 0x35, 0x14, 0x60, 0x0d, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00,
];

const BOND: u128 = 1_000_000_007;

sol! {
    function create(uint32 gameType, bytes32 rootClaim, bytes extraData) external payable returns (address);
    function deleteL2Outputs(uint256 l2OutputIndex) external;
    function proposeL2Output(bytes32 outputRoot, uint256 l2BlockNumber, bytes32 l1BlockHash, uint256 l1BlockNumber) external payable;
    function nextOutputIndex() external view returns (uint256);
    function latestBlockNumber() external view returns (uint256);
    function getL2OutputIndexAfter(uint256 l2BlockNumber) external view returns (uint256);
    function getL2Output(uint256 index) external view returns (bytes32, uint128, uint128);
}

/// A rollup whose sequencer lies, with the contract that believes proofs on its L1.
struct World {
    devnet: Devnet,
    folder: TempDir,
    manager: ZkServiceManager,
    verifier: Address,
    fork: OptimismFork,
}

async fn submitter(provider: impl Provider + 'static, account: usize) -> Submitter {
    submitter_of(provider, &DEV_ACCOUNTS[account]).await
}

async fn submitter_of(provider: impl Provider + 'static, account: &DevAccount) -> Submitter {
    let policy = SubmitPolicy {
        poll_interval: Duration::from_millis(1),
        confirmations: 0,
        ..SubmitPolicy::default()
    };
    let wallet = EthereumWallet::from(account.signer());
    Submitter::connect(provider, wallet, policy).await.unwrap()
}

impl World {
    /// Two blocks are there, and none of them is a lie.
    async fn new(interval: u64, change: impl FnOnce(&mut OnL1)) -> Self {
        Self::of(OptimismFork::Isthmus, interval, change).await
    }

    async fn of(fork: OptimismFork, interval: u64, change: impl FnOnce(&mut OnL1)) -> Self {
        let config = DevnetConfig {
            l2_fork: fork,
            output_interval: interval,
            ..DevnetConfig::default()
        };
        let devnet = config.build().unwrap();
        for _ in 0..2 {
            devnet.sequencer().produce().unwrap();
        }
        // The oracle takes no outputs from the future.
        devnet.l1().increase_time(3600);
        devnet.l1().mine().unwrap();
        let owner = submitter(devnet.l1().provider(), 0).await;
        let (verifier, _) = owner
            .deploy(Bytes::copy_from_slice(&VERIFIER))
            .await
            .unwrap();
        let rollup = devnet.l2().chain_id();
        let mut config = OnL1 {
            oracle: Some(L2_OUTPUT_ORACLE),
            bond: BOND,
            configs: vec![ZkRules::without_horizon(fork.spec(rollup).hash())],
            programs: vec![ZkProgram {
                id: PROGRAM,
                verifier,
                kind: ProgramKind::Block,
            }],
            ..OnL1::new(rollup, owner.sender())
        };
        change(&mut config);
        let manager = ZkServiceManager::deploy(&owner, &config).await.unwrap();
        Self {
            devnet,
            folder: tempfile::tempdir().unwrap(),
            manager,
            verifier,
            fork,
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The next block is a lie; its evidence lies in the folder.
    async fn lie(&self, lie: Lie) -> Alert {
        let devnet = &self.devnet;
        let deposit = UserDeposit::ether(Address::repeat_byte(0xd0), 5);
        devnet.sequencer().deposit(deposit).unwrap();
        devnet.l1().mine().unwrap();
        devnet.sequencer().lie_next(lie);
        let number = devnet.sequencer().produce().unwrap();
        let l2 = devnet.l2();
        let block = l2.l2_block(number).unwrap();
        let tag = format!("{number:#x}");
        let witness: Witness = (l2.client().request("debug_executionWitness", (tag,)))
            .await
            .unwrap();
        let spec = self.fork.spec(block.chain_id);
        let verdict = verify_block(&spec, &block, &witness).unwrap();
        let fault = verdict.fault().unwrap().clone();
        let alert = Alert::new(&block, &fault);
        let recorded = RecordedBlock {
            block,
            witness,
            source: None,
        };
        let evidence = Evidence::new(spec, recorded, fault).unwrap();
        EvidenceFolder::new(self.folder()).keep(&evidence).unwrap();
        alert
    }

    /// Blocks up to `number`, all of them right.
    fn produce(&self, number: u64) {
        while self.devnet.l2().head() < number {
            self.devnet.sequencer().produce().unwrap();
        }
    }

    /// Proposes every block of the interval up to `number`.
    fn propose(&self, number: u64) {
        let interval = self.devnet.proposer().interval();
        for number in (1..=number).filter(|it| it.is_multiple_of(interval)) {
            self.devnet.proposer().propose(number).unwrap();
        }
    }

    async fn owner(&self) -> Submitter {
        submitter(self.devnet.l1().provider(), 0).await
    }

    /// ZK mode with an empty store and an account that has sent nothing.
    async fn zk(&self) -> ZkMode<MemoryStore> {
        self.zk_of(submitter(self.devnet.l1().provider(), 1).await)
            .await
    }

    async fn zk_of(&self, submitter: Submitter) -> ZkMode<MemoryStore> {
        let l2: RootProvider = self.devnet.l2().provider();
        self.zk_by(submitter, l2, config(), |contract| contract)
            .await
    }

    async fn zk_by(
        &self,
        submitter: Submitter,
        l2: RootProvider,
        config: ZkConfig,
        change: impl FnOnce(L1ZkContract) -> L1ZkContract,
    ) -> ZkMode<MemoryStore> {
        let contract = L1ZkContract::connect(self.manager.clone(), submitter)
            .await
            .unwrap();
        let contract = change(
            contract
                .with_chain(RollupChain::new([l2.clone().erased()]).with_op_nodes([l2.erased()])),
        );
        let evidence = Arc::new(EvidenceFolder::new(self.folder()));
        let config = ZkConfig {
            allow_development: false,
            ..config
        };
        let backend = Arc::new(DigestBackend(Worth::OnChain));
        ZkMode::open(
            MemoryStore::new(),
            Arc::new(contract),
            backend,
            evidence,
            config,
        )
        .await
        .unwrap()
    }

    /// ZK mode with an empty store, and its contract, which looks at what is proposed.
    async fn watching(&self) -> (Arc<L1ZkContract>, ZkMode<MemoryStore>) {
        self.watching_of(MemoryStore::new(), true, config()).await
    }

    /// The same with this store, and with or without an op-node that opens output roots.
    async fn watching_of<S: Store>(
        &self,
        store: S,
        is_opened: bool,
        config: ZkConfig,
    ) -> (Arc<L1ZkContract>, ZkMode<S>) {
        let l2: RootProvider = self.devnet.l2().provider();
        let op_nodes = is_opened.then(|| l2.clone().erased());
        let account = submitter(self.devnet.l1().provider(), 1).await;
        let contract = L1ZkContract::connect(self.manager.clone(), account).await;
        let chain = RollupChain::new([l2.erased()]).with_op_nodes(op_nodes);
        let contract = Arc::new(contract.unwrap().with_chain(chain));
        let config = ZkConfig {
            allow_development: false,
            ..config
        };
        let (to, by) = (Arc::clone(&contract), DigestBackend(Worth::OnChain));
        let folder = Arc::new(EvidenceFolder::new(self.folder()));
        let zk = ZkMode::open(store, to, Arc::new(by), folder, config).await;
        (contract, zk.unwrap())
    }

    /// Has the challenger delete the outputs from an index on; what is proposed next is so at a later time.
    async fn delete_outputs(&self, index: u64) {
        let request = deleteL2OutputsCall {
            l2OutputIndex: U256::from(index),
        };
        let owner = self.owner().await;
        owner.call(L2_OUTPUT_ORACLE, &request).await.unwrap();
        self.devnet.l1().increase_time(12);
        self.devnet.l1().mine().unwrap();
    }

    /// Has the proposer post whatever it is.
    async fn post(&self, root: B256, number: u64) {
        let request = proposeL2OutputCall {
            outputRoot: root,
            l2BlockNumber: U256::from(number),
            l1BlockHash: B256::ZERO,
            l1BlockNumber: U256::ZERO,
        };
        let proposer = submitter_of(self.devnet.l1().provider(), &PROPOSER).await;
        proposer.call(L2_OUTPUT_ORACLE, &request).await.unwrap();
    }

    /// Kinds and heights of all alerts; they are proved, and their bonds are back.
    async fn proved(&self) -> Vec<(Accused, u64)> {
        let alerts = self.manager.alerts(U256::ZERO, 99).await.unwrap();
        let alerts = alerts.into_iter().map(|it| {
            assert_eq!(it.status, Status::Proved);
            assert!(it.bond.is_zero());
            (it.kind, it.blockNumber.to())
        });
        alerts.collect()
    }

    /// [`Self::watching`] an L1 that finalizes nothing for now, unless it `is_final` at once.
    async fn watching_until(&self, is_final: bool) -> (Arc<L1ZkContract>, ZkMode<MemoryStore>) {
        if !is_final {
            self.devnet.l1().set_settling(Settling::Behind {
                safe: 50,
                finalized: 50,
            });
        }
        self.watching().await
    }

    /// The challenger deletes the outputs from the second on, and the proposer posts `root` where the first of them was
    /// convicted.
    async fn convict_again(&self, contract: &L1ZkContract, zk: &ZkMode<MemoryStore>, root: B256) {
        self.delete_outputs(2).await;
        self.post(root, 3).await;
        contract.look(zk).await.unwrap();
        self.devnet.l1().set_settling(Settling::AtOnce);
        let stages = settle(zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        let output = (Accused::OracleOutput, 3);
        assert_eq!(self.proved().await, [output, output]);
        assert_eq!(self.convictions().await, 2);
    }

    async fn convictions(&self) -> u64 {
        let rollup = self.devnet.l2().chain_id();
        self.manager.convictions(rollup).await.unwrap().to()
    }
}

/// A block that nobody published is convicted by its hash, and one whose output is in the oracle
/// convicts the rollup.
#[tokio::test]
async fn the_contract_on_l1_convicts_the_block() {
    for is_published in [false, true] {
        let world = World::new(1, |_| {}).await;
        let alert = world.lie(Lie::MintedBalance).await;
        if is_published {
            world.propose(3);
        }
        let zk = world.zk().await;
        zk.raise(&alert).await.unwrap();
        until(&zk, |it| is_shown(it) || !it.stage.is_open()).await;
        let kind = if is_published {
            Accused::OracleOutput
        } else {
            Accused::BlockHash
        };
        assert_eq!(world.proved().await, [(kind, 3)]);
        assert_eq!(world.convictions().await, u64::from(is_published));

        // What stands on L1 a moment later convicts the rollup, with the same proof and no other bond.
        world.propose(3 * u64::from(!is_published));
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        assert_eq!(world.convictions().await, 1);
        let count = world.proved().await.len();
        assert_eq!(count, if is_published { 1 } else { 2 });

        // Another process with an empty store finds the alert, and that it is proved.
        let again = world.zk().await;
        again.raise(&alert).await.unwrap();
        assert_eq!(settle(&again).await, stages);
        assert_eq!(world.proved().await.len(), count);
    }
}

/// Proposers propose every so many blocks: the first output above the block leads to it.
#[tokio::test]
async fn an_output_of_a_later_block_is_convicted_by_its_ancestor() {
    // Of the last one the way is longer than what fits into a transaction.
    for (interval, proposed) in [(4, 8), (8, 8), (8, 24), (240, 240)] {
        let world = World::new(interval, |_| {}).await;
        let alert = world.lie(Lie::StateRoot).await;
        world.produce(proposed + 2);
        world.propose(proposed);
        let zk = world.zk().await;
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        assert_eq!(world.proved().await, [(Accused::OracleOutput, interval)]);
        assert_eq!(world.convictions().await, 1);
    }
}

/// Before Isthmus the storage root of the message passer comes from a proof of its account.
#[tokio::test]
async fn an_output_of_a_later_block_is_convicted_before_isthmus_too() {
    let world = World::of(OptimismFork::Holocene, 4, |_| {}).await;
    let alert = world.lie(Lie::StateRoot).await;
    world.produce(8);
    world.propose(8);
    let zk = world.zk().await;
    zk.raise(&alert).await.unwrap();
    settle(&zk).await;
    assert_eq!(world.proved().await, [(Accused::OracleOutput, 4)]);
    assert_eq!(world.convictions().await, 1);
}

/// A rollup with dispute games and no oracle. Of games, those of its proposer count.
#[tokio::test]
async fn the_claim_of_a_dispute_game_is_convicted() {
    for (proposer, convictions) in [(PROPOSER.address, 1), (Address::repeat_byte(7), 0)] {
        let world = World::new(4, |config| {
            config.oracle = None;
            config.game_factory = Some(DISPUTE_GAME_FACTORY);
            config.proposer = Some(proposer);
        })
        .await;
        let alert = world.lie(Lie::StateRoot).await;
        world.produce(10);
        world.propose(8);
        let zk = world.zk().await;
        zk.raise(&alert).await.unwrap();
        until(&zk, |it| is_shown(it) || !it.stage.is_open()).await;
        let kind = match convictions {
            0 => (Accused::BlockHash, 3),
            _ => (Accused::GameClaim, 4),
        };
        assert_eq!(world.proved().await, [kind]);
        assert_eq!(world.convictions().await, convictions);
    }
}

/// The rollup proposes by games of another type and by another account, from now on.
async fn changes_games(world: &World, game_type: u32, proposer: Address) {
    let next = Games {
        gameType: game_type,
        proposer,
    };
    let to = world.manager.address();
    let owner = world.owner().await;
    owner
        .call(to, &Z::scheduleGamesCall { next })
        .await
        .unwrap();
    world.devnet.l1().increase_time(61);
    world.devnet.l1().mine().unwrap();
}

/// Of a rollup that proposes by games, and may do so otherwise a minute later.
const fn of_games(config: &mut OnL1, proposer: Address) {
    config.oracle = None;
    config.game_factory = Some(DISPUTE_GAME_FACTORY);
    config.proposer = Some(proposer);
    config.proving_window = Duration::from_secs(60);
    config.delay = Duration::from_secs(60);
}

/// The rollup does not get away with a false claim by making games of another type its own.
#[tokio::test]
async fn a_claim_from_before_the_games_were_changed_is_convicted() {
    for is_wrong_block in [true, false] {
        let world = World::new(1, |config| of_games(config, PROPOSER.address)).await;
        world.propose(2);
        let alert = match is_wrong_block {
            true => world.lie(Lie::StateRoot).await,
            false => output_lie(&world).await,
        };
        world.devnet.proposer().propose(3).unwrap();
        changes_games(&world, 1, Address::repeat_byte(7)).await;
        let zk = world.zk().await;
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        assert_eq!(world.proved().await, [(Accused::GameClaim, 3)]);
        assert_eq!(world.convictions().await, 1);
    }
}

/// Somebody accuses a game of an account that proposes a moment later: that alert convicts nobody.
#[tokio::test]
async fn an_alert_from_before_a_game_was_the_rollups_is_not_the_conviction() {
    let world = World::new(1, |config| of_games(config, Address::repeat_byte(7))).await;
    world.propose(2);
    let alert = output_lie(&world).await;
    world.devnet.proposer().propose(3).unwrap();
    let raise = Raise::GameClaim {
        index: 2,
        expected: B256::ZERO,
    };
    let other = submitter(world.devnet.l1().provider(), 2).await;
    world.manager.raise(&other, &raise).await.unwrap();
    changes_games(&world, 0, PROPOSER.address).await;
    let zk = world.zk().await;
    zk.raise(&alert).await.unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(world.convictions().await, 1);
}

/// Outputs are deleted, and their indexes are given to others: another output is another alert.
#[tokio::test]
async fn an_index_that_was_given_to_another_output_is_another_alert() {
    let world = World::new(1, |_| {}).await;
    let first = world.lie(Lie::MintedBalance).await;
    world.propose(3);
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let zk = world.zk_of(account).await;
    zk.raise(&first).await.unwrap();
    settle(&zk).await;
    assert_eq!(world.convictions().await, 1);

    // The challenger deletes the output, the rollup goes back, and the sequencer lies otherwise.
    let request = deleteL2OutputsCall {
        l2OutputIndex: U256::from(2),
    };
    let owner = world.owner().await;
    owner.call(L2_OUTPUT_ORACLE, &request).await.unwrap();
    world.devnet.l2().rewind(2).unwrap();
    let second = world.lie(Lie::StateRoot).await;
    assert_ne!(first.block.hash, second.block.hash);
    world.devnet.proposer().propose(3).unwrap();
    zk.raise(&second).await.unwrap();
    let stages = settle(&zk).await;
    assert!(
        matches!(&stages[..], [Stage::Done { .. }, Stage::Done { .. }]),
        "{stages:?}"
    );
    let output = (Accused::OracleOutput, 3);
    assert_eq!(world.proved().await, [output, output]);
    assert_eq!(world.convictions().await, 2);
}

/// The same call of the same account about another root, or about one that was posted anew, is another
/// transaction, though nothing else in it differs.
#[tokio::test]
async fn the_intent_of_a_transaction_has_the_root_that_is_accused() {
    let world = World::new(1, |_| {}).await;
    world.propose(2);
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let raise = Raise::OracleOutput {
        index: 0,
        expected: B256::ZERO,
    };
    let raised = async |root, posted_at| {
        let manager = &world.manager;
        let raised = manager.raise_within(&account, &raise, root, posted_at, U256::MAX);
        raised.await.unwrap().to::<u64>()
    };
    let [first, second] = [1, 2].map(B256::repeat_byte);
    assert_eq!(raised(first, 5).await, 0);
    assert_eq!(raised(first, 5).await, 0);
    assert_eq!(raised(second, 5).await, 1);
    assert_eq!(raised(first, 6).await, 2);
}

/// What passes, at the genuine contract: paused, not on the allowlist, a program that is announced only.
#[tokio::test]
async fn what_the_contract_refuses_for_now_is_waited_for() {
    let is_stuck_at = |word: &'static str| {
        move |case: &Case| {
            let trouble = case.trouble.as_ref();
            trouble.is_some_and(|it| it.tries > 3 && it.reason.contains(word))
        }
    };
    let world = World::new(1, |config| {
        config.is_allowlist_enabled = true;
        config.programs.clear();
        config.configs[0].last_block = 2;
        config.proving_window = Duration::from_secs(60);
        config.delay = Duration::from_secs(60);
    })
    .await;
    let owner = world.owner().await;
    let to = world.manager.address();
    let alert = world.lie(Lie::MintedBalance).await;
    world.propose(3);
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let operator = account.sender();
    let zk = world.zk_of(account).await;
    zk.raise(&alert).await.unwrap();

    until(&zk, is_stuck_at("is not registered")).await;
    let added = NewProgram {
        program: PROGRAM,
        verifier: world.verifier,
        kind: ProgramKind::Block,
    };
    owner
        .call(to, &Z::scheduleProgramCall { added })
        .await
        .unwrap();
    until(&zk, is_stuck_at("is not active")).await;
    world.devnet.l1().increase_time(61);
    world.devnet.l1().mine().unwrap();
    // The rules are not said to be those of block 3.
    until(&zk, is_stuck_at("judges blocks up to 2")).await;
    let extended = NewConfig {
        configHash: world.fork.spec(world.devnet.l2().chain_id()).hash(),
        lastBlock: 3,
    };
    owner
        .call(to, &Z::extendConfigCall { extended })
        .await
        .unwrap();
    world.devnet.l1().increase_time(61);
    world.devnet.l1().mine().unwrap();
    until(&zk, is_stuck_at("NotInAllowlist")).await;
    owner
        .call(to, &Z::addToAllowlistCall { operator })
        .await
        .unwrap();
    owner.call(to, &Z::pauseCall {}).await.unwrap();
    until(&zk, is_stuck_at("IsPaused")).await;
    assert_eq!(world.manager.alert_count().await.unwrap(), U256::ZERO);
    owner.call(to, &Z::unpauseCall {}).await.unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(world.convictions().await, 1);
}

/// Somebody has a proof that the block is right. Both are on record then, neither decides anything, and
/// the case waits for the owner.
#[tokio::test]
async fn a_proof_that_says_something_else_is_contradicted_once() {
    let world = World::new(1, |_| {}).await;
    let alert = world.lie(Lie::MintedBalance).await;
    world.propose(3);
    let block = world.devnet.l2().l2_block(3).unwrap();
    let config_hash = world.fork.spec(block.chain_id).hash();
    let hash = alert.block.hash;
    let affirmed = Claim {
        configHash: config_hash,
        parentHash: block.header.parent_hash,
        blockHash: hash,
        blockNumber: 3,
        claimed: hash,
        computed: hash,
        ..Claim::default()
    };
    let (owner, manager) = (world.owner().await, &world.manager);
    let digest = manager.journal_digest(owner.sender(), &affirmed).await;
    let proof = digest.unwrap().into();
    manager
        .record_proof(&owner, PROGRAM, &affirmed, &proof)
        .await
        .unwrap();

    let account = submitter(world.devnet.l1().provider(), 1).await;
    let sender = account.sender();
    let zk = world.zk_of(account).await;
    zk.raise(&alert).await.unwrap();
    let is_waiting = |case: &Case| {
        let trouble = case.trouble.as_ref();
        trouble.is_some_and(|it| it.tries > 4 && it.reason.contains("ContradictingProof"))
    };
    let stages = until(&zk, is_waiting).await;
    assert!(matches!(&stages[..], [Stage::Proved { .. }]), "{stages:?}");
    let kind = ProgramKind::Block;
    let by = manager.contradicted_by(config_hash, hash, kind).await;
    assert_eq!(by.unwrap(), Some(PROGRAM));
    // The alert and the one contradiction, however often it was tried.
    let sent = world.devnet.l1().pending_nonce(sender).unwrap();
    assert_eq!(sent, 2);
    assert_eq!(world.convictions().await, 0);
}

/// A node that fails at the first requests of a kind.
#[derive(Clone)]
struct Ailing {
    inner: DevnetTransport,
    method: &'static str,
    /// What stands in the parameters of those.
    text: String,
    left: Arc<AtomicUsize>,
    ails: Ails,
}

/// What a node does then.
#[derive(Clone)]
enum Ails {
    Fails,
    SaysNothing,
    Says(Bytes),
}

impl Service<RequestPacket> for Ailing {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let request = packet.as_single().unwrap();
        let params = request.params().map_or("", |params| params.get());
        let is_it = request.method() == self.method && params.contains(&self.text);
        if !is_it || super::take(&self.left).is_none() {
            return Box::pin(self.inner.call(packet));
        }
        let payload = match &self.ails {
            Ails::SaysNothing => return Box::pin(std::future::pending()),
            Ails::Fails => ResponsePayload::Failure(ErrorPayload {
                code: -32_000,
                message: "header not found".into(),
                data: None,
            }),
            Ails::Says(answer) => {
                ResponsePayload::Success(serde_json::value::to_raw_value(answer).unwrap())
            }
        };
        let response = Response {
            id: request.id().clone(),
            payload,
        };
        Box::pin(std::future::ready(Ok(ResponsePacket::Single(response))))
    }
}

/// The world's L1, whose node ails at the first `eth_call`s of a kind.
fn ailing_l1(
    world: &World,
    selector: [u8; 4],
    left: &Arc<AtomicUsize>,
    ails: Ails,
) -> RootProvider {
    let node = Ailing {
        inner: world.devnet.l1().transport(),
        method: "eth_call",
        text: hex::encode_prefixed(selector),
        left: Arc::clone(left),
        ails,
    };
    RootProvider::new(RpcClient::new(node, true))
}

/// An answer that is an error says nothing of whether something is published.
#[tokio::test]
async fn a_node_without_an_answer_is_not_one_that_says_no() {
    for selector in [
        nextOutputIndexCall::SELECTOR,
        latestBlockNumberCall::SELECTOR,
        getL2OutputIndexAfterCall::SELECTOR,
        getL2OutputCall::SELECTOR,
    ] {
        let call = hex::encode(selector);
        let world = World::new(1, |_| {}).await;
        let alert = world.lie(Lie::MintedBalance).await;
        world.propose(3);
        let left = Arc::new(AtomicUsize::new(3));
        let l1 = ailing_l1(&world, selector, &left, Ails::Fails);
        let zk = world.zk_of(submitter(l1, 1).await).await;
        zk.raise(&alert).await.unwrap();
        settle(&zk).await;
        assert_eq!(left.load(SeqCst), 0, "{call}");
        assert_eq!(world.proved().await, [(Accused::OracleOutput, 3)], "{call}");
    }
}

/// A look is not waited for without end; the next one goes on with what that one did not come to.
#[tokio::test]
async fn a_block_that_no_node_answers_for_hides_no_wrong_output_root() {
    let world = World::new(1, |_| {}).await;
    let alert = output_lie(&world).await;
    world.propose(3);
    let node = Ailing {
        inner: world.devnet.l2().transport(),
        method: "eth_getBlockByNumber",
        text: "\"0x1\"".to_owned(),
        left: Arc::new(AtomicUsize::new(usize::MAX)),
        ails: Ails::SaysNothing,
    };
    let l2: RootProvider = RootProvider::new(RpcClient::new(node, true));
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let contract = L1ZkContract::connect(world.manager.clone(), account).await;
    let contract = contract
        .unwrap()
        .with_chain(RollupChain::new([l2.erased()]));
    let zk = world.zk().await;
    for _ in 0..60 {
        let look = tokio::time::timeout(Duration::from_secs(5), contract.look(&zk));
        assert!(look.await.is_err());
        if !zk.cases().is_empty() {
            break;
        }
    }
    let found: Vec<Alert> = zk.cases().into_iter().map(|it| it.alert).collect();
    assert_eq!(found, [alert]);
}

/// Anybody may make games. Those of lower heights, and newer ones, do not hide the one that leads to the
/// block, however few are looked at at a time.
#[tokio::test]
async fn claims_that_lead_nowhere_hide_nothing() {
    for at_a_time in [8_192, 64] {
        let world = World::new(4, |config| {
            config.oracle = None;
            config.game_factory = Some(DISPUTE_GAME_FACTORY);
            config.proposer = Some(PROPOSER.address);
        })
        .await;
        let alert = world.lie(Lie::StateRoot).await;
        world.produce(6);
        world.propose(4);
        let [one, other] = [2, 3].map(|it| submitter(world.devnet.l1().provider(), it));
        let (one, other) = (one.await, other.await);
        for decoy in 0..70_u64 {
            let create = createCall {
                gameType: 0,
                rootClaim: B256::from(U256::from(decoy + 1)),
                // The height of the block, and heights above it.
                extraData: (U256::from(3 + decoy % 2)).abi_encode().into(),
            };
            let anybody = if decoy < 35 { &one } else { &other };
            anybody.call(DISPUTE_GAME_FACTORY, &create).await.unwrap();
        }
        let account = submitter(world.devnet.l1().provider(), 1).await;
        let l2 = world.devnet.l2().provider();
        let few = |contract: L1ZkContract| contract.with_games_at_a_time(at_a_time);
        let zk = world.zk_by(account, l2, config(), few).await;
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        let proved = world.proved().await;
        assert_eq!(proved.last(), Some(&(Accused::GameClaim, 4)));
        // Of few, the block itself was accused before the game was found.
        assert_eq!(proved.len(), if at_a_time == 64 { 2 } else { 1 });
        assert_eq!(world.convictions().await, 1);
    }
}

/// A game is found behind as many as one look takes, and another one is made.
#[tokio::test]
async fn a_game_that_was_found_far_down_hides_no_newer_one() {
    let world = World::new(4, |config| of_games(config, PROPOSER.address)).await;
    let alert = world.lie(Lie::StateRoot).await;
    world.produce(10);
    world.propose(4);
    let stranger = submitter(world.devnet.l1().provider(), 2).await;
    for junk in 0..64 {
        let create = createCall {
            gameType: 0,
            rootClaim: B256::from(U256::from(junk + 1)),
            extraData: U256::from(4).abi_encode().into(),
        };
        stranger.call(DISPUTE_GAME_FACTORY, &create).await.unwrap();
    }
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let l2: RootProvider = world.devnet.l2().provider();
    let contract = L1ZkContract::connect(world.manager.clone(), account).await;
    let contract = contract.unwrap().with_games_at_a_time(1);
    let contract = contract.with_chain(RollupChain::new([l2.erased()]));
    let accusation = accusation(&contract, world.folder(), &alert).await;
    let chosen = async || match contract.choose(&accusation).await.unwrap().0 {
        Target::Published(proposal) => Some(proposal.number),
        Target::Block { .. } => None,
    };
    assert_eq!(chosen().await, None);
    assert_eq!(chosen().await, Some(4));
    world.devnet.proposer().propose(8).unwrap();
    assert_eq!(chosen().await, Some(8));
}

/// A node of the rollup that keeps blocks by their hashes which have no number any more, as nodes do.
#[derive(Clone)]
struct Keeping {
    inner: DevnetTransport,
    kept: Arc<Mutex<BTreeMap<String, Box<RawValue>>>>,
}

impl Service<RequestPacket> for Keeping {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let request = packet.as_single().unwrap();
        let params = request.params().map_or("", |params| params.get());
        let hash = params.get(2..68).unwrap_or_default().to_owned();
        let is_by_hash = request.method() == "eth_getBlockByHash";
        let (kept, answer) = (Arc::clone(&self.kept), self.inner.call(packet));
        Box::pin(async move {
            let ResponsePacket::Single(mut response) = answer.await? else {
                panic!("no batch was sent")
            };
            if let ResponsePayload::Success(result) = &mut response.payload {
                let block: serde_json::Value = serde_json::from_str(result.get()).unwrap();
                let mut kept = kept.lock().unwrap();
                if let Some(hash) = block.get("hash") {
                    let hash = hash.as_str().unwrap().to_owned();
                    kept.insert(hash, result.clone());
                } else if is_by_hash && let Some(block) = kept.get(&hash) {
                    *result = block.clone();
                }
            }
            Ok(ResponsePacket::Single(response))
        })
    }
}

/// The sequencer goes back after its lie was proposed: what is on L1 convicts it all the same.
#[tokio::test]
async fn a_rollup_that_went_back_is_convicted_by_what_it_has_proposed() {
    let world = World::new(8, |_| {}).await;
    let alert = world.lie(Lie::StateRoot).await;
    world.produce(10);
    let node = Keeping {
        inner: world.devnet.l2().transport(),
        kept: Arc::default(),
    };
    let l2 = RootProvider::new(RpcClient::new(node, true));
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let zk = world
        .zk_by(account, l2, config(), |contract| contract)
        .await;
    zk.raise(&alert).await.unwrap();
    until(&zk, is_shown).await;

    world.propose(8);
    world.devnet.l2().rewind(2).unwrap();
    world.produce(12);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    let proved = [(Accused::BlockHash, 3), (Accused::OracleOutput, 8)];
    assert_eq!(world.proved().await, proved);
    assert_eq!(world.convictions().await, 1);
}

/// L1 drops the transactions, and they are not sent again by themselves.
#[tokio::test]
async fn a_conviction_that_l1_takes_back_is_brought_there_again() {
    let world = World::new(1, |_| {}).await;
    let l1 = world.devnet.l1();
    l1.set_settling(Settling::Behind {
        safe: 4,
        finalized: 8,
    });
    let alert = world.lie(Lie::MintedBalance).await;
    world.propose(3);
    let height = l1.head();
    let account = submitter(l1.provider(), 1).await;
    let l2 = world.devnet.l2().provider();
    let zk = world.zk_by(account, l2, config(), |it| it).await;
    zk.raise(&alert).await.unwrap();
    let is_convicted = |case: &Case| matches!(case.stage, Stage::Convicted { .. });
    until(&zk, is_convicted).await;
    assert_eq!(world.convictions().await, 1);

    l1.rewind(height).unwrap();
    assert_eq!(world.convictions().await, 0);
    let is_there = async {
        while world.convictions().await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let shutdown = tokio_util::sync::CancellationToken::new();
    tokio::select! {
        () = zk.run(shutdown) => panic!("it ended"),
        () = is_there => {}
    }
    until(&zk, is_convicted).await;
    for _ in 0..8 {
        l1.mine().unwrap();
    }
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(world.proved().await, [(Accused::OracleOutput, 3)]);
}

/// The contract asks for more than the account is to pay.
#[tokio::test]
async fn no_more_is_paid_than_the_highest_bond() {
    let world = World::new(1, |_| {}).await;
    let alert = world.lie(Lie::MintedBalance).await;
    let low = ZkConfig {
        max_bond: U256::from(BOND - 1),
        ..config()
    };
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let l2 = world.devnet.l2().provider();
    let zk = world.zk_by(account, l2, low, |it| it).await;
    zk.raise(&alert).await.unwrap();
    let is_refused = |case: &Case| {
        let trouble = case.trouble.as_ref();
        trouble.is_some_and(|it| it.tries > 2 && it.reason.contains("a bond of 1000000007 wei"))
    };
    until(&zk, is_refused).await;
    assert_eq!(world.manager.alert_count().await.unwrap(), U256::ZERO);
    let lowered = alloy_primitives::aliases::U96::from(BOND - 1);
    let set = Z::setBondCall { bond: lowered };
    (world
        .owner()
        .await
        .call(world.manager.address(), &set)
        .await)
        .unwrap();
    until(&zk, is_shown).await;
    assert_eq!(world.proved().await, [(Accused::BlockHash, 3)]);
}

/// A block that is right, and a wrong output root of it: the alert of a verifier that asks an op-node.
async fn output_lie(world: &World) -> Alert {
    let devnet = &world.devnet;
    devnet.sequencer().lie_next(Lie::OutputRoot);
    let number = devnet.sequencer().produce().unwrap();
    let l2 = devnet.l2();
    let block = l2.l2_block(number).unwrap();
    let tag = format!("{number:#x}");
    let witness: Witness = (l2.client().request("debug_executionWitness", (tag,)))
        .await
        .unwrap();
    let spec = world.fork.spec(block.chain_id);
    let verdict = verify_block(&spec, &block, &witness).unwrap();
    let Verdict::Valid(summary) = verdict else {
        panic!("{verdict:?}")
    };
    let claimed = l2.claimed_output_root(number).unwrap().unwrap();
    // Before Isthmus the witness may not say what is right; that it is wrong is known.
    let unknown = || Mismatch::check(claimed, B256::ZERO).map(Fault::OutputRoot);
    let fault = verify_output_proposal(&summary, claimed).or_else(unknown);
    let fault = fault.unwrap();
    Alert::new(&block, &fault)
}

/// In the EVM: without a proof, without a bond, and before Isthmus with a proof of the account.
#[tokio::test]
async fn a_wrong_output_root_convicts_itself() {
    for (fork, is_game) in [
        (OptimismFork::Isthmus, false),
        (OptimismFork::Isthmus, true),
        (OptimismFork::Holocene, false),
    ] {
        let world = World::of(fork, 1, |config| {
            if is_game {
                config.oracle = None;
                config.game_factory = Some(DISPUTE_GAME_FACTORY);
                config.proposer = Some(PROPOSER.address);
            }
        })
        .await;
        world.propose(2);
        let alert = output_lie(&world).await;
        let zk = world.zk().await;
        zk.raise(&alert).await.unwrap();
        let is_opened = |case: &Case| matches!(case.stage, Stage::Opened);
        until(&zk, is_opened).await;
        assert_eq!(world.manager.alert_count().await.unwrap(), U256::ZERO);
        // The sequencer goes on as if nothing had been.
        world.produce(5);
        world.devnet.proposer().propose(3).unwrap();
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        let kind = match is_game {
            true => Accused::GameClaim,
            false => Accused::OracleOutput,
        };
        assert_eq!(world.proved().await, [(kind, 3)]);
        assert_eq!(world.convictions().await, 1);
        let alert = world.manager.alert(U256::ZERO).await.unwrap();
        assert_eq!(alert.ground, Ground::MessagePasser);
        let contract = world.manager.address();
        let held = world.devnet.l1().balance(contract).unwrap();
        assert!(held.is_zero());
    }
}

/// Somebody has raised an alert about it already, and has no proof: it is convicted all the same.
#[tokio::test]
async fn an_output_root_that_somebody_has_accused_is_convicted() {
    let world = World::new(1, |_| {}).await;
    world.propose(2);
    let alert = output_lie(&world).await;
    world.devnet.proposer().propose(3).unwrap();
    let raise = Raise::OracleOutput {
        index: 2,
        expected: B256::ZERO,
    };
    let other = submitter(world.devnet.l1().provider(), 2).await;
    world.manager.raise(&other, &raise).await.unwrap();
    let zk = world.zk().await;
    zk.raise(&alert).await.unwrap();
    settle(&zk).await;
    assert_eq!(world.proved().await, [(Accused::OracleOutput, 3)]);
    // Once more, with an empty store: it is known that it is convicted.
    let again = world.zk().await;
    again.raise(&alert).await.unwrap();
    let stages = settle(&again).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(world.proved().await.len(), 1);
}

/// A right output root is accused of nothing, and one that nobody opens is given up some day.
#[tokio::test]
async fn an_output_root_that_cannot_be_shown_to_be_wrong_is_given_up() {
    let world = World::new(1, |_| {}).await;
    let alert = output_lie(&world).await;
    world.propose(3);
    let right = world.devnet.l2().claimed_output_root(2).unwrap().unwrap();
    let mut of_a_right_one = alert.clone();
    (of_a_right_one.block.number, of_a_right_one.claimed) = (2, right);
    let mut not_opened = alert;
    not_opened.claimed = B256::repeat_byte(1);
    let hurried = ZkConfig {
        evidence_within: Duration::ZERO,
        give_up_after: Duration::ZERO,
        ..config()
    };
    let account = submitter(world.devnet.l1().provider(), 1).await;
    let l2 = world.devnet.l2().provider();
    let zk = world.zk_by(account, l2, hurried, |it| it).await;
    for (alert, words) in [
        (of_a_right_one, "is that of the block that it names"),
        (not_opened, "no op-node says"),
    ] {
        zk.raise(&alert).await.unwrap();
        settle(&zk).await;
        let told = zk.cases().into_iter().any(|case| match case.stage {
            Stage::GivenUp { reason, .. } => reason.contains(words),
            _ => false,
        });
        assert!(told, "{words}: {:?}", zk.cases());
    }
    assert_eq!(world.manager.alert_count().await.unwrap(), U256::ZERO);
}

/// The proposer posts what its rollup's nodes do not have. No verifier says so: it stands on L1.
#[tokio::test]
async fn an_output_root_on_l1_that_no_block_has_is_noticed() {
    for (is_game, is_opened) in [(false, true), (true, true), (false, false)] {
        let world = World::new(1, |config| {
            if is_game {
                config.oracle = None;
                config.game_factory = Some(DISPUTE_GAME_FACTORY);
                config.proposer = Some(PROPOSER.address);
            }
        })
        .await;
        let alert = output_lie(&world).await;
        world.propose(3);
        // Games of others are none of it.
        let stranger = submitter(world.devnet.l1().provider(), 2).await;
        let create = createCall {
            gameType: 0,
            rootClaim: B256::repeat_byte(7),
            extraData: U256::from(2).abi_encode().into(),
        };
        stranger.call(DISPUTE_GAME_FACTORY, &create).await.unwrap();
        let told = ZkConfig {
            evidence_within: Duration::ZERO,
            ..config()
        };
        let (contract, zk) = world.watching_of(MemoryStore::new(), is_opened, told).await;
        for _ in 0..2 {
            contract.look(&zk).await.unwrap();
        }
        let found: Vec<Alert> = zk.cases().into_iter().map(|it| it.alert).collect();
        assert_eq!(found, std::slice::from_ref(&alert));
        if is_opened {
            let stages = settle(&zk).await;
            assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
            assert_eq!(world.convictions().await, 1);
        } else {
            // Its own nodes have the block of a right one, by now at least.
            let right = world.devnet.l2().claimed_output_root(2).unwrap().unwrap();
            let mut of_a_right_one = alert.clone();
            (of_a_right_one.block.number, of_a_right_one.claimed) = (2, right);
            zk.raise(&of_a_right_one).await.unwrap();
            until(&zk, |case| case.alert == alert || !case.stage.is_open()).await;
            // Somebody has to look.
            let is_told = |case: &Case| {
                let tries = case.trouble.as_ref().map_or(0, |it| it.tries);
                tries > 2 || !case.stage.is_open()
            };
            until(&zk, is_told).await;
        }
        // What is right is left alone.
        let number = world.devnet.sequencer().produce().unwrap();
        world.devnet.proposer().propose(number).unwrap();
        contract.look(&zk).await.unwrap();
        assert_eq!(zk.cases().len(), 1 + usize::from(!is_opened));
    }
}

const fn is_convicted(case: &Case, is_final: bool) -> bool {
    match is_final {
        true => matches!(case.stage, Stage::Done { .. }),
        false => matches!(case.stage, Stage::Convicted { .. }),
    }
}

/// The challenger deletes a false output, and the proposer posts the same again: before its conviction is final, or later.
#[tokio::test]
async fn a_false_output_that_is_proposed_again_convict_again() {
    for is_final in [true, false] {
        let world = World::new(1, |_| {}).await;
        world.propose(2);
        let alert = output_lie(&world).await;
        world.post(alert.claimed, 3).await;
        let (contract, zk) = world.watching_until(is_final).await;
        contract.look(&zk).await.unwrap();
        let is_convicted = |case: &Case| is_convicted(case, is_final);
        until(&zk, is_convicted).await;
        assert_eq!(world.convictions().await, 1);

        world.convict_again(&contract, &zk, alert.claimed).await;
    }
}

/// The same block is wrong for as long as it stands, and so is every output that leads to it, with the proof that there is.
#[tokio::test]
async fn an_output_over_a_wrong_block_that_is_proposed_again_convict_again() {
    for is_final in [true, false] {
        let world = World::new(1, |_| {}).await;
        let alert = world.lie(Lie::StateRoot).await;
        world.propose(3);
        let (contract, zk) = world.watching_until(is_final).await;
        zk.raise(&alert).await.unwrap();
        let is_convicted = |case: &Case| is_convicted(case, is_final);
        until(&zk, is_convicted).await;
        // What was proposed before is no news.
        contract.look(&zk).await.unwrap();
        assert!(zk.cases().iter().all(is_convicted));
        assert_eq!(world.convictions().await, 1);

        // Nothing is proved again.
        std::fs::remove_dir_all(world.folder()).unwrap();
        let root = world.devnet.l2().claimed_output_root(3).unwrap().unwrap();
        world.convict_again(&contract, &zk, root).await;
    }
}

/// Every output that stands on a wrong block is false, also above one that is convicted and stands.
#[tokio::test]
async fn each_output_that_is_proposed_over_a_wrong_block_is_convicted() {
    for is_final in [true, false] {
        let world = World::new(1, |_| {}).await;
        let alert = world.lie(Lie::StateRoot).await;
        world.propose(3);
        let (contract, zk) = world.watching_until(is_final).await;
        zk.raise(&alert).await.unwrap();
        until(&zk, |case| is_convicted(case, is_final)).await;

        world.produce(6);
        for number in 4..=6 {
            world.devnet.proposer().propose(number).unwrap();
        }
        contract.look(&zk).await.unwrap();
        world.devnet.l1().set_settling(Settling::AtOnce);
        settle(&zk).await;
        let outputs = [3, 4, 5, 6].map(|number| (Accused::OracleOutput, number));
        assert_eq!(world.proved().await, outputs);
        assert_eq!(world.convictions().await, 4);
    }
}

/// The process ends before what it has seen is looked for.
#[tokio::test]
async fn what_was_proposed_before_a_restart_is_convicted_after_it() {
    let world = World::new(1, |_| {}).await;
    let alert = world.lie(Lie::StateRoot).await;
    world.propose(3);
    world.devnet.l1().set_settling(Settling::Behind {
        safe: 50,
        finalized: 50,
    });
    let store = Arc::new(MemoryStore::new());
    let (contract, zk) = (world.watching_of(Arc::clone(&store), true, config())).await;
    zk.raise(&alert).await.unwrap();
    until(&zk, |case| is_convicted(case, false)).await;
    world.produce(4);
    world.devnet.proposer().propose(4).unwrap();
    contract.look(&zk).await.unwrap();
    drop(zk);

    world.devnet.l1().set_settling(Settling::AtOnce);
    let (_, zk) = world.watching_of(store, true, config()).await;
    settle(&zk).await;
    let outputs = [3, 4].map(|number| (Accused::OracleOutput, number));
    assert_eq!(world.proved().await, outputs);
}

/// A node of L1 that is behind does not know the rules of the block for a moment.
#[tokio::test]
async fn a_node_without_the_rules_hides_nothing_that_is_proposed_again() {
    let mut world = World::new(1, |_| {}).await;
    let alert = world.lie(Lie::StateRoot).await;
    world.propose(3);
    let left = Arc::new(AtomicUsize::new(0));
    let nothing = Ails::Says(U256::ZERO.abi_encode().into());
    let l1 = ailing_l1(&world, Z::horizonCall::SELECTOR, &left, nothing);
    world.manager = ZkServiceManager::new(l1, world.manager.address());
    let (contract, zk) = world.watching().await;
    zk.raise(&alert).await.unwrap();
    settle(&zk).await;

    world.delete_outputs(2).await;
    let root = world.devnet.l2().claimed_output_root(3).unwrap().unwrap();
    world.post(root, 3).await;
    left.store(1, SeqCst);
    contract.look(&zk).await.unwrap();
    assert_eq!(left.load(SeqCst), 0);
    contract.look(&zk).await.unwrap();
    settle(&zk).await;
    assert_eq!(world.convictions().await, 2);
}

/// Somebody else convicted it, or a process that kept no proof: another bond for the same block is not paid.
#[tokio::test]
async fn without_a_proof_that_is_kept_no_bond_is_paid_again() {
    let world = World::new(1, |_| {}).await;
    let alert = world.lie(Lie::StateRoot).await;
    world.propose(3);
    let store = Arc::new(MemoryStore::new());
    let (contract, zk) = (world.watching_of(Arc::clone(&store), true, config())).await;
    zk.raise(&alert).await.unwrap();
    until(&zk, |case| matches!(case.stage, Stage::Done { .. })).await;
    let rows = store.scan(Table::Zk, &[], None, 10).await.unwrap();
    // The case, and its proof behind it.
    let [(case, _), (proof, _)] = rows.as_slice() else {
        panic!("{} rows", rows.len());
    };
    assert!(proof.starts_with(case));
    let forgotten = Change {
        table: Table::Zk,
        key: proof.clone(),
        expected: Expected::Anything,
        value: None,
    };
    let written = store.write(vec![forgotten]).await.unwrap();
    assert_eq!(written, Written::Applied);

    world.delete_outputs(2).await;
    let root = world.devnet.l2().claimed_output_root(3).unwrap().unwrap();
    world.post(root, 3).await;
    contract.look(&zk).await.unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(world.proved().await, [(Accused::OracleOutput, 3)]);
}

/// An op-node claims roots without end, which nobody opens. What was seen on L1 is forgotten last, by the next process too.
#[tokio::test]
async fn lies_without_end_push_out_no_output_root_that_stands_on_l1() {
    for is_claimed_first in [false, true] {
        let world = World::new(1, |_| {}).await;
        let alert = output_lie(&world).await;
        world.propose(3);
        let store = Arc::new(MemoryStore::new());
        let few = ZkConfig {
            max_outputs: 4,
            ..config()
        };
        for lies in [1..10_u64, 10..20] {
            let (contract, zk) = world.watching_of(Arc::clone(&store), false, few).await;
            if lies.contains(&1) {
                if is_claimed_first {
                    zk.raise(&alert).await.unwrap();
                }
                contract.look(&zk).await.unwrap();
            }
            for lie in lies {
                let claimed = B256::from(U256::from(lie));
                let mut alert = Alert {
                    claimed,
                    ..alert.clone()
                };
                alert.block.number += lie;
                zk.raise(&alert).await.unwrap();
            }
            let left: Vec<Alert> = zk.cases().into_iter().map(|it| it.alert).collect();
            assert_eq!(left.len(), 4);
            assert!(left.contains(&alert), "{left:?}");
        }
    }
}

/// Games of a root may be right and wrong: whoever claims it of the height that it is of says the truth.
#[tokio::test]
async fn a_root_that_is_right_in_one_place_is_convicted_where_it_is_wrong() {
    let world = World::new(1, |config| {
        config.game_factory = Some(DISPUTE_GAME_FACTORY);
        config.proposer = Some(PROPOSER.address);
    })
    .await;
    world.produce(3);
    // In the oracle and in a game, for block 3.
    world.propose(3);
    let l2 = world.devnet.l2();
    let [right, root] = [2, 3].map(|number| l2.claimed_output_root(number).unwrap().unwrap());
    let create = createCall {
        gameType: 0,
        rootClaim: root,
        extraData: U256::from(2).abi_encode().into(),
    };
    let proposer = submitter_of(world.devnet.l1().provider(), &PROPOSER).await;
    proposer.call(DISPUTE_GAME_FACTORY, &create).await.unwrap();

    let block = l2.l2_block(2).unwrap();
    let fault = Mismatch::check(root, right).map(Fault::OutputRoot).unwrap();
    let alert = Alert::new(&block, &fault);
    let header = l2.l2_block(3).unwrap().header.inner().clone();
    let opened = Descent {
        state_root: header.state_root,
        message_passer: header.withdrawals_root.unwrap(),
        block_hash: header.hash_slow(),
        headers: vec![alloy_rlp::encode(&header).into()],
        account_proof: Vec::new(),
    };
    let (contract, _) = world.watching().await;
    let convicted = contract.convict(&alert, &opened).await.unwrap();
    let Some((_, Target::Published(proposal))) = convicted else {
        panic!("{convicted:?}")
    };
    assert_eq!((proposal.root, proposal.number), (root, 2));
    assert_eq!(world.proved().await, [(Accused::GameClaim, 2)]);
    assert_eq!(world.convictions().await, 1);
}

/// L1 fails when the game was found, and there are more games than one look takes: the next one does not begin behind it, nor
/// does it once the game is convicted.
#[tokio::test]
async fn a_game_whose_conviction_failed_is_looked_at_again() {
    let world = World::new(1, |config| of_games(config, PROPOSER.address)).await;
    world.propose(2);
    let stranger = submitter(world.devnet.l1().provider(), 2).await;
    for junk in 0..63 {
        let create = createCall {
            gameType: 0,
            rootClaim: B256::from(U256::from(junk + 1)),
            extraData: U256::from(3).abi_encode().into(),
        };
        stranger.call(DISPUTE_GAME_FACTORY, &create).await.unwrap();
    }
    let alert = output_lie(&world).await;
    world.devnet.proposer().propose(3).unwrap();
    let left = Arc::new(AtomicUsize::new(0));
    let l1 = ailing_l1(&world, Z::getAlertsLengthCall::SELECTOR, &left, Ails::Fails);
    let manager = ZkServiceManager::new(l1.clone(), world.manager.address());
    let l2: RootProvider = world.devnet.l2().provider();
    let chain = RollupChain::new([l2.clone().erased()]).with_op_nodes([l2.erased()]);
    let contract = L1ZkContract::connect(manager, submitter(l1, 1).await).await;
    let contract = contract.unwrap().with_chain(chain).with_games_at_a_time(1);
    let opened = contract.open(&alert).await.unwrap().unwrap();
    left.store(1, SeqCst);
    assert!(contract.convict(&alert, &opened).await.is_err());
    assert_eq!(left.load(SeqCst), 0);
    assert!(contract.convict(&alert, &opened).await.unwrap().is_some());
    assert_eq!(world.proved().await, [(Accused::GameClaim, 3)]);
    assert_eq!(world.convictions().await, 1);

    // Claimed once more, of another block.
    let create = createCall {
        gameType: 0,
        rootClaim: alert.claimed,
        extraData: U256::from(4).abi_encode().into(),
    };
    let proposer = submitter_of(world.devnet.l1().provider(), &PROPOSER).await;
    proposer.call(DISPUTE_GAME_FACTORY, &create).await.unwrap();
    assert!(contract.convict(&alert, &opened).await.unwrap().is_some());
    let proved = [(Accused::GameClaim, 3), (Accused::GameClaim, 4)];
    assert_eq!(world.proved().await, proved);
}

/// Right outputs were looked at, and are replaced before the next look: there are no fewer then than before.
#[tokio::test]
async fn an_output_that_took_the_place_of_another_is_looked_at() {
    let world = World::new(1, |_| {}).await;
    world.produce(4);
    world.propose(4);
    let (contract, zk) = world.watching().await;
    contract.look(&zk).await.unwrap();
    assert_eq!(zk.cases(), []);
    world.delete_outputs(1).await;
    let right = |number| world.devnet.l2().claimed_output_root(number);
    let right = |number| right(number).unwrap().unwrap();
    let wrong = B256::repeat_byte(7);
    for (root, number) in [(wrong, 2), (right(3), 3), (right(4), 4)] {
        world.post(root, number).await;
    }
    contract.look(&zk).await.unwrap();
    let found: Vec<_> = (zk.cases().into_iter())
        .map(|case| (case.alert.block.number, case.alert.claimed))
        .collect();
    assert_eq!(found, [(2, wrong)]);
}

/// The games of a rollup come one an hour, and those of others may come with every block.
#[tokio::test]
async fn games_that_others_made_hide_none_of_the_rollups_own() {
    let world = World::new(1, |config| of_games(config, PROPOSER.address)).await;
    world.propose(2);
    let alert = output_lie(&world).await;
    world.devnet.proposer().propose(3).unwrap();
    for stranger in 2..5 {
        let account = submitter(world.devnet.l1().provider(), stranger).await;
        for junk in 0..50 {
            let create = createCall {
                gameType: 0,
                rootClaim: B256::from(U256::from(100 * stranger + junk)),
                extraData: U256::from(3).abi_encode().into(),
            };
            account.call(DISPUTE_GAME_FACTORY, &create).await.unwrap();
        }
    }
    let (contract, zk) = world.watching().await;
    for _ in 0..3 {
        contract.look(&zk).await.unwrap();
    }
    let found: Vec<Alert> = zk.cases().into_iter().map(|it| it.alert).collect();
    assert_eq!(found, [alert]);
}

/// A rollup that has an oracle and games, and claims the same by both.
#[tokio::test]
async fn a_false_root_is_convicted_wherever_it_stands() {
    let world = World::new(1, |config| {
        config.game_factory = Some(DISPUTE_GAME_FACTORY);
        config.proposer = Some(PROPOSER.address);
    })
    .await;
    world.propose(2);
    output_lie(&world).await;
    world.devnet.proposer().propose(3).unwrap();
    let (contract, zk) = world.watching().await;
    contract.look(&zk).await.unwrap();
    settle(&zk).await;
    let proved = [(Accused::OracleOutput, 3), (Accused::GameClaim, 3)];
    assert_eq!(world.proved().await, proved);
    assert_eq!(world.convictions().await, 2);
}
