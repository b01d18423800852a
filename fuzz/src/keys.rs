//! Key files, and keys, words and paths as somebody typed them.

use mach_bls::keystore::{DerivationPath, Kdf, KeyFile, KeyKind, Mnemonic, Password, Secret};

/// A key file: what is read is written so that it reads the same, and what opens has the public key
/// that the file names.
pub fn key_file(data: &[u8]) {
    let Ok(file) = KeyFile::parse(data) else {
        return;
    };
    let again = KeyFile::parse(file.to_json().as_bytes()).expect("what is written can be read");
    assert_eq!(
        (again.format(), again.kind(), again.kdf()),
        (file.format(), file.kind(), file.kdf())
    );
    assert_eq!(
        (again.public(), again.id(), again.path()),
        (file.public(), file.id(), file.path())
    );
    // The cheapest there is: others are allowed to take seconds.
    if Kdf::scrypt(1024, 1, 1).is_ok_and(|cheap| cheap == file.kdf()) {
        let password = Password::new("p");
        if let Ok(secret) = file.decrypt(&password) {
            assert_eq!(secret.kind(), file.kind());
            let again = again.decrypt(&password).expect("the same file opens too");
            assert_eq!(again.to_bytes(), secret.to_bytes());
        }
    }
}

/// A secret key in digits, a mnemonic, a derivation path: each is read or refused.
pub fn key_text(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    for kind in [KeyKind::Bn254, KeyKind::Bls12381, KeyKind::Ecdsa] {
        if let Ok(secret) = Secret::from_text(kind, text) {
            let again = Secret::from_bytes(kind, &secret.to_bytes()).expect("its own bytes");
            assert_eq!(again.public(), secret.public());
        }
    }
    if let Ok(mnemonic) = Mnemonic::parse(text) {
        assert!(Mnemonic::parse(&mnemonic.words()).is_ok());
    }
    if let Ok(path) = text.parse::<DerivationPath>() {
        assert_eq!(path.to_string().parse::<DerivationPath>().ok(), Some(path));
    }
}
