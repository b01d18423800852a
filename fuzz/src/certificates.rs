//! Certificates and operator sets as files.

use mach_bls::{OperatorKeys, Scheme, verify_certificate, verify_self_contained};
use mach_core::{Bls12381, Bn254, CertificateFile, Curve, OperatorsFile};

/// Operators whose keys are proved; more take long and show nothing more.
const MAX_OPERATORS: usize = 16;

/// A file of either kind, of either curve: what is read is written so that it reads the same, and is
/// checked.
pub fn certificate_file(data: &[u8]) {
    of_curve::<Bn254>(data);
    of_curve::<Bls12381>(data);
}

fn of_curve<S: Scheme>(data: &[u8]) {
    let certificate = certificate::<S>(data);
    let alone = certificate
        .as_ref()
        .map(|file| verify_self_contained(&file.0));
    let Some(operators) = operators::<S>(data) else {
        return;
    };
    if operators.set.operators().count() > MAX_OPERATORS {
        return;
    }
    // A file can be of both kinds. What the operators prove, the certificate proves by itself.
    if let (Ok(keys), Some(file)) = (OperatorKeys::new(&operators.set), certificate)
        && verify_certificate(&file.0, &keys).is_ok()
    {
        assert_eq!(alone, Some(Ok(())));
    }
}

fn certificate<C: Curve>(data: &[u8]) -> Option<CertificateFile<C>> {
    let file = CertificateFile::<C>::from_json(data).ok()?;
    let again = CertificateFile::<C>::from_json(file.to_json().as_bytes());
    let again = again.expect("what was written can be read");
    assert_eq!(again, file);
    assert_eq!(again.0.digest(), file.0.digest());
    assert_eq!(again.0.operators_digest(), file.0.operators_digest());
    Some(file)
}

fn operators<C: Curve>(data: &[u8]) -> Option<OperatorsFile<C>> {
    let file = OperatorsFile::<C>::from_json(data).ok()?;
    let again = OperatorsFile::<C>::from_json(file.to_json().as_bytes());
    assert_eq!(again.expect("what was written can be read"), file);
    Some(file)
}
