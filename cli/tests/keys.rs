//! `mach-cli keys`, as a script calls it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The second account of the mnemonic `test test … junk`, which nodes for development print.
const KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const ADDRESS: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `mach-cli keys` in the folder, with this password and this standard input.
    fn run(&self, args: &[&str], password: Option<&str>, input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mach-cli"));
        command
            .arg("keys")
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("RUST_LOG")
            .env_remove("MACH_KEY_PASSWORD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(password) = password {
            command.env("MACH_KEY_PASSWORD", password);
        }
        let mut child = command.spawn().unwrap();
        // A command that fails early closes its end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The JSON objects of a command that succeeds.
    fn json(&self, args: &[&str], password: &str, input: &str) -> Vec<Value> {
        let output = self.run(args, Some(password), input);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{args:?}: {}",
            errors(&output)
        );
        lines(&output)
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The issue's own check: the key files of three other projects open.
#[test]
fn key_files_of_other_tools_open() {
    let Ok(data) = std::env::var("MACH_DATA") else {
        println!("skipped: MACH_DATA is not set");
        return;
    };
    let data = Path::new(&data).join("bls");
    let keys = Keys::new();
    let inspect = |password: &str, files: &[PathBuf]| {
        let mut args = vec!["inspect", "--json"];
        args.extend(files.iter().map(|file| file.to_str().unwrap()));
        let shown = keys.json(&args, password, "");
        assert_eq!(shown.len(), files.len());
        for file in &shown {
            assert_eq!(file["opens"], true, "{file}");
        }
        shown
    };

    let original = |kind: &str| {
        [1, 2, 3].map(|index| data.join(format!("mach-avs/test{index}.{kind}.key.json")))
    };
    // COMPAT 1.4, golden vector 2.
    for (file, id) in
        inspect("", &original("bls"))
            .iter()
            .zip(["0xc7b8364c", "0x1c622bc0", "0xc1d5a4eb"])
    {
        assert_eq!(file["format"], "eigensdk");
        assert!(
            file["operatorId"].as_str().unwrap().starts_with(id),
            "{file}"
        );
    }
    let accounts = inspect("", &original("ecdsa"));
    assert_eq!(
        accounts[0]["address"],
        "0xE9A7669aC9eBE9b7E21E0A323FC3A6f34CE744eb"
    );

    let eigensdk = data.join("eigensdk-go/crypto/utils/test_data");
    for name in ["bls", "ecdsa"] {
        let folder = eigensdk.join(format!("{name}_keys"));
        let passwords = std::fs::read_to_string(folder.join("password.txt")).unwrap();
        for (index, password) in passwords.lines().enumerate() {
            let file = folder.join(format!("keys/{}.{name}.key.json", index + 1));
            inspect(password, &[file]);
        }
    }

    let eip2335 =
        ["test0", "test1"].map(|name| data.join(format!("bn254-keystore-go/{name}.json")));
    let shown = inspect("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑", &eip2335);
    assert_eq!(shown[0]["kind"], "bls12-381");
    assert!(shown[0]["g1"].as_str().unwrap().starts_with("0x9612d7a7"));
}

#[test]
fn a_key_goes_through_every_format_and_comes_out_the_same() {
    let keys = Keys::new();
    for (kind, formats) in [
        ("bn254", &["eigensdk", "eip2335", "eip2335-text"][..]),
        ("bls12-381", &["eip2335"]),
        ("ecdsa", &["geth-v3"]),
    ] {
        let first = format!("{kind}.json");
        let args = ["import", &first, "--kind", kind, "--kdf", "light", "--json"];
        // The first digit goes: below the order of every group.
        let key = format!("0x0{}", &KEY[1..]);
        keys.json(&args, "p", &key);
        let mut last = first;
        for format in formats {
            let next = format!("{kind}.{format}.json");
            let args = ["export", &last, "--out", &next, "--format", format];
            let light = [&args[..], &["--kdf", "light", "--json"]].concat();
            let shown = keys.json(&light, "p", "");
            assert_eq!(
                (&shown[0]["kind"], &shown[0]["format"]),
                (&kind.into(), &(*format).into())
            );
            last = next;
        }
        let output = keys.run(&["export", &last, "--reveal"], Some("p"), "");
        assert_eq!(
            String::from_utf8(output.stdout.clone()).unwrap().trim(),
            key
        );
        assert!(errors(&output).contains("this is the secret key itself"));
    }
    let listed = keys.json(&["list", "--json"], "p", "");
    assert_eq!(listed.len(), 8);
    let output = keys.run(&["list"], None, "");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("eip2335-text") && table.contains("bls12-381"),
        "{table}"
    );
}

