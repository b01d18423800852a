//! `mach-cli certificate`: what is proved, what is trusted, and what is refused.

use std::{
    fs,
    process::{Command, Output},
};

use mach_contracts_bindings::DeploymentFile;
use mach_devnet::stack::{Event, ServiceConfig, Stack, StackConfig};
use serde_json::Value;

use crate::{errors, lines, mach_cli};

const FILES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fuzz/corpus/certificate_file/"
);

fn file(name: &str) -> String {
    format!("{FILES}{name}")
}

fn verdict(output: &Output) -> (Option<i32>, Value) {
    let mut lines = lines(output);
    assert_eq!(lines.len(), 1, "{}", errors(output));
    (output.status.code(), lines.remove(0))
}

fn verify(certificate: &str, more: &[&str]) -> (Option<i32>, Value) {
    let args = [&["certificate", "verify", certificate, "--json"], more].concat();
    verdict(&mach_cli(&args))
}

/// The certificate with something else in a place.
fn altered(folder: &tempfile::TempDir, pointer: &str, value: Value) -> String {
    let json = fs::read(file("certificate")).unwrap();
    let mut json: Value = serde_json::from_slice(&json).unwrap();
    *json.pointer_mut(pointer).expect(pointer) = value;
    let path = folder.path().join("altered.json");
    fs::write(&path, json.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_certificate_is_as_good_as_what_is_known_of_its_operators() {
    let certificate = file("certificate");
    let operators = file("operators");
    let (code, alone) = verify(&certificate, &[]);
    assert_eq!((code, &alone["verdict"]), (Some(2), &"unknown".into()));
    assert!(alone["trusted"].as_str().unwrap().contains("--operators"));
    let digest = alone["operatorsDigest"].as_str().unwrap();
    for (more, from) in [
        (&["--operators", &operators][..], "file"),
        (
            &["--operators", &operators, "--config", "absent.toml"],
            "file",
        ),
        (&["--operators-digest", digest], "digest"),
        (&["--trust-operators"], "certificate"),
    ] {
        let (code, json) = verify(&certificate, more);
        assert_eq!(
            (code, &json["verdict"]),
            (Some(0), &"valid".into()),
            "{json}"
        );
        assert_eq!(json["operatorsFrom"], from);
        assert_eq!(json["fault"], Value::Null);
    }
    let told = mach_cli(&[
        "certificate",
        "verify",
        &certificate,
        "--operators",
        &operators,
    ]);
    let told = String::from_utf8(told.stdout).unwrap();
    for part in [
        "attests      block 8 ",
        "600 of 700 stake, 85 %",
        "VALID   proved:",
        "trusted: the file",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// What is exported for other commands does not stand in the way of a flag.
#[test]
fn a_flag_beats_the_environment_of_what_it_is_given_instead_of() {
    let (certificate, operators) = (file("certificate"), file("operators"));
    for flags in [&["--operators", &operators][..], &["--trust-operators"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_mach-cli"))
            .args(["certificate", "verify", &certificate])
            .args(flags)
            .env("MACH_DEPLOYMENT", "altlayer")
            .env("MACH_L1_RPC", "http://127.0.0.1:1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    }
}

#[test]
fn what_is_altered_is_not_valid() {
    let folder = tempfile::tempdir().unwrap();
    let operators = file("operators");
    for (pointer, value, fault) in [
        (
            "/certificate/statement/block/number",
            9.into(),
            "signature is not valid",
        ),
        (
            "/certificate/domain/l1ChainId",
            1.into(),
            "another L1 chain, 1",
        ),
        (
            "/certificate/domain/serviceManager",
            "0x0909090909090909090909090909090909090908".into(),
            "another service manager",
        ),
        (
            "/certificate/round/thresholds",
            serde_json::json!([99, 66]),
            "below its threshold",
        ),
        (
            "/certificate/quorums/0/total",
            "701".into(),
            "tally of quorum 0",
        ),
        (
            "/certificate/nonSigners",
            serde_json::json!([]),
            "tally of quorum 0",
        ),
    ] {
        let path = altered(&folder, pointer, value);
        let (code, json) = verify(&path, &["--operators", &operators]);
        assert_eq!(
            (code, &json["verdict"]),
            (Some(1), &"invalid".into()),
            "{pointer}"
        );
        assert!(json["fault"].as_str().unwrap().contains(fault), "{json}");
    }
    let certificate = file("certificate");
    for (more, fault) in [
        (&["--least-share", "86"][..], "below 86 %"),
        (&["--quorums", "0,5"], "quorum 5 has not signed"),
        (&["--l1-chain", "1"], "another L1 chain"),
        (
            &[
                "--service-manager",
                "0x0000000000000000000000000000000000000001",
            ],
            "another service",
        ),
    ] {
        let (code, json) = verify(&certificate, &[&["--operators", &operators], more].concat());
        assert_eq!(code, Some(1), "{json}");
        assert!(json["fault"].as_str().unwrap().contains(fault), "{json}");
    }
    let zeros = format!("0x{}", "00".repeat(32));
    let (code, json) = verify(&certificate, &["--operators-digest", &zeros]);
    assert_eq!(code, Some(1));
    assert!(
        json["fault"]
            .as_str()
            .unwrap()
            .contains("operators are others")
    );
}

/// Whose operators are those of another block, is not known to be wrong.
#[test]
fn a_file_of_operators_of_another_block_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = altered(&folder, "/certificate/round/referenceBlock", 78.into());
    let output = mach_cli(&[
        "certificate",
        "verify",
        &path,
        "--operators",
        &file("operators"),
    ]);
    assert_eq!(output.status.code(), Some(2));
    let told = errors(&output);
    assert!(
        told.contains("quorums 0,1 at L1 block 77") && told.contains("0,1 at L1 block 78"),
        "{told}"
    );
}

#[test]
fn what_is_no_certificate_is_a_failure() {
    for (name, reason) in [
        ("operators", "malformed"),
        ("version_2", "version 2"),
        ("stake_of_more_bits", "malformed"),
        ("nothing", "nothing"),
    ] {
        let output = mach_cli(&["certificate", "verify", &file(name), "--trust-operators"]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(errors(&output).contains(reason), "{}", errors(&output));
    }
}

#[test]
fn what_a_certificate_says_is_shown() {
    let output = mach_cli(&["certificate", "show", &file("certificate"), "--json"]);
    let (code, json) = verdict(&output);
    assert_eq!(code, Some(0));
    assert_eq!(json["statement"]["block"]["number"], 8);
    assert_eq!(json["quorums"][1]["signed"], "20");
    assert_eq!(json["absent"].as_array().unwrap().len(), 1);
}

/// As `Fault` calls it.
#[test]
fn the_rule_that_an_alert_names_is_shown_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let hash = |byte: &str| format!("0x{}", byte.repeat(32));
    let alert = serde_json::json!({
        "type": "alert", "rollupChainId": 901, "kind": "invalidBlock", "rule": 20,
        "block": { "number": 8, "hash": hash("e8") },
        "claimed": hash("01"), "computed": hash("02"),
    });
    let path = altered(&folder, "/certificate/statement", alert);
    let output = mach_cli(&["certificate", "show", &path]);
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(
        told.contains(", rule 20, parentBeaconBlockRoot\n"),
        "{told}"
    );
}

/// Against contracts: the operators of a devnet attest a block.
#[tokio::test(flavor = "multi_thread")]
async fn l1_knows_the_operators() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let stack = Stack::start(&StackConfig::default()).await.unwrap();
    for operator in stack.operators() {
        stack.opt_in(operator).await.unwrap();
    }
    let server = stack
        .devnet()
        .l1()
        .serve(([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let l1 = server.http_url();
    let deployment = DeploymentFile::from(stack.deployment()).to_json();
    fs::write(path("deploy.json"), deployment).unwrap();
    let (services, mut events) = stack
        .start_services(ServiceConfig::default())
        .await
        .unwrap();
    stack.devnet().step().unwrap();
    let certificate = loop {
        if let Event::Certified(certificate) = events.recv().await.unwrap() {
            break certificate;
        }
    };
    services.stop().await;
    let block = certificate.round.reference_block().to_string();
    let file = mach_core::CertificateFile((*certificate).clone());
    fs::write(path("certificate.json"), file.to_json()).unwrap();
    let run = async |args: Vec<String>| {
        let run = move || mach_cli(&args.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let url = l1;
    let l1 = format!("--l1-rpc {url} --deployment {}", path("deploy.json"));
    let verify = format!("certificate verify {} --json", path("certificate.json"));
    let (code, json) = verdict(&run(words(&format!("{verify} {l1}"))).await);
    assert_eq!(
        (code, &json["operatorsFrom"]),
        (Some(0), &"l1".into()),
        "{json}"
    );

    let operators = path("operators.json");
    let made = format!("certificate operators {l1} --block {block} --out {operators}");
    let made = run(words(&made)).await;
    assert_eq!(made.status.code(), Some(0), "{}", errors(&made));
    let offline = run(words(&format!("{verify} --operators {operators}"))).await;
    let (code, json) = verdict(&offline);
    assert_eq!(
        (code, &json["operatorsFrom"]),
        (Some(0), &"file".into()),
        "{json}"
    );

    // The file that init writes says as much, by a deployment or by addresses.
    let config = path("mach.toml");
    let init = run(words(&format!("init {l1} --out {config}"))).await;
    assert_eq!(init.status.code(), Some(0), "{}", errors(&init));
    let by_addresses = path("addresses.toml");
    let deployment = stack.deployment();
    let init = format!(
        "init --l1-rpc {url} --registry-coordinator {} --operator-state-retriever {} --out {by_addresses}",
        deployment.registry_coordinator, deployment.operator_state_retriever
    );
    let init = run(words(&init)).await;
    assert_eq!(init.status.code(), Some(0), "{}", errors(&init));
    let from = async |more: &str| {
        let (code, json) = verdict(&run(words(&format!("{verify} {more}"))).await);
        assert_eq!(code, Some(0), "{more}: {json}");
        json["operatorsFrom"].as_str().unwrap().to_owned()
    };
    for file in [&config, &by_addresses] {
        assert_eq!(from(&format!("--config {file}")).await, "l1");
    }
    let again = path("again.json");
    let made = format!("certificate operators --config {config} --block {block} --out {again}");
    let made = run(words(&made)).await;
    assert_eq!(made.status.code(), Some(0), "{}", errors(&made));
    assert_eq!(fs::read(&again).unwrap(), fs::read(&operators).unwrap());
    // A flag beats the file.
    let text = fs::read_to_string(&config).unwrap();
    let dead = path("dead.toml");
    fs::write(&dead, text.replace(&url, "http://127.0.0.1:9")).unwrap();
    assert_eq!(from(&format!("--config {dead} --l1-rpc {url}")).await, "l1");
    let refused = run(words(&format!("{verify} --config {dead}"))).await;
    assert_eq!(refused.status.code(), Some(2));
    let told = errors(&refused);
    assert!(
        told.contains("no answer from the L1 node http://127.0.0.1:9"),
        "{told}"
    );
    // With a file of operators, looked for beside the configuration, no node is asked.
    let example = "# operators = \"operators.json\"";
    let text = fs::read_to_string(&dead).unwrap();
    assert!(text.contains(example), "{text}");
    let offline = path("offline.toml");
    fs::write(
        &offline,
        text.replace(example, "operators = \"operators.json\""),
    )
    .unwrap();
    assert_eq!(from(&format!("--config {offline}")).await, "file");
    let trusting = format!("--config {offline} --trust-operators");
    assert_eq!(from(&trusting).await, "certificate");
    // What the file lacks is named with its keys.
    let nothing = path("nothing.toml");
    let init = run(words(&format!("init --out {nothing}"))).await;
    assert_eq!(init.status.code(), Some(0));
    let refused = run(words(&format!("{verify} --config {nothing}"))).await;
    assert_eq!(refused.status.code(), Some(2));
    let told = errors(&refused);
    assert!(
        told.contains("l1.deployment is not set") && told.contains("certificate.operators"),
        "{told}"
    );
}
