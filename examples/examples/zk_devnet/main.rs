//! ZK mode on a devnet: the proposer posts a false output root and a false block, and nobody needs a quorum.
//!
//! ```sh
//! cargo run --release --example zk_devnet
//! cargo run --release --example zk_devnet -- --openvm [--prover PATH]
//! ```
//!
//! The first run fetches two crates with RISC Zero's contracts and a receipt; without them that part is left out.
//!
//! What it shows of `submitProve`, and what it does not: the receipt that RISC Zero ships is genuine and about another journal,
//! and making one about ours takes a prover that is rented. So the adapter over the genuine verifier takes that receipt for its
//! own journal, and the same receipt handed to `submitProve` for our journal gets through to the same verifier, which refuses
//! it. No run of this example has a receipt that convicts the block.

#![allow(clippy::print_stdout, reason = "the example tells what happens")]

#[path = "../../../mach-contracts-bindings/tests/it/zk/genuine.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod genuine;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy_eips::BlockId;
use alloy_network::EthereumWallet;
use alloy_primitives::{B256, Bytes, FixedBytes, U256};
use alloy_provider::{Provider, RootProvider};
use alloy_sol_types::SolCall;
use clap::Parser;
use eyre::{ContextCompat, bail, ensure};
use mach_contracts_bindings::{
    SubmitPolicy, Submitter,
    zk::{
        Raise, Verifier, ZkBlockTimes, ZkConfig, ZkProgram, ZkRules, ZkServiceManager,
        abi::{Claim, IMachZkServiceManager, IProofVerifier, Opening, Path, ProgramKind, Status},
        deploy_verifier,
    },
};
use mach_devnet::{DEV_ACCOUNTS, Devnet, DevnetConfig, L2_OUTPUT_ORACLE, Lie};
use mach_prove::{
    BackendName, BlockInput, Context, Journal, ProcessBackend, Progress, ProofBackend,
    ProofRequest, Task,
};
use mach_verify::{output_root, source::WitnessSource};
use sha2::{Digest, Sha256};

/// Four bytes that the seals of RISC Zero 3.0 begin with.
const RISC_ZERO: FixedBytes<4> = FixedBytes([0x73, 0xc4, 0x57, 0xba]);
/// Wei that an alert costs until it is proved.
const BOND: u128 = 100_000_000_000_000_000;

/// A false output root is convicted in the EVM, a false block by a proof.
#[derive(Parser)]
struct Args {
    /// Prove the false block with OpenVM: some minutes, and some gigabytes of memory
    #[arg(long)]
    openvm: bool,

    /// The prover; `mach-prover-openvm` on the PATH if it is not given
    #[arg(long, requires = "openvm")]
    prover: Option<PathBuf>,

    /// Where the prover keeps the proof that it has made, so that a second run finds it
    #[arg(long, default_value = "target/zk_devnet", requires = "openvm")]
    work_dir: PathBuf,
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let args = Args::parse();
    let stage = Stage::new().await?;
    let (honest, false_root, false_block) = stage.publish()?;

    let risc_zero = match genuine::RiscZero::load() {
        Ok(parts) => Some(parts),
        Err(error) => {
            stage.say(&format!("without RISC Zero's contracts: {error}"));
            None
        }
    };
    let (zk, program) = stage.deploy(risc_zero.as_ref()).await?;
    stage.convict(&zk, false_root).await?;
    stage.refute(&zk, honest).await?;
    let id = stage.accuse(&zk, false_block).await?;
    let request = stage.execute(&zk, honest, false_block).await?;
    if let (Some(parts), Some(program)) = (&risc_zero, program) {
        stage.verify(&zk, id, program, parts, &request).await?;
    }
    if args.openvm {
        stage.prove(&zk, id, &request, &args).await?;
    }
    let convictions = zk.convictions(stage.devnet.l2().chain_id()).await?;
    stage.say(&format!(
        "convictions of the rollup that stand: {convictions}"
    ));
    ensure!(convictions == U256::from(1), "one output root was false");
    Ok(())
}

struct Stage {
    clock: Instant,
    config: DevnetConfig,
    devnet: Devnet,
    owner: Submitter,
    /// Raises alerts, and is the prover that journals name.
    watcher: Submitter,
}

