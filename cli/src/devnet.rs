//! `mach-cli devnet`: a whole mach that stays up.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use eyre::WrapErr;
use mach_core::{BlockRef, Statement, Verdict};
use mach_devnet::stack::{Event, ServiceConfig, Stack, StackConfig};

use crate::{args::DevnetArgs, outcome::Outcome, remote::runtime};

pub(crate) fn run(args: &DevnetArgs) -> eyre::Result<Outcome> {
    runtime()?.block_on(devnet(args))
}

async fn devnet(args: &DevnetArgs) -> eyre::Result<Outcome> {
    let config = StackConfig {
        operators: args.operators.into(),
        ..StackConfig::default()
    };
    let stack = Stack::start(&config).await?;
    for operator in stack.operators() {
        stack.opt_in(operator).await?;
    }
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let servers = stack
        .devnet()
        .serve(local(args.l1_port), local(args.l2_port))
        .await
        .wrap_err("choose other ports with --l1-port and --l2-port")?;
    let (services, mut events) = stack.start_services(ServiceConfig::default()).await?;
    say(&format!("L1 RPC           {}", servers.l1.http_url()));
    say(&format!("L2 RPC           {}", servers.l2.http_url()));
    say(&format!("aggregator       {}", services.aggregator_url()));
    say(&format!(
        "service manager  {}",
        stack.deployment().service_manager
    ));
    say(&format!(
        "registry         {}",
        stack.deployment().registry_coordinator
    ));
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
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break;
            }
        }
    }
    drop(running);
    services.stop().await;
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
