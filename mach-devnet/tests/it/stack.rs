//! The whole way: a lie on the rollup, an alert on L1.

use std::time::Duration;

use mach_core::{BlockRef, Statement, Verdict};
use mach_devnet::{
    Check, Lie,
    stack::{Event, ServiceConfig, Stack, StackConfig},
};
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

async fn start(operators: usize) -> Stack {
    let stack = Stack::start(&StackConfig {
        operators,
        ..StackConfig::default()
    })
    .await
    .unwrap();
    for operator in stack.operators() {
        stack.opt_in(operator).await.unwrap();
    }
    stack
}

fn head(stack: &Stack) -> BlockRef {
    let number = stack.devnet().l2().head();
    BlockRef {
        number,
        hash: stack.devnet().l2().block_hash(number).unwrap(),
    }
}

/// The statement about `block` that was confirmed, and the faults that were named until then.
async fn confirmed(
    events: &mut UnboundedReceiver<Event>,
    block: BlockRef,
) -> (Statement, Vec<&'static str>) {
    let mut faults = Vec::new();
    loop {
        let event = timeout(Duration::from_secs(60), events.recv())
            .await
            .unwrap()
            .unwrap();
        match event {
            Event::Judged {
                block: of, outcome, ..
            } if of == block => {
                if let Verdict::Invalid(fault) = outcome.unwrap() {
                    faults.push(fault.name());
                }
            }
            Event::Confirmed { statement, .. } if statement.block() == block => {
                return (statement, faults);
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_lie_becomes_an_alert_on_l1_and_honest_blocks_are_attested() {
    for lie in Lie::ALL
        .into_iter()
        .filter(|lie| matches!(lie.check(), Check::Execution | Check::Proposal))
    {
        let stack = start(4).await;
        let (services, mut events) = stack
            .start_services(ServiceConfig::default())
            .await
            .unwrap();
        stack.devnet().step().unwrap();
        let honest = head(&stack);
        let (statement, faults) = confirmed(&mut events, honest).await;
        assert!(
            matches!(statement, Statement::Attestation(_)),
            "{lie}: {statement:?}"
        );
        assert!(faults.is_empty(), "{lie}: {faults:?}");
        assert_eq!(stack.attested_head().await.unwrap(), Some(honest));

        stack.devnet().sequencer().lie_next(lie);
        stack.devnet().step().unwrap();
        let (statement, faults) = confirmed(&mut events, head(&stack)).await;
        let Statement::Alert(alert) = statement else {
            panic!("{lie} was attested")
        };
        assert!(
            !faults.is_empty() && faults.iter().all(|name| *name == lie.fault()),
            "{lie}"
        );
        assert!(stack.has_alert(&alert).await.unwrap(), "{lie}");
        assert_eq!(stack.attested_head().await.unwrap(), Some(honest), "{lie}");
        services.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_who_have_not_opted_in_are_not_needed_and_not_counted() {
    let stack = Stack::start(&StackConfig::default()).await.unwrap();
    for operator in &stack.operators()[..2] {
        stack.opt_in(operator).await.unwrap();
    }
    let (services, mut events) = stack
        .start_services(ServiceConfig::default())
        .await
        .unwrap();
    stack.devnet().step().unwrap();
    let block = head(&stack);
    let certificate = loop {
        match timeout(Duration::from_secs(60), events.recv())
            .await
            .unwrap()
            .unwrap()
        {
            Event::Certified(certificate) if certificate.statement.block() == block => {
                break certificate;
            }
            _ => {}
        }
    };
    let stakes: u128 = stack.operators()[..2]
        .iter()
        .map(|one| one.stake.weight())
        .sum();
    assert_eq!(certificate.quorums[0].total.weight(), stakes);
    services.stop().await;
}

#[tokio::test]
async fn a_stack_has_accounts_for_one_to_seven_operators() {
    for operators in [0, 8] {
        let config = StackConfig {
            operators,
            ..StackConfig::default()
        };
        let error = Stack::start(&config).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{operators} operators are not from 1 to 7")
        );
    }
}
