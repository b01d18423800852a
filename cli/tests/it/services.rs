//! Services as a person starts them: from a file, with signals, and again after kill -9.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{errors, lines};

fn mach(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

/// In an environment without anything for mach.
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

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_init_writes_is_valid_and_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for role in ["operator", "aggregator", "verifier", "breaker", "all"] {
        let file = format!("{role}.toml");
        let args = [
            "init",
            "--role",
            role,
            "--deployment",
            "altlayer",
            "--out",
            &file,
        ];
        let mut args = args.to_vec();
        args.extend([
            "--l1-chain",
            "1",
            "--rollup",
            "10=https://op.example/secret-key",
        ]);
        let written = mach(folder, &args);
        assert_eq!(written.status.code(), Some(0), "{}", errors(&written));
        let check = || mach(folder, &["config", "check", "--config", &file]);
        let keys: &[&str] = match role {
            "operator" => &["operator.bls.json"],
            "aggregator" => &["aggregator.ecdsa.json"],
            "all" => &["operator.bls.json", "aggregator.ecdsa.json"],
            _ => &[],
        };
        // What is named and is not there is told, and the file is not called valid beside it.
        if let [first, ..] = keys {
            let checked = check();
            let told = text(&checked);
            assert_eq!(checked.status.code(), Some(1), "{role}: {told}");
            let service = first.split('.').next().unwrap();
            let why = format!("{first}, so that {service} run does not start");
            assert!(told.contains(&why), "{told}");
            assert!(told.contains("is well formed, but"), "{told}");
            assert!(!told.contains("is valid"), "{told}");
            let json = mach(folder, &["config", "check", "--config", &file, "--json"]);
            assert_eq!(json.status.code(), Some(1));
            assert_eq!(lines(&json)[0]["valid"], false);
        }
        // A comment may not lean on one of another service, which is not there.
        let file_text = std::fs::read_to_string(folder.join(&file)).unwrap();
        let metrics = file_text.split_once("[metrics]\n").unwrap().1;
        let first = metrics.lines().next().unwrap();
        assert!(
            first.starts_with("# Where Prometheus finds the "),
            "{role}: {first}"
        );
        for key in keys {
            std::fs::write(folder.join(key), "{}").unwrap();
        }
        let checked = check();
        for key in keys {
            std::fs::remove_file(folder.join(key)).unwrap();
        }
        assert_eq!(checked.status.code(), Some(0), "{role}: {}", text(&checked));
        assert!(text(&checked).contains("is valid"));
        let before = std::fs::read_to_string(folder.join(&file)).unwrap();
        let again = mach(folder, &args);
        assert_eq!(again.status.code(), Some(2));
        assert!(
            errors(&again).contains("not replaced"),
            "{}",
            errors(&again)
        );
        assert_eq!(std::fs::read_to_string(folder.join(&file)).unwrap(), before);
    }
    let shown = mach(
        folder,
        &["config", "show", "--origin", "--config", "all.toml"],
    );
    let shown = text(&shown);
    assert!(shown.contains("https://op.example"), "{shown}");
    assert!(!shown.contains("secret-key"), "{shown}");
    assert!(shown.contains("# all.toml:"), "{shown}");
}

