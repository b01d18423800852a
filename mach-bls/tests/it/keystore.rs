//! Key files: every vector of data/bls, each format out and in again, and everything that can be
//! wrong with a file.

use alloy_primitives::{U256, address, hex, uint};
use mach_bls::keystore::{
    DerivationPath, Format, Kdf, KeyFile, KeyFileError, KeyKind, Language, Mnemonic, Overwrite,
    Password, PublicPart, Secret,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// EIP-197: the order of BN254's groups.
const R: U256 =
    uint!(21888242871839275222246405745257275088548364400416034343698204186575808495617_U256);

/// Cheap enough for tests that encrypt often.
fn cheap() -> Kdf {
    Kdf::scrypt(1024, 1, 1).unwrap()
}

/// A file of data/bls; `None` where the vectors are not.
fn vectors(path: &str) -> Option<Vec<u8>> {
    let Ok(folder) = std::env::var("MACH_DATA") else {
        println!("skipped: MACH_DATA is not set");
        return None;
    };
    Some(std::fs::read(format!("{folder}/bls/{path}")).unwrap())
}

fn number(secret: &Secret) -> U256 {
    U256::from_be_bytes(*secret.to_bytes())
}

/// COMPAT 1.4, golden vector 2: the ids of the three test keys. Their password is empty.
#[test]
fn the_original_s_key_files_open() {
    let operators = ["c7b8364c", "1c622bc0", "c1d5a4eb"];
    let accounts = [
        address!("E9A7669aC9eBE9b7E21E0A323FC3A6f34CE744eb"),
        address!("957D781ab2Bc6D27Fde0a0b427ebF46ee1395661"),
        address!("91d45D72e36c5a6838f14f49D607e9b16eD33f58"),
    ];
    let Some(readme) = vectors("mach-avs/README.md") else {
        return;
    };
    let readme = String::from_utf8(readme).unwrap().to_lowercase();
    for (index, (operator, account)) in operators.iter().zip(accounts).enumerate() {
        let name = |kind| format!("mach-avs/test{}.{kind}.key.json", index + 1);
        let file = KeyFile::parse(&vectors(&name("bls")).unwrap()).unwrap();
        assert_eq!(
            (file.format(), file.kind(), file.kdf()),
            (Format::EigenSdk, KeyKind::Bn254, Kdf::STANDARD)
        );
        let id = file.public().unwrap().operator_id().unwrap().to_string();
        assert!(id.trim_start_matches("0x").starts_with(operator), "{id}");
        let secret = file.decrypt(&Password::new("")).unwrap();
        assert_eq!(Some(&secret.public()), file.public());

        let file = KeyFile::parse(&vectors(&name("ecdsa")).unwrap()).unwrap();
        assert_eq!(
            (file.format(), file.kind()),
            (Format::GethV3, KeyKind::Ecdsa)
        );
        let secret = file.decrypt(&Password::new("")).unwrap();
        assert_eq!(secret.public(), PublicPart::Address(account));
        assert!(readme.contains(&format!("test{} : {account:#x}", index + 1)));
    }
}

/// The passwords and the keys are beside the files.
#[test]
fn the_key_files_of_eigensdk_go_open() {
    let folder = "eigensdk-go/crypto/utils/test_data";
    for (kind, name) in [(KeyKind::Bn254, "bls"), (KeyKind::Ecdsa, "ecdsa")] {
        let text = |file: &str| {
            let bytes = vectors(&format!("{folder}/{name}_keys/{file}"))?;
            Some(String::from_utf8(bytes).unwrap())
        };
        let Some(passwords) = text("password.txt") else {
            return;
        };
        let keys = text("private_key_hex.txt").unwrap();
        assert_eq!(passwords.lines().count(), 3);
        for (index, (password, key)) in passwords.lines().zip(keys.lines()).enumerate() {
            let file = text(&format!("keys/{}.{name}.key.json", index + 1)).unwrap();
            let file = KeyFile::parse(file.as_bytes()).unwrap();
            let secret = file.decrypt(&Password::new(password)).unwrap();
            assert_eq!(secret.kind(), kind);
            assert_eq!(number(&secret), key.parse::<U256>().unwrap());
            let same = Secret::from_text(kind, key).unwrap();
            assert_eq!(same.public(), secret.public());
        }
    }
}

/// EIP-2335, "Test cases": password, secret and public key of both files.
#[test]
fn the_key_files_of_eip_2335_open() {
    for (name, kdf) in [("test0", Kdf::PBKDF2), ("test1", Kdf::STANDARD)] {
        let Some(file) = vectors(&format!("bn254-keystore-go/{name}.json")) else {
            return;
        };
        let file = KeyFile::parse(&file).unwrap();
        assert_eq!(
            (file.format(), file.kind(), file.kdf()),
            (Format::Eip2335, KeyKind::Bls12381, kdf)
        );
        let secret = file.decrypt(&Password::new("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑")).unwrap();
        assert_eq!(
            *secret.to_bytes(),
            hex!("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f")
        );
        assert_eq!(
            secret.public().to_string(),
            "0x9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27\
             f4ae4040902382ae2910c15e2b420d07"
        );
    }
}

/// Layr-Labs/cerberus, internal/services/signing: test file, its password and its key.
const CERBERUS: &str = r#"{"crypto":{"kdf":{"function":"scrypt","params":{"dklen":32,"n":262144,
"p":1,"r":8,"salt":"da545c4ce983b0121e02a78cbf97ffbde4fcec6a2a3312b7e5ad0ee67b378425"},
"message":""},"checksum":{"function":"sha256","params":{},
"message":"f526116f0f8ce0698d6ae3eddcba316268a962080aacc1bd0c0b910d9ed25c78"},"cipher":
{"function":"aes-128-ctr","params":{"iv":"7a264654c45ccfe6c93ac04631bb383b"},
"message":"1481a16a3e6f8bb6bdc5e24304906e3f84d4e3062ac00ee8afc42bb791dda528"}},"description":"",
"pubkey":"a3111a2232584734d526d62cbb7c9a0d4ce1984a92b7ecb85bde8878fea5d1b0",
"path":"m/254/60/0/0","uuid":"bdf7a014d841465e995843f37b48f8c4","version":0,"curve":"bn254"}"#;

