//! The calls over JSON-RPC, as go-ethereum's server answers them.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use axum::{
    Router,
    http::{HeaderValue, Method},
};
use jsonrpsee::{
    RpcModule,
    types::{ErrorObjectOwned, Params},
};
use mach_core::G1Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tower_http::cors::{Any, CorsLayer};

use super::{
    AlertTask, Deployment, InitOperator, LegacyTasks, NO_TRANSACTION, VirtualHosts, operator_id,
    parse_error, process_error, word,
};
use crate::{
    http::{JsonRpcLimits, json_rpc},
    legacy::wire::{GoBytes, HexBytes, is_address},
};

/// Largest request and answer, in bytes: a signed task has less than one thousand.
const MAX_BYTES: u32 = 16 * 1024;
/// Most requests of one batch.
const MAX_BATCH: u32 = 16;
/// What go-ethereum answers where the handler has an error, and to bad parameters.
const FAILED: i32 = -32000;
const INVALID_PARAMS: i32 = -32602;

/// `tasks` as the methods `aggregator_initOperator`, `aggregator_createTask` and
/// `aggregator_processSignedTaskResponse` at `/`, for requests to `hosts` and for web pages of
/// `origins`.
///
/// Errors and their codes are the original's, misspelt words too. Operators find out from the words
/// "already finished" that an alert stands, and need the 32 bytes of `tx_hash`, which is always zero.
pub fn aggregator_rpc(
    tasks: Arc<dyn LegacyTasks>,
    hosts: VirtualHosts,
    origins: &[String],
) -> Router {
    let limits = JsonRpcLimits {
        request: MAX_BYTES,
        response: MAX_BYTES,
        batch: MAX_BATCH,
    };
    hosts
        .guard(json_rpc(methods(tasks), limits))
        .layer(cors(origins))
}

fn methods(tasks: Arc<dyn LegacyTasks>) -> RpcModule<Arc<dyn LegacyTasks>> {
    let mut module = RpcModule::new(tasks);
    let registered = [
        module
            .register_async_method("aggregator_initOperator", |params, tasks, _| async move {
                init_operator(&params, &**tasks).await
            })
            .map(|_| ()),
        module
            .register_async_method("aggregator_createTask", |params, tasks, _| async move {
                create_task(&params, &**tasks).await
            })
            .map(|_| ()),
        module
            .register_async_method(
                "aggregator_processSignedTaskResponse",
                |params, tasks, _| async move { process(&params, &**tasks).await },
            )
            .map(|_| ()),
    ];
    // The names are three different ones.
    debug_assert!(registered.iter().all(Result::is_ok));
    module
}

#[derive(Clone, Serialize)]
struct Init {
    ok: bool,
    reason: String,
}

async fn init_operator(
    params: &Params<'_>,
    tasks: &dyn LegacyTasks,
) -> Result<Init, ErrorObjectOwned> {
    const CALL: &str = "initOperator";
    let [l1, l2, id, address, retriever, coordinator] = arguments::<6>(params)?;
    let wrong = |error: String| failed(parse_error(CALL, error));
    let (layer1_chain_id, layer2_chain_id) = (argument(0, l1)?, argument(1, l2)?);
    let HexBytes(id) = argument(2, id)?;
    let address: String = argument(3, address)?;
    let retriever: String = argument(4, retriever)?;
    let coordinator: String = argument(5, coordinator)?;
    let operator = operator_id(&id).map_err(wrong)?;
    let operator = InitOperator {
        operator,
        address: account(&address, "operatorAddress").map_err(wrong)?,
        deployment: Deployment {
            layer1_chain_id,
            layer2_chain_id,
            operator_state_retriever: account(&retriever, "operatorStateRetrieverAddr")
                .map_err(wrong)?,
            registry_coordinator: account(&coordinator, "registryCoordinatorAddr")
                .map_err(wrong)?,
        },
    };
    let answer = tasks.init_operator(operator).await;
    Ok(Init {
        ok: answer.ok,
        reason: answer.reason,
    })
}

