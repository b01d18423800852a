//! gRPC of the aggregator: COMPAT 3.1 b), with messages written out by its field numbers.

use mach_core::legacy::digest_v1;
use mach_node::legacy::{DigestRule, aggregator_grpc};
use tonic::Code;

use super::aggregator::{ALERT, DEPLOYMENT, Kept, config, tasks};
use crate::{
    grpc::{call, served},
    ports::{id, key},
};

#[derive(Clone, PartialEq, prost::Message)]
struct InitOperatorRequest {
    #[prost(uint32, tag = "1")]
    layer1_chain_id: u32,
    #[prost(uint32, tag = "2")]
    chain_id: u32,
    #[prost(bytes = "vec", tag = "3")]
    operator_id: Vec<u8>,
    #[prost(string, tag = "4")]
    operator_address: String,
    #[prost(string, tag = "5")]
    operator_state_retriever_addr: String,
    #[prost(string, tag = "6")]
    registry_coordinator_addr: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InitOperatorResponse {
    #[prost(bool, tag = "1")]
    ok: bool,
    #[prost(string, tag = "2")]
    reason: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CreateTaskRequest {
    #[prost(bytes = "vec", tag = "1")]
    alert_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CreateTaskResponse {
    #[prost(message, optional, tag = "1")]
    info: Option<AlertTaskInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SignedTaskRespRequest {
    #[prost(message, optional, tag = "1")]
    alert: Option<AlertTaskInfo>,
    #[prost(bytes = "vec", tag = "2")]
    operator_request_signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    operator_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SignedTaskRespResponse {
    #[prost(bool, tag = "1")]
    reply: bool,
    #[prost(bytes = "vec", tag = "2")]
    tx_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AlertTaskInfo {
    #[prost(bytes = "vec", tag = "1")]
    alert_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    quorum_numbers: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    quorum_threshold_percentages: Vec<u8>,
    #[prost(uint32, tag = "4")]
    task_index: u32,
    #[prost(uint64, tag = "5")]
    reference_block_number: u64,
}

const INIT: &str = "/aggregator.Aggregator/InitOperator";
const CREATE: &str = "/aggregator.Aggregator/CreateTask";
const PROCESS: &str = "/aggregator.Aggregator/ProcessSignedTaskResponse";

#[tokio::test]
async fn an_operator_of_the_original_signs_over_grpc() {
    let confirmer = Kept::default();
    let server = served(aggregator_grpc(tasks(&confirmer, config(DigestRule::V1)))).await;
    let init = InitOperatorRequest {
        layer1_chain_id: 1,
        chain_id: 10,
        operator_id: id(0).0.to_vec(),
        operator_address: format!("0x{}", "09".repeat(20)),
        operator_state_retriever_addr: DEPLOYMENT.operator_state_retriever.to_string(),
        registry_coordinator_addr: DEPLOYMENT.registry_coordinator.to_string(),
    };
    let answer: InitOperatorResponse = call(&server, INIT, init.clone()).await.unwrap();
    assert_eq!((answer.ok, answer.reason.as_str()), (true, ""));
    let elsewhere = InitOperatorRequest {
        chain_id: 11,
        ..init.clone()
    };
    let answer: InitOperatorResponse = call(&server, INIT, elsewhere).await.unwrap();
    assert_eq!(
        (answer.ok, answer.reason.as_str()),
        (false, "Layer2ChainId invaild, expect 10")
    );

    let create = CreateTaskRequest {
        alert_hash: ALERT.to_vec(),
    };
    let answer: CreateTaskResponse = call(&server, CREATE, create).await.unwrap();
    let info = answer.info.unwrap();
    let expected = AlertTaskInfo {
        alert_hash: ALERT.to_vec(),
        quorum_numbers: vec![0],
        quorum_threshold_percentages: vec![66],
        task_index: 0,
        reference_block_number: 999,
    };
    assert_eq!(info, expected);

    let signed = |alert: &AlertTaskInfo, signer: u64| SignedTaskRespRequest {
        alert: Some(alert.clone()),
        operator_request_signature: key(signer)
            .sign(digest_v1(ALERT, 999))
            .to_bytes()
            .0
            .to_vec(),
        operator_id: id(0).0.to_vec(),
    };
    let answer: SignedTaskRespResponse = call(&server, PROCESS, signed(&info, 0)).await.unwrap();
    // The original's operators take a slice of 32 bytes of it, whatever it is.
    assert_eq!((answer.reply, answer.tx_hash), (true, vec![0; 32]));

    // Errors of a Go service have no code of their own.
    let short = CreateTaskRequest {
        alert_hash: vec![0; 31],
    };
    let nobody = InitOperatorRequest {
        operator_id: vec![1, 2],
        ..init
    };
    let errors = [
        call::<_, CreateTaskResponse>(&server, CREATE, short)
            .await
            .map(drop),
        call::<_, InitOperatorResponse>(&server, INIT, nobody)
            .await
            .map(drop),
        call::<_, SignedTaskRespResponse>(&server, PROCESS, signed(&info, 1))
            .await
            .map(drop),
        call::<SignedTaskRespRequest, SignedTaskRespResponse>(&server, PROCESS, Default::default())
            .await
            .map(drop),
    ];
    for (result, message) in errors.into_iter().zip([
        "createTask parse request falied: alertHash len should be 32",
        "initOperator parse request falied: operator ID len should be 32, got 2",
        "processSignedTaskResponse process request falied: Signature verification failed. Incorrect Signature.",
        "processSignedTaskResponse parse request falied: alertHash len should be 32",
    ]) {
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::Unknown, message));
    }
}
