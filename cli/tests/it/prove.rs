use std::{fs, path::Path};

use alloy_primitives::B256;
use mach_core::Verdict;
use mach_devnet::{DevnetConfig, OptimismFork};
use mach_verify::{
    Bundle, Evidence,
    source::{RecordedBlock, recorded_files},
    verify_block, verify_output_proposal,
};
use serde_json::{Value, json};

use crate::{errors, lines, mach_cli};

const ID: &str = "0x0707070707070707070707070707070707070707070707070707070707070707";

/// A bundle against a block that the devnet lied about.
fn bundle(folder: &Path) -> String {
    let recorded = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../mach-verify/testdata/lie-state-root.json.gz"
    );
    let recorded = RecordedBlock::read(recorded).unwrap();
    let spec = OptimismFork::Jovian.spec(recorded.block.chain_id);
    let verdict = verify_block(&spec, &recorded.block, &recorded.witness).unwrap();
    let fault = verdict.fault().unwrap().clone();
    let evidence = Evidence::new(spec, recorded, fault).unwrap();
    let file = folder.join("bundle.json.gz");
    evidence.write(&file).unwrap();
    file.display().to_string()
}

fn text(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_native_backend_says_that_it_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let out = folder.path().join("proof.json").display().to_string();
    let prove = [
        "prove",
        "--bundle",
        &bundle,
        "--backend",
        "native",
        "--out",
        &out,
    ];
    let made = mach_cli(&prove);
    assert_eq!(made.status.code(), Some(0), "{}", errors(&made));
    assert!(text(&made).starts_with("NOT A PROOF"), "{}", text(&made));
    assert!(text(&made).contains("The first broken rule is stateRoot (4)"));
    let proof: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(proof["proof"], "0x");

    let verified = mach_cli(&["verify-proof", &out]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(
        text(&verified).starts_with("NOT A PROOF"),
        "{}",
        text(&verified)
    );
    let verified = mach_cli(&["verify-proof", &out, "--json"]);
    assert_eq!(verified.status.code(), Some(1));
    let answer = &lines(&verified)[0];
    assert_eq!(answer["isProved"], false);
    assert_eq!(answer["journal"]["fault"], 4);

    let made = mach_cli(&[&prove[..], &["--json", "--l1-chain", "7"]].concat());
    let answer = &lines(&made)[0];
    assert_eq!(answer["isProof"], false);
    assert_eq!(answer["journal"]["l1ChainId"], "0x7");
}

/// The prover is a script that says what it is told to say.
#[cfg(unix)]
#[test]
fn a_prover_of_its_own_makes_the_proof_and_verifies_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let bundle = bundle(folder.path());
    let native = [
        "prove",
        "--bundle",
        &bundle,
        "--backend",
        "native",
        "--out",
        &at("made"),
    ];
    assert_eq!(mach_cli(&native).status.code(), Some(0));
    let mut proof: Value = serde_json::from_slice(&fs::read(at("made")).unwrap()).unwrap();
    proof["backend"] = json!("openvm");
    proof["programId"] = json!(ID);
    proof["proof"] = json!("0x01");
    fs::write(at("made"), proof.to_string()).unwrap();
    let prover = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../mach-prove/tests/it/prover.sh"
    );
    std::os::unix::fs::symlink(prover, at("prover")).unwrap();
    let script = r#"echo '{"type":"segment","done":1,"total":1}'; cp "$here/made" "$out"
