//! Checking somebody else's certificate.

use mach_core::{Certificate, NonSigner, OperatorId};

use crate::operators::repeated_sum;
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
    verify_sigma::<S>(certificate, &S::lines(&expected.apk_g2))
}

/// Checks everything that `certificate` says as far as it can be without knowing the operators: the
/// stakes of those who signed are the quorums' without the absent's and reach the thresholds, the
/// keys of the signers are the quorums' without the absent's, and the signature is theirs.
///
/// What it leaves open is whether the quorums have these keys and stakes at the reference block, and
/// the absent theirs: [`Certificate::operators_digest`]. Anybody can make up such a set and sign for
/// it, so without a reason to trust it nothing is proved. [`verify_certificate`] checks it.
///
/// Errors: [`CertificateError`] names the first thing that is wrong.
pub fn verify_self_contained<S: Scheme>(
    certificate: &Certificate<S>,
) -> Result<(), CertificateError> {
    let round = &certificate.round;
    if certificate.quorums.len() != round.quorums().len() {
        return Err(CertificateError::QuorumCount);
    }
    let is_in_order = certificate.non_signers.is_sorted_by(|a, b| a.id < b.id);
    let mut absent = certificate.non_signers.iter();
    if !is_in_order || !absent.all(|it| is_member(it, round.quorums().as_bytes())) {
        return Err(CertificateError::NonSigners);
    }
    for ((quorum, threshold), tally) in round.terms().zip(&certificate.quorums) {
        let absent = certificate.non_signers.iter().flat_map(|it| &it.stakes);
        let absent = absent.filter(|of| of.quorum == quorum);
        // Stakes have 96 bits: no more of them fit into memory than into the sum.
        let absent: u128 = absent.map(|of| of.stake.weight()).sum();
        let signed = tally.total.weight().checked_sub(absent);
        if tally.quorum != quorum || signed != Some(tally.signed.weight()) {
            return Err(CertificateError::Quorum(quorum));
        }
        if !threshold.is_met(tally.signed, tally.total) {
            return Err(CertificateError::BelowThreshold(quorum));
        }
    }
    let apk_g2 = S::decode_g2(&certificate.apk_g2).map_err(CertificateError::MalformedKey)?;
    let lines = S::lines(&apk_g2);
    if !same_discrete_log::<S>(&signers_key::<S>(certificate)?, &S::generator_g1(), &lines) {
        return Err(CertificateError::AggregateKey);
    }
    verify_sigma::<S>(certificate, &lines)
}

/// Whether an absent operator is in one of the quorums at least, and in each once.
fn is_member<S: Scheme>(absent: &NonSigner<S>, quorums: &[u8]) -> bool {
    let stakes = &absent.stakes;
    absent.id == OperatorId::from_key(&absent.key_g1)
        && !stakes.is_empty()
        && stakes.is_sorted_by(|a, b| a.quorum < b.quorum)
        && stakes.iter().all(|of| quorums.contains(&of.quorum))
}

/// The sum of the quorums' keys without those of the absent, each as often as it is in them.
fn signers_key<S: Scheme>(certificate: &Certificate<S>) -> Result<S::G1Point, CertificateError> {
    let decode = |key| S::decode_g1(key).map_err(CertificateError::MalformedKey);
    let mut all = Vec::with_capacity(certificate.quorums.len());
    for quorum in &certificate.quorums {
        all.push(decode(&quorum.apk)?);
    }
    let mut absent = Vec::with_capacity(certificate.non_signers.len());
    for operator in &certificate.non_signers {
        absent.push((decode(&operator.key_g1)?, operator.stakes.len()));
    }
    let absent = repeated_sum(&absent, S::sum_g1);
    Ok(S::subtract_g1(&S::sum_g1(&all), &absent))
}

fn verify_sigma<S: Scheme>(
    certificate: &Certificate<S>,
    lines: &S::Lines,
) -> Result<(), CertificateError> {
    let sigma = Signature::<S>::from_bytes(&certificate.sigma)?;
    let message = MessagePoint::<S>::of(certificate.digest());
    if !same_discrete_log::<S>(&sigma.0, &message.0, lines) {
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
    /// A key, of a quorum, of an absent operator or of all signers, is no usable point.
    #[error("a key is malformed")]
    MalformedKey(#[source] PointError),
    /// The aggregate signature is no usable point.
    #[error("the aggregate signature is malformed")]
    Malformed(#[from] PointError),
    /// The aggregate signature does not verify.
    #[error("the aggregate signature is not valid")]
    InvalidSignature,
}
