//! A whole mach in one process: an L1, a rollup whose sequencer lies, operators, an aggregator, and
//! the alert confirmed in a contract.
//!
//! ```sh
//! cargo run --release --example devnet
//! cargo run --release --example devnet -- --lie minted-balance
//! cargo run --release --example devnet -- --honest
//! ```

#![allow(clippy::print_stdout, reason = "the example tells what happens")]

use std::{collections::BTreeMap, path::Path, time::Duration};

use clap::Parser;
use eyre::{ContextCompat, bail, ensure};
use mach_core::{Alert, BlockRef, Certificate, Confirmation, Fault, Statement, Verdict};
use mach_devnet::{
    Check, DEV_ACCOUNTS, Devnet, Lie, OptimismFork, UserDeposit,
    stack::{Event, ServiceConfig, Stack, StackConfig, StackOperator},
};
use mach_verify::{
    Bundle, Evidence,
    derive::{Driver, Finding},
    op::L1Evidence,
    source::recorded_files,
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, timeout},
};

/// Honest blocks before the lie.
const HONEST_BLOCKS: u64 = 3;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts L1 and L2, deploys, opts operators in, verifies honest blocks, lets the sequencer lie.
#[derive(Parser)]
struct Args {
    /// How the sequencer lies: state-root, receipts-root, gas-used, dropped-transaction,
    /// altered-transaction, minted-balance, output-root; about L1: l1-origin, system-config,
    /// dropped-deposit, altered-deposit, forged-deposit, excess-drift; about what is posted, which
    /// deriving the rollup from L1 finds: batch-dropped, batch-altered, batch-reordered
    #[arg(long, default_value_t = Lie::StateRoot, conflicts_with = "honest")]
    lie: Lie,

    /// No lie: ends with attestations and no alert
    #[arg(long)]
    honest: bool,

    /// Number of operators
    #[arg(long, default_value_t = 4)]
    operators: usize,

    /// RPC of an L1 whose first development accounts hold ether (anvil, for example), instead of
    /// the built-in L1
    #[arg(long)]
    l1_rpc: Option<String>,
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let args = Args::parse();
    let clock = Instant::now();
    let say = |text: String| println!("{:>7.0} ms  {text}", clock.elapsed().as_secs_f64() * 1e3);

    if args.lie.check() == Check::Batches && !args.honest {
        return derive(args.lie, &say).await;
    }
    let mut config = StackConfig {
        operators: args.operators,
        ..StackConfig::default()
    };
    if args.lie == Lie::ExcessDrift {
        // Before Fjord the drift is a matter of configuration, and this one is soon exceeded.
        config.devnet.l2_fork = OptimismFork::Ecotone;
        config.devnet.max_sequencer_drift = 30;
    }
    let on_deposit = matches!(args.lie, Lie::DroppedDeposit | Lie::AlteredDeposit);
    if on_deposit {
        // With L1 as fast as the rollup, the deposit is soon there.
        config.devnet.l1_block_time = config.devnet.l2_block_time;
    }
    let stack = match &args.l1_rpc {
        Some(url) => Stack::start_at(&config, url).await?,
        None => Stack::start(&config).await?,
    };
    let (deployment, l2) = (stack.deployment(), stack.devnet().l2());
    say(format!(
        "L1 {} and rollup {} are up",
        deployment.l1_chain_id,
        l2.chain_id()
    ));
    say(format!(
        "service manager {} deployed",
        deployment.service_manager
    ));
    for operator in stack.operators() {
        stack.opt_in(operator).await?;
        say(format!(
            "operator {} opted in with stake {}",
            operator.account.address, operator.stake
        ));
    }

    let evidence = tempfile::tempdir()?;
    let service_config = ServiceConfig {
        evidence: Some(evidence.path().to_owned()),
        ..ServiceConfig::default()
    };
    let (services, events) = stack.start_services(service_config).await?;
    say(format!(
        "aggregator serves {}, every operator verifies",
        services.aggregator_url()
    ));
    let mut story = Story::new(events, args.operators, &say);

