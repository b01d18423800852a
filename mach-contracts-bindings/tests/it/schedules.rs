//! Whatever the node, the chain and the process do, each alert is confirmed exactly once.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, U256};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_types_eth::Filter;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolEvent;
use futures::future::join_all;
use mach_contracts_bindings::{
    Account, AttemptLog, ContractConfirmer, FileLog, Finished, LogError, Outcome, Record,
    SubmitPolicy, Submitter, abi::IMachServiceManager as I,
};
use mach_core::{Certificate, ports::StatementConfirmer};
use mach_devnet::{DEV_ACCOUNTS, Mining};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::{
    clients::{L1, Network, alert},
    faulty::Faults,
};

const ALERTS: u64 = 3;
/// Deeper than any reorganisation of the schedules.
const DEEP: u64 = 70;

const POLICY: SubmitPolicy = SubmitPolicy {
    poll_interval: Duration::from_millis(2),
    resend_after: 2,
    give_up_after: 60,
    confirmations: 2,
    finality: 96,
    fee_bump: 20,
    gas_margin: 50,
    max_fee_per_gas: SubmitPolicy::MAX_FEE_PER_GAS,
};

/// A chain that does what the schedule says.
struct World {
    network: Network,
    // Ends with the world.
    _anvil: Option<Anvil>,
}

impl World {
    async fn devnet() -> Self {
        let network = Network::start().await;
        if let L1::Devnet(chain) = &network.l1 {
            chain.set_mining(Mining::Manual);
        }
        Self {
            network,
            _anvil: None,
        }
    }

    async fn anvil(path: &Path) -> Self {
        let anvil = Anvil::spawn(path);
        let provider = RootProvider::new_http(anvil.url.parse().unwrap());
        let automine = async |on: bool| {
            let _: Value = provider
                .raw_request("evm_setAutomine".into(), (on,))
                .await
                .unwrap();
        };
        automine(true).await;
        let network = Network::start_on(L1::Node(provider.clone())).await;
        automine(false).await;
        Self {
            network,
            _anvil: Some(anvil),
        }
    }

    async fn ask<P: serde::Serialize>(&self, method: &'static str, params: P) -> Value {
        let params = serde_json::to_value(params).unwrap();
        let provider = self.network.l1.provider();
        provider.raw_request(method.into(), params).await.unwrap()
    }

    async fn mine(&self, blocks: u64) {
        match &self.network.l1 {
            L1::Devnet(chain) => {
                for _ in 0..blocks {
                    chain.mine().unwrap();
                }
            }
            L1::Node(_) => {
                self.ask("anvil_mine", [U256::from(blocks)]).await;
            }
        }
    }

    /// Puts other blocks, without the transactions, in the place of the newest ones.
    async fn reorganise(&self, depth: u64) {
        match &self.network.l1 {
            L1::Devnet(chain) => {
                let head = u64::from(self.network.head().await);
                chain.increase_time(60);
                chain.rewind(head - depth).unwrap();
                self.mine(depth + 1).await;
            }
            L1::Node(_) => {
                self.ask("anvil_reorg", (depth, Vec::<Value>::new())).await;
            }
        }
    }

    /// Has the node forget what waits.
    async fn drop_waiting(&self, sender: Address) {
        let L1::Node(_) = &self.network.l1 else {
            // There, lines swallow transactions and that is all.
            return;
        };
        let pool = self.ask("txpool_content", ()).await;
        for queue in ["pending", "queued"] {
            let Some(accounts) = pool[queue].as_object() else {
                continue;
            };
            let own = accounts.iter().filter(|(account, _)| {
                account
                    .parse::<Address>()
                    .is_ok_and(|account| account == sender)
            });
            for transaction in own.flat_map(|(_, waiting)| waiting.as_object().unwrap().values()) {
                let hash = transaction["hash"].clone();
                // It may have been included meanwhile.
                self.ask("anvil_dropTransaction", [hash]).await;
            }
        }
    }

    /// The next block costs ten times as much as this one.
    async fn spike(&self) {
        let L1::Node(provider) = &self.network.l1 else {
            return;
        };
        let latest = provider
            .get_block_by_number(Default::default())
            .await
            .unwrap()
            .unwrap();
        let fee = u128::from(latest.header.base_fee_per_gas.unwrap()) * 10;
        // No higher than the ceiling of the submitter.
        let fee = U256::from(fee.min(SubmitPolicy::MAX_FEE_PER_GAS / 2));
        self.ask("anvil_setNextBlockBaseFeePerGas", [fee]).await;
    }

