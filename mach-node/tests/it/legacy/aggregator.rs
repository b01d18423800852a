//! JSON-RPC of the aggregator: COMPAT 3.1 c), 3.2 and 3.4.

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, TxHash, address, b256, hex};
use async_trait::async_trait;
use mach_bls::{Signature, ValidKey, bn254::SecretKey};
use mach_core::{
    Confirmation,
    legacy::{AlertCertificate, LegacyAlert, digest_v1, digest_v2},
    ports::{AlertConfirmer, ConfirmError},
};
use mach_node::{
    http::HttpServer,
    legacy::{
        Deployment, DigestRule, LegacyConfig, LegacyTasks, TaskAggregator, VirtualHosts,
        aggregator_rpc,
    },
};
use serde_json::{Value, json};

use super::{post, sent};
use crate::{
    grpc::served,
    ports::{FixedHead, FixedRegistry, RETRY, id, key, percent, quorums},
};

/// Of the original's log (COMPAT 1.4): an alert about block 2000.
pub(super) const ALERT: B256 =
    b256!("8d110c62e49b8d73f9b8822e5c07336859f49c28bfc3e5d20981fe2ed306d880");
pub(super) const TRANSACTION: TxHash = B256::repeat_byte(0x77);
pub(super) const DEPLOYMENT: Deployment = Deployment {
    layer1_chain_id: 1,
    layer2_chain_id: 10,
    operator_state_retriever: address!("8Ad765474f86FFb0A742041427383b524192b71f"),
    registry_coordinator: address!("561be1AB42170a19f31645F774e6e3862B2139AA"),
};

/// Keeps what it confirms.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<AlertCertificate>>>);

#[async_trait]
impl AlertConfirmer for Kept {
    async fn confirm_alert(
        &self,
        certificate: &AlertCertificate,
    ) -> Result<Confirmation, ConfirmError> {
        self.0.lock().unwrap().push(certificate.clone());
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: Some(TRANSACTION),
            l1_block: 1001,
            gas_used: None,
        })
    }
}

pub(super) fn config(digest: DigestRule) -> LegacyConfig {
    LegacyConfig {
        retry: RETRY,
        ..LegacyConfig::new(DEPLOYMENT, digest, quorums(), vec![percent(66)])
    }
}

/// Four operators with equal stakes, of whom three are enough.
pub(super) fn tasks(confirmer: &Kept, config: LegacyConfig) -> Arc<dyn LegacyTasks> {
    let registry = FixedRegistry::new(4);
    let tasks = TaskAggregator::new(registry, FixedHead::new(), confirmer.clone(), config);
    Arc::new(tasks)
}

async fn serve(confirmer: &Kept, config: LegacyConfig) -> HttpServer {
    let router = aggregator_rpc(tasks(confirmer, config), VirtualHosts::default(), &[]);
    served(router).await
}

fn request(method: &str, params: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"aggregator_{method}","params":{params}}}"#)
}

/// A call of two of the methods, which are answered.
pub(super) fn calls() -> Vec<String> {
    vec![
        request("initOperator", &init().into()),
        request("createTask", &json!([ALERT])),
    ]
}

