//! The calls over gRPC: the service `aggregator.Aggregator`.

use std::sync::Arc;

use alloy_primitives::B256;
use axum::Router;
use mach_core::G1Bytes;
use tonic::{Request, Response, Status, async_trait, service::Routes};

use self::proto::{
    AlertTaskInfo, CreateTaskRequest, CreateTaskResponse, InitOperatorRequest,
    InitOperatorResponse, SignedTaskRespRequest, SignedTaskRespResponse,
    aggregator_server::{Aggregator, AggregatorServer},
};
use super::{
    AlertTask, Deployment, InitOperator, LegacyTasks, NO_TRANSACTION, json_rpc::account,
    operator_id, parse_error, process_error, word,
};

/// What is made of the description.
mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        clippy::nursery,
        clippy::restriction,
        reason = "generated"
    )]

    tonic::include_proto!("aggregator");
}

/// Largest message, in bytes: a signed task has less than one thousand.
const MAX_BYTES: usize = 16 * 1024;

/// `tasks` as the service `aggregator.Aggregator`, to be served over HTTP/2 without TLS, as the
/// original's operators call it. Errors have the words that they have over JSON-RPC.
pub fn aggregator_grpc(tasks: Arc<dyn LegacyTasks>) -> Router {
    let service = AggregatorServer::new(Served(tasks))
        .max_decoding_message_size(MAX_BYTES)
        .max_encoding_message_size(MAX_BYTES);
    let routes = Routes::from(Router::new()).add_service(service);
    routes.into_axum_router()
}

struct Served(Arc<dyn LegacyTasks>);

#[async_trait]
impl Aggregator for Served {
    async fn init_operator(
        &self,
        request: Request<InitOperatorRequest>,
    ) -> Result<Response<InitOperatorResponse>, Status> {
        let request = request.into_inner();
        let wrong = |error: String| Status::unknown(parse_error("initOperator", error));
        let operator = InitOperator {
            operator: operator_id(&request.operator_id).map_err(wrong)?,
            address: account(&request.operator_address, "operatorAddress").map_err(wrong)?,
            deployment: Deployment {
                layer1_chain_id: request.layer1_chain_id,
                layer2_chain_id: request.chain_id,
                operator_state_retriever: account(
                    &request.operator_state_retriever_addr,
                    "operatorStateRetrieverAddr",
                )
                .map_err(wrong)?,
                registry_coordinator: account(
                    &request.registry_coordinator_addr,
                    "registryCoordinatorAddr",
                )
                .map_err(wrong)?,
            },
        };
        let answer = self.0.init_operator(operator).await;
        Ok(Response::new(InitOperatorResponse {
            ok: answer.ok,
            reason: answer.reason,
        }))
    }

    async fn create_task(
        &self,
        request: Request<CreateTaskRequest>,
    ) -> Result<Response<CreateTaskResponse>, Status> {
        const CALL: &str = "createTask";
        let hash = word::<32>(&request.into_inner().alert_hash, "alertHash")
            .map_err(|error| Status::unknown(parse_error(CALL, error)))?;
        let created = self.0.create_task(B256::new(hash)).await;
        let task = created.map_err(|error| Status::unknown(process_error(CALL, error)))?;
        let info = AlertTaskInfo {
            alert_hash: task.alert_hash.to_vec(),
            quorum_numbers: task.quorum_numbers,
            quorum_threshold_percentages: task.quorum_threshold_percentages,
            task_index: task.task_index,
            reference_block_number: task.reference_block_number,
        };
        Ok(Response::new(CreateTaskResponse { info: Some(info) }))
    }

    async fn process_signed_task_response(
        &self,
        request: Request<SignedTaskRespRequest>,
    ) -> Result<Response<SignedTaskRespResponse>, Status> {
        const CALL: &str = "processSignedTaskResponse";
        let request = request.into_inner();
        let wrong = |error: String| Status::unknown(parse_error(CALL, error));
        let info = request.alert.unwrap_or_default();
        let task = AlertTask {
            alert_hash: word::<32>(&info.alert_hash, "alertHash")
                .map_err(wrong)?
                .into(),
            quorum_numbers: info.quorum_numbers,
            quorum_threshold_percentages: info.quorum_threshold_percentages,
            task_index: info.task_index,
            reference_block_number: info.reference_block_number,
        };
        let signature = &request.operator_request_signature;
        let signature = word::<64>(signature, "operatorRequestSignature").map_err(wrong)?;
        let operator = operator_id(&request.operator_id).map_err(wrong)?;
        let taken = self
            .0
            .submit(task, G1Bytes(signature.into()), operator)
            .await;
        taken.map_err(|error| Status::unknown(process_error(CALL, error)))?;
        Ok(Response::new(SignedTaskRespResponse {
            reply: true,
            tx_hash: NO_TRANSACTION.to_vec(),
        }))
    }
}