#[test]
fn a_key_file_of_cerberus_opens() {
    let file = KeyFile::parse(CERBERUS.as_bytes()).unwrap();
    assert_eq!(
        (file.format(), file.kind(), file.path()),
        (Format::Eip2335, KeyKind::Bn254, "m/254/60/0/0")
    );
    let secret = file.decrypt(&Password::new("p@$$w0rd")).unwrap();
    let key = hex!("040ad69253b921aca71dd714cccc3095576fbe1a21f86c9b10cb5b119b1c6899");
    assert_eq!(*secret.to_bytes(), key);
    assert_eq!(Some(&secret.public()), file.public());

    // Ours say the same of the same key.
    let ours = KeyFile::encrypt(&secret, Format::Eip2335, &Password::new(""), cheap()).unwrap();
    let ours: Value = serde_json::from_str(&ours.to_json()).unwrap();
    let theirs: Value = serde_json::from_str(CERBERUS).unwrap();
    assert_eq!(
        (&ours["pubkey"], &ours["curve"]),
        (&theirs["pubkey"], &theirs["curve"])
    );
    assert_eq!(ours["curveType"], "bn254");
}

/// Layr-Labs/incredible-squaring-avs-rs, crates/testing-utils: two operators' files and their
/// passwords. The plaintexts were read with Python's hashlib and cryptography.
const EIGENSDK_RS: [(&str, &str, &str); 2] = [
    (
        r#"{"crypto":{"kdf":{"function":"pbkdf2","params":{"prf":"hmac-sha256","dklen":32,"c":262144,
"salt":"24fed6c73ffc17a22ae94139ad51a0fd22a0ebc937b401813bb92f76c7d3ff72"},"message":""},
"checksum":{"function":"sha256","params":{},
"message":"64c57a0c4e9ad339d182346c7cf004b2eecda0a58ef4a0b7da16214b55979e9f"},"cipher":
{"function":"aes-128-ctr","params":{"iv":"39a0d2e01e5e03da8038f68d26f991a0"},
"message":"880dede243dd4d4caf46615cb3c545c6c7d35231c8f52d44eaa9c638befb02582522ead296451d8bd29999fb01c0741f2dbe7321921ffa471d1aabf990184249b4712e2fcb194cdf93e3c3a1ae"}},
"description":"","pubkey":"70f7d953791bfdc6d3ec735669b4786818c64051c80828a84140df62f9f7371de509ac3ba3c269b2120486867cac5ec650a958fa001b3e950f6059d88168de15702a50220d63bb59d91eb397e5405aecfc8f33f63f616835ea3687e716a0251454c3b53f56a319f44bfac9a40e2285e3a547ec1797d89c6de3f88d991c1e1600",
"path":"../testing-utils/src/blskeystore.json","uuid":"fdb41de8-7664-47fe-a7eb-a7836c70d8cc",
"version":4}"#,
        "testpassword",
        "12248929636257230549931416853095037629726205319386239410403476017439825112537",
    ),
    (
        r#"{"crypto":{"kdf":{"function":"pbkdf2","params":{"prf":"hmac-sha256",
"salt":"3be2281bd2d2a303ce36cf400ac3b6401dc538d415434cf5e55106a4102d67d2","c":262144,"dklen":32},
"message":""},"checksum":{"function":"sha256","params":{},
"message":"6f0447a0caa24e881456b893cffd680bf49bb663cb932c9db6297afbe2ea7d44"},"cipher":
{"function":"aes-128-ctr","params":{"iv":"527e77f5f4038bca62c9f7a93d2108c7"},
"message":"594832cfc84fe61f7dff1dbb78cb32b377cd7e3ba6f76cef428e7f117520fd8972dad59ce893e11d28e7e1cc771f38133290823f100c086fdd95fe6f2352d5a2f7db0bd0bfddb360e59450748c"}},
"description":"","pubkey":"990b2d6f0864a50f0c851e207c20adbed37406093a47d8311461e74cad5c6216aed92a5795e2a6c22c795210fa905f69bd4e7b99cc71d3f0446188733c86502c860ebc20514a6cc993aa9e8e1db92656e2d6473aef385236733badd05f4a6d1aa617904ab15ff1476685f5dfa6dd723e44ab877e42acb3db97ae0be80c5c0a0a",
"path":"op.json","uuid":"85ded38f-a2c9-47cd-aad8-b5672fdc51fd","version":4}"#,
        "test",
        // Above the group order, and arkworks reduces it.
        "45677186709449819281453224765020648638696066289913979330412475091704435578921",
    ),
];

