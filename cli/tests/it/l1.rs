//! Commands on L1, against the devnet's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Output,
};

use alloy_network::EthereumWallet;
use alloy_primitives::{B256, Bytes, Keccak256, address, aliases::U96, hex};
use alloy_provider::Provider;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use alloy_sol_types::{SolCall, SolConstructor};
use mach_bls::keystore::{Format, Kdf, KeyFile, KeyKind, Password, Secret};
use mach_contracts_bindings::{
    Account, Admission, Artifact, AttemptLog, DeploymentFile, FileLog, Record, SubmitPolicy,
    Submitter,
    abi::{IAVSDirectory, IMachRegistry, IMachServiceManager, QuorumParams},
    admit,
};
use mach_core::Stake;
use mach_devnet::{
    DEV_ACCOUNTS, DevAccount, RpcServer,
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
        self.run_alone(&[args, &["--deployment", deployment]].concat())
            .await
    }

    /// Runs a command that takes no deployment.
    async fn run_alone(&self, args: &[&str]) -> Output {
        let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        all.extend(["--l1-rpc".to_owned(), self.server.http_url()]);
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
    assert_eq!(status["standing"], "registered");
    assert_eq!(
        status["operatorId"],
        operator.operator.id().to_string(),
        "the devnet's own id"
    );
    assert_eq!(status["quorums"][0]["stake"], "100");
    assert_eq!(status["quorums"][0]["member"], true);

    let address = other.account.address.to_string();
    let output = l1.run(&["status", "--operator", &address, "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let status = json(&output);
    assert_eq!(status["standing"], "neverRegistered");
    assert_eq!(status["quorums"][0]["weight"], "101");
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
    assert_eq!(step["arguments"][0], "thresholdPercentage: 67");
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

/// Key files as the devnet writes them, with the password that opens them.
struct KeyFiles {
    ecdsa: String,
    bls: String,
    password: String,
}

impl KeyFiles {
    /// Files of the account `index` with a BLS key of its own.
    fn write(l1: &L1, index: usize) -> Self {
        Self::of(l1, &DEV_ACCOUNTS[index], index as u8)
    }

    fn of(l1: &L1, account: &DevAccount, index: u8) -> Self {
        let put = |name: &str, text: &str| {
            let path = l1.folder.path().join(format!("{index}.{name}"));
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let password = Password::new("correct horse");
        let file = |kind, bytes: &[u8; 32]| {
            let secret = Secret::from_bytes(kind, bytes).unwrap();
            KeyFile::encrypt(&secret, Format::usual(kind), &password, Kdf::LIGHT)
                .unwrap()
                .to_json()
        };
        let mut bls = [7; 32];
        bls[31] = index;
        bls[0] = 1;
        Self {
            ecdsa: put("ecdsa.json", &file(KeyKind::Ecdsa, &account.key.0)),
            bls: put("bls.json", &file(KeyKind::Bn254, &bls)),
            // The line break that editors leave.
            password: put("password", "correct horse\n"),
        }
    }

    fn account(&self) -> [&str; 4] {
        [
            "--ecdsa-key",
            &self.ecdsa,
            "--ecdsa-password-file",
            &self.password,
        ]
    }

    fn all(&self) -> Vec<&str> {
        let bls = [
            "--bls-key",
            &self.bls,
            "--bls-password-file",
            &self.password,
        ];
        [&self.account()[..], &bls].concat()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_joins_and_leaves() {
    let l1 = L1::start().await;
    let keys = KeyFiles::write(&l1, 1);
    let address = DEV_ACCOUNTS[1].address.to_string();
    let opt_in = [&["opt-in", "--json"][..], &keys.all()].concat();
    let opt_out = [&["opt-out", "--json"][..], &keys.account()].concat();
    let status = ["status", "--json", "--operator", &address];
    let nonce = || async {
        let l1 = l1.stack.l1();
        l1.get_transaction_count(DEV_ACCOUNTS[1].address)
            .await
            .unwrap()
    };

    let output = l1.run(&opt_in).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let shown = json(&output);
    assert_eq!(shown["sent"], false);
    assert_eq!(shown["steps"][0]["function"], "registerOperator");
    // COMPAT 1.8: the selector of registerOperator.
    let calldata = shown["steps"][0]["calldata"].as_str().unwrap();
    assert!(calldata.starts_with("0xa50857bf"));
    assert_eq!(nonce().await, 0, "a dry run sends nothing");

    let output = l1.run(&[&opt_in[..], &["--yes"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(json(&output)["complete"], true);
    let output = l1.run(&status).await;
    assert_eq!(json(&output)["standing"], "registered");

    // Again: refused before anything is sent.
    let output = l1.run(&[&opt_in[..], &["--yes"]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(blockers(&json(&output)), ["quorum"]);
    assert_eq!(nonce().await, 1);

    let output = l1.run(&[&opt_out[..], &["--yes"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let output = l1.run(&status).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["standing"], "deregistered");
    let output = l1.run(&[&opt_out[..], &["--yes"]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(nonce().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_elsewhere_signs_and_sends() {
    let l1 = L1::start().await;
    let keys = KeyFiles::write(&l1, 2);
    let account = DEV_ACCOUNTS[2];
    let address = account.address.to_string();
    let bls = [
        "--bls-key",
        &keys.bls,
        "--bls-password-file",
        &keys.password,
    ];
    let offline = [
        &["opt-in", "--json", "--print-only", "--operator", &address][..],
        &bls,
    ]
    .concat();

    let output = l1.run(&offline).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let asked = json(&output);
    let digest: B256 = asked["unsigned"][0]["digest"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let salt = asked["salt"].as_str().unwrap();
    let expiry = asked["expiry"].to_string();
    // The contract's own answer.
    let manager = l1.stack.deployment().service_manager;
    let call = IAVSDirectory::calculateOperatorAVSRegistrationDigestHashCall {
        operator: account.address,
        avs: manager,
        salt: salt.parse().unwrap(),
        expiry: expiry.parse().unwrap(),
    };
    let registry = l1.stack.deployment().registry_coordinator;
    let request = TransactionRequest::default()
        .to(registry)
        .input(call.abi_encode().into());
    let answer = l1.stack.l1().call(request).await.unwrap();
    assert_eq!(B256::from_slice(&answer), digest);

    let terms = ["--salt", salt, "--expiry", &expiry, "--signature"];
    let other = signature(&DEV_ACCOUNTS[3], digest);
    let output = l1
        .run(&[&offline[..], &terms, &[other.as_str()]].concat())
        .await;
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("sign with the key of"));

    let own = signature(&account, digest);
    let output = l1
        .run(&[&offline[..], &terms, &[own.as_str()]].concat())
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let step = json(&output)["steps"][0].clone();
    let calldata: Bytes = step["calldata"].as_str().unwrap().parse().unwrap();
    let wallet = EthereumWallet::from(account.signer());
    let submitter = Submitter::connect(l1.stack.l1().clone(), wallet, SubmitPolicy::default())
        .await
        .unwrap();
    submitter.send_to(registry, calldata).await.unwrap();
    let output = l1.run(&["status", "--json", "--operator", &address]).await;
    assert_eq!(json(&output)["standing"], "registered");
}

fn signature(account: &DevAccount, digest: B256) -> String {
    let signature = account.signer().sign_hash_sync(&digest).unwrap();
    format!("0x{}", hex::encode(signature.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_apart_and_nothing_is_sent() {
    let l1 = L1::start().await;
    let first = KeyFiles::write(&l1, 1);
    let second = KeyFiles::write(&l1, 2);
    let opt_in = [&["opt-in", "--yes"][..], &first.all()].concat();
    let output = l1.run(&opt_in).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));

    // The second account with the first one's BLS key.
    let password = ["--bls-password-file", &first.password, "--bls-key"];
    let stolen = [
        &["opt-in", "--yes"][..],
        &second.account(),
        &password,
        &[&first.bls],
    ]
    .concat();
    // The second account's key for the first operator.
    let first_address = DEV_ACCOUNTS[1].address.to_string();
    let foreign = [
        &["opt-out", "--yes", "--operator", &first_address][..],
        &second.account(),
    ]
    .concat();
    let swapped = [
        "opt-in",
        "--bls-key",
        &second.ecdsa,
        "--operator",
        &first_address,
    ];
    let expired = [
        &["opt-in", "--yes", "--expiry", "1000", "--salt", ZERO][..],
        &second.all(),
    ]
    .concat();
    let wrong = l1.folder.path().join("wrong");
    std::fs::write(&wrong, "wrong").unwrap();
    let locked = [
        &["opt-in", "--yes", "--bls-key", &second.bls][..],
        &["--bls-password-file", wrong.to_str().unwrap()],
        &second.account(),
    ]
    .concat();
    let cases: [(&[&str], i32, &str); 5] = [
        (&stolen, 1, "is registered by"),
        (&foreign, 2, "give the key file of"),
        (&swapped, 2, "give the other key file"),
        (&expired, 1, "the signature expired"),
        (&locked, 2, "the password does not open"),
    ];
    let before = l1.stack.l1().get_block_number().await.unwrap();
    for (args, code, told) in cases {
        let output = l1.run(args).await;
        assert_eq!(output.status.code(), Some(code), "{}", errors(&output));
        assert!(
            errors(&output).contains(told),
            "{told}: {}",
            errors(&output)
        );
    }
    let after = l1.stack.l1().get_block_number().await.unwrap();
    assert_eq!(before, after, "each transaction makes a block");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_ether_is_told_before_it_sends() {
    let l1 = L1::start().await;
    let poor = DevAccount {
        address: address!("7E5F4552091A69125d5DfCb7b8C2659029395Bdf"),
        key: B256::with_last_byte(1),
    };
    let keys = KeyFiles::of(&l1, &poor, 9);
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[0].signer());
    let owner = Submitter::connect(l1.stack.l1().clone(), wallet, SubmitPolicy::default())
        .await
        .unwrap();
    let admission = Admission {
        address: poor.address,
        stakes: vec![(0, Stake::new(100).unwrap())],
    };
    admit(&owner, l1.stack.deployment(), &[admission])
        .await
        .unwrap();
    let output = l1
        .run(&[&["opt-in", "--yes", "--json"][..], &keys.all()].concat())
        .await;
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let report = json(&output);
    assert_eq!(blockers(&report), ["balance"]);
    let fix = report["findings"][0]["fix"].as_str().unwrap();
    assert!(fix.starts_with("send it at least"), "{fix}");
}

/// A registry whose service manager is another contract: what an operator of another AVS would name.
#[tokio::test(flavor = "multi_thread")]
async fn the_contracts_of_another_avs_are_told_apart() {
    let l1 = L1::start().await;
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[0].signer());
    let owner = Submitter::connect(l1.stack.l1().clone(), wallet, SubmitPolicy::default())
        .await
        .unwrap();
    let retriever = l1.stack.deployment().operator_state_retriever;
    let arguments = IMachRegistry::constructorCall {
        owner: DEV_ACCOUNTS[0].address,
        serviceManager: retriever,
        quorums: vec![QuorumParams {
            minimumStake: U96::from(1),
            maxOperatorCount: 1,
        }],
    };
    let code = [
        Artifact::MachRegistry.bytecode().as_ref(),
        &arguments.abi_encode(),
    ]
    .concat();
    let (coordinator, _) = owner.deploy(code.into()).await.unwrap();
    let file = DeploymentFile::new(coordinator, retriever);
    let path = l1.folder.path().join("other.json");
    std::fs::write(&path, file.to_json()).unwrap();
    let output = l1
        .run_with(&["doctor", "--json"], path.to_str().unwrap())
        .await;
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(blockers(&json(&output)).contains(&"generation"));
}

const ZERO: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_is_found_again() {
    let l1 = L1::start().await;
    let owner = KeyFiles::write(&l1, 0);
    let out = l1.folder.path().join("new.json");
    let out = out.to_str().unwrap();
    let rpc = l1.server.http_url();
    let deploy = [
        &["deploy", "--json", "--rollups", "10,42161", "--out", out][..],
        &["--minimum-stake", "5,7", "--max-operators", "3,4"],
        &["--l1-rpc", &rpc],
        &owner.account(),
    ]
    .concat();
    let run = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            crate::mach_cli(&args)
        })
    };
    let output = run(&deploy).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(json(&output)["sent"], false);
    assert!(!std::path::Path::new(out).exists());

    let yes = [&deploy[..], &["--yes"]].concat();
    let output = run(&yes).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let file = DeploymentFile::parse(&std::fs::read(out).unwrap()).unwrap();
    let deployment = file.resolve(l1.stack.l1().clone()).await.unwrap();
    assert_eq!(deployment.l1_chain_id, 31_337);
    // What is there is left alone.
    let output = run(&yes).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("is there already"));

    let operator = DEV_ACCOUNTS[1].address.to_string();
    let output = l1
        .run_with(&["status", "--json", "--operator", &operator], out)
        .await;
    let status = json(&output);
    let minima: Vec<_> = [0, 1]
        .map(|n| status["quorums"][n]["minimumStake"].clone())
        .into();
    assert_eq!(minima, ["5", "7"]);
    assert_eq!(status["quorums"][1]["maxOperators"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_manager_is_put_over_a_coordinator_that_is_there() {
    let l1 = L1::start().await;
    let owner = KeyFiles::write(&l1, 0);
    let out = l1.folder.path().join("second.json");
    let out = out.to_str().unwrap();
    let first = *l1.stack.deployment();
    let coordinator = first.registry_coordinator.to_string();
    let manager = first.service_manager.to_string();
    let (coordinator, manager) = (coordinator.as_str(), manager.as_str());
    let deploy = [
        &["deploy", "--json", "--rollups", "10", "--out", out][..],
        &owner.account(),
    ]
    .concat();
    let over = |named| {
        let mut args = deploy.clone();
        args.extend(["--registry-coordinator", named]);
        args
    };

    let before = l1.stack.l1().get_block_number().await.unwrap();
    let output = l1.run_alone(&over(coordinator)).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let shown = json(&output);
    assert_eq!(shown["sent"], false);
    assert_eq!(shown["registryCoordinator"], coordinator.to_lowercase());
    let contracts = shown["contracts"].as_array().unwrap();
    let names: Vec<_> = contracts.iter().map(|one| &one["contract"]).collect();
    assert_eq!(
        names,
        [
            "PauserRegistry",
            "OperatorStateRetriever",
            "MachServiceManager",
            "TransparentUpgradeableProxy"
        ]
    );
    assert!(contracts[2]["gas"].as_u64().unwrap() > 1_000_000);

    let cases = [
        (over(manager), "is not a registry coordinator"),
        (
            over("0x00000000000000000000000000000000000000ff"),
            "no contract at",
        ),
        (
            [&over(coordinator)[..], &["--minimum-stake", "5"]].concat(),
            "cannot be used with",
        ),
    ];
    for (args, told) in cases {
        for args in [args.clone(), [&args[..], &["--yes"]].concat()] {
            let output = l1.run_alone(&args).await;
            assert_eq!(output.status.code(), Some(2), "{args:?}");
            let said = errors(&output);
            assert!(said.contains(told), "{told}: {said}");
        }
    }
    let after = l1.stack.l1().get_block_number().await.unwrap();
    assert_eq!(before, after, "each transaction makes a block");

    let output = l1
        .run_alone(&[&over(coordinator)[..], &["--yes"]].concat())
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let file = DeploymentFile::parse(&std::fs::read(out).unwrap()).unwrap();
    let second = file.resolve(l1.stack.l1().clone()).await.unwrap();
    assert_eq!(second.registry_coordinator, first.registry_coordinator);
    assert_ne!(second.service_manager, first.service_manager);
    let output = l1.run_with(&["doctor", "--json"], out).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));

    // Operators of the coordinator are operators of both.
    let operator = l1.stack.operators()[0];
    l1.stack.opt_in(&operator).await.unwrap();
    let address = operator.account.address.to_string();
    let output = l1
        .run_with(&["status", "--json", "--operator", &address], out)
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(json(&output)["allowlisted"], true);
    let leaving = ["doctor", "--leaving", "--json", "--operator", &address];
    let output = l1.run_with(&leaving, out).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_on_record_and_one_command_at_a_time_sends() {
    let l1 = L1::start().await;
    let owner = KeyFiles::write(&l1, 0);
    let journal = l1.folder.path().join("state/owner.jsonl");
    let threshold = [
        &["admin", "threshold", "67", "--yes", "--json"][..],
        &["--journal", journal.to_str().unwrap()],
        &owner.account(),
    ]
    .concat();
    let nonce = || async {
        let count = l1.stack.l1();
        let count = count.get_transaction_count(DEV_ACCOUNTS[0].address);
        count.await.unwrap()
    };
    let before = nonce().await;
    let output = l1.run(&threshold).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(nonce().await, before + 1);
    let account = Account {
        chain_id: 31_337,
        address: DEV_ACCOUNTS[0].address,
    };
    let mut log = FileLog::open(&journal).unwrap();
    let records = log.load(account).unwrap();
    assert!(matches!(records[0], Record::Attempt { .. }));
    assert!(!journal.with_extension("unfinished").exists());

    // Another command has the journal.
    let pause = [
        &["admin", "pause", "--yes", "--journal"][..],
        &[journal.to_str().unwrap()],
        &owner.account(),
    ]
    .concat();
    let output = l1.run(&pause).await;
    assert_eq!(output.status.code(), Some(2));
    let said = errors(&output);
    assert!(said.contains("another command of the account"), "{said}");
    drop(log);

    // A command that did not end is not passed over.
    let other = serde_json::json!({ "run": ZERO, "steps": ZERO, "count": 1 });
    std::fs::write(journal.with_extension("unfinished"), other.to_string()).unwrap();
    let output = l1.run(&pause).await;
    assert_eq!(output.status.code(), Some(2));
    let said = errors(&output);
    assert!(said.contains("an earlier command did not end"), "{said}");
    assert_eq!(nonce().await, before + 1);
    let output = l1.run(&pause).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));

    assert_eq!(nonce().await, before + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_to_replace_operators_is_of_no_use_where_nobody_is_replaced() {
    let l1 = L1::start().await;
    let keys = KeyFiles::write(&l1, 1);
    let file = l1.folder.path().join("approval.json");
    let approval = serde_json::json!({
        "salt": ZERO, "expiry": 4_000_000_000_u64,
        "operatorsToKick": { "0": DEV_ACCOUNTS[2].address },
    });
    let approved = [
        &[
            "opt-in",
            "--yes",
            "--churn-approval",
            file.to_str().unwrap(),
        ][..],
        &keys.all(),
    ]
    .concat();
    let cases = [
        ("{}".to_owned(), "`expiry` has to be"),
        (approval.to_string(), "knows no churn"),
    ];
    for (text, told) in cases {
        std::fs::write(&file, text).unwrap();
        let output = l1.run(&approved).await;
        assert_eq!(output.status.code(), Some(2));
        let said = errors(&output);
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_joins_with_what_it_accepts_as_its_signature() {
    let l1 = L1::start().await;
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[0].signer());
    let owner = Submitter::connect(l1.stack.l1().clone(), wallet, SubmitPolicy::default())
        .await
        .unwrap();
    // Ten bytes that copy the rest, which returns EIP-1271's magic value, or zero, whatever is asked.
    let cases = [
        (
            &hex!("61000e80600a5f395ff3631626ba7e60e01b5f5260205ff3")[..],
            0,
        ),
        (&hex!("61000780600a5f395ff35f5f5260205ff3")[..], 2),
    ];
    for (index, (code, expected)) in cases.into_iter().enumerate() {
        let (operator, _) = owner.deploy(code.to_vec().into()).await.unwrap();
        let admission = Admission {
            address: operator,
            stakes: vec![(0, Stake::new(100).unwrap())],
        };
        admit(&owner, l1.stack.deployment(), &[admission])
            .await
            .unwrap();
        let keys = KeyFiles::write(&l1, index + 1);
        let address = operator.to_string();
        let args = [
            &["opt-in", "--json", "--print-only", "--operator", &address][..],
            &[
                "--salt",
                ZERO,
                "--expiry",
                "4000000000",
                "--signature",
                "0x",
            ],
            &[
                "--bls-key",
                &keys.bls,
                "--bls-password-file",
                &keys.password,
            ],
        ]
        .concat();
        let output = l1.run(&args).await;
        assert_eq!(output.status.code(), Some(expected), "{}", errors(&output));
        if expected == 0 {
            assert_eq!(json(&output)["sender"], address.to_lowercase());
        } else {
            let said = errors(&output);
            assert!(
                said.contains(&address) && said.contains("EIP-1271"),
                "{said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_did_not_end_is_gone_on_with_and_sends_nothing_twice() {
    let l1 = L1::start().await;
    let keys = KeyFiles::write(&l1, 0);
    let journal = l1.folder.path().join("owner.jsonl");
    let threshold = [
        &["admin", "threshold", "67", "--json", "--journal"][..],
        &[journal.to_str().unwrap()],
        &keys.account(),
    ]
    .concat();
    let shown = json(&l1.run(&threshold).await);
    let calldata: Bytes = shown["steps"][0]["calldata"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let manager = l1.stack.deployment().service_manager;
    // What the command leaves behind from before it sends until it ends.
    let mut steps = Keccak256::new();
    steps.update(manager);
    steps.update([0; 32]);
    steps.update((calldata.len() as u64).to_be_bytes());
    steps.update(&calldata);
    let unfinished = serde_json::json!({ "run": ZERO, "steps": steps.finalize(), "count": 1 });
    let crash = || {
        let path = journal.with_extension("unfinished");
        std::fs::write(path, unfinished.to_string()).unwrap();
    };
    let send = [&threshold[..], &["--yes"]].concat();

    crash();
    let first = l1.run(&send).await;
    assert_eq!(first.status.code(), Some(0), "{}", errors(&first));
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[0].signer());
    let owner = Submitter::connect(l1.stack.l1().clone(), wallet, SubmitPolicy::default())
        .await
        .unwrap();
    let other = IMachServiceManager::updateQuorumThresholdPercentageCall {
        thresholdPercentage: 50,
    };
    owner.call(manager, &other).await.unwrap();
    let before = l1.stack.l1().get_block_number().await.unwrap();

    crash();
    let second = l1.run(&send).await;
    assert_eq!(second.status.code(), Some(0), "{}", errors(&second));
    assert_eq!(json(&second), json(&first));
    let after = l1.stack.l1().get_block_number().await.unwrap();
    assert_eq!(before, after, "each transaction makes a block");

    // Meant once more, it is sent once more.
    let third = l1.run(&send).await;
    assert_eq!(third.status.code(), Some(0), "{}", errors(&third));
    assert_ne!(json(&third), json(&first));
}
