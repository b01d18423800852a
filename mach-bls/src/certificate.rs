//! Checking somebody else's certificate.

use mach_core::Certificate;

use crate::scheme::same_discrete_log;
use crate::{MessagePoint, OperatorKeys, PointError, Scheme, Signature};

/// Checks everything that `certificate` says against the operators at its reference block: who is
/// absent, the sums of keys and stakes, the thresholds that it names, and the signature.
///
/// Whether these thresholds and this reference block are good enough is the contract's policy, or
/// the caller's; so is the digest's domain.
///
/// Errors: [`CertificateError`] names the first thing that is wrong.
pub fn verify_certificate<S: Scheme>(
    certificate: &Certificate<S>,
    keys: &OperatorKeys<S>,
) -> Result<(), CertificateError> {
    let round = &certificate.round;
    if keys.reference_block() != round.reference_block() || keys.quorums() != round.quorums() {
        return Err(CertificateError::OtherSet);
    }
    let mut signed = vec![true; keys.len()];
    for absent in &certificate.non_signers {
        let position = keys.position(&absent.id);
        match position.and_then(|position| signed.get_mut(position)) {
            Some(signed) => *signed = false,
            None => return Err(CertificateError::NonSigners),
        }
    }
    let mut signed = signed.into_iter();
    let expected = keys.outcome(|_| signed.next().unwrap_or_default());
    // Also wrong here: an order that is not ascending, and one who is named twice.
    if expected.non_signers != certificate.non_signers {
        return Err(CertificateError::NonSigners);
    }
    if expected.quorums.len() != certificate.quorums.len() {
        return Err(CertificateError::QuorumCount);
    }
    for (expected, claimed) in expected.quorums.iter().zip(&certificate.quorums) {
        if expected != claimed {
            return Err(CertificateError::Quorum(expected.quorum));
        }
    }
    for ((quorum, threshold), tally) in round.terms().zip(&expected.quorums) {
        if !threshold.is_met(tally.signed, tally.total) {
            return Err(CertificateError::BelowThreshold(quorum));
        }
    }
    if expected.apk_g2_bytes() != certificate.apk_g2 {
        return Err(CertificateError::AggregateKey);
    }
    let sigma = Signature::<S>::from_bytes(&certificate.sigma)?;
    let message = MessagePoint::<S>::of(certificate.digest());
    if !same_discrete_log::<S>(&sigma.0, &message.0, &S::lines(&expected.apk_g2)) {
        return Err(CertificateError::InvalidSignature);
    }
    Ok(())
}

/// What is wrong with a certificate.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The operator keys are not those of the certificate's reference block and quorums.
    #[error("the operator set is not that of the certificate")]
    OtherSet,
    /// The non-signers are not strictly ascending members with their keys.
    #[error("the non-signers are not strictly ascending members with their registered keys")]
    NonSigners,
    /// There is not one tally for each quorum.
    #[error("there is not one tally for each quorum")]
    QuorumCount,
    /// Key, stake or total of a quorum is not what the operators give.
    #[error("the tally of quorum {0} is not what its operators give")]
    Quorum(u8),
    /// The signers of a quorum have less stake than its threshold.
    #[error("the signers of quorum {0} are below its threshold")]
    BelowThreshold(u8),
    /// The aggregate key in G2 is not the sum of the signers' keys.
    #[error("the aggregate key is not the sum of the signers' keys")]
    AggregateKey,
    /// The aggregate signature is no usable point.
    #[error("the aggregate signature is malformed")]
    Malformed(#[from] PointError),
    /// The aggregate signature does not verify.
    #[error("the aggregate signature is not valid")]
    InvalidSignature,
}