#[test]
fn new_keys_are_protected_and_never_overwritten() {
    let keys = Keys::new();
    std::fs::write(keys.path("password.txt"), "correct horse\r\n").unwrap();
    let new = |extra: &[&str]| {
        let args = ["new", "a.json", "--kdf", "light", "--json"];
        keys.run(&[&args[..], extra].concat(), None, "")
    };
    // Nobody is there to ask.
    let output = new(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("--password-file or MACH_KEY_PASSWORD"),
        "{}",
        errors(&output)
    );
    assert!(!keys.path("a.json").exists());

    let with_file = ["--password-file", "password.txt"];
    let first = new(&with_file);
    assert_eq!(first.status.code(), Some(0), "{}", errors(&first));
    let before = std::fs::read(keys.path("a.json")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(keys.path("a.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let output = new(&with_file);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("a.json exists already"),
        "{}",
        errors(&output)
    );
    assert_eq!(std::fs::read(keys.path("a.json")).unwrap(), before);

    // The same password from the environment; the line break of the file is not part of it.
    let shown = keys.json(&["inspect", "a.json", "--json"], "correct horse", "");
    assert_eq!(shown[0]["operatorId"], lines(&first)[0]["operatorId"]);

    let output = new(&[&with_file[..], &["--force"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_ne!(std::fs::read(keys.path("a.json")).unwrap(), before);
}

#[test]
fn a_mnemonic_gives_its_key_again() {
    let keys = Keys::new();
    for kind in ["bn254", "bls12-381"] {
        let file = format!("{kind}.json");
        let args = [
            "new",
            &file,
            "--kind",
            kind,
            "--mnemonic",
            "--kdf",
            "light",
            "--json",
        ];
        let new = keys.json(&args, "p", "");
        let words = new[0]["mnemonic"].as_str().unwrap();
        let again = format!("{kind}.again.json");
        let args = [
            "import",
            &again,
            "--kind",
            kind,
            "--mnemonic",
            "--kdf",
            "light",
            "--json",
        ];
        let imported = keys.json(&args, "p", words);
        assert_eq!(imported[0]["g1"], new[0]["g1"]);
        let other = [&args[..], &["--path", "m/0", "--force"]].concat();
        assert_ne!(keys.json(&other, "p", words)[0]["g1"], new[0]["g1"]);
    }
    let output = keys.run(
        &["import", "x.json", "--mnemonic"],
        Some("p"),
        "abandon abandon",
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("not a mnemonic"));
    let output = keys.run(
        &["new", "x.json", "--mnemonic", "--kind", "ecdsa"],
        Some("p"),
        "",
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_does_not_open_says_why() {
    let keys = Keys::new();
    let light = ["--kind", "ecdsa", "--kdf", "light", "--json"];
    let import = [&["import", "a.json"][..], &light].concat();
    let shown = keys.json(&import, "", &format!("0x{KEY}\n"));
    assert_eq!(shown[0]["address"], ADDRESS);
    let good: Value = serde_json::from_slice(&std::fs::read(keys.path("a.json")).unwrap()).unwrap();
    let put = |name: &str, json: Value| std::fs::write(keys.path(name), json.to_string()).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut json = good.clone();
        *json.pointer_mut(pointer).unwrap() = value;
        json
    };
    put("mismatch.json", changed("/address", "00".repeat(20).into()));
    put(
        "unsupported.json",
        changed("/crypto/kdf", "argon2id".into()),
    );
    put(
        "costly.json",
        changed("/crypto/kdfparams/n", (1u64 << 40).into()),
    );
    std::fs::write(keys.path("damaged.json"), &good.to_string()[..200]).unwrap();
    for (file, password, error) in [
        ("a.json", "wrong", "wrongPassword"),
        ("damaged.json", "", "damaged"),
        ("unsupported.json", "", "unsupported"),
        ("mismatch.json", "", "mismatch"),
        ("costly.json", "", "outOfBounds"),
        ("none.json", "", "io"),
    ] {
        let output = keys.run(&["inspect", file, "--json"], Some(password), "");
        assert_eq!(output.status.code(), Some(2), "{file}");
        let shown = lines(&output);
        assert_eq!(
            (&shown[0]["opens"], &shown[0]["error"]),
            (&false.into(), &error.into())
        );
    }
    // Without a password a file is shown and not opened.
    let output = keys.run(&["inspect", "a.json"], None, "");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(ADDRESS) && !text.contains("opens"), "{text}");
    for wrong in ["", "0x", "zz", "0", "1.5", &"f".repeat(64)] {
        let import = [&["import", "b.json"][..], &light].concat();
        let output = keys.run(&import, Some(""), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(!keys.path("b.json").exists());
        // What was typed may be a secret with a typing error: it is in no message.
        assert!(wrong.len() < 3 || !errors(&output).contains(wrong));
    }
}
