//! The operator's endpoint for verifiers: COMPAT 2 and 4.1.

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, address, b256};
use async_trait::async_trait;
use mach_core::{
    Alert, Assurance, Attestation, BlockRef, ExecutionSummary, Fault, L2Block, Mismatch, Verdict,
    legacy::LegacyAlert,
    ports::{AlertSink, BlockValidator, L2Head, L2Source, SinkError, SourceError, ValidateError},
};
use mach_node::{
    http::HttpServer,
    legacy::{
        AlertAnswer, AlertRefusal, LegacyAlerts, LegacyAvs, LegacyNode, Recheck, verifier_router,
    },
};
use serde_json::{json, value::RawValue};

use super::post;
use crate::{grpc::served, ports::id};

/// Keeps what it hears, and answers as it is told.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl LegacyAlerts for Heard {
    async fn alert(&self, avs: &str, alert: &LegacyAlert) -> Result<AlertAnswer, AlertRefusal> {
        self.0.lock().unwrap().push(format!("{avs}: {alert:?}"));
        match alert {
            LegacyAlert::BlockMismatch {
                l2_block_number: 404,
                ..
            } => Err(AlertRefusal::Refused("no".into())),
            LegacyAlert::BlockMismatch {
                l2_block_number: 409,
                ..
            } => {
                let words = "the task 0x00 already finished: 0x11";
                Err(AlertRefusal::AlreadyFinished(words.to_owned()))
            }
            _ => Ok(AlertAnswer {
                task_index: 3,
                tx_hash: B256::ZERO,
                alert_hash: alert.message_hash(),
            }),
        }
    }

    async fn alive(&self, avs: &str, block: BlockRef) {
        self.0.lock().unwrap().push(format!("{avs}: {block}"));
    }
}

fn avs(name: &str, config: Option<&str>) -> LegacyAvs {
    LegacyAvs {
        name: name.to_owned(),
        contract: address!("71a77037870169d47aad6c2C9360861A4C0df2bF"),
        operator: id(0),
        address: Address::repeat_byte(9),
        config: config.map(|json| RawValue::from_string(json.to_owned()).unwrap()),
    }
}

