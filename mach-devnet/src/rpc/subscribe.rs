//! `eth_subscribe`: new heads and logs over WebSocket.

use std::sync::Arc;

use alloy_rpc_types_eth::{Filter, Log};
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule, SubscriptionMessage, core::SubscriptionResult,
    types::Params as ServerParams,
};
use serde_json::{Value, json, value::to_raw_value};

use super::{Handler, Params, RpcError, ServeError};

/// What a subscriber follows.
#[derive(Clone, Debug)]
enum Topic {
    Heads,
    Logs(Box<Filter>),
}

pub(super) fn register(module: &mut RpcModule<Arc<dyn Handler>>) -> Result<(), ServeError> {
    module
        .register_subscription(
            "eth_subscribe",
            "eth_subscription",
            "eth_unsubscribe",
            |params, pending, handler, _| async move { follow(params, pending, handler).await },
        )
        .map_err(|error| ServeError::Method(error.to_string()))?;
    Ok(())
}

async fn follow(
    params: ServerParams<'static>,
    pending: PendingSubscriptionSink,
    handler: Arc<Arc<dyn Handler>>,
) -> SubscriptionResult {
    let topic = match topic(params.as_str()) {
        Ok(topic) => topic,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    let mut heads = handler.heads();
    let mut reported = *heads.borrow_and_update();
    let sink = pending.accept().await?;
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = heads.changed() => changed?,
        }
        let head = *heads.borrow_and_update();
        // After a reorganisation the head may lie below what was reported.
        for number in reported.min(head.saturating_sub(1)) + 1..=head {
            for item in news(&handler, &topic, number)? {
                sink.send(SubscriptionMessage::from(to_raw_value(&item)?))
                    .await?;
            }
        }
        reported = head;
    }
}

fn topic(params: Option<&str>) -> Result<Topic, RpcError> {
    let params = Params::new(params)?;
    match params.required::<String>(0)?.as_str() {
        "newHeads" => Ok(Topic::Heads),
        "logs" => Ok(Topic::Logs(params.optional(1)?.unwrap_or_default())),
        _ => Err(RpcError::params(
            "only newHeads and logs can be subscribed to",
        )),
    }
}

/// What the block at `number` means to a subscriber.
fn news(
    handler: &Arc<dyn Handler>,
    topic: &Topic,
    number: u64,
) -> Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>> {
    let ask = |method, params: Value| handler.handle(method, Some(&params.to_string()));
    match topic {
        Topic::Heads => Ok(vec![ask(
            "eth_getBlockByNumber",
            json!([format!("{number:#x}"), false]),
        )?]),
        Topic::Logs(filter) => {
            let filter = filter.as_ref().clone().select(number..=number);
            let logs: Vec<Log> = serde_json::from_value(ask("eth_getLogs", json!([filter]))?)?;
            Ok(logs
                .into_iter()
                .map(serde_json::to_value)
                .collect::<Result<_, _>>()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DEV_ACCOUNTS, Devnet, STORE, rpc::server::module};

    #[tokio::test]
    async fn a_subscriber_gets_each_head_and_each_matching_log() {
        let devnet = Devnet::new().unwrap();
        let module = module(devnet.l2().handler()).unwrap();
        let mut heads = module
            .subscribe_unbounded("eth_subscribe", ["newHeads"])
            .await
            .unwrap();
        let filter = json!(["logs", { "address": STORE }]);
        let filter: Vec<Value> = serde_json::from_value(filter).unwrap();
        let mut logs = module
            .subscribe_unbounded("eth_subscribe", filter)
            .await
            .unwrap();
        for number in 1..=2u64 {
            devnet.sequencer().produce().unwrap();
            let (head, _) = heads.next::<Value>().await.unwrap().unwrap();
            assert_eq!(
                head["hash"],
                devnet.l2().block_hash(number).unwrap().to_string()
            );
            for _ in 0..2 {
                let (log, _) = logs.next::<Log>().await.unwrap().unwrap();
                assert_eq!((log.address(), log.block_number), (STORE, Some(number)));
            }
        }
        let error = module
            .subscribe_unbounded("eth_subscribe", [DEV_ACCOUNTS[0].address])
            .await;
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("only newHeads and logs")
        );
    }
}
