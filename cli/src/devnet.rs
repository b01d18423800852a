//! `mach-cli devnet`: a whole mach that stays up.

mod folder;
mod processes;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use alloy_provider::Provider;
use eyre::WrapErr;
use mach_contracts_bindings::ServiceManager;
use mach_core::{BlockRef, Statement, Verdict};
use mach_devnet::{
    RpcServer,
    stack::{Event, ServiceConfig, Stack, StackConfig},
};

use crate::{args::DevnetArgs, l1::now, outcome::Outcome, remote::runtime, signals::Ended};
use folder::{Folder, Urls};
use processes::{Ports, Processes};

/// Blocks that are there before anything is printed, so that what is printed can be verified at once.
const FIRST_BLOCKS: u64 = 20;

/// Between two looks at the processes and at L1.
const LOOK: Duration = Duration::from_millis(300);

/// Seconds by which the chains' clocks start behind the machine's: deploying makes L1 blocks, each of
/// which moves its clock on.
const HEAD_START: u64 = 200;

pub(crate) fn run(args: &DevnetArgs) -> eyre::Result<Outcome> {
    runtime()?.block_on(devnet(args))
}

async fn devnet(args: &DevnetArgs) -> eyre::Result<Outcome> {
    let mut config = StackConfig {
        operators: args.operators.into(),
        ..StackConfig::default()
    };
    config.devnet.genesis_timestamp = now().saturating_sub(HEAD_START);
    // Every attestation makes an L1 block here, so L1 runs ahead of what the rollup follows.
    config.devnet.sequencing_window = 1_000_000;
    let stack = match &args.l1_rpc {
        Some(url) => Stack::start_at(&config, url.as_str())
            .await
            .wrap_err("the L1 behind --l1-rpc has to know anvil's development accounts")?,
        None => Stack::start(&config).await?,
    };
    for operator in stack.operators() {
        stack.opt_in(operator).await?;
    }
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let l2 = stack.devnet().l2().serve(local(args.l2_port)).await;
    let l2 = l2.wrap_err("choose another port with --l2-port")?;
    let (l1_url, served_l1) = match &args.l1_rpc {
        Some(url) => (url.to_string(), None),
        None => {
            let l1 = stack.devnet().l1().serve(local(args.l1_port)).await;
            let l1 = l1.wrap_err("choose another port with --l1-port")?;
            (l1.http_url(), Some(l1))
        }
    };
    let urls = Urls {
        contracts: l1_url,
        l1: served_l1.as_ref().map(RpcServer::http_url),
        l2: l2.http_url(),
    };
    let folder = Folder::write(args.folder.as_deref(), &stack, &config.devnet, urls).await?;
    if !args.in_process {
        return as_processes(args, &stack, &folder).await;
    }
    let service_config = ServiceConfig {
        evidence: Some(folder.evidence()),
        ..ServiceConfig::default()
    };
    let (services, mut events) = stack.start_services(service_config).await?;
    for _ in 0..FIRST_BLOCKS {
        stack.devnet().step()?;
    }
    stack.devnet().publish()?;
    say_where(&stack, &folder, services.aggregator_url());
    say(&folder.told(FIRST_BLOCKS));
    let mut ended = Ended::new()?;
    say("press Ctrl-C to stop\n");

    if let Some(lie) = args.lie {
        stack.devnet().sequencer().lie_next(lie);
    }
    let running = stack.devnet().run(Duration::from_millis(args.block_time));
    let mut told = None;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => tell(&event, &mut told),
                None => break,
            },
            () = ended.wait() => break,
        }
    }
    drop(running);
    services.stop().await;
    drop(folder);
    Ok(Outcome::Valid)
}

/// Where the parts of the devnet are reached.
fn say_where(stack: &Stack, folder: &Folder, aggregator: String) {
    let Urls { contracts, l1, l2 } = &folder.urls;
    say(&format!("L1 RPC           {contracts}"));
    if let Some(l1) = l1 {
        say(&format!("beacon API       {l1}"));
    }
    say(&format!("L2 RPC           {l2}"));
    say(&format!("aggregator       {aggregator}"));
    let deployment = stack.deployment();
    say(&format!("service manager  {}", deployment.service_manager));
    say(&format!(
        "registry         {}",
        deployment.registry_coordinator
    ));
}