#[test]
fn key_files_of_eigensdk_rs_open() {
    for (theirs, password, key) in EIGENSDK_RS {
        let file = KeyFile::parse(theirs.as_bytes()).unwrap();
        assert_eq!(
            (file.format(), file.kind(), file.kdf()),
            (Format::Eip2335Text, KeyKind::Bn254, Kdf::PBKDF2)
        );
        let password = Password::new(password);
        let secret = file.decrypt(&password).unwrap();
        let key: U256 = key.parse().unwrap();
        assert_eq!(number(&secret), key % R);
        if key < R {
            let ours = KeyFile::encrypt(&secret, Format::Eip2335Text, &password, cheap()).unwrap();
            assert_eq!(ours.public(), file.public());
        }
    }
}

/// Layr-Labs/hourglass-monorepo: the executor's key in the tests' configuration, with the empty
/// password. The number was read with Python's hashlib and cryptography.
#[test]
fn a_key_file_of_crypto_libs_opens() {
    let file = r#"{"crypto":{"kdf":{"function":"scrypt","params":{"dklen":32,"n":262144,"p":1,"r":8,
"salt":"be920dab5644b5036299788e5a4082fd03c978cc35903b528af754fe7aeccb41"},"message":""},
"checksum":{"function":"sha256","params":{},
"message":"28566410c36025d243d0ea9e061ccb46651f09d63ebba598752db2f781d040da"},"cipher":
{"function":"aes-128-ctr","params":{"iv":"cbaff55d36de018603dc9a336ac3bdc7"},
"message":"3d261076c91fdc6b1de390d0136b22c2a79b83b2838d55dd646218b7cec58396"}},
"pubkey":"11d5ec232840a49a1b48d4a6dc0b2e2cb6d5d4d7fc0ef45233f91b98a384d7090f19ac8105e5eaab41aea1ce0021511627a0063ef06f5815cc38bcf0ef4a671e292df403d6a7d6d331b6992dc5b2a06af62bb9c61d7a037a0cd33b88a87950412746cea67ee4b7d3cf0d9f97fdd5bca4690895df14930d78f28db3ff287acea9",
"path":"m/1/0/0","uuid":"8df75d34-4383-4ff4-a3c0-c47717c72e86","version":4,"curveType":"bn254"}"#;
    let file = KeyFile::parse(file.as_bytes()).unwrap();
    assert_eq!(
        (file.format(), file.kind()),
        (Format::Eip2335, KeyKind::Bn254)
    );
    let secret = file.decrypt(&Password::new("")).unwrap();
    assert_eq!(
        *secret.to_bytes(),
        hex!("076b5bab93c35adc675b59fe89199ba1c61bfdbcdc6e34622fd8cbb6e664e54e")
    );
}