echo '{"type":"done"}'"#;
    fs::write(at("prove"), script).unwrap();
    fs::write(at("verify"), r#"echo '{"type":"done"}'"#).unwrap();

    let (prover, work, out) = (at("prover"), at("work"), at("out.json"));
    let prove = [
        "prove",
        "--bundle",
        &bundle,
        "--backend",
        "openvm",
        "--prover",
        &prover,
        "--work-dir",
        &work,
        "--out",
        &out,
        "--memory-limit",
        "5GiB",
    ];
    let made = mach_cli(&prove);
    assert_eq!(made.status.code(), Some(0), "{}", errors(&made));
    assert!(
        text(&made).starts_with("Proved by openvm"),
        "{}",
        text(&made)
    );
    assert!(errors(&made).contains("1/1 segments"), "{}", errors(&made));
    assert!(
        fs::read_to_string(at("calls"))
            .unwrap()
            .contains("--memory-limit 5368709120")
    );

    let verify = ["verify-proof", &out, "--prover", &prover];
    let verified = mach_cli(&verify);
    assert_eq!(verified.status.code(), Some(0), "{}", errors(&verified));
    let words = text(&verified);
    for part in [
        "Proved by openvm",
        "Configuration: chain 901, the rules of",
        "It counts for no contract.",
        "none of those that are committed",
    ] {
        assert!(words.contains(part), "{words}");
    }
    // Another program than the one that counts.
    let other = format!("0x{}", "08".repeat(32));
    let verified = mach_cli(&[&verify[..], &["--program", &other]].concat());
    assert_eq!(verified.status.code(), Some(1));
    assert!(
        text(&verified).starts_with("NOT PROVED"),
        "{}",
        text(&verified)
    );

    let no = r#"echo '{"type":"failed","failure":"invalid","message":"altered"}'"#;
    fs::write(at("verify"), no).unwrap();
    let verified = mach_cli(&verify);
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified).contains("altered"), "{}", text(&verified));
    let verified = mach_cli(&["verify-proof", &out, "--prover", "/absent"]);
    assert_eq!(verified.status.code(), Some(2));

    let info = mach_cli(&["guest", "info", "--json", "--prover", &prover]);
    let answer = &lines(&info)[0];
    assert_eq!(answer["prover"][0]["id"], ID);
    assert!(answer["committed"].is_array());
}