async fn serve(alerts: impl LegacyAlerts + 'static) -> HttpServer {
    let node = LegacyNode {
        name: "mach".to_owned(),
        // Whatever stands in the file is answered, spaces too.
        avs: vec![
            avs("optimism", None),
            avs("arbitrum", Some(r#"{"b":1, "a":[ 2 ]}"#)),
        ],
    };
    served(verifier_router(node, Arc::new(alerts))).await
}

/// As in the original's README: roots, number and what the log says of it.
const ROOT: &str = "0x5FC8d32690cc91D4c39d9d3abcBD16989F875700000000000000000000000000";
const ALERT: B256 = b256!("8d110c62e49b8d73f9b8822e5c07336859f49c28bfc3e5d20981fe2ed306d880");

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":1}}"#)
}

fn mismatch(number: &str) -> String {
    format!(
        r#"{{"invalid_output_root":"{ROOT}","expect_output_root":"{ROOT}","l2_block_number":{number}}}"#
    )
}

/// A server that takes every alert.
pub(super) async fn any() -> HttpServer {
    serve(Heard::default()).await
}

/// A call of each method, which are answered.
pub(super) fn calls() -> Vec<String> {
    let hash = "11".repeat(32);
    vec![
        call("alert_blockMismatch", &format!("[{}]", mismatch("2000"))),
        call("alert_blockHash", &format!(r#"[{{"hash":"{hash}"}}]"#)),
        call(
            "health_check",
            &format!(r#"[{{"block_hash":"0x{hash}","block_number":"0x1"}}]"#),
        ),
        call("operator_getConfig", r#"["arbitrum"]"#),
        call("operator_operatorStatus", "[]"),
    ]
}

#[tokio::test]
async fn an_alert_is_answered_with_its_hash() {
    let heard = Heard::default();
    let server = serve(heard.clone()).await;
    let url = server.url();
    let zero = B256::ZERO;
    let answer = |hash: B256| {
        format!(
            r#"{{"id":1,"jsonrpc":"2.0","result":{{"task_index":3,"tx_hash":"{zero}","alert_hash":"{hash}"}}}}"#
        )
    };
    // A list of one since v0.2.2, the object itself before.
    for params in [format!("[{}]", mismatch("2000")), mismatch("2000")] {
        let got = post(&url, call("alert_blockMismatch", &params)).await;
        assert_eq!(got, (200, answer(ALERT)));
    }
    let oracle = format!(
        r#"[{{"expect_output_root":"{}","invalid_output_index":2000}}]"#,
        "22".repeat(32)
    );
    let got = post(&url, call("alert_blockOutputOracleMismatch", &oracle)).await;
    let hash = b256!("83e140d1b63b4bcbdec66e439dc53e71f661662b892cf82eed3a6e398bb912be");
    assert_eq!(got, (200, answer(hash)));
    let block = format!(r#"[{{"hash":"0X{}"}}]"#, "Ab".repeat(32));
    let got = post(&url, call("alert_blockHash", &block)).await;
    assert_eq!(got, (200, answer(B256::repeat_byte(0xab))));
    assert_eq!(heard.0.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn the_avs_is_that_of_the_parameters_or_of_the_path_or_the_first() {
    let heard = Heard::default();
    let server = serve(heard.clone()).await;
    let named = mismatch("1").replace('{', r#"{"avs_name":"arbitrum","#);
    for (path, params, expected) in [
        ("", mismatch("1"), Some("optimism")),
        ("/", mismatch("1"), Some("optimism")),
        ("/arbitrum", mismatch("1"), Some("arbitrum")),
        ("/arbitrum/", mismatch("1"), Some("optimism")),
        ("/elsewhere/deep", mismatch("1"), Some("optimism")),
        ("/optimism", named.clone(), Some("arbitrum")),
        ("", named.replace("arbitrum", "nobody"), None),
    ] {
        heard.0.lock().unwrap().clear();
        let url = format!("{}{path}", server.url());
        let (status, answer) = post(&url, call("alert_blockMismatch", &params)).await;
        let told = heard.0.lock().unwrap().first().cloned();
        let told = told.as_deref().and_then(|told| told.split(':').next());
        assert_eq!(
            (status == 200, told),
            (expected.is_some(), expected),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn errors_have_the_originals_codes() {
    let server = serve(Heard::default()).await;
    let url = server.url();
    let body = |code: i32, message: &str| {
        format!(r#"{{"id":1,"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}}}}"#)
    };
    for (number, code, message) in [
        ("404", 0, "no"),
        ("409", 2, "the task 0x00 already finished: 0x11"),
    ] {
        let got = post(&url, call("alert_blockMismatch", &mismatch(number))).await;
        assert_eq!(got, (400, body(code, message)));
    }
    let without = r#"{"jsonrpc":"2.0","method":"alert_blockMismatch","id":1}"#;
    for (request, status, code, words) in [
        ("".to_owned(), 400, 1, ""),
        ("{".to_owned(), 400, 1, ""),
        (format!("[{}]", call("health_check", "[]")), 400, 1, ""),
        (
            without.to_owned(),
            400,
            1,
            "mevBundle from mev-builder, error: EOF",
        ),
        (
            call("alert_blockMismatch", "null"),
            400,
            1,
            "mevBundle from mev-builder, error: EOF",
        ),
        (call("alert_unknown", "[]"), 404, 1, ""),
        (call("alert_blockMismatch", "[]"), 400, 3, ""),
        (call("alert_blockMismatch", "[{}]"), 400, 3, ""),
        (
            call("alert_blockMismatch", &mismatch("\"2000\"")),
            400,
            3,
            "",
        ),
        (
            call("alert_blockMismatch", &mismatch("\"0x7d0\"")),
            400,
            3,
            "",
        ),
        (call("alert_blockMismatch", &mismatch("2000.5")), 400, 3, ""),
        (call("alert_blockMismatch", &mismatch("-1")), 400, 3, ""),
        (
            call("alert_blockMismatch", &mismatch("18446744073709551616")),
            400,
            3,
            "",
        ),
        (
            call("alert_blockMismatch", &mismatch("1").replace(ROOT, "0x12")),
            400,
            3,
            "",
        ),
        (
            call("alert_blockMismatch", &format!("[{0},{0}]", mismatch("1"))),
            400,
            3,
            "",
        ),
        (call("operator_getConfig", "[1]"), 400, 3, ""),
        (call("operator_getConfig", r#"["nobody"]"#), 400, 0, ""),
    ] {
        let (got, answer) = post(&url, request.clone()).await;
        let code = format!(r#""error":{{"code":{code},"message":""#);
        assert_eq!(got, status, "{request}: {answer}");
        assert!(
            answer.contains(&code) && answer.contains(words),
            "{request}: {answer}"
        );
    }
    let largest = mismatch("18446744073709551615");
    let (status, _) = post(&url, call("alert_blockMismatch", &largest)).await;
    assert_eq!(status, 200);
    let (status, _) = post(&url, vec![b' '; 20_000]).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_verifier_says_that_it_lives() {
    let heard = Heard::default();
    let server = serve(heard.clone()).await;
    let url = format!("{}/arbitrum", server.url());
    let hash = format!("0x{}", "11".repeat(32));
    for number in [r#""0x7d0""#, "2000"] {
        let params = format!(r#"[{{"block_hash":"{hash}","block_number":{number}}}]"#);
        let got = post(&url, call("health_check", &params)).await;
        assert_eq!(
            got,
            (200, r#"{"id":1,"jsonrpc":"2.0","result":true}"#.to_owned())
        );
    }
    let said = heard.0.lock().unwrap().clone();
    assert_eq!(said.len(), 2);
    assert!(
        said.iter()
            .all(|said| said.starts_with("arbitrum: ") && said.contains("2000"))
    );
    for (hash, number) in [
        ("0x11", r#""0x1""#),
        (&*hash, r#""2000""#),
        (&hash[2..], r#""0x1""#),
    ] {
        let params = format!(r#"[{{"block_hash":"{hash}","block_number":{number}}}]"#);
        let (status, answer) = post(&url, call("health_check", &params)).await;
        assert!(status == 400 && answer.contains("\"code\":3,"), "{answer}");
    }
}

#[tokio::test]
async fn configurations_are_answered_as_they_stand() {
    let server = serve(Heard::default()).await;
    for (name, config) in [("optimism", "{}"), ("arbitrum", r#"{"b":1, "a":[ 2 ]}"#)] {
        let params = format!(r#"["{name}"]"#);
        let got = post(&server.url(), call("operator_getConfig", &params)).await;
        assert_eq!(
            got,
            (
                200,
                format!(r#"{{"id":1,"jsonrpc":"2.0","result":{config}}}"#)
            )
        );
    }
    let (_, answer) = post(&server.url(), call("operator_operatorStatus", "[]")).await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let one = |name: &str| {
        json!({
            "avs_name": name,
            "avs_contract_address": "0x71a77037870169d47aad6c2c9360861a4c0df2bf",
            "operator_id": id(0),
            "operator_address": format!("0x{}", "09".repeat(20)),
        })
    };
    assert_eq!(answer["result"]["node_name"], "mach");
    assert_eq!(
        answer["result"]["avs"],
        json!([one("optimism"), one("arbitrum")])
    );
}

/// A rollup whose blocks from 1 to 9 are there, of which the odd ones are wrong.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Vec<Alert>>>);

fn block(number: u64) -> L2Block {
    let header = alloy_consensus::Header {
        number,
        ..Default::default()
    };
    L2Block::new(10, header, Vec::new())
}

#[async_trait]
impl L2Source for World {
    fn chain_id(&self) -> u64 {
        10
    }

    async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
        Ok(block(9).reference())
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        (number < 10)
            .then(|| block(number))
            .ok_or(SourceError::NotYet(number))
    }
}

#[async_trait]
impl BlockValidator for World {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        if block.number() % 2 == 1 {
            let values = Mismatch {
                claimed: 1,
                computed: 2,
            };
            return Ok(Verdict::Invalid(Fault::GasUsed(values)));
        }
        Ok(Verdict::Valid(ExecutionSummary {
            block: block.reference(),
            gas_used: 0,
            transactions: 0,
            state_root: B256::ZERO,
            output_root: None,
            assurance: Assurance::Executed,
        }))
    }
}

#[async_trait]
impl AlertSink for World {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(alert.clone());
        Ok(())
    }

    async fn attest(&self, _attestation: &Attestation) -> Result<(), SinkError> {
        panic!("nobody asked for an attestation")
    }
}

/// A verifier is a reason to look, and what is found is what is said.
#[tokio::test]
async fn what_a_verifier_says_is_verified_before_it_is_signed() {
    let world = World::default();
    let recheck =
        Recheck::new().with_rollup("optimism", world.clone(), world.clone(), world.clone());
    let server = serve(recheck).await;
    for (number, status, words) in [
        ("7", 200, "\"task_index\":0"),
        ("8", 400, "is valid"),
        ("10", 400, "block 10 is not available yet"),
    ] {
        let call = call("alert_blockMismatch", &mismatch(number));
        let (got, answer) = post(&server.url(), call).await;
        assert!(
            got == status && answer.contains(words),
            "{number}: {answer}"
        );
    }
    let hash = call("alert_blockHash", &format!(r#"[{{"hash":"{ROOT}"}}]"#));
    let (status, answer) = post(&server.url(), hash).await;
    assert!(status == 400 && answer.contains("\"code\":0,"), "{answer}");
    let other = format!("{}/arbitrum", server.url());
    let (status, _) = post(&other, call("alert_blockMismatch", &mismatch("7"))).await;
    assert_eq!(status, 400);
    let said = world.0.lock().unwrap().clone();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].block, said[0].rule), (block(7).reference(), 11));
}