/// The numbers after each `"name":`; larger than what serde_json takes for integers.
fn numbers<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let name = format!("\"{name}\":");
    let rests = text.split(name.as_str()).skip(1);
    rests
        .map(|rest| rest.trim_start().split([',', '\n', ' ']).next().unwrap())
        .collect()
}

/// EIP-2333, "Test cases", as bn254-keystore-go has them; the order is that of BLS12-381.
#[test]
fn keys_derived_by_eip_2333_are_those_of_the_vectors() {
    let Some(file) = vectors("bn254-keystore-go/tree_kdf.json") else {
        return;
    };
    let text = String::from_utf8(file).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let (masters, children) = (numbers(&text, "master_SK"), numbers(&text, "child_SK"));
    let cases = json["kdf_tests"].as_array().unwrap();
    assert_eq!((cases.len(), masters.len(), children.len()), (4, 4, 4));
    for (index, case) in cases.iter().enumerate() {
        let seed = hex::decode(case["seed"].as_str().unwrap()).unwrap();
        check_derivation(&seed, masters[index], &case["child_index"], children[index]);
    }
}

/// The same from the words on. What is between master and child stays inside blst.
#[test]
fn a_mnemonic_leads_to_the_keys_of_the_vectors() {
    let Some(file) = vectors("bn254-keystore-go/tree_kdf_intermediate.json") else {
        return;
    };
    let text = String::from_utf8(file).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let mnemonic = Mnemonic::parse(json["mnemonic"].as_str().unwrap()).unwrap();
    let passphrase = Password::new(json["password"].as_str().unwrap());
    let seed = mnemonic.seed(&passphrase).unwrap();
    assert_eq!(hex::encode(*seed), json["seed"].as_str().unwrap());
    let (master, child) = (
        numbers(&text, "master_SK")[0],
        numbers(&text, "child_SK")[0],
    );
    check_derivation(seed.as_slice(), master, &json["child_index"], child);
    let path: DerivationPath = json["path"].as_str().unwrap().parse().unwrap();
    let secret = mnemonic
        .derive(&passphrase, KeyKind::Bls12381, &path)
        .unwrap();
    assert_eq!(number(&secret), child.parse::<U256>().unwrap());
}

fn check_derivation(seed: &[u8], master: &str, index: &Value, child: &str) {
    for (path, expected) in [("m".to_owned(), master), (format!("m/{index}"), child)] {
        let path: DerivationPath = path.parse().unwrap();
        let expected: U256 = expected.parse().unwrap();
        let derive = |kind| number(&path.derive(seed, kind).unwrap());
        assert_eq!(derive(KeyKind::Bls12381), expected, "{path}");
        // gnark reduces what bn254-keystore-go hands it.
        assert_eq!(
            derive(KeyKind::Bn254),
            expected % <mach_core::Bn254 as crate::fixture::TestCurve>::ORDER,
            "{path}"
        );
        assert!(path.derive(seed, KeyKind::Ecdsa).is_err());
    }
}