    for _ in 0..HONEST_BLOCKS {
        stack.devnet().step()?;
        let block = head(&stack)?;
        say(format!("block {} published", block.number));
        story.until_confirmed(block).await?;
    }
    if args.honest {
        ensure!(story.alerts == 0, "an honest sequencer was accused");
        let attested = stack
            .attested_head()
            .await?
            .wrap_err("nothing is attested on L1")?;
        ensure!(attested == head(&stack)?, "the head is not attested on L1");
        println!("\nhonest: {HONEST_BLOCKS} blocks attested on L1, no alert");
        println!("  attested head  {attested}");
        services.stop().await;
        return Ok(());
    }

    let sequencer = stack.devnet().sequencer();
    if on_deposit {
        let to = DEV_ACCOUNTS[0].address;
        sequencer.deposit(UserDeposit::ether(to, 1_000_000_000_000_000_000))?;
        say("a user deposits an ether on L1".to_owned());
    }
    sequencer.lie_next(args.lie);
    say(format!("the sequencer is told to lie: {}", args.lie));
    let mut published = Instant::now();
    // Some lies need a certain block: the one that a deposit belongs to, for example.
    while sequencer.untold() > 0 {
        published = Instant::now();
        stack.devnet().step()?;
    }
    let visible = Instant::now();
    let block = head(&stack)?;
    say(format!(
        "block {} published, {:.1} ms to make",
        block.number,
        ms(visible - published)
    ));
    let (outcome, at) = story.until_confirmed(block).await?;

    let Statement::Alert(alert) = &outcome.certificate.statement else {
        bail!("the lie was attested");
    };
    let fault = story.fault.clone().wrap_err("no operator named a fault")?;
    ensure!(
        fault.name() == args.lie.fault(),
        "the fault is {}, not {}",
        fault.name(),
        args.lie.fault()
    );
    ensure!(stack.has_alert(alert).await?, "the alert is not on L1");
    summary(alert, &fault, &outcome, at - visible, stack.operators());
    services.stop().await;
    replay(evidence.path(), &fault).await
}

