//! On this machine, without proving.

use std::fs;

use crate::process::{prove, read, repository, say};

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
fn what_a_guest_refuses_is_not_ordered() {
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let mut journal = read("guests/inputs/output.json");
    // Nobody listens there: nothing is asked.
    let environment = [
        ("NETWORK_PRIVATE_KEY", "01".repeat(32)),
        ("NETWORK_RPC_URL", "http://127.0.0.1:1".to_owned()),
    ];
    let line = prove(&input[..input.len() - 1], &journal, &environment);
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
    let line = prove(&input, &journal, &environment);
    assert_eq!(
        line["message"],
        "the guest gives another journal than native code"
    );
}
