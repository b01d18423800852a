//! ZK mode as a person starts it, with the genuine contract on the devnet's L1 and a prover that stands in
//! for one.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, Bytes, U256};
use mach_bls::keystore::{Format, Kdf, KeyFile, KeyKind, Password, Secret};
use mach_contracts_bindings::{
    SubmitPolicy, Submitter,
    zk::{
        ZkConfig, ZkProgram, ZkRules, ZkServiceManager,
        abi::{Ground, ProgramKind, Status},
    },
};
use mach_devnet::{DEV_ACCOUNTS, Devnet, DevnetConfig, DevnetServers, L2_OUTPUT_ORACLE, Lie};
use mach_prove::{BackendName, Journal, Program, Proof};
use mach_verify::ChainSpec;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(180);
const BOND: u128 = 1_000_000_007;
const PASSWORD: &str = "for the devnet";
const PROGRAM: B256 = B256::repeat_byte(0xb1);

/// Deploys a contract that takes a proof whose first word is the digest of the journal.
const VERIFIER: [u8; 24] = [
    0x60, 0x0f, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, 0x60, 0x24, 0x35, 0x60, 0x84, 0x35, 0x14,
    0x60, 0x0d, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00,
];

/// What the prover in this file is told by its script: arguments, separated by lines.
const ARGUMENTS: &str = "STAND_IN_ARGUMENTS";

/// Not a test, but the prover of those below: this program, started by a script.
#[test]
#[ignore = "the prover of other tests"]
fn the_stand_in_prover() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments: Vec<&str> = arguments.lines().collect();
    let flag = |name: &str| {
        let at = arguments.iter().position(|it| *it == name);
        Path::new(arguments[at.unwrap() + 1])
    };
    if arguments[0] == "prove" {
        assert_eq!(arguments.last(), Some(&"--watch-stdin"));
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            std::process::exit(1);
        });
        let folder = flag("--work-dir").ancestors().nth(2).unwrap();
        fs::write(folder.join("pid"), std::process::id().to_string()).unwrap();
        while !folder.join("go").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let journal = fs::read(flag("--work-dir").join("journal.json")).unwrap();
        let journal: Journal = serde_json::from_slice(&journal).unwrap();
        let proof = Proof {
            backend: BackendName::OpenVm,
            program: Program::Block,
            program_id: PROGRAM,
            journal,
            proof: journal.digest().into(),
        };
        proof.write(flag("--out")).unwrap();
    }
    // The harness has begun a line.
    println!("\n{}", json!({ "type": "done" }));
}