impl Stage {
    async fn new() -> eyre::Result<Self> {
        let clock = Instant::now();
        let config = DevnetConfig {
            output_interval: 1,
            ..DevnetConfig::default()
        };
        let devnet = config.build()?;
        let provider: RootProvider = devnet.l1().provider();
        let account = async |index: usize| {
            let account = DEV_ACCOUNTS.get(index).wrap_err("no such account")?;
            let wallet = EthereumWallet::from(account.signer());
            // The devnet makes a block of each transaction at once.
            let policy = SubmitPolicy {
                poll_interval: Duration::from_millis(5),
                ..SubmitPolicy::default()
            };
            eyre::Ok(Submitter::connect(provider.clone(), wallet, policy).await?)
        };
        Ok(Self {
            clock,
            owner: account(0).await?,
            watcher: account(1).await?,
            config,
            devnet,
        })
    }

    fn say(&self, text: &str) {
        let elapsed = self.clock.elapsed().as_secs_f64() * 1e3;
        println!("{elapsed:>7.0} ms  {text}");
    }

    /// Gas of the last transaction: each is in a block of its own.
    async fn gas(&self) -> eyre::Result<u64> {
        let l1: RootProvider = self.devnet.l1().provider();
        let block = l1.get_block(BlockId::latest()).await?;
        Ok(block.wrap_err("no block")?.header.gas_used)
    }

    /// Three honest blocks, one with a false output root, and one that is false itself.
    fn publish(&self) -> eyre::Result<(u64, u64, u64)> {
        let sequencer = self.devnet.sequencer();
        for _ in 0..2 {
            sequencer.produce_quiet()?;
        }
        let honest = sequencer.produce_quiet()?;
        sequencer.lie_next(Lie::OutputRoot);
        let false_root = sequencer.produce_quiet()?;
        sequencer.lie_next(Lie::MintedBalance);
        let false_block = sequencer.produce_quiet()?;
        // The oracle takes nothing from the future.
        self.devnet.l1().increase_time(3600);
        self.devnet.l1().mine()?;
        for number in 1..=false_block {
            self.devnet.proposer().propose(number)?;
        }
        self.say(&format!(
            "posted on L1: blocks 1 to {false_block}; the output root of {false_root} is false, and so is block {false_block}"
        ));
        Ok((honest, false_root, false_block))
    }

    /// The service manager, over RISC Zero's own verifier if there is one.
    async fn deploy(
        &self,
        risc_zero: Option<&genuine::RiscZero>,
    ) -> eyre::Result<(ZkServiceManager, Option<ZkProgram>)> {
        let mut config = ZkConfig {
            oracle: Some(L2_OUTPUT_ORACLE),
            bond: BOND,
            // The devnet has no forks to come.
            configs: vec![ZkRules::without_horizon(self.config.l2_spec().hash())],
            times: Some(ZkBlockTimes {
                first_block: 0,
                first_timestamp: self.config.genesis_timestamp,
                block_time: self.config.l2_block_time,
            }),
            ..ZkConfig::new(self.devnet.l2().chain_id(), self.owner.sender())
        };
        let mut program = None;
        if let Some(parts) = risc_zero {
            let (verifier, _) = self.owner.deploy(parts.verifier.clone()).await?;
            self.say(&format!(
                "RISC Zero's own Groth16 verifier is at {verifier}: {} gas",
                self.gas().await?
            ));
            let adapter = Verifier::RiscZero(verifier, RISC_ZERO);
            let adapter = deploy_verifier(&self.owner, adapter).await?;
            // The program of the receipt that RISC Zero ships, so that calls get through to the verifier.
            program = Some(ZkProgram {
                id: parts.image_id,
                verifier: adapter,
                kind: ProgramKind::Block,
            });
            config.programs.extend(program);
        }
        let zk = ZkServiceManager::deploy(&self.owner, &config).await?;
        self.say(&format!(
            "MachZkServiceManager is at {}: {} gas",
            zk.address(),
            self.gas().await?
        ));
        Ok((zk, program))
    }

    /// What the sequencer's node says the output root of a block is the hash of.
    async fn opening(&self, number: u64) -> eyre::Result<Opening> {
        let l2: RootProvider = self.devnet.l2().provider();
        let told: serde_json::Value = l2
            .raw_request("optimism_outputAtBlock".into(), (U256::from(number),))
            .await?;
        let field = |name: &str| -> eyre::Result<B256> {
            let value = told.get(name).wrap_err("a field is missing")?;
            Ok(serde_json::from_value(value.clone())?)
        };
        Ok(Opening {
            stateRoot: field("stateRoot")?,
            messagePasserStorageRoot: field("withdrawalStorageRoot")?,
            blockHash: self.devnet.l2().block_hash(number).wrap_err("no block")?,
        })
    }