/// The answer's bytes without what surrounds them.
async fn ask(server: &HttpServer, method: &str, params: &Value) -> String {
    let (status, answer) = post(&server.url(), request(method, params)).await;
    assert_eq!(status, 200, "{answer}");
    let inner = answer.strip_prefix(r#"{"jsonrpc":"2.0","id":1,"#);
    let inner = inner.and_then(|inner| inner.strip_suffix('}'));
    inner.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn failed(code: i32, message: &str) -> String {
    let message = Value::from(message);
    format!(r#""error":{{"code":{code},"message":{message}}}"#)
}

fn init() -> Vec<Value> {
    vec![
        json!(1),
        json!(10),
        json!(id(0)),
        json!(Address::repeat_byte(9)),
        json!("0x8Ad765474f86FFb0A742041427383b524192b71f"),
        json!("561be1ab42170a19f31645f774e6e3862b2139aa"),
    ]
}

#[tokio::test]
async fn operators_introduce_themselves() {
    let server = serve(&Kept::default(), config(DigestRule::V1)).await;
    let ok = r#""result":{"ok":true,"reason":""}"#;
    assert_eq!(ask(&server, "initOperator", &init().into()).await, ok);
    let other = json!(Address::repeat_byte(1));
    let refused = |reason: &str| format!(r#""result":{{"ok":false,"reason":"{reason}"}}"#);
    let parse = |reason: &str| {
        failed(
            -32000,
            &format!("initOperator parse request falied: {reason}"),
        )
    };
    for (index, value, expected) in [
        (
            4,
            other.clone(),
            refused(
                "OperatorStateRetrieverAddr invaild, expect 0x8Ad765474f86FFb0A742041427383b524192b71f",
            ),
        ),
        (
            5,
            other,
            refused(
                "RegistryCoordinatorAddr invaild, expect 0x561be1AB42170a19f31645F774e6e3862B2139AA",
            ),
        ),
        (0, json!(5), refused("Layer1ChainId invaild, expect 1")),
        (1, json!(420), refused("Layer2ChainId invaild, expect 10")),
        (
            2,
            json!("0x0102"),
            parse("operator ID len should be 32, got 2"),
        ),
        (3, json!("0x12"), parse("operatorAddress not a hex address")),
        (
            4,
            json!(""),
            parse("operatorStateRetrieverAddr not a hex address"),
        ),
        (
            5,
            json!("no"),
            parse("registryCoordinatorAddr not a hex address"),
        ),
    ] {
        let mut params = init();
        params[index] = value;
        assert_eq!(ask(&server, "initOperator", &params.into()).await, expected);
    }
}

#[tokio::test]
async fn an_alert_has_one_task_however_often_it_is_asked_for() {
    let server = serve(&Kept::default(), config(DigestRule::V1)).await;
    let expected = |hash: B256, index: u32| {
        format!(
            "\"result\":{{\"alert_hash\":\"{hash}\",\"quorum_numbers\":\"AA==\",\
             \"quorum_threshold_percentages\":\"Qg==\",\"task_index\":{index},\
             \"reference_block_number\":999}}"
        )
    };
    for _ in 0..2 {
        let answer = ask(&server, "createTask", &json!([ALERT])).await;
        assert_eq!(answer, expected(ALERT, 0));
    }
    let other = B256::repeat_byte(1);
    let answer = ask(&server, "createTask", &json!([other])).await;
    assert_eq!(answer, expected(other, 1));
}

/// The whole way, as the original's operator goes it, for both digests.
#[tokio::test]
async fn signatures_of_enough_stake_confirm_the_alert() {
    for (rule, digest) in [
        (DigestRule::V1, digest_v1(ALERT, 999)),
        (DigestRule::V2(10), digest_v2(ALERT, 999, 10)),
    ] {
        let confirmer = Kept::default();
        let server = serve(&confirmer, config(rule)).await;
        let created = ask(&server, "createTask", &json!([ALERT])).await;
        let info: Value =
            serde_json::from_str(created.strip_prefix("\"result\":").unwrap()).unwrap();
        let taken = format!(
            r#""result":{{"reply":true,"tx_hash":"{}="}}"#,
            "A".repeat(43)
        );
        // The second writes lists where the first has base64; both are Go's.
        let mut other = info.clone();
        other["quorum_numbers"] = json!([0]);
        for (index, info) in [(0, &info), (1, &other), (1, &info), (3, &info)] {
            let signature = key(index).sign(digest).to_bytes();
            let params = json!([info, signature, id(index)]);
            let answer = ask(&server, "processSignedTaskResponse", &params).await;
            assert_eq!(answer, taken, "{rule:?} {index}");
        }
        let finished = format!("the task {ALERT} already finished: {TRANSACTION}");
        let expected = failed(
            -32000,
            &format!("createTask process request falied: {finished}"),
        );
        crate::ports::until(|| confirmer.0.lock().unwrap().len() == 1).await;
        loop {
            let answer = ask(&server, "createTask", &json!([ALERT])).await;
            if answer == expected {
                break;
            }
            assert!(answer.starts_with("\"result\""), "{answer}");
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let params = json!([info, key(2).sign(digest).to_bytes(), id(2)]);
        let late = ask(&server, "processSignedTaskResponse", &params).await;
        let process = "processSignedTaskResponse process request falied: ";
        assert_eq!(late, failed(-32000, &format!("{process}{finished}")));

        let certificate = confirmer.0.lock().unwrap().remove(0);
        assert_eq!(certificate.digest(), digest);
        assert_eq!(certificate.message_hash, ALERT);
        assert_eq!(certificate.round.reference_block(), 999);
        let absent: Vec<_> = certificate.non_signers.iter().map(|it| it.id).collect();
        assert_eq!(absent, [id(2)]);
        assert_eq!(certificate.quorums[0].signed.weight(), 300);
        // By the keys of those who signed, which sum up to the one in the certificate.
        let keys: Vec<_> = [0, 1, 3].into_iter().map(key).collect();
        let sum = ValidKey::sum(keys.iter().map(SecretKey::public_key)).unwrap();
        assert_eq!(sum.g2_bytes(), certificate.apk_g2);
        let sigma = Signature::from_bytes(&certificate.sigma).unwrap();
        sum.verify(digest, &sigma).unwrap();
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_signature_is_said_in_the_originals_words() {
    let confirmer = Kept::default();
    let server = serve(&confirmer, config(DigestRule::V1)).await;
    let created = ask(&server, "createTask", &json!([ALERT])).await;
    let info: Value = serde_json::from_str(created.strip_prefix("\"result\":").unwrap()).unwrap();
    let right = key(0).sign(digest_v1(ALERT, 999)).to_bytes();
    let stranger = key(9).sign(digest_v1(ALERT, 999)).to_bytes();
    let of_v2 = key(0).sign(digest_v2(ALERT, 999, 10)).to_bytes();
    let mut unknown = info.clone();
    unknown["task_index"] = json!(7);
    let mut other = info.clone();
    other["alert_hash"] = json!(B256::ZERO);
    let mut short = info.clone();
    short["alert_hash"] = json!("0x00");
    let (parse, process) = ("parse request falied: ", "process request falied: ");
    let wrong = "Signature verification failed. Incorrect Signature.";
    let stranger_id = id(9);
    for (params, expected) in [
        (
            json!([unknown, right, id(0)]),
            format!("{process}task not found"),
        ),
        (
            json!([other, right, id(0)]),
            format!("{process}task not found"),
        ),
        (json!([info, right, id(1)]), format!("{process}{wrong}")),
        (json!([info, of_v2, id(0)]), format!("{process}{wrong}")),
        (
            json!([info, stranger, stranger_id]),
            format!("{process}operator {stranger_id} not part of task 0's quorum"),
        ),
        (
            json!([info, format!("0x{}", "01".repeat(64)), id(0)]),
            format!("{process}Failed to verify signature: "),
        ),
        (
            json!([info, "0x0102", id(0)]),
            format!("{parse}operatorRequestSignature len should be 64"),
        ),
        (
            json!([info, right, "0x01"]),
            format!("{parse}operator ID len should be 32, got 1"),
        ),
        (
            json!([short, right, id(0)]),
            format!("{parse}alertHash len should be 32"),
        ),
    ] {
        let answer = ask(&server, "processSignedTaskResponse", &params).await;
        let start = failed(-32000, &format!("processSignedTaskResponse {expected}"));
        let start = start.trim_end_matches("\"}");
        assert!(answer.starts_with(start), "{answer}, not {start}");
    }
    assert!(confirmer.0.lock().unwrap().is_empty());
    let answer = ask(&server, "createTask", &json!(["0x00"])).await;
    let words = "createTask parse request falied: alertHash len should be 32";
    assert_eq!(answer, failed(-32000, words));
}

#[tokio::test]
async fn parameters_are_positional_and_of_their_type() {
    let server = serve(&Kept::default(), config(DigestRule::V1)).await;
    let url = server.url();
    let without_prefix = hex::encode(ALERT);
    for (method, params, code) in [
        ("createTask", json!([]), -32602),
        ("createTask", json!([ALERT, 1]), -32602),
        ("createTask", json!([1]), -32602),
        ("createTask", json!([without_prefix]), -32602),
        ("createTask", json!(["0x0"]), -32602),
        ("createTask", json!({"alertHash": ALERT}), -32602),
        ("initOperator", json!([1, 10]), -32602),
        ("initOperator", json!(["1", 10, id(0), "", "", ""]), -32602),
        (
            "initOperator",
            json!([4_294_967_296_u64, 10, id(0), "", "", ""]),
            -32602,
        ),
        ("processSignedTaskResponse", json!([{}, "0x", "0x"]), -32602),
        ("closeTask", json!([]), -32601),
    ] {
        let (status, answer) = post(&url, request(method, &params)).await;
        let expected = format!("\"code\":{code},");
        assert!(
            status == 200 && answer.contains(&expected),
            "{method}: {answer}"
        );
    }
    // Calls come in batches too; what is no call is an error.
    let one = request("createTask", &json!([ALERT]));
    let (_, answer) = post(&url, format!("[{one},{one}]")).await;
    assert_eq!(answer.matches("\"task_index\":0").count(), 2, "{answer}");
    let (_, answer) = post(&url, "{").await;
    assert!(answer.contains("-32700"), "{answer}");
}

/// COMPAT 8.1, 28: the name of a service that nobody knows ended the prototype, and so did parameters that were
/// left out. Its methods are not there, and those that are go on.
#[tokio::test]
async fn the_generic_prototype_is_not_served_and_ends_nothing() {
    let server = serve(&Kept::default(), config(DigestRule::V1)).await;
    let url = server.url();
    let methods = ["initOperator", "createTask", "processSignedTaskResponse"];
    let nobody = json!({"avs_name": "nobody", "sig_hash": ALERT, "params": null});
    for method in methods {
        for params in [
            json!([]),
            json!([nobody]),
            json!(["nobody", null]),
            nobody.clone(),
        ] {
            let call = json!({
                "jsonrpc": "2.0",
                "id": 1,
                "method": format!("genericAggregator_{method}"),
                "params": params,
            });
            let (status, answer) = post(&url, call.to_string()).await;
            assert!(
                status == 200 && answer.contains("\"code\":-32601,"),
                "{method}: {answer}"
            );
        }
    }
    let created = ask(&server, "createTask", &json!([ALERT])).await;
    assert!(created.starts_with("\"result\":"), "{created}");
}

#[tokio::test]
async fn names_and_origins_are_those_of_the_configuration() {
    let hosts: VirtualHosts = ["aggregator.example"].into_iter().collect();
    let origins = ["https://watch.example".to_owned()];
    let tasks = tasks(&Kept::default(), config(DigestRule::V1));
    let server = served(aggregator_rpc(tasks, hosts, &origins)).await;
    let body = || request("createTask", &json!([ALERT]));
    let client = reqwest::Client::new();
    for (host, status) in [
        ("127.0.0.1", 200),
        ("aggregator.example:8290", 200),
        ("other.example", 403),
        ("localhost", 403),
    ] {
        let request = client.post(server.url()).header("host", host).body(body());
        let answer = request
            .header("content-type", "application/json")
            .send()
            .await;
        assert_eq!(answer.unwrap().status().as_u16(), status, "{host}");
    }
    for (origin, is_told) in [
        ("https://watch.example", true),
        ("https://evil.example", false),
    ] {
        let request = client
            .post(server.url())
            .header("origin", origin)
            .body(body());
        let answer = request
            .header("content-type", "application/json")
            .send()
            .await;
        let allowed = answer.unwrap();
        let allowed = allowed.headers().get("access-control-allow-origin");
        assert_eq!(allowed.is_some_and(|it| it == origin), is_told, "{origin}");
    }
    assert_eq!(sent(&server.url(), body()).await.status().as_u16(), 200);
}

/// Whoever reaches the endpoint opens as many tasks as it likes.
#[tokio::test]
async fn junk_takes_nobodys_place() {
    let config = LegacyConfig {
        max_tasks: 4,
        ..config(DigestRule::V1)
    };
    let tasks = tasks(&Kept::default(), config);
    let task = tasks.create_task(ALERT).await.unwrap();
    let signature = key(0).sign(digest_v1(ALERT, 999)).to_bytes();
    tasks.submit(task.clone(), signature, id(0)).await.unwrap();
    for junk in 0..100 {
        tasks.create_task(B256::with_last_byte(junk)).await.unwrap();
    }
    assert_eq!(tasks.create_task(ALERT).await.unwrap(), task);
    // Not even if every task has been signed.
    for number in 100..104 {
        let hash = B256::with_last_byte(number);
        let Ok(task) = tasks.create_task(hash).await else {
            assert_eq!(number, 103);
            return;
        };
        let signature = key(0).sign(digest_v1(hash, 999)).to_bytes();
        tasks.submit(task, signature, id(0)).await.unwrap();
    }
    panic!("a task took another one's place");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_over_is_opened_again() {
    let tasks = tasks(&Kept::default(), config(DigestRule::V1));
    let first = tasks.create_task(ALERT).await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(1201)).await;
    let signature = key(0).sign(digest_v1(ALERT, 999)).to_bytes();
    let error = tasks.submit(first, signature, id(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "task not found");
    assert_eq!(tasks.create_task(ALERT).await.unwrap().task_index, 1);
}

/// What the original's log calls this alert.
#[test]
fn the_alert_is_that_of_the_originals_log() {
    let root = b256!("5fc8d32690cc91d4c39d9d3abcbd16989f875700000000000000000000000000");
    let alert = LegacyAlert::BlockMismatch {
        invalid_output_root: root,
        expect_output_root: root,
        l2_block_number: 2000,
    };
    assert_eq!(alert.message_hash(), ALERT);
}