/// The vectors of BIP-39 in seven languages, with the passphrase `TREZOR`.
#[test]
fn mnemonics_of_every_language_give_their_seeds() {
    let Some(file) = vectors("bn254-keystore-go/mnemonic.json") else {
        return;
    };
    let json: Value = serde_json::from_slice(&file).unwrap();
    let languages = json.as_object().unwrap();
    assert_eq!(languages.len(), 7);
    for (language, cases) in languages {
        let cases = cases.as_array().unwrap();
        assert_eq!(cases.len(), 24, "{language}");
        for case in cases {
            let words = case[1].as_str().unwrap();
            let mnemonic = Mnemonic::parse(words).unwrap();
            let seed = mnemonic.seed(&Password::new("TREZOR")).unwrap();
            assert_eq!(hex::encode(*seed), case[2].as_str().unwrap(), "{words}");
            // One word less, or in another order, is no mnemonic.
            assert!(Mnemonic::parse(words.rsplit_once(' ').unwrap().0).is_err());
        }
    }
    let new = Mnemonic::random(Language::English).unwrap();
    assert_eq!(new.words().split(' ').count(), 24);
    assert!(Mnemonic::parse(&new.words()).is_ok());
    assert_eq!(format!("{new:?}"), "Mnemonic(24 words)");
}

#[test]
fn derivation_paths_are_m_and_numbers() {
    for path in ["m", "m/0", "m/12381/3600/0/0/0", "m/4294967295"] {
        assert_eq!(path.parse::<DerivationPath>().unwrap().to_string(), path);
    }
    let deep = format!("m{}", "/1".repeat(17));
    for path in [
        "",
        "/",
        "m/",
        "0/1",
        "m/x",
        "m/-1",
        "m/+1",
        "m/0'",
        "m/4294967296",
        &deep,
    ] {
        assert!(path.parse::<DerivationPath>().is_err(), "{path}");
    }
}