/// Which forms the adapters of the contracts take: RISC Zero's and SP1's wrapped ones, as four bytes that select
/// the verifier and the points of a Groth16 proof.
#[cfg(unix)]
#[test]
fn no_more_is_said_than_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let bundle = bundle(folder.path());
    let manager = format!("0x{}", "11".repeat(20));
    let (made, prover) = (at("made"), at("prover"));
    let prove = ["prove", "--bundle", &bundle, "--backend", "native"];
    let to = ["--out", &made, "--service-manager", &manager];
    let output = mach_cli(&[&prove[..], &to, &["--l1-chain", "7"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let counts = format!("It counts for the contract {manager} on L1 chain 7, handed in by 0x");
    let names = format!("It names the contract {manager} on L1 chain 7, handed in by 0x");
    let no_contract = "No contract takes a proof of this form.";
    let told = text(&output);
    assert!(
        told.contains(&names) && told.contains(no_contract),
        "{told}"
    );

    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../mach-prove/tests/it/prover.sh"
    );
    std::os::unix::fs::symlink(script, &prover).unwrap();
    fs::write(at("verify"), r#"echo '{"type":"done"}'"#).unwrap();
    let native: Value = serde_json::from_slice(&fs::read(&made).unwrap()).unwrap();
    let verified = |change: &dyn Fn(&mut Value)| {
        let mut proof = native.clone();
        proof["programId"] = json!(ID);
        change(&mut proof);
        fs::write(at("proof"), proof.to_string()).unwrap();
        let output = mach_cli(&["verify-proof", &at("proof"), "--prover", &prover]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        text(&output)
    };
    let forms = [
        ("openvm", "0x01", false),
        // "comp", in ASCII.
        ("risc0", "0x636f6d7001", false),
        ("risc0", "0x73c457ba01", true),
        ("sp1", "0x4388a21c01", true),
    ];
    for (backend, bytes, is_taken) in forms {
        let told = verified(&|proof| {
            proof["backend"] = json!(backend);
            proof["proof"] = json!(bytes);
        });
        assert_eq!(told.contains(&counts), is_taken, "{told}");
        assert_eq!(told.contains(&names), !is_taken, "{told}");
        assert_eq!(told.contains(no_contract), !is_taken, "{told}");
    }

    let header = "That anybody published the header is not shown.";
    let root = "That anybody published the header or the root is not shown, nor whether the header is right.";
    for (fault, unshown) in [(0, header), (4, header), (64, header), (128, root)] {
        let told = verified(&|proof| {
            proof["backend"] = json!("openvm");
            proof["journal"]["fault"] = json!(fault);
        });
        assert!(told.contains(unshown), "{told}");
        assert!(!told.contains("posted"), "{told}");
    }

    let help = mach_cli(&["prove", "--help"]);
    assert!(
        text(&help).contains("0 proved, or run by `native`, which says NOT A PROOF"),
        "{}",
        text(&help)
    );
}

/// Before Isthmus no header has the message passer's storage root: a node proves its account.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_root_before_isthmus_takes_an_account_proof_of_a_node() {
    let fork = OptimismFork::Holocene;
    let config = DevnetConfig {
        l2_fork: fork,
        ..DevnetConfig::default()
    };
    let devnet = config.build().unwrap();
    let number = devnet.sequencer().produce().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let genesis = serde_json::to_string(&config.l2_genesis()).unwrap();
    fs::write(at("genesis.json"), genesis).unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let (bundle, out, genesis) = (at("bundle.json.gz"), at("proof.json"), at("genesis.json"));
    let (url, blocks) = (servers.l2.http_url(), at("blocks"));
    let run = async |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
        // The devnet answers on this thread.
        let made = tokio::task::spawn_blocking(move || {
            mach_cli(&args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        made.await.unwrap()
    };

    // A witness of proofs has the account before the block, from which follows the root after it.
    let record = [
        "record",
        "--rpc",
        &url,
        "--witness",
        "proofs",
        "--blocks",
        "1",
    ];
    let made = run(&[&record[..], &["--genesis", &genesis, "--out", &blocks]].concat()).await;
    assert_eq!(made.status.code(), Some(0), "{}", errors(&made));
    let files = recorded_files(Path::new(&blocks)).unwrap();
    let recorded = RecordedBlock::read(&files[0]).unwrap();
    let spec = fork.spec(recorded.block.chain_id);
    let verdict = verify_block(&spec, &recorded.block, &recorded.witness).unwrap();
    let Verdict::Valid(summary) = verdict else {
        unreachable!("{verdict:?}")
    };
    let claimed = B256::repeat_byte(7);
    let fault = verify_output_proposal(&summary, claimed).unwrap();
    let evidence = Evidence::new(spec, recorded, fault).unwrap();
    evidence.write(&bundle).unwrap();
    let prove = async |more: &[&str]| {
        let args = [
            "prove",
            "--bundle",
            &bundle,
            "--backend",
            "native",
            "--out",
            &out,
        ];
        run(&[&args[..], &["--genesis", &genesis, "--json"], more].concat()).await
    };
    let without = prove(&[]).await;
    assert_eq!(without.status.code(), Some(2));
    assert!(text(&without).contains("--rpc"), "{}", text(&without));
    // The second endpoint is asked where the first one does not answer.
    let made = prove(&["--rpc", &format!("http://127.0.0.1:9,{url}")]).await;
    assert_eq!(made.status.code(), Some(0), "{}", errors(&made));
    let journal = &lines(&made)[0]["journal"];
    assert_eq!(journal["fault"], 128);
    assert_eq!(journal["claimed"], claimed.to_string());
    let right = devnet.l2().claimed_output_root(number).unwrap().unwrap();
    assert_eq!(journal["computed"], right.to_string());
}

#[test]
fn what_is_no_bundle_is_not_proved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.json").display().to_string();
    fs::write(&file, "{}").unwrap();
    let refused = mach_cli(&["prove", "--bundle", &file, "--backend", "native"]);
    assert_eq!(refused.status.code(), Some(2));
    let refused = mach_cli(&["verify-proof", &file]);
    assert_eq!(refused.status.code(), Some(2));
    let refused = mach_cli(&["prove", "--bundle", &file, "--backend", "sp2"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        errors(&refused).contains("not a backend"),
        "{}",
        errors(&refused)
    );
}
