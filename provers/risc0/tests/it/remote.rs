//! Proofs of a service elsewhere, which may lie.

use std::{path::Path, time::Duration};

use mach_prove::{
    Progress,
    protocol::{Failure, ProverError},
};
use mach_prover_risc0::remote::{Request, Service, prove};
use risc0_zkvm::{Digest, Receipt};
use serde_json::{Value, json};

use crate::{
    receipt::{JOURNAL, fake, image_id, proof, receipt},
    service::{Bonsai, KEY, Script},
};

const BINARY: &[u8] = b"a guest";

fn script(receipt: &Receipt) -> Script {
    Script {
        states: vec![
            json!({ "status": "RUNNING", "state": "Executor" }),
            json!({ "status": "RUNNING", "state": "ProveSegments: 1/2" }),
            json!({ "status": "SUCCEEDED", "receipt_url": "http://127.0.0.1:1/not-asked-for" }),
        ],
        snarks: vec![
            json!({ "status": "RUNNING" }),
            json!({ "status": "SUCCEEDED" }),
        ],
        receipt: bincode::serialize(receipt).unwrap(),
        ..Script::default()
    }
}

fn ask(
    bonsai: &Bonsai,
    key: &str,
    id: Digest,
    work_dir: &Path,
) -> (Result<Vec<u8>, ProverError>, Vec<Progress>) {
    let service = Service::new(&bonsai.url, key, Duration::from_millis(1)).unwrap();
    ask_of(&service, id, work_dir)
}

fn ask_of(
    service: &Service,
    id: Digest,
    work_dir: &Path,
) -> (Result<Vec<u8>, ProverError>, Vec<Progress>) {
    let request = Request {
        binary: BINARY,
        id,
        input: b"input",
        journal: JOURNAL,
        work_dir,
    };
    let mut heard = Vec::new();
    let proved = prove(service, request, &mut |progress| heard.push(progress));
    (proved, heard)
}

fn refused(script: Script, id: Digest) -> (Failure, String) {
    let folder = tempfile::tempdir().unwrap();
    let bonsai = Bonsai::start(script);
    let error = ask(&bonsai, KEY, id, folder.path()).0.unwrap_err();
    (error.failure, error.source.to_string())
}

#[test]
fn a_service_proves_and_the_receipt_is_what_the_contract_takes() {
    let folder = tempfile::tempdir().unwrap();
    let bonsai = Bonsai::start(script(&receipt(JOURNAL)));
    let (proved, heard) = ask(&bonsai, KEY, image_id(), folder.path());
    assert_eq!(proved.unwrap(), proof());
    assert!(heard.contains(&Progress::Segment { done: 1, total: 2 }));
    assert!(heard.contains(&Progress::Step {
        name: "Executor".to_owned()
    }));
    let script = bonsai.script.lock().unwrap();
    assert_eq!(script.given["image"], BINARY);
    assert_eq!(script.given["input"], b"\x05\0\0\0input");
    assert!(
        script
            .asked
            .contains(&format!("GET /images/upload/{}", image_id()))
    );
    let order: Value = serde_json::from_slice(&script.given["sessions"]).unwrap();
    assert_eq!(
        (&order["img"], &order["input"], &order["execute_only"]),
        (
            &json!(image_id().to_string()),
            &json!("input-1"),
            &json!(false)
        )
    );
    let snark: Value = serde_json::from_slice(&script.given["snark"]).unwrap();
    assert_eq!(snark, json!({ "session_id": "sessions-1" }));
}

#[test]
fn what_was_ordered_is_not_ordered_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut lost = script(&receipt(JOURNAL));
    lost.receipt.clear();
    let bonsai = Bonsai::start(lost);
    assert!(ask(&bonsai, KEY, image_id(), folder.path()).0.is_err());
    bonsai.script.lock().unwrap().receipt = bincode::serialize(&receipt(JOURNAL)).unwrap();
    assert_eq!(
        ask(&bonsai, KEY, image_id(), folder.path()).0.unwrap(),
        proof()
    );
    assert_eq!(bonsai.count("POST /sessions/create"), 1);
    assert_eq!(bonsai.count("PUT "), 2);
    // Of another guest it is.
    assert!(ask(&bonsai, KEY, Digest::ZERO, folder.path()).0.is_err());
    assert_eq!(bonsai.count("POST /sessions/create"), 2);
}