/// All formats with the keys that they hold.
fn pairs() -> impl Iterator<Item = (Format, KeyKind)> {
    let kinds = [KeyKind::Bn254, KeyKind::Bls12381, KeyKind::Ecdsa];
    Format::ALL
        .into_iter()
        .flat_map(move |format| kinds.map(|kind| (format, kind)))
        .filter(|(format, kind)| format.holds(*kind))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_encrypted_is_decrypted(
        bytes in any::<[u8; 32]>(),
        password in any::<String>(),
        pbkdf2 in any::<bool>(),
    ) {
        let kdf = if pbkdf2 { Kdf::pbkdf2(1000).unwrap() } else { cheap() };
        // Below every group order, and not zero.
        let mut bytes = bytes;
        bytes[0] &= 0x1f;
        bytes[31] |= 1;
        let password = Password::new(password);
        for (format, kind) in pairs() {
            let secret = Secret::from_bytes(kind, &bytes).unwrap();
            let file = KeyFile::encrypt(&secret, format, &password, kdf).unwrap();
            let read = KeyFile::parse(file.to_json().as_bytes()).unwrap();
            prop_assert_eq!((read.kind(), read.kdf()), (kind, kdf));
            prop_assert_eq!(read.public(), file.public());
            prop_assert_eq!(read.format(), format);
            prop_assert_eq!((read.id(), read.path()), (file.id(), file.path()));
            prop_assert_eq!(*read.decrypt(&password).unwrap().to_bytes(), bytes);
        }
    }

    /// A file with one byte changed is refused, or opens with the same key.
    #[test]
    fn a_changed_byte_changes_no_key(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let password = Password::new("p");
        for (format, kind) in pairs() {
            let secret = Secret::from_bytes(kind, &[1; 32]).unwrap();
            let file = KeyFile::encrypt(&secret, format, &password, cheap()).unwrap();
            let mut json = file.to_json().into_bytes();
            let at = at.index(json.len());
            json[at] = byte;
            // A changed parameter may cost much and still be allowed.
            let Ok(file) = KeyFile::parse(&json) else { continue };
            if file.kdf() != cheap() { continue }
            if let Ok(opened) = file.decrypt(&password) {
                prop_assert_eq!(opened.to_bytes(), secret.to_bytes());
            }
            prop_assert!(KeyFile::parse(&json[..at]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_a_key_file_or_an_error(bytes in any::<Vec<u8>>()) {
        prop_assert!(KeyFile::parse(&bytes).is_err());
    }
}

/// A key file as JSON, to be damaged.
fn sample(format: Format, kind: KeyKind) -> Value {
    let secret = Secret::from_bytes(kind, &[1; 32]).unwrap();
    let file = KeyFile::encrypt(&secret, format, &Password::new("p"), cheap()).unwrap();
    serde_json::from_str(&file.to_json()).unwrap()
}

fn parse(json: &Value) -> Result<KeyFile, KeyFileError> {
    KeyFile::parse(json.to_string().as_bytes())
}

/// `json` with the value at `pointer` replaced.
fn with(json: &Value, pointer: &str, value: Value) -> Value {
    let mut json = json.clone();
    *json.pointer_mut(pointer).unwrap() = value;
    json
}

#[test]
fn four_things_that_are_wrong_are_four_errors() {
    for (format, kind) in pairs() {
        let json = sample(format, kind);
        let is_v3 = matches!(format, Format::EigenSdk | Format::GethV3);
        let at = |v3: &'static str, eip2335: &'static str| if is_v3 { v3 } else { eip2335 };

        let file = parse(&json).unwrap();
        for password in ["", "P", "p "] {
            let error = file.decrypt(&Password::new(password)).unwrap_err();
            assert!(matches!(error, KeyFileError::WrongPassword), "{error}");
        }

        let ciphertext = at("/crypto/ciphertext", "/crypto/cipher/message");
        let iv = at("/crypto/cipherparams/iv", "/crypto/cipher/params/iv");
        let checksum = at("/crypto/mac", "/crypto/checksum/message");
        for (pointer, value) in [
            (ciphertext, json!("")),
            (ciphertext, json!("0g")),
            (ciphertext, json!("00".repeat(129))),
            (iv, json!("00")),
            (iv, json!("é".repeat(16))),
            (checksum, json!("00".repeat(31))),
            (checksum, json!(7)),
        ] {
            let error = parse(&with(&json, pointer, value)).unwrap_err();
            assert!(
                matches!(error, KeyFileError::Damaged { .. } | KeyFileError::Json(_)),
                "{pointer}: {error}"
            );
        }

        let kdf = at("/crypto/kdf", "/crypto/kdf/function");
        let cipher = at("/crypto/cipher", "/crypto/cipher/function");
        for pointer in [kdf, cipher] {
            let error = parse(&with(&json, pointer, json!("argon2id"))).unwrap_err();
            assert!(matches!(error, KeyFileError::Unsupported { .. }), "{error}");
        }

        // Another key's public part, in the place of the right one.
        let other = Secret::from_bytes(kind, &[2; 32]).unwrap();
        let other = KeyFile::encrypt(&other, format, &Password::new("p"), cheap()).unwrap();
        let other: Value = serde_json::from_str(&other.to_json()).unwrap();
        let public = match format {
            Format::EigenSdk => "/pubKey",
            Format::GethV3 => "/address",
            _ => "/pubkey",
        };
        let swapped = parse(&with(&json, public, other.pointer(public).unwrap().clone())).unwrap();
        let error = swapped.decrypt(&Password::new("p")).unwrap_err();
        assert!(matches!(error, KeyFileError::Mismatch { .. }), "{error}");
    }
}

/// A file, one of its parameters, a value for it, and which error it must give.
type Case<'a> = (&'a Value, &'a str, Value, &'a dyn Fn(&KeyFileError) -> bool);

#[test]
fn parameters_out_of_bounds_are_refused_before_any_work() {
    for (format, kind) in pairs() {
        let json = sample(format, kind);
        let params = match format {
            Format::EigenSdk | Format::GethV3 => "/crypto/kdfparams",
            _ => "/crypto/kdf/params",
        };
        let scrypt = json.pointer(params).unwrap().clone();
        let mut pbkdf2 = with(
            &json,
            params,
            json!({"dklen": 32, "c": 262144, "prf": "hmac-sha256", "salt": "00".repeat(32)}),
        );
        match pbkdf2.pointer_mut("/crypto/kdf").unwrap() {
            Value::Object(module) => module.insert("function".into(), "pbkdf2".into()),
            name => Some(std::mem::replace(name, "pbkdf2".into())),
        };
        assert!(parse(&pbkdf2).is_ok());
        let bounds = |error: &KeyFileError| matches!(error, KeyFileError::OutOfBounds { .. });
        let damage = |error: &KeyFileError| {
            matches!(error, KeyFileError::Damaged { .. } | KeyFileError::Json(_))
        };
        let cases: [Case; 22] = [
            (&json, "n", json!(1u64 << 40), &bounds),
            (&json, "n", json!(u64::MAX), &bounds),
            (&json, "n", json!(0), &bounds),
            (&json, "n", json!(1025), &bounds),
            (&json, "r", json!(1u64 << 32), &bounds),
            (&json, "r", json!(0), &bounds),
            (&json, "p", json!(1u64 << 30), &bounds),
            (&json, "p", json!(0), &bounds),
            (&json, "dklen", json!(0), &bounds),
            (&json, "dklen", json!(16), &bounds),
            (&json, "dklen", json!(1u64 << 40), &bounds),
            (&json, "n", json!(-1024), &damage),
            (&json, "n", json!(1024.0), &damage),
            (&json, "n", json!("1024"), &damage),
            (&json, "n", json!(1e30), &damage),
            (&json, "salt", json!(""), &damage),
            (&json, "salt", json!("00".repeat(15)), &damage),
            (&json, "salt", json!("00".repeat(65)), &damage),
            (&pbkdf2, "c", json!(0), &bounds),
            (&pbkdf2, "c", json!(1u64 << 40), &bounds),
            (&pbkdf2, "c", json!(-1), &damage),
            (&pbkdf2, "dklen", json!(64), &bounds),
        ];
        for (json, name, value, is_right) in cases {
            let error = parse(&with(json, &format!("{params}/{name}"), value)).unwrap_err();
            assert!(is_right(&error), "{name}: {error}");
        }
        for name in scrypt.as_object().unwrap().keys() {
            let mut json = json.clone();
            json.pointer_mut(params)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            let error = parse(&json).unwrap_err();
            assert!(damage(&error), "{name}: {error}");
        }
        let md5 = with(&pbkdf2, &format!("{params}/prf"), json!("hmac-md5"));
        assert!(matches!(parse(&md5), Err(KeyFileError::Unsupported { .. })));
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    let large = vec![b' '; 1 << 20];
    let deep = "[".repeat(10_000);
    assert!(matches!(
        KeyFile::parse(&large),
        Err(KeyFileError::TooLarge(_))
    ));
    for text in [
        "",
        "{}",
        "null",
        "[]",
        "{\"crypto\":{}}",
        "{\"crypto\":{\"kdf\":1}}",
        &deep,
    ] {
        assert!(
            matches!(KeyFile::parse(text.as_bytes()), Err(KeyFileError::Json(_))),
            "{text:.20}"
        );
    }
    let geth = sample(Format::GethV3, KeyKind::Ecdsa);
    let error = parse(&with(&geth, "/version", json!(1))).unwrap_err();
    assert!(matches!(
        error,
        KeyFileError::Unsupported {
            what: "version",
            ..
        }
    ));
    let eip2335 = sample(Format::Eip2335, KeyKind::Bn254);
    let error = parse(&with(&eip2335, "/curveType", json!("secp256k1"))).unwrap_err();
    assert!(matches!(
        error,
        KeyFileError::Unsupported { what: "curve", .. }
    ));
    let eigensdk = sample(Format::EigenSdk, KeyKind::Bn254);
    let error = parse(&with(&eigensdk, "/pubKey", json!("E([1,1])"))).unwrap_err();
    assert!(matches!(
        error,
        KeyFileError::Damaged {
            field: "pubKey",
            ..
        }
    ));
}

#[test]
fn files_that_leave_out_the_public_key_open() {
    let password = Password::new("p");
    let mut geth = sample(Format::GethV3, KeyKind::Ecdsa);
    geth.as_object_mut().unwrap().remove("address");
    let mut eip2335 = sample(Format::Eip2335, KeyKind::Bn254);
    eip2335.as_object_mut().unwrap().remove("pubkey");
    for json in [geth, eip2335] {
        let file = parse(&json).unwrap();
        assert_eq!(file.public(), None);
        assert_eq!(*file.decrypt(&password).unwrap().to_bytes(), [1; 32]);
    }
}

#[test]
fn a_format_holds_its_kinds_only() {
    let kinds = [KeyKind::Bn254, KeyKind::Bls12381, KeyKind::Ecdsa];
    assert_eq!(pairs().count(), 5);
    for format in Format::ALL {
        for kind in kinds.into_iter().filter(|kind| !format.holds(*kind)) {
            let secret = Secret::from_bytes(kind, &[1; 32]).unwrap();
            let error = KeyFile::encrypt(&secret, format, &Password::new(""), cheap());
            assert!(matches!(error, Err(KeyFileError::WrongKind { .. })));
        }
    }
}

#[test]
fn no_file_is_overwritten_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let password = Password::new("p");
    let file = |number: u8| {
        let secret = Secret::from_bytes(KeyKind::Bn254, &[number; 32]).unwrap();
        KeyFile::encrypt(&secret, Format::EigenSdk, &password, cheap()).unwrap()
    };
    let key = || {
        *KeyFile::read(&path)
            .unwrap()
            .decrypt(&password)
            .unwrap()
            .to_bytes()
    };

    file(1).write(&path, Overwrite::Refuse).unwrap();
    let error = file(2).write(&path, Overwrite::Refuse).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} exists already", path.display())
    );
    assert_eq!(key(), [1; 32]);
    file(2).write(&path, Overwrite::Replace).unwrap();
    assert_eq!(key(), [2; 32]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Nothing but the key file is left behind, also where writing fails.
    assert!(
        file(1)
            .write(&folder.path().join("no/key.json"), Overwrite::Refuse)
            .is_err()
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(
        KeyFile::read(&folder.path().join("none.json")),
        Err(KeyFileError::Io { .. })
    ));
}

/// What an eigensdk file says beside its fields is not taken for a part of it.
#[test]
fn an_eigensdk_file_has_no_id() {
    let mut json = sample(Format::EigenSdk, KeyKind::Bn254);
    json["id"] = json!("8df75d34-4383-4ff4-a3c0-c47717c72e86");
    let file = parse(&json).unwrap();
    let again = KeyFile::parse(file.to_json().as_bytes()).unwrap();
    assert_eq!((file.id(), again.id()), ("", ""));
}

/// 10^63 has 64 digits, which would be another number if they were hexadecimal; eigensdk-rs reads
/// them as decimal.
#[test]
fn a_text_of_64_decimal_digits_is_decimal() {
    let password = Password::new("p");
    let key = U256::from(10).pow(U256::from(63));
    assert_eq!(key.to_string().len(), 64);
    let secret = Secret::from_bytes(KeyKind::Bn254, &key.to_be_bytes()).unwrap();
    let file = KeyFile::encrypt(&secret, Format::Eip2335Text, &password, cheap()).unwrap();
    let read = KeyFile::parse(file.to_json().as_bytes()).unwrap();
    assert_eq!(number(&read.decrypt(&password).unwrap()), key);
}

#[test]
fn ids_are_random_uuids() {
    let json = sample(Format::GethV3, KeyKind::Ecdsa);
    let id = json["id"].as_str().unwrap();
    let groups: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(
        id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]),
        "{id}"
    );
    assert_ne!(json["id"], sample(Format::GethV3, KeyKind::Ecdsa)["id"]);
}
