//! The table of the original's weaknesses names tests that there are.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn every_test_of_the_table_is_there() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows = include_str!("compat.md").lines();
    let rows: Vec<_> = rows.filter(|line| line.ends_with("` |")).collect();
    assert_eq!(rows.len(), 58);
    for row in rows {
        let quoted: Vec<_> = row.split('`').collect();
        let [_, file, _, test, _] = quoted[..] else {
            panic!("{row}");
        };
        let source = fs::read_to_string(workspace.join(file));
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_there =
            source.contains(&format!("fn {test}(")) || source.contains(&format!("fn {test}<"));
        assert!(is_there, "{row}");
    }
}

/// COMPAT 8.1, 27: the original signed with the first account of a test network if it had no other.
///
/// Source: the accounts that Foundry's anvil prints when it starts.
#[test]
fn no_account_is_built_in() {
    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const ACCOUNT: &str = "f39fd6e51aad88f6f4ce6ab8827279cfffb92266";
    // The development network's accounts are these, and it is a network of its own.
    let crates = ["mach-node", "mach-contracts-bindings", "mach-bls", "cli"];
    let sources = sources(&crates);
    for (path, code) in &sources {
        let code = code.to_lowercase();
        assert!(!code.contains(KEY) && !code.contains(ACCOUNT), "{path}");
    }
    assert!(sources.len() > 100, "{}", sources.len());
}

/// The time of day jumps. Who signs a request, how long a round lives, which instance leads and what is in
/// force do not depend on it: these are the places that ask for it, and what a jump does there.
const ASK_THE_TIME_OF_DAY: [(&str, &str); 6] = [
    ("aggregator/ledger/stored.rs", "a name for a round"),
    (
        "breaker/feed/l1.rs",
        "forward: L1 counts as not heard; back: the node is watched by another clock",
    ),
    ("finality/hub.rs", "listeners begin with a snapshot"),
    (
        "operator/outbox.rs",
        "an order in which statements are sent",
    ),
    (
        "zk/clock.rs",
        "asked once, when a process begins: what is said of how old a case is, and when one that ended is forgotten",
    ),
    (
        "zk/contract/published.rs",
        "games are looked for from another day on, by weeks",
    ),
];

#[test]
fn the_time_of_day_decides_nothing_that_counts() {
    let sources = sources(&["mach-core", "mach-bls", "mach-node", "mach-verify"]);
    let mut found: Vec<_> = (sources.iter())
        .filter(|(_, code)| code.contains("SystemTime::now"))
        .map(|(path, _)| path.as_str())
        .collect();
    found.sort_unstable();
    let expected = ASK_THE_TIME_OF_DAY.map(|(file, _)| format!("mach-node/src/{file}"));
    assert_eq!(found, expected);
}

/// Files of crates, by their path in the workspace, without comments and unit tests.
fn sources(crates: &[&str]) -> Vec<(String, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<PathBuf> = (crates.iter())
        .map(|it| workspace.join(it).join("src"))
        .collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let code = source.split("#[cfg(test)]").next().unwrap();
                let code = (code.lines()).filter(|line| !line.trim_start().starts_with("//"));
                let path = path.strip_prefix(&workspace).unwrap();
                let path = path.to_str().unwrap().replace('\\', "/");
                sources.push((path, code.collect()));
            }
        }
    }
    sources
}
