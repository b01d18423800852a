//! Every input that was ever interesting, through the function of its target.

use std::{collections::BTreeSet, fs, path::Path};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 14] = [
    ("block_rlp", mach_fuzz::block_rlp),
    ("certificate_file", mach_fuzz::certificate_file),
    ("chain_file", mach_fuzz::chain_file),
    ("derivation", mach_fuzz::derivation),
    ("evidence", mach_fuzz::evidence),
    ("genesis", mach_fuzz::genesis),
    ("key_file", mach_fuzz::key_file),
    ("key_text", mach_fuzz::key_text),
    ("node_answers", mach_fuzz::node_answers),
    ("points", mach_fuzz::points),
    ("recorded_block", mach_fuzz::recorded_block),
    ("rpc_messages", mach_fuzz::rpc_messages),
    ("trie", mach_fuzz::trie),
    ("witness", mach_fuzz::witness),
];

/// Names in a folder of this package, without extension.
fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let stem = |entry: fs::DirEntry| entry.path().file_stem()?.to_str().map(str::to_owned);
    fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| stem(entry.unwrap()))
        .collect()
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}

#[test]
fn every_input_is_taken_without_a_panic() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let data = fs::read(&file).unwrap();
            // A panic says which file it was.
            println!("{}", file.display());
            target(&data);
            count += 1;
        }
        assert!(count > 0, "no corpus for {name}");
    }
}

/// The versions that are fuzzed are the ones that are used.
#[test]
fn versions_are_those_of_the_main_workspace() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = |file: &Path| -> BTreeSet<String> {
        let lock = fs::read_to_string(file).unwrap();
        lock.split("\n[[package]]\n")
            .skip(1)
            .map(|package| package.lines().take(2).collect::<Vec<_>>().join(" "))
            .collect()
    };
    let here = packages(&fuzz.join("Cargo.lock"));
    let main = packages(&fuzz.join("../Cargo.lock"));
    let others: Vec<_> = here
        .difference(&main)
        .filter(|package| {
            !["mach-fuzz", "libfuzzer-sys", "arbitrary"]
                .iter()
                .any(|own| package.contains(&format!("\"{own}\"")))
        })
        .collect();
    assert!(others.is_empty(), "not in the main Cargo.lock: {others:#?}");
}