/// What `--help` and the READMEs show works as it stands there.
#[test]
fn the_examples_of_init_write_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&mach(folder.path(), &["init", "--help"]));
    let readmes = [
        include_str!("../../README.md"),
        include_str!("../../../README.md"),
    ];
    let examples = |text: &str| {
        let lines = text.lines().map(str::trim);
        let examples = lines.filter(|line| line.starts_with("mach-cli init "));
        examples.map(str::to_owned).collect::<Vec<_>>()
    };
    let all = [help.as_str()].into_iter().chain(readmes).map(examples);
    let all: Vec<_> = all.collect();
    assert!(all.iter().all(|of_one| !of_one.is_empty()), "{all:?}");
    for example in all.into_iter().flatten() {
        let folder = tempfile::tempdir().unwrap();
        let line = example.split(" #").next().unwrap();
        let args = line.split_whitespace().skip(1).map(|word| {
            word.replace("$L1", "http://l1.example")
                .replace("$OP", "http://op.example")
                .replace("$AGGREGATOR", "http://aggregator.example")
                .replace("0x...", "0x561be1AB42170a19f31645F774e6e3862B2139AA")
        });
        let args: Vec<_> = args.collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let written = mach(folder.path(), &args);
        assert_eq!(
            written.status.code(),
            Some(0),
            "{example}: {}",
            errors(&written)
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// `init` without anything leaves out what operator and aggregator do not start without.
#[test]
fn what_init_was_not_told_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(mach(folder, &["init"]).status.code(), Some(0));
    let checked = mach(folder, &["config", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = text(&checked);
    for missing in [
        "neither l1.deployment nor l1.registry_coordinator is set, so that operator run and aggregator run do not start",
        "there is no [[rollup]], so that operator run and aggregator run and verifier run do not start",
        "operator run does not start; mach-cli keys new makes one",
        "aggregator run does not start; mach-cli keys new --kind ecdsa makes one",
    ] {
        assert!(told.contains(missing), "{missing}: {told}");
    }
    // What an operator sends to nobody, and the original's aggregator of several rollups.
    let written = std::fs::read_to_string(folder.join("mach.toml")).unwrap();
    let (sends, listens) = ("aggregators = [\"http", "[aggregator]");
    assert!(
        written.contains(sends) && written.contains(listens),
        "{written}"
    );
    let listens_too = "[aggregator]\nlegacy_listen = \"127.0.0.1:0\"";
    let written = written.replacen(listens, listens_too, 1);
    let kept = |line: &&str| !line.starts_with("aggregators = ");
    let written: Vec<_> = written.lines().filter(kept).collect();
    std::fs::write(folder.join("alone.toml"), written.join("\n")).unwrap();
    let told = text(&mach(
        folder,
        &["config", "check", "--config", "alone.toml"],
    ));
    for missing in [
        "operator.aggregators is not set, so that operator run does not start",
        "aggregator.legacy_listen is about one rollup: one [[rollup]]",
        "aggregator.legacy_listen needs aggregator.legacy_ecdsa_key",
    ] {
        assert!(told.contains(missing), "{missing}: {told}");
    }
    let args = ["init", "--role", "verifier", "--out", "verifier.toml"];
    assert_eq!(mach(folder, &args).status.code(), Some(0));
    let checked = mach(folder, &["config", "check", "--config", "verifier.toml"]);
    let told = text(&checked);
    assert_eq!(checked.status.code(), Some(1), "{told}");
    let missing = "there is no [[rollup]], so that verifier run does not start";
    assert_eq!(told.lines().next(), Some(missing), "{told}");
    let args = ["init", "--role", "breaker", "--out", "behind.toml"];
    assert_eq!(mach(folder, &args).status.code(), Some(0));
    let checked = mach(folder, &["config", "check", "--config", "behind.toml"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = text(&checked);
    for missing in ["breaker.upstream", "breaker.rollup"] {
        let missing = format!("{missing} is not set, so that breaker does not start");
        assert!(told.contains(&missing), "{told}");
    }
    // A breaker needs neither contracts nor a [[rollup]].
    let args = ["init", "--role", "breaker", "--out", "breaker.toml"];
    let args = [&args[..], &["--rollup", "10=http://op.example"]].concat();
    assert_eq!(mach(folder, &args).status.code(), Some(0));
    let args = ["config", "check", "--config", "breaker.toml"];
    let env = ("MACH_CERTIFICATE_OPERATORS", "absent.json");
    assert_eq!(mach(folder, &args).status.code(), Some(0));
    let absent = command(folder, &args).env(env.0, env.1).output().unwrap();
    let told = text(&absent);
    assert_eq!(absent.status.code(), Some(1));
    assert!(
        told.contains("there is no absent.json, so that certificate verify knows no operators"),
        "{told}"
    );
    let args = ["config", "show", "--origin", "--config", "breaker.toml"];
    let mut shown = command(folder, &args);
    let shown = shown
        .env(env.0, env.1)
        .env("MACH_TOP_API", "http://a.example/key");
    let shown = text(&shown.output().unwrap());
    let origin = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_once('#').unwrap().1.trim().to_owned()
    };
    assert_eq!(
        origin("operators = "),
        "environment MACH_CERTIFICATE_OPERATORS"
    );
    assert_eq!(
        origin("api = \"http://a.example\""),
        "environment MACH_TOP_API"
    );
}

#[test]
fn a_wrong_file_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("mach.toml"), "[operator]\nbls_kye = \"x\"\n").unwrap();
    let checked = mach(folder, &["config", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = errors(&checked);
    assert!(
        told.contains("line 2") && told.contains("bls_kye"),
        "{told}"
    );
    // No service starts with it either.
    let run = mach(folder, &["operator", "run"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(errors(&run).contains("bls_kye"));
    let missing = mach(folder, &["verifier", "run", "--config", "none.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        errors(&missing).contains("mach-cli init"),
        "{}",
        errors(&missing)
    );
}

/// Scripts read why there is no result, too.
#[test]
fn a_failure_is_told_in_json_where_json_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["certificate", "show", "absent"][..],
        &["certificate", "verify", "absent", "--trust-operators"],
        &["top", "--config", "absent"],
        &["config", "show", "--config", "absent"],
        &["config", "import", "absent"],
        &["config", "check", "--config", "absent"],
    ] {
        let output = mach(folder.path(), &[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let told = lines(&output);
        assert_eq!(told.len(), 1, "{args:?}");
        let error = told[0]["error"].as_str().unwrap();
        assert!(error.contains("absent"), "{args:?}: {error}");
    }
}

/// `head` takes what it wants and goes.
#[cfg(unix)]
#[test]
fn a_command_whose_reader_has_gone_ends_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mach.toml"), "").unwrap();
    let mut child = command(folder.path(), &["config", "show"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(errors(&output), "");
}

/// Files as the original ships them; the keys are those of its repositories.
#[test]
fn the_originals_files_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    put(
        "avs_configs.json",
        r#"[{"avs_name":"optimism","methods":[{"method":"confirmAlert","quorum_numbers":[0]}],
            "avs_registry_coordinator_address":"0x561be1AB42170a19f31645F774e6e3862B2139AA",
            "operator_state_retriever_address":"0x8Ad765474f86FFb0A742041427383b524192b71f",
            "avs_contract_address":"0x71a77037870169d47aad6c2C9360861A4C0df2bF"}]"#,
    );
    put(
        "operator_proxy.yaml",
        "method: confirmAlert\ngeneric_operator_addr: http://node:8901\n\
         rpc_cfg:\n  rpc_addr: 0.0.0.0:8902\n\
         chain_ids:\n  optimism: 10\nwork_proofs_mod:\n  optimism: 900\n",
    );
    put(
        ".env",
        "# operator\nETH_RPC_URL=https://l1.example/key\nNODE_BLS_KEY_FILE_HOST=/keys/bls.json\n\
         ENABLE_METRICS=true\nEIGEN_METRICS_URL=0.0.0.0:9092\nENABLE_NODE_API=false\n\
         NODE_API_URL=0.0.0.0:9091\nOPERATOR_BLS_KEY_PASSWORD='do not tell'\n\
         AGGREGATOR_JSONRPC_SERVER_URL=https://aggregator.example\n",
    );
    put(
        "mach-config.toml",
        "[operator]\nenable = true\nurl = \"http://proxy:8902/optimism\"\n\
         [validator]\nmode = \"unsafe\"\n\
         [collector]\nurl = \"http://op.example:8545\"\ninterval_ms = 4000\n\
         [prometheus]\nport = 9094\nexternal = true\n",
    );
    let args = [
        "config",
        "import",
        "avs_configs.json",
        "operator_proxy.yaml",
        ".env",
        "mach-config.toml",
    ];
    let imported = mach(folder, &args);
    assert_eq!(imported.status.code(), Some(0), "{}", errors(&imported));
    let (file, notes) = (text(&imported), errors(&imported));
    put("mach.toml", &file);
    let shown = mach(folder, &["config", "show", "--json"]);
    let shown: Value = serde_json::from_str(&text(&shown)).unwrap();
    let value = |key: &str| {
        let rows = shown["values"].as_array().unwrap();
        let row = rows.iter().find(|row| row["key"] == key);
        row.map_or(Value::Null, |row| row["value"].clone())
    };
    assert_eq!(value("l1.rpc"), "https://l1.example");
    assert!(file.contains("https://l1.example/key"));
    let coordinator = value("l1.registry_coordinator").to_string().to_lowercase();
    assert!(coordinator.contains("0x561be1ab42170a19f31645f774e6e3862b2139aa"));
    assert_eq!(value("operator.bls_key"), "/keys/bls.json");
    assert_eq!(
        value("operator.aggregators")[0],
        "https://aggregator.example"
    );
    assert_eq!(value("metrics.operator"), "0.0.0.0:9092");
    assert_eq!(value("operator.node_api"), Value::Null);
    assert_eq!(value("rollup.10.attest_every"), 900);
    assert_eq!(value("rollup.10.rpc")[0], "http://op.example:8545");
    assert_eq!(value("rollup.10.poll_interval"), "4s");
    for (note, is_there) in [
        ("validator.mode", true),
        ("generic_operator_addr", true),
        ("OPERATOR_BLS_KEY_PASSWORD", true),
        ("do not tell", false),
    ] {
        assert_eq!(notes.contains(note), is_there, "{note}: {notes}");
    }
    assert!(!file.contains("do not tell"));

    put(
        "aggregator.yaml",
        "environment: production\neth_rpc_url: https://l1.example\nquorum_nums: [0]\n\
         rpc_vhosts:\n- aggregator.example\n- '*'\nrpc_cors: ['https://app.example']\n",
    );
    let imported = mach(folder, &["config", "import", "aggregator.yaml"]);
    assert_eq!(imported.status.code(), Some(0), "{}", errors(&imported));
    let file = text(&imported);
    for line in [
        "legacy_hosts = [\"aggregator.example\", \"*\"]",
        "legacy_origins = [\"https://app.example\"]",
    ] {
        assert!(file.lines().any(|it| it == line), "{line}: {file}");
    }
}

/// One service manager, several rollups: `configs/chain/NAME/` has the verifier's file of each.
#[test]
fn several_rollups_of_the_original_are_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let avs = |name: &str, coordinator: &str| {
        format!(
            r#"{{"avs_name":"{name}","avs_registry_coordinator_address":"{coordinator}",
                "operator_state_retriever_address":"0x8Ad765474f86FFb0A742041427383b524192b71f",
                "avs_contract_address":"0x71a77037870169d47aad6c2C9360861A4C0df2bF"}}"#
        )
    };
    let coordinator = "0x561be1AB42170a19f31645F774e6e3862B2139AA";
    let avs = [
        avs("optimism", coordinator),
        avs("arbitrum_one", &coordinator.to_lowercase()),
        avs("xterio", "0x0000000000000000000000000000000000000001"),
    ];
    put("avs_configs.json", &format!("[{}]", avs.join(",")));
    put(
        "operator_proxy.yaml",
        "generic_operator_addr: http://node:8901\nrpc_cfg:\n  rpc_addr: 0.0.0.0:8902\n\
         chain_ids:\n  optimism: 10\n  arbitrum_one: 42161\n",
    );
    let verifier = |node: &str| format!("[collector]\nurl = \"http://{node}.example:8545\"\n");
    let (optimism, arbitrum, copy) = (
        "configs/chain/optimism/mach-config.toml",
        "configs/chain/arbitrum_one/mach-config.toml",
        "copy/optimism/mach-config.toml",
    );
    put(optimism, &verifier("op"));
    put(arbitrum, &verifier("arb"));
    put(copy, &verifier("copy"));
    let import = |more: &[&str]| {
        let args = [
            "config",
            "import",
            "avs_configs.json",
            "operator_proxy.yaml",
        ];
        mach(folder, &[&args[..], more].concat())
    };
    let imported = import(&[arbitrum, optimism]);
    let notes = errors(&imported);
    assert_eq!(imported.status.code(), Some(0), "{notes}");
    put("mach.toml", &text(&imported));
    let shown = mach(folder, &["config", "show", "--json"]);
    let shown: Value = serde_json::from_str(&text(&shown)).unwrap();
    for (key, node) in [("rollup.10.rpc", "op"), ("rollup.42161.rpc", "arb")] {
        let rows = shown["values"].as_array().unwrap();
        let row = rows.iter().find(|row| row["key"] == key).unwrap();
        let expected = serde_json::json!([format!("http://{node}.example:8545")]);
        assert_eq!(row["value"], expected);
    }
    let is_another = "another service manager";
    assert!(notes.contains(&format!("xterio: {is_another}")), "{notes}");
    assert_eq!(notes.matches(is_another).count(), 1, "{notes}");

    // What one says would be lost.
    for files in [
        &[optimism, arbitrum, "--chain-id", "10"][..],
        &[optimism, copy],
    ] {
        let refused = import(files);
        let told = errors(&refused);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        assert!(told.contains("are both about rollup 10"), "{told}");
    }
    put("elsewhere/mach-config.toml", &verifier("op"));
    let refused = import(&["elsewhere/mach-config.toml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(
        errors(&refused).contains("give --chain-id"),
        "{}",
        errors(&refused)
    );
}

/// A devnet of processes, ended when this is dropped.
struct Devnet {
    child: Child,
    told: Vec<String>,
    lines: Receiver<String>,
    /// Those that were started again by hand.
    others: Vec<Child>,
}

const PATIENCE: Duration = Duration::from_secs(120);

impl Devnet {
    fn start(folder: &Path) -> Self {
        let args = [
            "devnet",
            "--operators",
            "2",
            "--block-time",
            "400",
            "--folder",
            "net",
        ];
        let ports = [
            "--l1-port",
            "--l2-port",
            "--aggregator-port",
            "--api-port",
            "--breaker-port",
        ];
        let mut child = command(folder, &args);
        for port in ports {
            child.args([port, "0"]);
        }
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut devnet = Self {
            child,
            told: Vec::new(),
            lines,
            others: Vec::new(),
        };
        devnet.told = devnet.until("press Ctrl-C to stop");
        devnet
    }

    /// Lines up to one with `text`.
    fn until(&self, text: &str) -> Vec<String> {
        let started = Instant::now();
        let mut lines = Vec::new();
        while started.elapsed() < PATIENCE {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                break;
            };
            let is_it = line.contains(text);
            lines.push(line);
            if is_it {
                return lines;
            }
        }
        unreachable!("no `{text}` in {lines:#?}");
    }

    /// Height of the next block that is attested on L1.
    fn next_attested(&self) -> u64 {
        let lines = self.until("attested on L1");
        let line = lines.last().unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Id and command of a service.
    fn service(&self, name: &str) -> (String, String) {
        let is_it = |line: &&String| line.trim_start().starts_with(&format!("{name} "));
        let line = self
            .told
            .iter()
            .filter(|it| it.starts_with("    "))
            .find(is_it);
        let rest = line
            .unwrap()
            .trim_start()
            .strip_prefix(name)
            .unwrap()
            .trim_start();
        let (id, command) = rest.split_once(' ').unwrap();
        (id.to_owned(), command.trim().to_owned())
    }

    fn kill(&self, name: &str) -> String {
        let (id, command) = self.service(name);
        let sent = Command::new("kill").args(["-9", &id]).status().unwrap();
        assert!(sent.success());
        let lines = self.until(&format!("{name} has ended"));
        assert!(lines.last().unwrap().contains(&command), "{lines:?}");
        command
    }

    /// Starts it as it is printed.
    fn start_again(&mut self, folder: &Path, command_line: &str) {
        let program = env!("CARGO_BIN_EXE_mach-cli");
        let script = command_line.replacen("mach-cli", &format!("exec '{program}'"), 1);
        let mut shell = Command::new("sh");
        // The environment beats the file, and these are of other tests.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MACH_") {
                shell.env_remove(name);
            }
        }
        let child = shell
            .args(["-c", &script])
            .current_dir(folder)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.others.push(child);
    }

    fn api(&self) -> String {
        self.address("finality API")
    }

    /// Where something is, as it is printed.
    fn address(&self, name: &str) -> String {
        let line = self.told.iter().find(|line| line.starts_with(name));
        let url = line.unwrap().split_whitespace().last().unwrap();
        url.split('/').nth(2).unwrap().to_owned()
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        for child in &mut self.others {
            let _ = child.kill();
            let _ = child.wait();
        }
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let status = self.child.wait().unwrap();
        if !std::thread::panicking() {
            assert_eq!(status.code(), Some(0));
        }
    }
}

fn get(address: &str, path: &str) -> Value {
    let started = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            // It is just being started again.
            Err(error) => assert!(started.elapsed() < PATIENCE, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

fn post(address: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(json).unwrap()
}

#[cfg(unix)]
#[test]
fn killing_any_process_and_starting_it_again_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut devnet = Devnet::start(folder);
    let before = devnet.next_attested();

    // Both operators are needed: while one is away nothing is certified, and nothing is lost.
    let operator = devnet.kill("operator-2");
    // A second process on the store of one that runs is refused.
    let (_, other) = devnet.service("operator-1");
    let config = other.split('\'').nth(1).unwrap().to_owned();
    let second = mach(folder, &["operator", "run", "--config", &config]);
    assert_eq!(second.status.code(), Some(2));
    assert!(
        errors(&second).contains("one process at a time"),
        "{}",
        errors(&second)
    );
    devnet.start_again(folder, &operator);
    let with_operator = devnet.next_attested();
    assert!(with_operator > before);

    let operator = devnet.kill("operator-1");
    devnet.start_again(folder, &operator);
    let with_both = devnet.next_attested();

    // What the breaker knew it knows again, and it serves.
    let address = devnet.address("circuit breaker");
    let attested = || get(&address, "/breaker/status")["attested"]["number"].as_u64();
    let started = Instant::now();
    while attested() < Some(with_both) {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }
    let known = attested();
    let breaker = devnet.kill("breaker");
    devnet.start_again(folder, &breaker);
    let started = Instant::now();
    while get(&address, "/breaker/status")["state"] != "serving" || attested() < known {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }

    let verifier = devnet.kill("verifier");
    devnet.start_again(folder, &verifier);

    // Who signed the rounds that are over is shown as before.
    let over = |devnet: &Devnet| {
        let rounds = get(&devnet.api(), "/v1/rounds");
        let rounds = rounds.as_array().unwrap().iter();
        let over = rounds.filter(|it| it["state"]["state"] != "collecting");
        over.map(|it| {
            (
                it["digest"].to_string(),
                it["signers"].as_array().unwrap().len(),
            )
        })
        .collect::<Vec<_>>()
    };
    // Of the newest of all, a signature may be on its way.
    let started = Instant::now();
    let shown = loop {
        let shown: Vec<_> = over(&devnet).into_iter().skip(2).take(5).collect();
        if shown.len() == 5 {
            break shown;
        }
        assert!(started.elapsed() < PATIENCE, "{shown:?}");
        std::thread::sleep(Duration::from_millis(100));
    };
    let aggregator = devnet.kill("aggregator");
    devnet.start_again(folder, &aggregator);
    let started = Instant::now();
    while !shown.iter().all(|it| over(&devnet).contains(it)) {
        assert!(started.elapsed() < PATIENCE, "{shown:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    while devnet.next_attested() < with_both + 5 {}
    // The breaker has followed it through its restart.
    while attested() < Some(with_both + 5) {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }

    // How far the operators have verified is shown beside what they attested.
    let started = Instant::now();
    let names = || {
        let node = get(&devnet.api(), "/v1/node");
        assert_eq!(node["leads"], true);
        let verifiers = node["verifiers"].as_array().unwrap().iter();
        let verified = verifiers.filter(|it| {
            let verified = it["rollups"][0]["verified"]["number"].as_u64();
            verified >= Some(with_both) && it["silentFor"].is_null()
        });
        verified.map(|it| it["name"].clone()).collect::<Vec<_>>()
    };
    while names() != ["operator-1", "operator-2", "verifier"] {
        assert!(started.elapsed() < PATIENCE, "{:?}", names());
        std::thread::sleep(Duration::from_millis(100));
    }
    // The aggregator's file says where that is.
    let of_aggregator = aggregator.split('\'').nth(1).unwrap();
    let line = format!("  mach-cli top --config '{of_aggregator}'");
    assert!(devnet.told.contains(&line), "{:#?}", devnet.told);
    let shown = mach(folder, &["top", "--config", of_aggregator, "--once"]);
    assert_eq!(shown.status.code(), Some(0), "{}", errors(&shown));
    let shown = text(&shown);
    // Of the newest round, the signature of somebody may be on its way.
    for expected in ["verified", "operator-2", "stake 100 %", "absent     "] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    // The same is asked over JSON-RPC.
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"mach_head","params":[901]}"#;
    let head = post(&devnet.api(), call)["result"].take();
    let attested = head["finalizedByStake"]["number"].as_u64();
    assert!(attested >= Some(with_both), "{head}");

    // Every block has its attestation, those of the time without them too, and its certificate has
    // both operators, whichever of them was killed meanwhile.
    let rollup = &get(&devnet.api(), "/v1/rollups")[0]["rollup"];
    for number in 1..=with_both {
        let started = Instant::now();
        loop {
            let path = format!("/v1/rollups/{rollup}/blocks/{number}");
            let block = get(&devnet.api(), &path);
            if ["attested", "confirmed"].contains(&block["status"].as_str().unwrap()) {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{number}: {block}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let path = format!("/v1/rollups/{rollup}/certificates/{number}");
        let certificate = &get(&devnet.api(), &path)["certificate"];
        let block = &certificate["statement"]["block"]["number"];
        assert_eq!(block.as_u64(), Some(number), "{certificate}");
        assert_eq!(certificate["nonSigners"].as_array().unwrap().len(), 0);
    }
    // One of them, checked as anybody would.
    let path = format!("/v1/rollups/{rollup}/certificates/{with_both}");
    let file = folder.join("certificate.json");
    std::fs::write(&file, get(&devnet.api(), &path).to_string()).unwrap();
    let args = [
        "certificate",
        "verify",
        "certificate.json",
        "--trust-operators",
    ];
    let checked = mach(folder, &args);
    assert_eq!(checked.status.code(), Some(0), "{}", errors(&checked));
    // And against the contracts that an operator's file names.
    let args = [
        "certificate",
        "verify",
        "certificate.json",
        "--config",
        &config,
    ];
    let checked = mach(folder, &args);
    assert_eq!(checked.status.code(), Some(0), "{}", errors(&checked));
    assert!(
        text(&checked).contains("trusted: the L1 node"),
        "{}",
        text(&checked)
    );
}
