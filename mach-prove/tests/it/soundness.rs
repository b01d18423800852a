//! `SOUNDNESS.md` and the tests that it names.

use std::{collections::BTreeSet, fs, path::Path};

fn sources(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            out.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn each_test_that_the_argument_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SOUNDNESS.md")).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let names: Vec<_> = (text.split('`').skip(1).step_by(2))
        .filter_map(|quoted| quoted.split_once(".rs: "))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for (file, test) in names {
        // A test of another package has its folder before it.
        let (folder, file) = file.split_once(", ").unwrap_or(("mach-prove", file));
        let package = root.join("..").join(folder);
        let mut files = Vec::new();
        sources(&package.join("src"), &mut files);
        sources(&package.join("tests"), &mut files);
        let is_there = (files.iter())
            .filter(|(name, _)| name == &format!("{file}.rs"))
            .any(|(_, source)| {
                let attribute = source.split(&format!("fn {test}(")).next().unwrap();
                let attribute = attribute.trim_end().trim_end_matches("async").trim_end();
                attribute.len() < source.len()
                    && (attribute.ends_with("#[test]") || attribute.ends_with("#[tokio::test]"))
            });
        assert!(is_there, "SOUNDNESS.md names {folder}, {file}.rs: {test}");
        let declared = format!("mod {file};");
        assert!(
            files.iter().any(|(_, source)| source.contains(&declared)),
            "{folder}, {file}.rs is in no module, so that no test in it runs"
        );
    }
}

/// What a dishonest prover could do there no test can do: the numbers of an executor are reduced ones. So
/// this reads the source.
#[test]
fn what_the_guests_look_at_is_asserted_to_be_reduced() {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/src/bin/block");
    let openvm = fs::read_to_string(guests.join("openvm.rs")).unwrap();
    let (_, recover) = openvm.split_once("pub fn recover(").unwrap();
    let (recover, _) = recover.split_once("\n}\n").unwrap();
    let mut looked_at = Vec::new();
    for look in [".as_le_bytes()", ".to_be_bytes()"] {
        for (at, _) in recover.match_indices(look) {
            let before = &recover[..at];
            let start = before.rfind(|it: char| !it.is_alphanumeric() && it != '_');
            let (before, name) = before.split_at(start.unwrap() + 1);
            // Since it was given its value last.
            let given = before.rmatch_indices("let ").find(|(at, _)| {
                let (names, _) = before[*at..].split_once('=').unwrap();
                let mut names = names.split(|it: char| !it.is_alphanumeric() && it != '_');
                names.any(|it| it == name)
            });
            let since = &before[given.unwrap().0..];
            assert!(
                since.contains(&format!("{name}.assert_reduced();")),
                "{name}"
            );
            looked_at.push(name);
        }
    }
    assert_eq!(looked_at, ["y", "x", "y"]);

    // RISC Zero's library has each operation twice: asserted, and in a module of its own without that.
    let risc0 = fs::read_to_string(guests.join("risc0.rs")).unwrap();
    assert!(risc0.contains("field::{modadd_256, modinv_256, modmul_256, modsub_256}"));
    assert!(!risc0.contains("unchecked::") && !risc0.contains("::unchecked"));

    // SP1 proves of the results of three calls that they are reduced; of a product only where the modulus is not
    // zero. That is read from the constraints of this version (`output_range_check` of `uint256_mulmod`,
    // `x3_range` and `y3_range` of the sums), and is to be read again with another.
    let sp1 = fs::read_to_string(guests.join("sp1.rs")).unwrap();
    let (_, called) = sp1.split_once("\nconst ").unwrap();
    let calls: BTreeSet<_> = (called.match_indices("syscall_"))
        .map(|(at, _)| called[at..].split_once('(').unwrap().0)
        .collect();
    let reduced = [
        "syscall_secp256k1_add",
        "syscall_secp256k1_double",
        "syscall_uint256_mulmod",
    ];
    assert_eq!(calls, BTreeSet::from(reduced));
    let products = called.match_indices("mul(").filter_map(|(at, _)| {
        let (_, from) = called.split_at(at + "mul(".len());
        let mut depth = 1;
        let end = from.find(|it: char| {
            depth += i32::from(it == '(') - i32::from(it == ')');
            depth == 0
        });
        from[..end?].rsplit_once(", ")
    });
    let moduli: BTreeSet<_> = products.map(|(_, modulus)| modulus).collect();
    assert_eq!(
        moduli,
        BTreeSet::from(["&PRIME", "&order", "modulus", "modulus: &Words"])
    );
    for (folder, name) in [("guests", "sp1-zkvm"), ("provers/sp1", "sp1-core-machine")] {
        let lock = guests.join("../../../..").join(folder).join("Cargo.lock");
        let lock = fs::read_to_string(lock).unwrap();
        let version = format!("name = \"{name}\"\nversion = \"6.10.0\"\n");
        assert!(lock.contains(&version), "{name}");
    }
}
