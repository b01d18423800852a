//! The whole way: a lie on the rollup, an alert on L1.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use mach_core::{Assurance, BlockRef, Fault, Statement, Verdict, ports::L2Head};
use mach_devnet::{
    Check, Lie,
    stack::{Event, ServiceConfig, Stack, StackConfig},
};
use mach_verify::{
    Bundle, Evidence, derive::DerivationEvidence, op::L1Evidence, source::recorded_files,
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
        let event = timeout(Duration::from_secs(180), events.recv())
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
        let folder = tempfile::tempdir().unwrap();
        let config = ServiceConfig {
            evidence: Some(folder.path().to_owned()),
            ..ServiceConfig::default()
        };
        let (services, mut events) = stack.start_services(config).await.unwrap();
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

        // All operators left the same bundle, which needs no devnet.
        drop(stack);
        let verdict = Evidence::read(bundle(folder.path()).await).unwrap();
        let verdict = verdict.replay().unwrap();
        assert_eq!(verdict.fault().map(Fault::name), Some(lie.fault()));
    }
}

/// What executes well and is not what L1 says: the bundle holds L1 instead of a witness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_about_l1_leaves_what_l1_says() {
    let stack = start(2).await;
    let folder = tempfile::tempdir().unwrap();
    let config = ServiceConfig {
        evidence: Some(folder.path().to_owned()),
        ..ServiceConfig::default()
    };
    let (services, mut events) = stack.start_services(config).await.unwrap();
    stack.devnet().sequencer().lie_next(Lie::SystemConfig);
    stack.devnet().step().unwrap();
    let (statement, _) = confirmed(&mut events, head(&stack)).await;
    assert!(matches!(statement, Statement::Alert(_)), "{statement:?}");
    services.stop().await;
    let rollup = stack.devnet().rollup().clone();
    drop(stack);
    let evidence = L1Evidence::read(bundle(folder.path()).await).unwrap();
    let fault = evidence.replay_by(&rollup).unwrap();
    assert_eq!(fault.name(), Lie::SystemConfig.fault());
    assert_eq!(evidence.block().number(), 1);
}

/// Nobody signs before L1 says it, and what the batcher left out is found by everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_that_follow_safe_blocks_attest_what_follows_from_l1() {
    let stack = start(2).await;
    let devnet = stack.devnet();
    let post = || {
        devnet.publish().unwrap();
        devnet.l1().mine().unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let config = ServiceConfig {
        head: L2Head::Safe,
        evidence: Some(folder.path().to_owned()),
        ..ServiceConfig::default()
    };
    let (services, mut events) = stack.start_services(config).await.unwrap();
    for _ in 0..3 {
        devnet.step().unwrap();
    }
    let honest = head(&stack);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(events.try_recv().is_err(), "nothing is safe yet");
    post();
    let judged = loop {
        let event = timeout(Duration::from_secs(180), events.recv());
        if let Event::Judged { block, outcome, .. } = event.await.unwrap().unwrap()
            && block == honest
        {
            break outcome.unwrap();
        }
    };
    let Verdict::Valid(summary) = judged else {
        panic!("{judged:?}");
    };
    assert_eq!(summary.assurance, Assurance::Derived);
    let (statement, _) = confirmed(&mut events, honest).await;
    assert!(matches!(statement, Statement::Attestation(_)));

    devnet.sequencer().lie_next(Lie::BatchDropped);
    devnet.step().unwrap();
    let lying = head(&stack);
    post();
    let (statement, faults) = confirmed(&mut events, lying).await;
    assert!(matches!(statement, Statement::Alert(_)), "{statement:?}");
    let expected = Lie::BatchDropped.fault();
    assert!(faults.iter().all(|name| *name == expected), "{faults:?}");
    services.stop().await;
    drop(stack);
    let evidence = DerivationEvidence::read(bundle(folder.path()).await).unwrap();
    assert_eq!(evidence.replay().unwrap().name(), expected);
}

/// The only file in a folder, once it is there: no verdict waits for it.
async fn bundle(folder: &Path) -> PathBuf {
    let wait = async {
        loop {
            match recorded_files(folder) {
                Ok(files) if !files.is_empty() => break files,
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    let mut files = timeout(Duration::from_secs(180), wait).await.unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
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
        match timeout(Duration::from_secs(180), events.recv())
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