#[test]
fn what_failed_is_ordered_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut failing = script(&receipt(JOURNAL));
    failing.states = vec![json!({ "status": "FAILED", "error_msg": "no\u{1b} memory" })];
    let bonsai = Bonsai::start(failing);
    let error = ask(&bonsai, KEY, image_id(), folder.path()).0.unwrap_err();
    assert_eq!(
        error.source.to_string(),
        "the service stopped with FAILED: no memory"
    );
    bonsai.script.lock().unwrap().states = vec![json!({ "status": "SUCCEEDED" })];
    assert_eq!(
        ask(&bonsai, KEY, image_id(), folder.path()).0.unwrap(),
        proof()
    );
    assert_eq!(bonsai.count("POST /sessions/create"), 2);
}

#[test]
fn a_receipt_that_proves_something_else_is_refused() {
    let invalid = |reason: &str| (Failure::Invalid, reason.to_owned());
    // Another journal, though the seal is genuine.
    assert_eq!(
        refused(script(&receipt(b"something else")), image_id()),
        invalid("the service proved another journal than native code gives")
    );
    // The right journal, of another program.
    let (failure, reason) = refused(script(&receipt(JOURNAL)), Digest::ZERO);
    assert_eq!(failure, Failure::Invalid);
    assert!(reason.starts_with("the proof does not verify"), "{reason}");
    // Right in all, and no proof.
    assert_eq!(
        refused(script(&fake()), image_id()),
        invalid("the service gave no Groth16 receipt")
    );
    let malformed = "the service's receipt is malformed";
    let mut longer = script(&receipt(JOURNAL));
    longer.receipt.push(0);
    assert_eq!(refused(longer, image_id()), invalid(malformed));
    // Lengths that are no lengths are not believed.
    let mut endless = script(&receipt(JOURNAL));
    endless.receipt = vec![0xff; 64];
    assert_eq!(refused(endless, image_id()), invalid(malformed));
    let mut large = script(&receipt(JOURNAL));
    large.receipt = vec![0; 1024 * 1024 + 1];
    assert_eq!(
        refused(large, image_id()),
        (
            Failure::Other,
            "the service's receipt is too large".to_owned()
        )
    );
}

#[test]
fn a_service_that_refuses_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let bonsai = Bonsai::start(script(&receipt(JOURNAL)));
    let error = ask(&bonsai, "another key", image_id(), folder.path())
        .0
        .unwrap_err();
    let words = error.source.to_string();
    assert_eq!(words, "the service refuses: who are you (401 Unauthorized)");
    let absent = Bonsai {
        url: "http://127.0.0.1:1".to_owned(),
        ..bonsai
    };
    let error = ask(&absent, KEY, image_id(), folder.path()).0.unwrap_err();
    let words = format!("{error:?}");
    assert!(!words.contains(KEY), "{words}");
}

/// What the service does not say for a while it has not forgotten, however long the while is.
#[test]
fn an_outage_forgets_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let bonsai = Bonsai::start(script(&receipt(JOURNAL)));
    let service = Service::new(&bonsai.url, KEY, Duration::from_millis(1)).unwrap();
    // It is taken, and then the service is away for longer than anybody asks.
    bonsai.script.lock().unwrap().states = vec![json!({ "status": "RUNNING" }), json!("no status")];
    for outage in [0, 40, 100] {
        bonsai.script.lock().unwrap().outage = outage;
        let error = ask_of(&service, image_id(), folder.path()).0.unwrap_err();
        let words = error.source.to_string();
        assert!(words.contains("kept in"), "{words}");
    }
    {
        let mut script = bonsai.script.lock().unwrap();
        (script.states, script.outage) = (vec![json!({ "status": "SUCCEEDED" })], 0);
    }
    let (proved, _) = ask_of(&service, image_id(), folder.path());
    assert_eq!(proved.unwrap(), proof());
    assert_eq!(bonsai.count("POST /sessions/create"), 1);
}