/// A script that answers `info` with `worth`, and has this program do the rest.
fn prover(folder: &Path, worth: &str) -> String {
    use std::os::unix::fs::PermissionsExt;

    let program = std::env::current_exe().unwrap();
    let info = json!({
        "type": "program", "program": "block", "id": PROGRAM, "file": "block.elf",
        "sha256": PROGRAM, "worth": worth,
    });
    let script = format!(
        "#!/bin/sh\n\
         if [ \"$1\" = info ]; then echo '{info}'; echo '{{\"type\":\"done\"}}'; exit; fi\n\
         {ARGUMENTS}=$(printf '%s\\n' \"$@\") exec '{}' --exact zk::the_stand_in_prover --ignored --nocapture\n",
        program.display()
    );
    let path = folder.join("prover");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn key_file(folder: &Path, account: usize) {
    let secret = Secret::from_bytes(KeyKind::Ecdsa, &DEV_ACCOUNTS[account].key.0).unwrap();
    let format = Format::usual(secret.kind());
    let file = KeyFile::encrypt(&secret, format, &Password::new(PASSWORD), Kdf::LIGHT).unwrap();
    fs::write(folder.join("zk.ecdsa.json"), file.to_json()).unwrap();
    fs::write(folder.join("password.txt"), PASSWORD).unwrap();
}

fn configure(folder: &Path, l1: &str, l2: &str, manager: Address, backend: &str, more: &str) {
    let text = format!(
        "[l1]\nrpc = \"{l1}\"\n\
         [store]\nfolder = \"data\"\n\
         [zk]\nservice_manager = \"{manager}\"\nbackend = \"{backend}\"\n\
         ecdsa_key = \"zk.ecdsa.json\"\necdsa_password_file = \"password.txt\"\n{more}\
         [[rollup]]\nchain_id = 901\nrpc = [\"{l2}\"]\nstart = 1\npoll_interval = \"50ms\"\n\
         evidence = \"evidence\"\n"
    );
    fs::write(folder.join("mach.toml"), text).unwrap();
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-cli"));
    for (name, _) in std::env::vars() {
        if name.starts_with("MACH_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.args(args).current_dir(folder);
    command
}

#[test]
fn a_prover_whose_proofs_no_contract_takes_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    key_file(folder, 1);
    // There is nobody behind these: it is refused before anybody is asked.
    let (l1, l2) = ("http://127.0.0.1:9", "http://127.0.0.1:9");
    let manager = Address::repeat_byte(1);
    let run = |backend: &str, more: &str| {
        configure(folder, l1, l2, manager, backend, more);
        let output = command(folder, &["verifier", "run"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        crate::errors(&output)
    };
    let told = run("native", "");
    assert!(told.contains("native proves nothing"), "{told}");
    let local = format!("prover = \"{}\"\n", prover(folder, "proof"));
    let told = run("openvm", &local);
    assert!(told.contains("wraps them for the EVM"), "{told}");
    let told = run("sp1", "prover = \"/absent\"\n");
    assert!(told.contains("the prover does not answer"), "{told}");

    configure(folder, l1, l2, manager, "sp1", &local);
    let checked = command(folder, &["config", "check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(0));
    configure(folder, l1, l2, manager, "native", "");
    let checked = command(folder, &["config", "check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let shown = command(folder, &["config", "show", "--origin"])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let line = shown
        .lines()
        .find(|it| it.starts_with("backend = "))
        .unwrap();
    assert!(
        line.contains("\"native\"") && line.contains("mach.toml:7"),
        "{line}"
    );
    assert!(shown.contains("prover_tries = 100"), "{shown}");
}

/// A verifier at work; its log is in `log`.
struct Verifier(Child);

impl Verifier {
    fn start(folder: &Path) -> Self {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        let mut command = command(folder, &["verifier", "run"]);
        command.stdout(Stdio::null()).stderr(log);
        Self(command.spawn().unwrap())
    }

    fn kill(mut self) {
        // SIGKILL.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for `is_so`; shows the log if it never is.
async fn until(folder: &Path, what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(started.elapsed() < PATIENCE, "{what}: {}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The devnet at the sockets, with the contract that believes proofs.
async fn deployed(config: &DevnetConfig) -> (Devnet, DevnetServers, ZkServiceManager) {
    let devnet = config.build().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    // The oracle takes no outputs from the future.
    devnet.l1().increase_time(3600);
    devnet.l1().mine().unwrap();
    let manager = manager_of(&devnet, &config.l2_spec(), Some(L2_OUTPUT_ORACLE)).await;
    (devnet, servers, manager)
}

/// A contract that believes proofs about a rollup, on the devnet's L1.
async fn manager_of(
    devnet: &Devnet,
    rules: &ChainSpec,
    oracle: Option<Address>,
) -> ZkServiceManager {
    let owner = Submitter::connect(
        devnet.l1().provider(),
        EthereumWallet::from(DEV_ACCOUNTS[0].signer()),
        SubmitPolicy {
            poll_interval: Duration::from_millis(1),
            ..SubmitPolicy::default()
        },
    )
    .await
    .unwrap();
    let (verifier, _) = owner
        .deploy(Bytes::copy_from_slice(&VERIFIER))
        .await
        .unwrap();
    let on_l1 = ZkConfig {
        oracle,
        bond: BOND,
        configs: vec![ZkRules::without_horizon(rules.hash())],
        programs: vec![ZkProgram {
            id: PROGRAM,
            verifier,
            kind: ProgramKind::Block,
        }],
        ..ZkConfig::new(rules.chain_id(), owner.sender())
    };
    ZkServiceManager::deploy(&owner, &on_l1).await.unwrap()
}

/// One process for two rollups, each with a contract of its own, and one account that pays.
#[tokio::test(flavor = "multi_thread")]
async fn each_rollup_has_a_contract_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, servers, first) = deployed(&DevnetConfig::default()).await;
    // Of the other devnet only the rollup is looked at.
    let other = DevnetConfig {
        l2_chain_id: 902,
        ..DevnetConfig::default()
    };
    let genesis = other.l2_genesis();
    let rules = ChainSpec::from_genesis(&genesis).unwrap();
    let second = manager_of(&one, &rules, None).await;
    let other = other.build().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let others = other.serve(loopback, loopback).await.unwrap();

    key_file(folder, 1);
    fs::write(folder.join("go"), []).unwrap();
    let genesis = serde_json::to_string(&genesis).unwrap();
    fs::write(folder.join("genesis.json"), genesis).unwrap();
    let prover = prover(folder, "onChain");
    let (l1, l2) = (servers.l1.http_url(), servers.l2.http_url());
    let write = |managers: [Address; 2]| {
        let more = format!("prover = \"{prover}\"\n");
        configure(folder, &l1, &l2, managers[0], "openvm", &more);
        let file = folder.join("mach.toml");
        let text = fs::read_to_string(&file).unwrap();
        let [a, b] = managers;
        let text = text.replace(
            &format!("service_manager = \"{a}\""),
            &format!("service_manager = [\"{a}\", \"{b}\"]"),
        );
        let rollup = format!(
            "[[rollup]]\nchain_id = 902\nrpc = [\"{}\"]\nstart = 1\npoll_interval = \"50ms\"\n\
             evidence = \"evidence\"\ngenesis = \"genesis.json\"\n",
            others.l2.http_url()
        );
        fs::write(file, format!("{text}{rollup}")).unwrap();
    };
    write([first.address(), second.address()]);
    let running = Verifier::start(folder);
    for devnet in [&one, &other] {
        devnet.sequencer().produce().unwrap();
        devnet.sequencer().lie_next(Lie::StateRoot);
        devnet.sequencer().produce().unwrap();
    }
    for manager in [&first, &second] {
        until(folder, "the proof on L1", async || {
            let alert = manager.alert(U256::ZERO).await;
            alert.is_ok_and(|it| it.status == Status::Proved)
        })
        .await;
        assert_eq!(manager.alert_count().await.unwrap(), U256::from(1));
    }
    running.kill();

    let again = manager_of(&one, &rules, None).await;
    write([second.address(), again.address()]);
    let output = command(folder, &["verifier", "run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = crate::errors(&output);
    assert!(told.contains("two of them are about rollup 902"), "{told}");
}

/// A lie, an alert, kill -9 while the prover is at work, which ends with it; then the same again, a proof,
/// and an output of a later block that is convicted by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lie_is_convicted_through_kill_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = DevnetConfig {
        output_interval: 6,
        ..DevnetConfig::default()
    };
    let (devnet, servers, manager) = deployed(&config).await;

    key_file(folder, 1);
    let more = format!("prover = \"{}\"\n", prover(folder, "onChain"));
    let (l1, l2) = (servers.l1.http_url(), servers.l2.http_url());
    configure(folder, &l1, &l2, manager.address(), "openvm", &more);
    let running = Verifier::start(folder);
    for _ in 0..2 {
        devnet.sequencer().produce().unwrap();
    }
    devnet.sequencer().lie_next(Lie::StateRoot);
    devnet.sequencer().produce().unwrap();

    // The prover is at work, so the alert is raised, by the block's hash.
    let pid = folder.join("pid");
    until(folder, "the prover at work", async || pid.exists()).await;
    let alert = manager.alert(U256::ZERO).await.unwrap();
    assert_eq!(
        (alert.status, alert.blockNumber),
        (Status::Raised, U256::from(3))
    );
    running.kill();
    let prover = fs::read_to_string(&pid).unwrap();
    let process = format!("/proc/{prover}/cmdline");
    until(folder, "the end of the prover", async || {
        !fs::read(&process).is_ok_and(|line| !line.is_empty())
    })
    .await;
    fs::remove_file(&pid).unwrap();

    let running = Verifier::start(folder);
    until(folder, "the prover at work again", async || pid.exists()).await;
    fs::write(folder.join("go"), []).unwrap();
    until(folder, "the proof on L1", async || {
        manager.alert(U256::ZERO).await.unwrap().status == Status::Proved
    })
    .await;
    running.kill();
    let held = devnet.l1().balance(manager.address()).unwrap();
    assert_eq!(held, U256::from(BOND));
    assert_eq!(manager.convictions(901).await.unwrap(), U256::ZERO);

    // An output that leads to the block, while nobody looks.
    while devnet.l2().head() < 8 {
        devnet.sequencer().produce().unwrap();
    }
    devnet.proposer().propose(6).unwrap();
    let _running = Verifier::start(folder);
    until(folder, "the conviction", async || {
        manager.convictions(901).await.unwrap() == U256::from(1)
    })
    .await;
    assert_eq!(manager.alert_count().await.unwrap(), U256::from(2));
    let alert = manager.alert(U256::from(1)).await.unwrap();
    assert_eq!(
        (alert.status, alert.blockNumber),
        (Status::Proved, U256::from(6))
    );
    // The one bond that was paid is back with the account, since the last start.
    until(folder, "the bond", async || {
        devnet.l1().balance(manager.address()).unwrap().is_zero()
    })
    .await;
    let account = DEV_ACCOUNTS[1].address;
    assert_eq!(manager.withdrawable(account).await.unwrap(), U256::ZERO);
}

/// The op-node claims a wrong output root of a right block, and the proposer posts it: no proof and no
/// bond is needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_output_root_is_convicted_in_the_evm() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = DevnetConfig {
        output_interval: 3,
        ..DevnetConfig::default()
    };
    let (devnet, servers, manager) = deployed(&config).await;
    key_file(folder, 1);
    let more = format!("prover = \"{}\"\n", prover(folder, "onChain"));
    let (l1, l2) = (servers.l1.http_url(), servers.l2.http_url());
    configure(folder, &l1, &l2, manager.address(), "openvm", &more);
    let file = folder.join("mach.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}op_node = \"{l2}\"\n")).unwrap();
    let _running = Verifier::start(folder);
    for _ in 0..2 {
        devnet.sequencer().produce().unwrap();
    }
    devnet.sequencer().lie_next(Lie::OutputRoot);
    devnet.sequencer().produce().unwrap();
    devnet.proposer().propose(3).unwrap();
    until(folder, "the conviction", async || {
        manager.convictions(901).await.unwrap() == U256::from(1)
    })
    .await;
    let alert = manager.alert(U256::ZERO).await.unwrap();
    assert_eq!(alert.ground, Ground::MessagePasser);
    assert!(devnet.l1().balance(manager.address()).unwrap().is_zero());
    assert!(!folder.join("pid").exists());
}