/// The services as processes, until a signal comes.
async fn as_processes(args: &DevnetArgs, stack: &Stack, folder: &Folder) -> eyre::Result<Outcome> {
    // Rounds refer to a block behind the head: this one makes the last registration count. An L1
    // that mines on its own gets there by itself.
    let _: Result<serde_json::Value, _> = stack.l1().raw_request("evm_mine".into(), ()).await;
    let mut ended = Ended::new()?;
    let ports = Ports {
        aggregator: args.aggregator_port,
        api: args.api_port,
        breaker: args.breaker_port,
    };
    let mut processes = Processes::start(stack, folder, ports)?;
    for _ in 0..FIRST_BLOCKS {
        stack.devnet().step()?;
    }
    stack.devnet().publish()?;
    say_where(stack, folder, processes.aggregator_url.clone());
    say(&format!("dashboard        {}/", processes.api_url));
    say(&format!(
        "finality API     {}/v1/rollups",
        processes.api_url
    ));
    say(&format!("circuit breaker  {}", processes.breaker_url));
    say(&folder.told(FIRST_BLOCKS));
    let rollup = stack.devnet().l2().chain_id();
    say(&folder.told_of_services(&processes.api_url, rollup, 1));
    say("processes, each with its id, and how to start it again once it was killed:\n");
    say(&processes.told());
    say("press Ctrl-C to stop\n");

    if let Some(lie) = args.lie {
        stack.devnet().sequencer().lie_next(lie);
    }
    let running = stack.devnet().run(Duration::from_millis(args.block_time));
    let contracts = stack.l1().clone();
    let manager = ServiceManager::connect(contracts, stack.deployment().service_manager).await?;
    let (mut attested, mut alerts) = (None, 0);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = ended.wait() => break,
        }
        for (name, status) in processes.ended() {
            let command = processes.command(&name).unwrap_or_default();
            say(&format!(
                "{name} has ended ({status}); to start it again: {command}"
            ));
        }
        // An L1 that does not answer is not what people look at here.
        if let Ok(head) = stack.attested_head().await
            && head != attested
        {
            attested = head;
            if let Some(block) = head {
                say(&format!("block {}  attested on L1", block.number));
            }
        }
        if let Ok(count) = manager.active_alerts(rollup).await
            && count != alerts
        {
            alerts = count;
            say(&format!("ALERT on L1: {count} stand"));
        }
    }
    drop(running);
    processes.stop();
    Ok(Outcome::Valid)
}

/// One line for what people want to see of a block: its fault, and its confirmation. `told` is the
/// last block whose fault was told: every operator finds it.
fn tell(event: &Event, told: &mut Option<BlockRef>) {
    match event {
        Event::Judged {
            block,
            outcome: Ok(Verdict::Invalid(_)),
            ..
        } if *told == Some(*block) => {}
        Event::Judged {
            block,
            outcome: Ok(Verdict::Invalid(fault)),
            ..
        } => {
            *told = Some(*block);
            say(&format!("block {}  INVALID  {fault}", block.number));
        }
        Event::Judged {
            block,
            outcome: Err(error),
            ..
        } => {
            say(&format!("block {}  no verdict  {error}", block.number));
        }
        Event::Confirmed {
            statement,
            confirmation,
            ..
        } => {
            let what = match statement {
                Statement::Alert(_) => "ALERT",
                Statement::Attestation(_) => "attested",
            };
            say(&format!(
                "block {}  {what} in L1 block {}",
                statement.block().number,
                confirmation.l1_block
            ));
        }
        Event::NotConfirmed { statement, error } => {
            say(&format!(
                "block {}  not confirmed  {error}",
                statement.block().number
            ));
        }
        _ => {}
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &str) {
    println!("{line}");
}
