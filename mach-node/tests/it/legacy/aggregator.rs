//! JSON-RPC of the aggregator: COMPAT 3.1 c), 3.2 and 3.4.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, TxHash, address, b256, hex};
use async_trait::async_trait;
use mach_bls::{Signature, ValidKey, bn254::SecretKey};
use mach_core::{
    Confirmation,
    legacy::{AlertCertificate, LegacyAlert, digest_v1, digest_v2},
    ports::{AlertConfirmer, BoxError, ConfirmError},
};
use mach_node::{
    L1Head,
    http::HttpServer,
    legacy::{
        AlertTask, Deployment, DigestRule, LegacyConfig, LegacyTasks, TaskAggregator, TaskError,
        VirtualHosts, aggregator_rpc,
    },
    store::{Change, MemoryStore, RedbStore, Row, Store, StoreError, Table, Written},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{post, sent};
use crate::{
    grpc::served,
    ports::{FixedHead, FixedRegistry, HEAD, RETRY, Unwritable, id, key, percent, quorums, until},
    writes::{Writes, WrittenBy},
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
pub(crate) struct Kept(pub(crate) Arc<Mutex<Vec<AlertCertificate>>>);

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

pub(crate) fn config(digest: DigestRule) -> LegacyConfig {
    LegacyConfig {
        retry: RETRY,
        ..LegacyConfig::new(DEPLOYMENT, digest, quorums(), vec![percent(66)])
    }
}

/// Four operators with equal stakes, of whom three are enough.
pub(super) fn tasks(confirmer: &Kept, config: LegacyConfig) -> Arc<dyn LegacyTasks> {
    Arc::new(tasks_on(MemoryStore::new(), confirmer, config))
}

/// What they remember is in `store`.
fn tasks_on(store: impl Store + 'static, confirmer: &Kept, config: LegacyConfig) -> TaskAggregator {
    let registry = FixedRegistry::new(4);
    TaskAggregator::new(store, registry, FixedHead::new(), confirmer.clone(), config)
}

/// What operator `index` sends of a task of V1.
pub(crate) async fn sign(
    tasks: &TaskAggregator,
    task: &AlertTask,
    index: u64,
) -> Result<(), TaskError> {
    let reference_block = u32::try_from(task.reference_block_number).unwrap();
    let digest = digest_v1(task.alert_hash, reference_block);
    let signature = key(index).sign(digest).to_bytes();
    tasks.submit(task.clone(), signature, id(index)).await
}

async fn rows(store: &impl Store) -> usize {
    let rows = store.scan(Table::Tasks, &[], None, usize::MAX).await;
    rows.unwrap().len()
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
        until(|| confirmer.0.lock().unwrap().len() == 1).await;
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
    let store = MemoryStore::new();
    let tasks = tasks_on(store.clone(), &Kept::default(), config);
    let task = tasks.create_task(ALERT).await.unwrap();
    sign(&tasks, &task, 0).await.unwrap();
    for junk in 0..100 {
        tasks.create_task(B256::with_last_byte(junk)).await.unwrap();
    }
    assert_eq!(tasks.create_task(ALERT).await.unwrap(), task);
    // Four tasks, a signature, and the number of the next.
    assert_eq!(rows(&store).await, 6);
    // Not even if every task has been signed.
    for number in 100..104 {
        let hash = B256::with_last_byte(number);
        let Ok(task) = tasks.create_task(hash).await else {
            assert_eq!(number, 103);
            return;
        };
        sign(&tasks, &task, 0).await.unwrap();
    }
    panic!("a task took another one's place");
}

/// Not even where another instance opens as many: one that knows the task since before it was signed, and one
/// that does not.
#[tokio::test]
async fn junk_at_another_instance_takes_nobodys_place() {
    let (store, confirmer) = (MemoryStore::new(), Kept::default());
    let config = LegacyConfig {
        max_tasks: 4,
        ..config(DigestRule::V1)
    };
    let start = || tasks_on(store.clone(), &confirmer, config.clone());
    let (signed, flooded) = (start(), start());
    let early = signed.create_task(ALERT).await.unwrap();
    assert_eq!(flooded.create_task(ALERT).await.unwrap(), early);
    let late = signed.create_task(B256::repeat_byte(0xee)).await.unwrap();
    for task in [&early, &late] {
        sign(&signed, task, 0).await.unwrap();
    }
    assert_eq!(flooded.create_task(late.alert_hash).await.unwrap(), late);
    for junk in 0..20 {
        let junk = flooded.create_task(B256::with_last_byte(junk)).await;
        junk.unwrap();
    }
    for task in [&early, &late] {
        assert_eq!(flooded.create_task(task.alert_hash).await.unwrap(), *task);
        for index in [1, 2] {
            sign(&signed, task, index).await.unwrap();
        }
    }
    until(|| confirmer.0.lock().unwrap().len() == 2).await;
    for certificate in &*confirmer.0.lock().unwrap() {
        assert_eq!(certificate.quorums[0].signed.weight(), 300);
    }
}

/// A row that does not say whether it is signed may be.
#[tokio::test]
async fn junk_takes_no_place_of_a_task_that_may_be_signed() {
    let store = MemoryStore::new();
    let config = LegacyConfig {
        max_tasks: 2,
        ..config(DigestRule::V1)
    };
    let start = || tasks_on(store.clone(), &Kept::default(), config.clone());
    let task = start().create_task(ALERT).await.unwrap();
    let rows = store.scan(Table::Tasks, &[], None, usize::MAX).await;
    let said = |row: &Row| {
        serde_json::from_slice::<Value>(&row.1)
            .ok()?
            .as_object()
            .cloned()
    };
    let (key, mut row) = (rows.unwrap().iter())
        .find_map(|row| Some((row.0.clone(), said(row)?)))
        .unwrap();
    assert_eq!(row.remove("isSigned"), Some(json!(false)));
    let change = Change {
        table: Table::Tasks,
        key,
        expected: Default::default(),
        value: Some(serde_json::to_vec(&row).unwrap()),
    };
    assert_eq!(store.write(vec![change]).await.unwrap(), Written::Applied);
    let after = start();
    assert_eq!(after.create_task(ALERT).await.unwrap(), task);
    for junk in 0..4 {
        after.create_task(B256::with_last_byte(junk)).await.unwrap();
    }
    assert_eq!(after.create_task(ALERT).await.unwrap(), task);
}

/// Writes take their time.
struct Slow;

#[async_trait]
impl Writes for Slow {
    async fn write(
        &self,
        store: &MemoryStore,
        changes: Vec<Change>,
    ) -> Result<Written, StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.write(changes).await
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_sign_at_once_are_taken() {
    let confirmer = Kept::default();
    let store = WrittenBy::from(Slow);
    let tasks = tasks_on(store, &confirmer, config(DigestRule::V1));
    let task = tasks.create_task(ALERT).await.unwrap();
    let signed = (0..3).map(|index| sign(&tasks, &task, index));
    futures::future::try_join_all(signed).await.unwrap();
    until(|| confirmer.0.lock().unwrap().len() == 1).await;
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

/// COMPAT 8.1, 14: an operator goes on with the task that it was given before, and no number comes twice.
#[tokio::test]
async fn a_restart_forgets_no_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aggregator.redb");
    let confirmer = Kept::default();
    let other = B256::repeat_byte(1);
    let start = || {
        let store = RedbStore::open(&path).unwrap();
        tasks_on(store, &confirmer, config(DigestRule::V1))
    };
    let before = start();
    let given = before.create_task(ALERT).await.unwrap();
    let unsigned = before.create_task(other).await.unwrap();
    assert_eq!((given.task_index, unsigned.task_index), (0, 1));
    for index in [0, 1] {
        sign(&before, &given, index).await.unwrap();
    }
    drop(before);

    let after = start();
    let third = after.create_task(B256::repeat_byte(2)).await.unwrap();
    assert_eq!(third.task_index, 2);
    assert_eq!(after.create_task(other).await.unwrap(), unsigned);
    assert!(confirmer.0.lock().unwrap().is_empty());
    sign(&after, &given, 3).await.unwrap();
    until(|| confirmer.0.lock().unwrap().len() == 1).await;
    let certificate = confirmer.0.lock().unwrap().remove(0);
    let absent: Vec<_> = certificate.non_signers.iter().map(|it| it.id).collect();
    assert_eq!(absent, [id(2)]);
    let keys: Vec<_> = [0, 1, 3].into_iter().map(key).collect();
    let sum = ValidKey::sum(keys.iter().map(SecretKey::public_key)).unwrap();
    let sigma = Signature::from_bytes(&certificate.sigma).unwrap();
    sum.verify(certificate.digest(), &sigma).unwrap();
    drop(after);

    // Its transaction is known, too, and its signatures are needed no more.
    until(|| RedbStore::open(&path).is_ok()).await;
    let error = start().create_task(ALERT).await.unwrap_err();
    let finished = format!("the task {ALERT} already finished: {TRANSACTION}");
    assert_eq!(error.to_string(), finished);
    assert_eq!(rows(&RedbStore::open(&path).unwrap()).await, 4);
}

/// Never answers.
struct Silent(Arc<tokio::sync::Semaphore>);

#[async_trait]
impl AlertConfirmer for Silent {
    async fn confirm_alert(&self, _: &AlertCertificate) -> Result<Confirmation, ConfirmError> {
        self.0.add_permits(1);
        std::future::pending().await
    }
}

/// The process ends between the last signature and L1: no operator sends anything again.
#[tokio::test]
async fn what_enough_operators_signed_is_brought_to_l1_by_the_next_process() {
    let (store, asked) = (MemoryStore::new(), Arc::new(tokio::sync::Semaphore::new(0)));
    let before = TaskAggregator::new(
        store.clone(),
        FixedRegistry::new(4),
        FixedHead::new(),
        Silent(Arc::clone(&asked)),
        config(DigestRule::V1),
    );
    let task = before.create_task(ALERT).await.unwrap();
    for index in 0..3 {
        sign(&before, &task, index).await.unwrap();
    }
    let _ = asked.acquire().await.unwrap();
    let confirmer = Kept::default();
    let after = tasks_on(store, &confirmer, config(DigestRule::V1));
    let _end = running(&after);
    until(|| confirmer.0.lock().unwrap().len() == 1).await;
}

/// An L1 that is away for a number of calls.
struct Away {
    left: AtomicUsize,
    then: Kept,
}

#[async_trait]
impl AlertConfirmer for Away {
    async fn confirm_alert(
        &self,
        certificate: &AlertCertificate,
    ) -> Result<Confirmation, ConfirmError> {
        let left = |left: usize| left.checked_sub(1);
        let left = (self.left).fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        match left {
            Ok(_) => Err(ConfirmError::Backend("no answer".into())),
            Err(_) => self.then.confirm_alert(certificate).await,
        }
    }
}

fn running(tasks: &TaskAggregator) -> tokio_util::sync::DropGuard {
    let (tasks, shutdown) = (tasks.clone(), CancellationToken::new());
    let end = shutdown.clone().drop_guard();
    tokio::spawn(async move { tasks.run(shutdown).await });
    end
}

/// No operator sends anything again: it was told that its signature is taken.
#[tokio::test(start_paused = true)]
async fn what_enough_operators_signed_is_brought_to_l1_once_l1_is_back() {
    let confirmer = Kept::default();
    let away = Away {
        // All tries after the last signature, and those of the next tick but one.
        left: AtomicUsize::new(5),
        then: confirmer.clone(),
    };
    let (registry, l1) = (FixedRegistry::new(4), FixedHead::new());
    let config = config(DigestRule::V1);
    let tasks = TaskAggregator::new(MemoryStore::new(), registry, l1, away, config);
    let _end = running(&tasks);
    let task = tasks.create_task(ALERT).await.unwrap();
    for index in 0..3 {
        sign(&tasks, &task, index).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(confirmer.0.lock().unwrap().len(), 1);
    let error = tasks.create_task(ALERT).await.unwrap_err();
    assert!(
        matches!(error, TaskError::AlreadyFinished { .. }),
        "{error}"
    );
}

/// One of two instances hangs between the last signature and L1; the other one has run all along.
#[tokio::test(start_paused = true)]
async fn what_enough_operators_signed_is_brought_to_l1_by_another_instance() {
    let (store, confirmer) = (MemoryStore::new(), Kept::default());
    let other = tasks_on(store.clone(), &confirmer, config(DigestRule::V1));
    let silent = TaskAggregator::new(
        store,
        FixedRegistry::new(4),
        FixedHead::new(),
        Silent(Arc::new(tokio::sync::Semaphore::new(0))),
        config(DigestRule::V1),
    );
    let _ends = [running(&other), running(&silent)];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let task = silent.create_task(ALERT).await.unwrap();
    for index in 0..3 {
        sign(&silent, &task, index).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(confirmer.0.lock().unwrap().len(), 1);
    // Both know what came of it.
    for tasks in [&other, &silent] {
        let error = tasks.create_task(ALERT).await.unwrap_err();
        let finished = format!("the task {ALERT} already finished: {TRANSACTION}");
        assert_eq!(error.to_string(), finished);
    }
}

/// An L1 that takes its time, as a hosted one does.
#[derive(Default)]
struct Distant(AtomicUsize);

#[async_trait]
impl L1Head for Distant {
    async fn block_number(&self) -> Result<u64, BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(HEAD)
    }
}

/// Strangers ask for tasks of what they like.
#[tokio::test(start_paused = true)]
async fn who_asks_for_tasks_keeps_nobody_waiting_for_l1() {
    let (registry, l1) = (FixedRegistry::new(4), Arc::new(Distant::default()));
    let (store, confirmer) = (MemoryStore::new(), Kept::default());
    let v1 = config(DigestRule::V1);
    let tasks = TaskAggregator::new(store, registry, Arc::clone(&l1) as _, confirmer, v1);
    let began = tokio::time::Instant::now();
    let asked = (0..200).map(|index| tasks.create_task(B256::with_last_byte(index)));
    let honest = async {
        let task = tasks.create_task(ALERT).await.unwrap();
        sign(&tasks, &task, 0).await.unwrap();
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(asked), honest);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(l1.0.load(Ordering::SeqCst), 1);
    assert!(began.elapsed() < Duration::from_millis(500));
}

/// How long the process was gone L1 says; who changes the terms, or runs beside another instance with other ones,
/// goes on with those that were given.
#[tokio::test]
async fn a_stored_task_is_over_when_l1_says_so_whatever_the_terms_of_now() {
    let store = MemoryStore::new();
    let confirmer = Kept::default();
    let started = |head: u64, config: LegacyConfig| {
        let l1 = FixedHead::new();
        l1.0.store(head, Ordering::SeqCst);
        let registry = FixedRegistry::new(4);
        TaskAggregator::new(store.clone(), registry, l1, confirmer.clone(), config)
    };
    let v1 = || config(DigestRule::V1);
    let first = started(HEAD, v1()).create_task(ALERT).await.unwrap();
    sign(&started(HEAD, v1()), &first, 0).await.unwrap();
    // A hundred blocks past the reference block, and one more.
    let task = started(HEAD + 99, v1()).create_task(ALERT).await.unwrap();
    assert_eq!(task, first);
    let later = started(HEAD + 100, v1());
    let error = sign(&later, &first, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "task not found");
    let second = later.create_task(ALERT).await.unwrap();
    // The new task and the number of the next: nothing of the old one.
    assert_eq!(rows(&store).await, 2);
    assert_eq!(
        (second.task_index, second.reference_block_number),
        (1, 1099)
    );
    let stricter = LegacyConfig {
        thresholds: vec![percent(67)],
        ..v1()
    };
    let stricter = || started(HEAD + 100, stricter.clone());
    assert_eq!(stricter().create_task(ALERT).await.unwrap(), second);
    for (index, tasks) in (0..3).zip([later, stricter(), started(HEAD + 100, v1())]) {
        sign(&tasks, &second, index).await.unwrap();
    }
    until(|| confirmer.0.lock().unwrap().len() == 1).await;
    let other = stricter().create_task(B256::ZERO).await.unwrap();
    assert_eq!(other.quorum_threshold_percentages, [67]);
    // What nobody asks for leaves the store as well; what L1 has stays.
    assert_eq!(rows(&store).await, 3);
    let _end = running(&started(HEAD + 200, v1()));
    let left = async {
        while rows(&store).await > 2 {
            tokio::task::yield_now().await;
        }
    };
    let waiting = tokio::time::timeout(Duration::from_secs(60), left);
    waiting.await.unwrap();
    assert_eq!(rows(&store).await, 2);
}

/// What is over leaves the store as it leaves memory, if the store lets it.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_task_that_is_over() {
    let store = Arc::new(Unwritable::default());
    let tasks = tasks_on(Arc::clone(&store), &Kept::default(), config(DigestRule::V1));
    let task = tasks.create_task(ALERT).await.unwrap();
    sign(&tasks, &task, 0).await.unwrap();
    assert_eq!(rows(&store).await, 3);
    let _end = running(&tasks);
    tokio::time::sleep(Duration::from_secs(1190)).await;
    store.fail(true);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(rows(&store).await, 3);
    store.fail(false);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(rows(&store).await, 1);
}

#[tokio::test]
async fn what_is_not_durable_is_neither_told_nor_counted() {
    let (store, confirmer) = (Arc::new(Unwritable::default()), Kept::default());
    let tasks = tasks_on(Arc::clone(&store), &confirmer, config(DigestRule::V1));
    let task = tasks.create_task(ALERT).await.unwrap();
    store.fail(true);
    let error = tasks.create_task(B256::ZERO).await.unwrap_err();
    assert!(matches!(error, TaskError::NotOpened(_)), "{error}");
    for index in 0..4 {
        let error = sign(&tasks, &task, index).await.unwrap_err();
        assert!(matches!(error, TaskError::NotKept(_)), "{error}");
    }
    store.fail(false);
    for index in [0, 1] {
        sign(&tasks, &task, index).await.unwrap();
    }
    assert!(confirmer.0.lock().unwrap().is_empty());
    sign(&tasks, &task, 2).await.unwrap();
    until(|| confirmer.0.lock().unwrap().len() == 1).await;
    let certificate = confirmer.0.lock().unwrap().remove(0);
    assert_eq!(certificate.quorums[0].signed.weight(), 300);
}

/// Operators are sent from one to another: a number means one alert, wherever it was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_on_one_store_have_the_same_tasks() {
    let (store, confirmer) = (MemoryStore::new(), Kept::default());
    let start = || tasks_on(store.clone(), &confirmer, config(DigestRule::V1));
    let both = [start(), start()];
    let asked = (0..100).map(|it: u8| {
        let tasks = both[usize::from(it % 2)].clone();
        // Each alert of two instances.
        let hash = B256::with_last_byte(it / 2);
        tokio::spawn(async move { tasks.create_task(hash).await.unwrap() })
    });
    let mut given = BTreeSet::new();
    for task in futures::future::join_all(asked).await {
        let task = task.unwrap();
        given.insert((task.task_index, task.alert_hash));
    }
    let numbers: BTreeSet<_> = given.iter().map(|(index, _)| *index).collect();
    assert_eq!((given.len(), numbers.len()), (50, 50));
    let task = both[0].create_task(ALERT).await.unwrap();
    for (index, tasks) in (0..3).zip([&both[0], &both[1], &both[0]]) {
        sign(tasks, &task, index).await.unwrap();
    }
    until(|| confirmer.0.lock().unwrap().len() == 1).await;
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
