//! Alerts that stand on L1.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_provider::{EthGetBlock, Provider, RootProvider};
use alloy_rpc_types_eth::{Block, BlockNumberOrTag};
use mach_contracts_bindings::{AdminCommand, Generation};
use mach_core::{Statement, ports::BoxError};
use mach_devnet::{
    DEV_ACCOUNTS, Lie,
    stack::{ServiceConfig, Stack, StackConfig},
};
use mach_node::breaker::{
    ALERT_STANDS, AlertFeed, Breaker, BreakerLimits, FeedEvent, GateState, L1Feed, Policy,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{ROLLUP, config, listen, post};

const POLL: Duration = Duration::from_millis(20);

/// Operators find a lie, their certificate puts the alert on L1, the breaker reads it there and trips;
/// the owner removes the alert, and it recovers once L1 was without it for some blocks. A breaker that is
/// started anew meanwhile knows of it, whatever L1 says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_trips_the_breaker_until_its_alert_is_removed() -> Result<(), BoxError> {
    let stack = Stack::start(&StackConfig {
        operators: 2,
        ..StackConfig::default()
    })
    .await?;
    for operator in stack.operators() {
        stack.opt_in(operator).await?;
    }
    let (services, _events) = stack.start_services(ServiceConfig::default()).await?;
    let node = stack.devnet().l2().serve("127.0.0.1:0".parse()?).await?;
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("breaker.json");
    let service_manager = stack.deployment().service_manager;
    let feed = L1Feed::new(stack.l1().clone(), service_manager, ROLLUP, POLL)
        .with_memory(state.clone())?
        .with_settle(3);
    let config = config(&node.http_url(), Policy::PinLatest);
    let breaker = Breaker::new(&config, BreakerLimits::default(), feed)?;
    let (url, _server) = listen(&breaker).await;
    let reach = async |state| {
        let reached = breaker.gate().reach(state);
        timeout(Duration::from_secs(60), reached).await.unwrap();
    };
    reach(GateState::Serving).await;
    stack.devnet().step()?;
    while breaker.gate().status().attested.map(|block| block.number) != Some(1) {
        tokio::time::sleep(POLL).await;
    }

    stack.devnet().sequencer().lie_next(Lie::StateRoot);
    stack.devnet().step()?;
    reach(GateState::Tripped).await;
    // A look later it is known which transaction it was.
    let alert = loop {
        let alert = breaker.gate().status().alerts.remove(0);
        if alert
            .confirmation
            .is_some_and(|it| it.transaction.is_some())
        {
            break alert;
        }
        tokio::time::sleep(POLL).await;
    };
    let statement = alert.statement.clone().unwrap();
    assert_eq!(statement.block.number, 2);
    assert_eq!(
        Statement::from(statement).digest(&stack.domain()),
        alert.digest
    );
    let ask = async |method: &str, params: Value| -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        serde_json::from_str(&post(&url, &call.to_string()).await.1).unwrap()
    };
    assert_eq!(ask("eth_blockNumber", json!([])).await["result"], "0x1");
    let error = ask("eth_sendRawTransaction", json!(["0x00"])).await["error"].take();
    assert_eq!(
        (&error["code"], &error["data"]["digest"]),
        (&json!(ALERT_STANDS), &json!(alert.digest))
    );

    let owner = &DEV_ACCOUNTS[0];
    let command = AdminCommand::RemoveAlert {
        rollup: ROLLUP,
        message_hash: alert.digest,
    };
    for action in command.actions(service_manager, Generation::V3)? {
        let request = alloy_rpc_types_eth::TransactionRequest::default()
            .from(owner.address)
            .to(action.to)
            .input(action.calldata.into());
        let l1 = stack.devnet().l1().signing_provider(owner);
        let receipt = l1.send_transaction(request).await?.get_receipt().await?;
        assert!(receipt.status());
    }
    // A reorganisation may bring it back.
    services.stop().await;
    let l1 = stack.devnet().l1();
    let removed_in = l1.head();
    // It counts from its first look without the alert.
    let counts = async {
        loop {
            let kept: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
            if kept["alerts"][0]["goneSince"] == removed_in {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    timeout(Duration::from_secs(60), counts).await?;
    for blocks in 0..3 {
        assert_eq!(l1.head(), removed_in + blocks);
        tokio::time::sleep(10 * POLL).await;
        assert_eq!(breaker.gate().state(), GateState::Tripped, "{blocks}");
        if blocks < 2 {
            l1.mine()?;
        }
    }
    // The next process cannot ask L1, and knows that it stands.
    let nobody = alloy_provider::ProviderBuilder::new().connect_http("http://127.0.0.1:1".parse()?);
    let mut next = L1Feed::new(nobody, service_manager, ROLLUP, POLL).with_memory(state.clone())?;
    assert_eq!(next.next().await?, FeedEvent::Alerted(Box::new(alert)));
    next.next().await.unwrap_err();
    let mut next = L1Feed::new(stack.l1().clone(), service_manager, ROLLUP, POLL)
        .with_memory(state)?
        .with_settle(3);
    assert!(matches!(next.next().await?, FeedEvent::Alerted(_)));
    let FeedEvent::Snapshot { alerts, .. } = next.next().await? else {
        panic!("L1 was looked at");
    };
    assert_eq!(alerts.len(), 1);
    l1.mine()?;
    reach(GateState::Serving).await;
    // What was counted before counts.
    let FeedEvent::Snapshot { alerts, .. } = next.next().await? else {
        panic!("L1 was looked at");
    };
    assert_eq!(alerts, []);
    assert_eq!(ask("eth_blockNumber", json!([])).await["result"], "0x2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_l1_that_says_nothing_of_the_rollup_is_not_heard() -> Result<(), BoxError> {
    let stack = Stack::start(&StackConfig {
        operators: 1,
        ..StackConfig::default()
    })
    .await?;
    let feed = |address, rollup| L1Feed::new(stack.l1().clone(), address, rollup, POLL);
    let service_manager = stack.deployment().service_manager;
    let mut good = feed(service_manager, ROLLUP);
    let nothing = FeedEvent::Snapshot {
        alerts: vec![],
        attested: None,
    };
    assert_eq!(good.next().await?, nothing);
    let cause = async |mut feed: L1Feed| {
        let error = feed.next().await.unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    let told = cause(feed(service_manager, 10)).await;
    assert!(told.ends_with("takes no alerts about rollup 10"), "{told}");
    let told = cause(feed(DEV_ACCOUNTS[5].address, ROLLUP)).await;
    assert!(told.contains("there is no contract at"), "{told}");
    // The devnet's clock stands at the first of January 2026.
    let lagging = feed(service_manager, ROLLUP).with_max_age(Duration::from_secs(60));
    let told = cause(lagging).await;
    assert!(told.starts_with("the newest block of L1 is"), "{told}");
    Ok(())
}

/// Behind one address are several nodes, of which some lag: the newest block is this one, where it is
/// not 0.
#[derive(Clone)]
struct Lagging<P>(P, Arc<AtomicU64>);

impl<P: Provider> Provider for Lagging<P> {
    fn root(&self) -> &RootProvider {
        self.0.root()
    }

    fn get_block_by_number(&self, number: BlockNumberOrTag) -> EthGetBlock<Block> {
        let number = match self.1.load(Ordering::SeqCst) {
            behind if behind > 0 && number.is_latest() => behind.into(),
            _ => number,
        };
        self.0.get_block_by_number(number)
    }
}

/// Of the newest alert it knows nothing, and says so as if there were none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_l1_that_lags_is_not_heard() -> Result<(), BoxError> {
    let stack = Stack::start(&StackConfig {
        operators: 1,
        ..StackConfig::default()
    })
    .await?;
    let behind = Arc::new(AtomicU64::new(0));
    let l1 = Lagging(stack.l1().clone(), Arc::clone(&behind));
    let service_manager = stack.deployment().service_manager;
    let mut feed = L1Feed::new(l1, service_manager, ROLLUP, POLL);
    assert!(matches!(feed.next().await?, FeedEvent::Snapshot { .. }));
    let head = stack.l1().get_block_number().await?;
    behind.store(head - 1, Ordering::SeqCst);
    let error = feed.next().await.unwrap_err();
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        told,
        format!("L1 is at block {}, and was at {head}", head - 1)
    );
    // Another one is asked, if there is one.
    let later = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        behind.store(0, Ordering::SeqCst);
    };
    let (event, ()) = tokio::join!(feed.next(), later);
    assert!(matches!(event?, FeedEvent::Snapshot { .. }));
    // A height that is never reached again was none of L1's, and ends nothing for ever.
    behind.store(head - 1, Ordering::SeqCst);
    let mut doubts = 0;
    while feed.next().await.is_err() {
        doubts += 1;
    }
    assert_eq!(doubts, 9);
    Ok(())
}