    /// An account that has never sent anything, and is rich even where a reorganisation goes back to.
    async fn sender(&self, rng: &mut StdRng) -> PrivateKeySigner {
        match &self.network.l1 {
            L1::Devnet(_) => DEV_ACCOUNTS[rng.random_range(5..9)].signer(),
            L1::Node(_) => {
                let signer = PrivateKeySigner::from_slice(&rng.random::<[u8; 32]>()).unwrap();
                let wealth = U256::from(10).pow(U256::from(24));
                self.ask("anvil_setBalance", (signer.address(), wealth))
                    .await;
                signer
            }
        }
    }
}

/// One schedule: alerts that have to be confirmed while everything goes wrong.
struct Schedule<'a> {
    world: &'a World,
    faults: Faults,
    signer: PrivateKeySigner,
    certificates: Vec<Certificate>,
    log: PathBuf,
}

impl Schedule<'_> {
    async fn run(world: &World, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let directory = tempfile::tempdir().unwrap();
        let signer = world.sender(&mut rng).await;
        let mut certificates = Vec::new();
        for number in 0..ALERTS {
            let statement = alert(seed * ALERTS + number);
            let absent: &[usize] = if rng.random() { &[1] } else { &[] };
            certificates.push(world.network.certificate(statement, absent).await);
        }
        world.mine(DEEP).await;
        let schedule = Schedule {
            world,
            faults: Faults::new(StdRng::from_rng(&mut rng)),
            signer,
            certificates,
            log: directory.path().join("attempts.jsonl"),
        };
        tokio::select! {
            () = schedule.live(StdRng::from_rng(&mut rng)) => {}
            () = schedule.disturb(rng.clone()) => {}
        }
        schedule.check().await;
    }

    /// Starts the process again and again, until one comes to its end.
    async fn live(&self, mut rng: StdRng) {
        let mut confirmed = vec![false; self.certificates.len()];
        loop {
            let patience = Duration::from_millis(rng.random_range(10..200));
            let is_last = self.faults.is_over();
            tokio::select! {
                done = self.once(&mut confirmed) => if done { return },
                () = tokio::time::sleep(patience), if !is_last => {}
            }
        }
    }

    /// One process, from its start to the last transaction's finality.
    async fn once(&self, confirmed: &mut [bool]) -> bool {
        let node = self.faults.line(&self.world.network.l1.provider());
        let wallet = EthereumWallet::from(self.signer.clone());
        let Ok(log) = FileLog::open(&self.log) else {
            // A child that another lane has just forked holds the lock until it is another program.
            tokio::time::sleep(POLICY.poll_interval).await;
            return false;
        };
        let Ok(submitter) = Submitter::resume(node, wallet, POLICY, log).await else {
            return false;
        };
        let contracts = &self.world.network.contracts;
        let manager = contracts.service_manager;
        let retriever = contracts.operator_state_retriever;
        let Ok(confirmer) = ContractConfirmer::connect(submitter, manager, retriever).await else {
            return false;
        };
        let work = self.certificates.iter().zip(confirmed);
        join_all(work.map(|(certificate, confirmed)| {
            let confirmer = &confirmer;
            async move {
                while !*confirmed {
                    match confirmer.confirm(certificate).await {
                        Ok(_) => *confirmed = true,
                        Err(_) => tokio::time::sleep(POLICY.poll_interval).await,
                    }
                }
            }
        }))
        .await;
        let submitter = confirmer.submitter();
        // While things go wrong, what was confirmed can still be undone.
        while !self.faults.is_over() || submitter.tend().await.unwrap_or(usize::MAX) > 0 {
            let _ = submitter.tend().await;
            tokio::time::sleep(POLICY.poll_interval).await;
        }
        true
    }

    async fn disturb(&self, mut rng: StdRng) {
        let sender = self.signer.address();
        for _ in 0..rng.random_range(20..80) {
            match rng.random_range(0..100) {
                0..55 => self.world.mine(1).await,
                55..61 => self.world.mine(5).await,
                61..73 => self.world.drop_waiting(sender).await,
                73..78 => self.world.spike().await,
                78..83 => {
                    let depth = *[1, 1, 10, 64].get(rng.random_range(0..4)).unwrap();
                    self.world.reorganise(depth).await;
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(rng.random_range(1..8))).await;
        }
        self.faults.end();
        // The rest of the story is blocks.
        loop {
            self.world.mine(10).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Counts what happened, asking the node itself.
    async fn check(&self) {
        let provider = self.world.network.l1.provider();
        let sender = self.signer.address();
        let account = Account {
            chain_id: provider.get_chain_id().await.unwrap(),
            address: sender,
        };
        let mut log = FileLog::open(&self.log);
        while matches!(log, Err(LogError::InUse(_))) {
            tokio::time::sleep(POLICY.poll_interval).await;
            log = FileLog::open(&self.log);
        }
        let records = log.unwrap().load(account).unwrap();
        let mut finished: Vec<Finished> = Vec::new();
        for record in records {
            match record {
                Record::Finished(one) => finished.push(one),
                Record::Attempt { .. } => {}
            }
        }
        finished.sort_unstable_by_key(|one| one.nonce);

        // No nonce was used for anything that is not on record, and none was left out.
        let used = provider.get_transaction_count(sender).await.unwrap();
        let first = used - finished.len() as u64;
        let nonces: Vec<u64> = finished.iter().map(|one| one.nonce).collect();
        assert_eq!(nonces, (first..used).collect::<Vec<_>>());
        for one in &finished {
            assert_eq!(one.outcome, Outcome::Succeeded, "{one:?}");
            let receipt = provider
                .get_transaction_receipt(one.transaction)
                .await
                .unwrap()
                .unwrap();
            assert!(receipt.status());
            assert_eq!(receipt.from, sender);
        }

        for certificate in &self.certificates {
            let digest = certificate.digest();
            let sent = finished.iter().filter(|one| one.intent == digest).count();
            assert_eq!(sent, 1, "transactions for {digest}");
            let raised = [
                I::RollupAlertRaised::SIGNATURE_HASH,
                I::AlertConfirmed::SIGNATURE_HASH,
            ];
            for event in raised {
                assert_eq!(self.events(event, digest).await, 1, "events for {digest}");
            }
        }
    }

    /// How often the service manager emitted an event about `digest`.
    async fn events(&self, event: B256, digest: B256) -> usize {
        let filter = Filter::new()
            .address(self.world.network.contracts.service_manager)
            .event_signature(event)
            .from_block(0);
        let provider = self.world.network.l1.provider();
        let logs = provider.get_logs(&filter).await.unwrap();
        let is_about = |topics: &[B256], data: &[u8]| {
            topics.iter().skip(1).any(|topic| *topic == digest) || data == digest.as_slice()
        };
        logs.iter()
            .filter(|log| is_about(log.topics(), &log.data().data))
            .count()
    }
}

async fn run(world: &World, seed: u64) {
    println!("schedule {seed}");
    let schedule = Schedule::run(world, seed);
    tokio::time::timeout(Duration::from_secs(600), schedule)
        .await
        .unwrap_or_else(|_| panic!("schedule {seed} does not end"));
}

/// `MACH_SCHEDULES`, or `default`; from seed `MACH_SEED` on, or 0.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number =
        |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let first = number("MACH_SEED", 0);
    first..first + number("MACH_SCHEDULES", default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_confirmed_once_in_every_schedule() {
    let runs = (0..2).map(|lane| {
        tokio::spawn(async move {
            for seed in seeds(10).filter(|seed| seed % 2 == lane) {
                let world = World::devnet().await;
                run(&world, seed).await;
            }
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
}

/// With the anvil at `MACH_ANVIL` or in the path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_confirmed_once_in_every_schedule_on_anvil() {
    const LANES: u64 = 4;
    let Some(path) = Anvil::find() else {
        println!("skipped: there is no anvil at MACH_ANVIL or in the path");
        return;
    };
    let runs = (0..LANES).map(|lane| {
        let path = path.clone();
        tokio::spawn(async move {
            let mut world = World::anvil(&path).await;
            for seed in seeds(40).filter(|seed| seed % LANES == lane) {
                // Anvil reorganises into nothing once it has put old states away.
                if world.network.head().await > 700 {
                    world = World::anvil(&path).await;
                }
                run(&world, seed).await;
            }
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
}

/// A node of another make, for as long as this lives.
struct Anvil {
    process: Child,
    url: String,
}

impl Anvil {
    fn find() -> Option<PathBuf> {
        if let Ok(path) = std::env::var("MACH_ANVIL") {
            return Some(path.into());
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|directory| directory.join("anvil"))
            .find(|file| file.is_file())
    }

    fn spawn(path: &Path) -> Self {
        let mut process = Command::new(path)
            .args(["--port", "0", "--no-mining"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(process.stdout.take().unwrap());
        let mut lines = output.lines().map(Result::unwrap);
        let address = lines
            .find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil says where it listens");
        // It stops when nobody reads what it writes.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            url: format!("http://{address}"),
        }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