/// A service that is there, and does not know a session, has none: ordered again, and not without end.
#[test]
fn what_the_service_itself_does_not_know_is_ordered_again() {
    let folder = tempfile::tempdir().unwrap();
    let bonsai = Bonsai::start(script(&receipt(JOURNAL)));
    let service = Service::new(&bonsai.url, KEY, Duration::from_millis(1)).unwrap();
    let service = service.with_max_orders(2);
    bonsai.script.lock().unwrap().forgotten = vec!["/sessions/status/", "/version"];
    // Something else answers in its place.
    let error = ask_of(&service, image_id(), folder.path()).0.unwrap_err();
    assert!(error.source.to_string().contains("kept in"), "{error:?}");
    let error = ask_of(&service, image_id(), folder.path()).0.unwrap_err();
    assert!(error.source.to_string().contains("kept in"), "{error:?}");
    assert_eq!(bonsai.count("POST /sessions/create"), 1);

    bonsai.script.lock().unwrap().forgotten = vec!["/sessions/status/"];
    for ordered in [1, 2] {
        let error = ask_of(&service, image_id(), folder.path()).0.unwrap_err();
        assert!(
            error.source.to_string().contains("does not know"),
            "{error:?}"
        );
        assert_eq!(bonsai.count("POST /sessions/create"), ordered);
    }
    let error = ask_of(&service, image_id(), folder.path()).0.unwrap_err();
    assert_eq!(error.failure, Failure::Unable);
    assert!(
        error.source.to_string().contains("ordered 2 times"),
        "{error:?}"
    );
    assert_eq!(bonsai.count("POST /sessions/create"), 2);
}

/// The order arrives, and its answer does not: a crash in between is the same.
#[test]
fn an_order_is_noted_before_it_is_placed() {
    let folder = tempfile::tempdir().unwrap();
    let bonsai = Bonsai::start(script(&receipt(JOURNAL)));
    let service = Service::new(&bonsai.url, KEY, Duration::from_millis(1)).unwrap();
    let once = service.with_max_orders(1);
    bonsai.script.lock().unwrap().silent = 1;
    let error = ask_of(&once, image_id(), folder.path()).0.unwrap_err();
    assert!(
        error.source.to_string().contains("does not answer"),
        "{error:?}"
    );
    assert_eq!(bonsai.count("POST /sessions/create"), 1);
    // Whoever pays for one order only is asked.
    let error = ask_of(&once, image_id(), folder.path()).0.unwrap_err();
    assert_eq!(error.failure, Failure::Unable);
    let words = error.source.to_string();
    assert!(
        words.contains("ordered 1 times") && words.contains("delete"),
        "{words}"
    );
    assert_eq!(bonsai.count("POST /sessions/create"), 1);

    let service = Service::new(&bonsai.url, KEY, Duration::from_millis(1)).unwrap();
    let (proved, heard) = ask_of(&service, image_id(), folder.path());
    assert_eq!(proved.unwrap(), proof());
    let is_told = |it: &Progress| matches!(it, Progress::Step { name } if name.contains("may have to be paid"));
    assert!(heard.iter().any(is_told), "{heard:?}");
    assert_eq!(bonsai.count("POST /sessions/create"), 2);
    // What was uploaded is there.
    assert_eq!(bonsai.count("GET /inputs/upload"), 1);
}