/// An address as the original reads it.
pub(super) fn account(text: &str, name: &str) -> Result<Address, String> {
    let not_one = || format!("{name} not a hex address");
    if !is_address(text) {
        return Err(not_one());
    }
    text.parse().map_err(|_| not_one())
}

/// `AlertTaskInfo`, in the order of its fields.
#[derive(Clone, Serialize, Deserialize)]
struct Info {
    alert_hash: HexBytes,
    quorum_numbers: GoBytes,
    quorum_threshold_percentages: GoBytes,
    task_index: u32,
    reference_block_number: u64,
}

async fn create_task(
    params: &Params<'_>,
    tasks: &dyn LegacyTasks,
) -> Result<Info, ErrorObjectOwned> {
    const CALL: &str = "createTask";
    let [hash] = arguments::<1>(params)?;
    let HexBytes(hash) = argument(0, hash)?;
    let hash = word::<32>(&hash, "alertHash").map_err(|error| failed(parse_error(CALL, error)))?;
    let created = tasks.create_task(B256::new(hash)).await;
    let task = created.map_err(|error| failed(process_error(CALL, error)))?;
    Ok(Info {
        alert_hash: HexBytes(task.alert_hash.to_vec()),
        quorum_numbers: GoBytes(task.quorum_numbers),
        quorum_threshold_percentages: GoBytes(task.quorum_threshold_percentages),
        task_index: task.task_index,
        reference_block_number: task.reference_block_number,
    })
}

#[derive(Clone, Serialize)]
struct Reply {
    reply: bool,
    tx_hash: GoBytes,
}

async fn process(params: &Params<'_>, tasks: &dyn LegacyTasks) -> Result<Reply, ErrorObjectOwned> {
    const CALL: &str = "processSignedTaskResponse";
    let [info, signature, id] = arguments::<3>(params)?;
    let info: Info = argument(0, info)?;
    let HexBytes(signature) = argument(1, signature)?;
    let HexBytes(id) = argument(2, id)?;
    let wrong = |error: String| failed(parse_error(CALL, error));
    let task = AlertTask {
        alert_hash: word::<32>(&info.alert_hash.0, "alertHash")
            .map_err(wrong)?
            .into(),
        quorum_numbers: info.quorum_numbers.0,
        quorum_threshold_percentages: info.quorum_threshold_percentages.0,
        task_index: info.task_index,
        reference_block_number: info.reference_block_number,
    };
    let signature = word::<64>(&signature, "operatorRequestSignature").map_err(wrong)?;
    let operator = operator_id(&id).map_err(wrong)?;
    let taken = tasks
        .submit(task, G1Bytes(signature.into()), operator)
        .await;
    taken.map_err(|error| failed(process_error(CALL, error)))?;
    Ok(Reply {
        reply: true,
        tx_hash: GoBytes(NO_TRANSACTION.to_vec()),
    })
}

/// Positional parameters, as many as there have to be.
fn arguments<const N: usize>(params: &Params<'_>) -> Result<[Value; N], ErrorObjectOwned> {
    let list: Vec<Value> = match params.as_str() {
        None => Vec::new(),
        Some(text) => serde_json::from_str(text).map_err(|_| invalid("non-array args"))?,
    };
    let given = list.len();
    if given > N {
        return Err(invalid(&format!("too many arguments, want at most {N}")));
    }
    list.try_into()
        .map_err(|_| invalid(&format!("missing value for required argument {given}")))
}

fn argument<T: DeserializeOwned>(index: usize, value: Value) -> Result<T, ErrorObjectOwned> {
    serde_json::from_value(value)
        .map_err(|error| invalid(&format!("invalid argument {index}: {error}")))
}

fn invalid(message: &str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS, message, None::<()>)
}

fn failed(message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(FAILED, message, None::<()>)
}

/// Without an origin, pages of no other one may read answers.
fn cors(origins: &[String]) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::POST, Method::GET])
        .allow_headers(Any)
        .max_age(Duration::from_secs(600));
    if origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(Any);
    }
    let origins = origins
        .iter()
        .filter_map(|it| HeaderValue::from_str(it).ok());
    layer.allow_origin(origins.collect::<Vec<_>>())
}
