//! The table of the original's weaknesses names tests that there are.

use std::{fs, path::Path};

#[test]
fn every_test_of_the_table_is_there() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows = include_str!("compat.md").lines();
    let rows: Vec<_> = rows.filter(|line| line.ends_with("` |")).collect();
    assert_eq!(rows.len(), 45);
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
