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
    assert_eq!(rows.len(), 57);
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
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // The development network's accounts are these, and it is a network of its own.
    let mut folders: Vec<PathBuf> = ["mach-node", "mach-contracts-bindings", "mach-bls", "cli"]
        .map(|it| workspace.join(it).join("src"))
        .into();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let code = source.split("#[cfg(test)]").next().unwrap();
                let code: Vec<_> = (code.lines())
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .map(str::to_lowercase)
                    .collect();
                let code = code.concat();
                assert!(
                    !code.contains(KEY) && !code.contains(ACCOUNT),
                    "{}",
                    path.display()
                );
                files += 1;
            }
        }
    }
    assert!(files > 100, "{files}");
}