    /// The EVM sees by itself that the root contradicts the header that it names.
    async fn convict(&self, zk: &ZkServiceManager, number: u64) -> eyre::Result<()> {
        let id = self.accuse(zk, number).await?;
        let (header, opening) = (self.header(number)?, self.opening(number).await?);
        zk.convict_directly(&self.watcher, id, &opening, &header, &[])
            .await?;
        let alert = zk.alert(id).await?;
        ensure!(alert.status == Status::Proved, "alert {id} is not proved");
        self.say(&format!(
            "alert {id} is proved by the EVM alone ({:?}): {} gas, no prover",
            alert.ground,
            self.gas().await?
        ));
        zk.withdraw(&self.watcher, self.watcher.sender()).await?;
        self.say(&format!("the bond of {BOND} wei is back"));
        Ok(())
    }

    /// An alert that is wrong itself: the header of the output root has another number than the alert says.
    async fn refute(&self, zk: &ZkServiceManager, number: u64) -> eyre::Result<()> {
        let (header, opening) = (self.header(number)?, self.opening(number).await?);
        let (state_root, passer) = (opening.stateRoot, opening.messagePasserStorageRoot);
        let raise = Raise::OutputRoot {
            root: output_root(state_root, passer, opening.blockHash),
            number: number + 1,
            expected: B256::ZERO,
        };
        let id = zk.raise(&self.watcher, &raise).await?;
        self.say(&format!(
            "alert {id} is raised about the right output root of block {number}, as if it were of the next: {} gas",
            self.gas().await?
        ));
        zk.refute_directly(&self.owner, id, &opening, &header)
            .await?;
        let alert = zk.alert(id).await?;
        ensure!(alert.status == Status::Refuted, "alert {id} is not refuted");
        self.say(&format!(
            "alert {id} is refuted by the EVM alone ({:?}): {} gas, no prover; its bond is lost",
            alert.ground,
            self.gas().await?
        ));
        Ok(())
    }

    fn header(&self, number: u64) -> eyre::Result<Bytes> {
        let block = self.devnet.l2().l2_block(number).wrap_err("no block")?;
        Ok(alloy_rlp::encode(block.header.inner()).into())
    }

    async fn accuse(&self, zk: &ZkServiceManager, number: u64) -> eyre::Result<U256> {
        let raise = Raise::OracleOutput {
            index: number - 1,
            expected: B256::ZERO,
        };
        let id = zk.raise(&self.watcher, &raise).await?;
        self.say(&format!(
            "alert {id} is raised about output {} of block {number}: {} gas",
            number - 1,
            self.gas().await?
        ));
        Ok(id)
    }

    fn context(&self, zk: &ZkServiceManager) -> Context {
        Context {
            l1_chain_id: U256::from(self.devnet.l1().chain_id()),
            service_manager: zk.address(),
            prover: self.watcher.sender(),
        }
    }

    /// Runs the guest's code here. That is no proof, and says what a proof would be of.
    async fn execute(
        &self,
        zk: &ZkServiceManager,
        honest: u64,
        number: u64,
    ) -> eyre::Result<ProofRequest> {
        let input = async |number: u64| {
            let block = self.devnet.l2().l2_block(number).wrap_err("no block")?;
            let witness = self.devnet.l2().witness(&block).await?;
            eyre::Ok(BlockInput {
                context: self.context(zk),
                task: Task::Accuse,
                spec: self.config.l2_spec(),
                block,
                witness,
            })
        };
        let Err(refusal) = ProofRequest::block(&input(honest).await?) else {
            bail!("an honest block was accused")
        };
        self.say(&format!(
            "block {honest} is not accused: {:#}",
            eyre::Report::new(refusal)
        ));
        let started = Instant::now();
        let request = ProofRequest::block(&input(number).await?)?;
        let journal = request.journal();
        self.say(&format!(
            "block {number} breaks rule {}: claimed {}, computed {} ({:.1?} natively, which is not a proof)",
            journal.fault,
            journal.claimed,
            journal.computed,
            started.elapsed()
        ));
        let digest = zk.journal_digest(journal.prover, &claim(journal)).await?;
        ensure!(
            digest == journal.digest(),
            "the contract has another journal"
        );
        self.say(&format!("the contract rebuilds the same journal: {digest}"));
        Ok(request)
    }

