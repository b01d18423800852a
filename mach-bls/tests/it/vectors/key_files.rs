//! Key files of others: what they say without a password. `keystore` decrypts them.

use std::fs;

use mach_bls::keystore::{Format, KeyFile, KeyKind, Secret};

use super::{File, folder};

/// Its format and kind are those that its name tells.
pub(super) fn opens(file: &File) {
    let parsed = KeyFile::parse(file.text.as_bytes())
        .unwrap_or_else(|error| panic!("{}: {error}", file.name));
    let expected = if file.name.contains(".ecdsa.") {
        (Format::GethV3, KeyKind::Ecdsa)
    } else if file.name.contains(".bls.") {
        (Format::EigenSdk, KeyKind::Bn254)
    } else {
        (Format::Eip2335, KeyKind::Bls12381)
    };
    assert_eq!((parsed.format(), parsed.kind()), expected, "{}", file.name);
}

/// Line n is the key of `keys/n`.
pub(super) fn belong_to_their_files(file: &File) {
    let (folder_name, _) = file.name.rsplit_once('/').unwrap();
    let kind = if folder_name.ends_with("ecdsa_keys") {
        (KeyKind::Ecdsa, "ecdsa")
    } else {
        (KeyKind::Bn254, "bls")
    };
    for (line, number) in file.text.lines().zip(1..) {
        let secret = Secret::from_text(kind.0, line).unwrap();
        let name = format!("{folder_name}/keys/{number}.{}.key.json", kind.1);
        let key_file = fs::read(folder().unwrap().join(&name)).unwrap();
        let key_file = KeyFile::parse(&key_file).unwrap();
        assert_eq!(key_file.public(), Some(&secret.public()), "{name}");
    }
}
