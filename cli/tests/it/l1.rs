//! Commands on L1, against the devnet's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Output,
};

use mach_contracts_bindings::DeploymentFile;
use mach_devnet::{
    DEV_ACCOUNTS, RpcServer,
    stack::{Stack, StackConfig},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{errors, lines};

/// Contracts of a stack, and what a command needs to find them.
struct L1 {
    stack: Stack,
    server: RpcServer,
    folder: TempDir,
}

impl L1 {
    async fn start() -> Self {
        let stack = Stack::start(&StackConfig {
            operators: 2,
            ..StackConfig::default()
        })
        .await
        .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = stack.devnet().l1().serve(address).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let this = Self {
            server,
            folder,
            stack,
        };
        let file = DeploymentFile::from(this.stack.deployment());
        std::fs::write(this.file(), file.to_json()).unwrap();
        this
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("deployment.json")
    }

    /// Runs a command with the flags that all of them have.
    async fn run(&self, args: &[&str]) -> Output {
        let file = self.file();
        self.run_with(args, file.to_str().unwrap()).await
    }

    async fn run_with(&self, args: &[&str], deployment: &str) -> Output {
        let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        all.extend(["--l1-rpc".to_owned(), self.server.http_url()]);
        all.extend(["--deployment".to_owned(), deployment.to_owned()]);
        // The L1 lives in this process: its runtime must not wait for the command.
        tokio::task::spawn_blocking(move || {
            let all: Vec<_> = all.iter().map(String::as_str).collect();
            crate::mach_cli(&all)
        })
        .await
        .unwrap()
    }
}

/// The only line of standard output.
fn json(output: &Output) -> Value {
    let mut lines = lines(output);
    assert_eq!(lines.len(), 1, "{}", errors(output));
    lines.remove(0)
}

/// Subjects of the findings that are in the way.
fn blockers(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["severity"] == "blocker")
        .map(|finding| finding["subject"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_where_an_operator_stands_without_a_key() {
    let l1 = L1::start().await;
    let [operator, other] = [0, 1].map(|index| l1.stack.operators()[index]);
    l1.stack.opt_in(&operator).await.unwrap();

    let address = operator.account.address.to_string();
    let output = l1.run(&["status", "--operator", &address, "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let status = json(&output);
    assert_eq!(status["status"], "registered");
    assert_eq!(
        status["operatorId"],
        operator.operator.id().to_string(),
        "the devnet's own id"
    );
    assert_eq!(status["quorums"][0]["stake"], 100);
    assert_eq!(status["quorums"][0]["member"], true);

    let address = other.account.address.to_string();
    let output = l1.run(&["status", "--operator", &address, "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let status = json(&output);
    assert_eq!(status["status"], "never-registered");
    assert_eq!(status["quorums"][0]["weight"], 101);
    assert_eq!(status["quorums"][0]["member"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_in_the_way() {
    let l1 = L1::start().await;
    let ready = l1.stack.operators()[0].account.address.to_string();
    let stranger = DEV_ACCOUNTS[7].address.to_string();
    let empty = "0x00000000000000000000000000000000000000ff";

    let output = l1.run(&["doctor", "--operator", &ready, "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(json(&output)["ready"], true);

    let cases: [(&[&str], &[&str]); 4] = [
        (&["--operator", &stranger], &["allowlist", "stake"]),
        (&["--operator", empty], &["allowlist", "stake", "balance"]),
        (&["--operator", &ready, "--quorums", "0,7"], &["quorum"]),
        (
            &["--operator", &ready, "--leaving"],
            &["registration", "quorum"],
        ),
    ];
    for (args, expected) in cases {
        let output = l1.run(&[&["doctor", "--json"], args].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        let report = json(&output);
        assert_eq!(blockers(&report), expected, "{args:?}");
        let findings = report["findings"].as_array().unwrap();
        assert!(
            findings
                .iter()
                .all(|finding| finding["severity"] == "passed" || finding["fix"].is_string())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_cannot_be_used_says_why() {
    let l1 = L1::start().await;
    let good: Value = serde_json::from_slice(&std::fs::read(l1.file()).unwrap()).unwrap();
    let with = |key: &str, value: Value| {
        let mut json = good.clone();
        json[key] = value;
        json.to_string()
    };
    let manager = good["machServiceManager"].clone();
    let cases = [
        (
            with("l1ChainId", 1.into()),
            "on chain 1, the node is on chain 31337",
        ),
        (
            with(
                "registryCoordinator",
                format!("0x{}", "11".repeat(20)).into(),
            ),
            "no contract at 0x1111",
        ),
        (
            with("registryCoordinator", manager),
            "not a registry coordinator",
        ),
        (
            with("machServiceManager", good["registryCoordinator"].clone()),
            "set `machServiceManager` to",
        ),
        (
            with("registryCoordinator", "0x12".into()),
            "`registryCoordinator` is",
        ),
        ("{}".to_owned(), "lacks the key `registryCoordinator`"),
        ("[".to_owned(), "not a JSON object"),
    ];
    let operator = DEV_ACCOUNTS[1].address.to_string();
    for (text, told) in cases {
        let path = l1.folder.path().join("bad.json");
        std::fs::write(&path, text).unwrap();
        let output = l1
            .run_with(&["status", "--operator", &operator], path.to_str().unwrap())
            .await;
        assert_eq!(output.status.code(), Some(2));
        assert!(
            errors(&output).contains(told),
            "{told}: {}",
            errors(&output)
        );
    }
    let output = l1
        .run_with(&["status", "--operator", &operator], "altlayer")
        .await;
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("not on chain 31337"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_command_is_checked_and_shown() {
    let l1 = L1::start().await;
    let owner = DEV_ACCOUNTS[0].address.to_string();
    let stranger = DEV_ACCOUNTS[7].address.to_string();

    let args = ["admin", "threshold", "67", "--json", "--from"];
    let output = l1.run(&[&args[..], &[&owner]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let shown = json(&output);
    assert_eq!(shown["sent"], false);
    let step = &shown["steps"][0];
    assert_eq!(step["function"], "updateQuorumThresholdPercentage");
    assert_eq!(step["arguments"], "thresholdPercentage: 67");
    // COMPAT 1.3: the selector of updateQuorumThresholdPercentage(uint8), and 67.
    let calldata = format!("0x429d5bf0{:064x}", 67);
    assert_eq!(step["calldata"], calldata);
    assert!(step["gas"].as_u64().unwrap() > 21_000);

    let output = l1.run(&[&args[..], &[&stranger]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    let reason = json(&output)["refused"]["reason"].clone();
    assert_eq!(
        reason,
        format!("{stranger} is not the service manager's owner, which is {owner}")
    );
}