    /// The way to RISC Zero's verifier, with a genuine receipt that is about something else: taken there, refused here.
    async fn verify(
        &self,
        zk: &ZkServiceManager,
        id: U256,
        program: ZkProgram,
        parts: &genuine::RiscZero,
        request: &ProofRequest,
    ) -> eyre::Result<()> {
        let verify = IProofVerifier::verifyCall {
            program: program.id,
            journalDigest: B256::new(Sha256::digest(&parts.journal).into()),
            proof: parts.seal.clone(),
        };
        self.say(
            "submitProve with RISC Zero: the one genuine receipt at hand is about another journal, so two facts instead of one",
        );
        self.watcher.call(program.verifier, &verify).await?;
        self.say(&format!(
            "  1. taken: the genuine receipt, for its own journal {:?}, by our adapter over RISC Zero's verifier: {} gas",
            String::from_utf8_lossy(&parts.journal),
            self.gas().await?
        ));
        let number = request.journal().block_number;
        let path = Path {
            opening: self.opening(number).await?,
            headers: vec![],
        };
        let claim = claim(request.journal());
        let fake = [&[0xff; 4][..], request.journal().digest().as_slice()].concat();
        for (what, proof) in [
            ("the genuine receipt", parts.seal.clone()),
            ("what the native backend gives", Bytes::new()),
            ("a receipt of the development mode", fake.into()),
        ] {
            let sent = zk
                .submit_proof(&self.watcher, id, program.id, &claim, &proof, &path)
                .await;
            let Err(error) = sent else {
                bail!("{what} convicted the block")
            };
            let revert = error.revert().wrap_err("not refused by the contract")?;
            let why = revert.explanation().unwrap_or_default();
            self.say(&format!(
                "  2. refused: submitProve of alert {id} for our journal with {what}: {revert}, {why}"
            ));
        }
        let alert = zk.alert(id).await?;
        ensure!(alert.status == Status::Raised, "alert {id} is decided");
        self.say(&format!(
            "alert {id} stays raised: a receipt about our journal takes a prover that is rented"
        ));
        Ok(())
    }

    /// A genuine proof of the false block, made and verified on this machine.
    async fn prove(
        &self,
        zk: &ZkServiceManager,
        id: U256,
        request: &ProofRequest,
        args: &Args,
    ) -> eyre::Result<()> {
        let mut backend = ProcessBackend::new(BackendName::OpenVm, &args.work_dir);
        if let Some(prover) = &args.prover {
            backend = backend.with_prover(prover);
        }
        let tell = |progress: Progress| match progress {
            Progress::Executed { instructions } => {
                self.say(&format!("executed in OpenVM: {instructions} instructions"));
            }
            Progress::Segment { done, total } => self.say(&format!("segment {done} of {total}")),
            Progress::Step { name } => self.say(&name),
            _ => {}
        };
        let started = Instant::now();
        let proof = backend.prove(request, &tell).await?;
        self.say(&format!(
            "proved by OpenVM in {:.0?}: {} bytes",
            started.elapsed(),
            proof.proof.len()
        ));
        let started = Instant::now();
        backend.verify(&proof).await?;
        self.say(&format!("verified in {:.2?}", started.elapsed()));
        let path = Path {
            opening: self.opening(proof.journal.block_number).await?,
            headers: vec![],
        };
        let call = IMachZkServiceManager::submitProveCall {
            id,
            program: proof.program_id,
            claim: claim(&proof.journal),
            // The 55 words of the proof for the EVM, once this one is wrapped with KZG parameters from outside.
            proof: vec![0; 55 * 32].into(),
            path,
        };
        println!(
            "to {}, with zeros where the wrapped proof belongs:",
            zk.address()
        );
        println!("{}", Bytes::from(call.abi_encode()));
        Ok(())
    }
}

/// What of a journal is told to the contract.
const fn claim(journal: &Journal) -> Claim {
    Claim {
        configHash: journal.config_hash,
        parentHash: journal.parent_hash,
        blockHash: journal.block_hash,
        blockNumber: journal.block_number,
        fault: journal.fault,
        claimed: journal.claimed,
        computed: journal.computed,
        outputRoot: journal.output_root,
    }
}
