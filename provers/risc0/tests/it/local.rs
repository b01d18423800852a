//! On this machine, without proving: that takes minutes, by hand.

use std::fs;

use crate::process::{read, repository, say};

#[test]
fn guests_give_the_journals_of_native_code() {
    let inputs = repository("guests/inputs");
    let inputs = inputs.to_str().unwrap();
    for (program, count) in [("block", 5), ("output", 1)] {
        let said = say(&["execute", "--program", program, "--inputs", inputs]);
        assert_eq!(said.last().unwrap()["type"], "done", "{said:?}");
        assert_eq!(said.iter().filter(|it| it["type"] == "run").count(), count);
    }
}

#[test]
fn what_a_guest_refuses_is_not_proved() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let mut journal = read("guests/inputs/output.json");
    let work = folder.path().display().to_string();
    let prove = |input: &[u8], journal: &serde_json::Value| {
        fs::write(at("input"), input).unwrap();
        fs::write(at("journal.json"), journal.to_string()).unwrap();
        let (input, out) = (at("input"), at("proof.json"));
        let said = say(&[
            "prove",
            "--program",
            "output",
            "--input",
            &input,
            "--out",
            &out,
            "--work-dir",
            &work,
        ]);
        said.last().unwrap().clone()
    };
    let line = prove(&input[..input.len() - 1], &journal);
    assert_eq!(line["failure"], "refused", "{line}");
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .contains("refused: the input is malformed"),
        "{line}"
    );
    // A journal that the guest does not give.
    journal["fault"] = 0.into();
    let line = prove(&input, &journal);
    assert_eq!(
        line["message"],
        "the guest gives another journal than native code"
    );
    assert!(!folder.path().join("proof.json").exists());
}