/// A refusal is no order.
#[test]
fn what_is_refused_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let bonsai = Bonsai::start(script(&receipt(JOURNAL)));
    let service = Service::new(&bonsai.url, KEY, Duration::from_millis(1)).unwrap();
    let service = service.with_max_orders(1);
    bonsai.script.lock().unwrap().forgotten = vec!["/sessions/create"];
    for _ in 0..3 {
        let error = ask_of(&service, image_id(), folder.path()).0.unwrap_err();
        assert_eq!(error.failure, Failure::Other);
    }
    bonsai.script.lock().unwrap().forgotten.clear();
    let (proved, _) = ask_of(&service, image_id(), folder.path());
    assert_eq!(proved.unwrap(), proof());
}

#[test]
fn the_last_step_is_not_ordered_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut slow = script(&receipt(JOURNAL));
    slow.snarks = vec![json!({})];
    let bonsai = Bonsai::start(slow);
    for _ in 0..2 {
        assert!(ask(&bonsai, KEY, image_id(), folder.path()).0.is_err());
    }
    // The session is not needed any more, and may be gone.
    {
        let mut script = bonsai.script.lock().unwrap();
        script.snarks = vec![json!({ "status": "SUCCEEDED" })];
        script.forgotten = vec!["/sessions/"];
    }
    let (proved, _) = ask(&bonsai, KEY, image_id(), folder.path());
    assert_eq!(proved.unwrap(), proof());
    assert_eq!(bonsai.count("POST /sessions/create"), 1);
    assert_eq!(bonsai.count("POST /snark/create"), 1);
}

#[test]
fn a_session_that_runs_for_too_long_is_stopped_and_ordered_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut endless = script(&receipt(JOURNAL));
    endless.states = vec![json!({ "status": "RUNNING" })];
    let bonsai = Bonsai::start(endless);
    let service = Service::new(&bonsai.url, KEY, Duration::from_millis(1)).unwrap();
    let hurried = service.with_deadline(Duration::ZERO);
    let error = ask_of(&hurried, image_id(), folder.path()).0.unwrap_err();
    assert!(
        error.source.to_string().contains("told to stop"),
        "{error:?}"
    );
    assert_eq!(bonsai.count("GET /sessions/stop/sessions-1"), 1);
    bonsai.script.lock().unwrap().states = vec![json!({ "status": "SUCCEEDED" })];
    let (proved, _) = ask(&bonsai, KEY, image_id(), folder.path());
    assert_eq!(proved.unwrap(), proof());
    assert_eq!(bonsai.count("POST /sessions/create"), 2);
}

/// Uploads and receipts lie where the service says; the key is for the service alone.
#[test]
fn the_key_goes_to_nobody_but_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Bonsai::start(Script {
        receipt: bincode::serialize(&receipt(JOURNAL)).unwrap(),
        ..Script::default()
    });
    let bonsai = Bonsai::start(Script {
        storage: Some(storage.url.clone()),
        ..script(&receipt(JOURNAL))
    });
    let (proved, _) = ask(&bonsai, KEY, image_id(), folder.path());
    assert_eq!(proved.unwrap(), proof());
    let script = storage.script.lock().unwrap();
    assert_eq!(
        script.keyless,
        [
            "PUT /stored/image",
            "PUT /stored/input",
            "GET /stored/receipt"
        ]
    );
    assert!(script.asked.is_empty(), "{:?}", script.asked);
    assert_eq!(script.given["image"], BINARY);
}

/// Who cannot read what was ordered orders nothing.
#[test]
fn a_damaged_note_is_no_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = script(&receipt(JOURNAL));
    running.snarks = vec![json!({})];
    let bonsai = Bonsai::start(running);
    assert!(ask(&bonsai, KEY, image_id(), folder.path()).0.is_err());
    let mut files = std::fs::read_dir(folder.path()).unwrap();
    let file = files.next().unwrap().unwrap().path();
    std::fs::write(&file, b"{").unwrap();
    let error = ask(&bonsai, KEY, image_id(), folder.path()).0.unwrap_err();
    assert!(error.source.to_string().contains("is damaged"), "{error:?}");
    assert_eq!(bonsai.count("POST "), 2);
}
