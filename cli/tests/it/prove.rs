use std::{fs, path::Path};

use mach_devnet::OptimismFork;
use mach_verify::{Bundle, Evidence, source::RecordedBlock, verify_block};
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