/// What the operators left in a folder, judged again without a rollup.
async fn replay(folder: &Path, fault: &Fault) -> eyre::Result<()> {
    let file = timeout(PATIENCE, async {
        loop {
            if let Some(file) = recorded_files(folder)?.pop() {
                return eyre::Ok(file);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let file = file.await??;
    let replayed = match Evidence::read(&file) {
        Ok(evidence) => evidence.replay()?.fault().cloned(),
        // What only L1 shows is in a bundle of its own kind.
        Err(_) => Some(L1Evidence::read(&file)?.replay()?),
    };
    ensure!(
        replayed.as_ref() == Some(fault),
        "the evidence says something else"
    );
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!("  evidence     {name}, replayed offline");
    Ok(())
}

/// Follows a rollup from nothing but L1 until a published block is not the one that was posted.
async fn derive(lie: Lie, say: &dyn Fn(String)) -> eyre::Result<()> {
    let devnet = Devnet::new()?;
    for _ in 0..HONEST_BLOCKS {
        devnet.step()?;
    }
    devnet.sequencer().lie_next(lie);
    while devnet.sequencer().untold() > 0 {
        devnet.step()?;
    }
    let lying = devnet.l2().head();
    devnet.publish()?;
    devnet.l1().mine()?;
    say(format!(
        "{lying} blocks published, and posted to L1 with a lie: {lie}"
    ));
    let (l1, l2) = (devnet.l1().clone(), devnet.l2().clone());
    let start = l2.l2_block(0).wrap_err("there is a first block")?;
    let mut driver = Driver::new(devnet.rollup().clone(), &start, l1.clone(), l1, l2)?;
    loop {
        let (block, finding) = driver.next().await?;
        let Finding::NotDerivable(fault) = finding else {
            say(format!("block {} follows from L1", block.number()));
            continue;
        };
        say(format!("block {} does not: {fault}", block.number()));
        ensure!(block.number() == lying, "block {lying} is the one");
        ensure!(fault.name() == lie.fault(), "the fault is {}", fault.name());
        let evidence = driver.accuse(&block).await?.wrap_err("there is evidence")?;
        ensure!(evidence.replay()? == fault, "the bundle says otherwise");
        println!("\n{lie}: found from L1 alone, and again from the bundle");
        return Ok(());
    }
}

fn head(stack: &Stack) -> eyre::Result<BlockRef> {
    let l2 = stack.devnet().l2();
    let number = l2.head();
    let hash = l2.block_hash(number).wrap_err("the head has no hash")?;
    Ok(BlockRef { number, hash })
}

/// What came of a block.
struct Outcome {
    certificate: Certificate,
    confirmation: Confirmation,
}

/// Follows events and tells them.
struct Story<'a> {
    events: UnboundedReceiver<Event>,
    operators: usize,
    say: &'a dyn Fn(String),
    alerts: usize,
    fault: Option<Fault>,
    certificates: BTreeMap<BlockRef, Certificate>,
}

impl<'a> Story<'a> {
    fn new(events: UnboundedReceiver<Event>, operators: usize, say: &'a dyn Fn(String)) -> Self {
        Self {
            events,
            operators,
            say,
            alerts: 0,
            fault: None,
            certificates: BTreeMap::new(),
        }
    }

    /// Until the statement on `block` stands on L1 and every operator has judged the block.
    async fn until_confirmed(&mut self, block: BlockRef) -> eyre::Result<(Outcome, Instant)> {
        let (mut judged, mut confirmed) = (0, None);
        while judged < self.operators || confirmed.is_none() {
            let event = timeout(PATIENCE, self.events.recv())
                .await?
                .wrap_err("services ended")?;
            match event {
                Event::Judged {
                    operator,
                    block: of,
                    outcome,
                    elapsed,
                } if of == block => {
                    judged += 1;
                    let verdict = match &outcome {
                        Ok(Verdict::Valid(_)) => "valid".to_owned(),
                        Ok(Verdict::Invalid(fault)) => {
                            self.fault = Some(fault.clone());
                            format!("INVALID, {}", fault.name())
                        }
                        Err(error) => format!("no verdict, {error}"),
                    };
                    let name = &operator.to_string()[..10];
                    (self.say)(format!(
                        "  {name} judged in {:.1} ms: {verdict}",
                        ms(elapsed)
                    ));
                }
                Event::Signed {
                    operator,
                    statement,
                    ..
                } if statement.block() == block => {
                    (self.say)(format!("  {} signed", &operator.to_string()[..10]));
                }
                Event::Certified(certificate) => {
                    let absent = certificate.non_signers.len();
                    (self.say)(format!(
                        "  certificate over {} of {} operators",
                        self.operators - absent,
                        self.operators
                    ));
                    self.certificates
                        .insert(certificate.statement.block(), (*certificate).clone());
                }
                Event::Confirmed {
                    statement,
                    confirmation,
                    at,
                } => {
                    self.alerts += usize::from(matches!(statement, Statement::Alert(_)));
                    if statement.block() == block {
                        (self.say)(format!("  confirmed in L1 block {}", confirmation.l1_block));
                        confirmed = Some((confirmation, at));
                    }
                }
                Event::NotConfirmed { error, .. } => {
                    (self.say)(format!("  not confirmed: {error}"))
                }
                _ => {}
            }
        }
        let (confirmation, at) = confirmed.wrap_err("not confirmed")?;
        let certificate = self
            .certificates
            .remove(&block)
            .wrap_err("no certificate")?;
        Ok((
            Outcome {
                certificate,
                confirmation,
            },
            at,
        ))
    }
}

fn summary(
    alert: &Alert,
    fault: &Fault,
    outcome: &Outcome,
    latency: Duration,
    operators: &[StackOperator],
) {
    let absent = &outcome.certificate.non_signers;
    println!("\nthe lie is on L1");
    println!("  block        {}", alert.block);
    println!("  fault        {} (rule {})", fault.name(), alert.rule);
    println!("  claimed      {}", alert.claimed);
    println!("  computed     {}", alert.computed);
    println!(
        "  signers      {} of {}",
        operators.len() - absent.len(),
        operators.len()
    );
    for signer in operators {
        if !absent.iter().any(|one| one.id == signer.operator.id()) {
            println!(
                "               {} with stake {}",
                signer.account.address, signer.stake
            );
        }
    }
    for tally in &outcome.certificate.quorums {
        println!(
            "  quorum {}     stake {} of {}",
            tally.quorum, tally.signed, tally.total
        );
    }
    println!("  certificate  {}", outcome.certificate.digest());
    match outcome.confirmation.transaction {
        Some(transaction) => println!("  transaction  {transaction}"),
        None => println!("  transaction  sent by somebody else"),
    }
    if let Some(gas) = outcome.confirmation.gas_used {
        println!("  gas          {gas}");
    }
    println!(
        "  latency      {:.0} ms from the block to its alert on L1",
        ms(latency)
    );
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
