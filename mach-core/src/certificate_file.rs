//! Certificates and operator sets as files.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Bn254, Certificate, Curve, Domain, G1Bytes, G2Bytes, Operator, OperatorSet, QuorumNumbers,
    QuorumStake,
};

/// Version of the files that this release reads and writes.
pub const CERTIFICATE_VERSION: u32 = 1;

/// Longest certificate that is read, in bytes: some ten thousand absent operators.
pub const MAX_CERTIFICATE_BYTES: usize = 8 * 1024 * 1024;

/// A certificate in a file of its own, as JSON:
/// `{"version": 1, "curve": "bn254", "certificate": …}`.
///
/// Nothing of it is checked but its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFile<C: Curve = Bn254>(pub Certificate<C>);

impl<C: Curve> CertificateFile<C> {
    /// Reads at most [`MAX_CERTIFICATE_BYTES`].
    ///
    /// Errors: [`CertificateFileError`].
    pub fn from_json(json: &[u8]) -> Result<Self, CertificateFileError> {
        read::<Envelope<Certificate<C>>, C>(json, MAX_CERTIFICATE_BYTES)
            .map(|envelope| Self(envelope.certificate))
    }

    /// The file, indented for people.
    pub fn to_json(&self) -> String {
        write(&Envelope {
            head: Head::of::<C>(),
            certificate: &self.0,
        })
    }
}

/// An operator set in a file of its own, as JSON: who checks a certificate against it trusts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorsFile<C: Curve = Bn254> {
    /// The service manager whose operators these are.
    pub domain: Domain,
    /// Operators and stakes at one L1 block.
    pub set: OperatorSet<C>,
}

impl<C: Curve> OperatorsFile<C> {
    /// Longest file that is read, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024 * 1024;

    /// Reads at most [`Self::MAX_BYTES`].
    ///
    /// Errors: [`CertificateFileError`].
    pub fn from_json(json: &[u8]) -> Result<Self, CertificateFileError> {
        let raw: RawOperators<C> = read::<_, C>(json, Self::MAX_BYTES)?;
        let mut set = OperatorSet::new(raw.quorums, raw.reference_block);
        let mut seen = BTreeSet::new();
        for member in raw.operators {
            let operator = Operator {
                address: member.address,
                key_g1: member.key_g1,
                key_g2: member.key_g2,
            };
            let malformed = || CertificateFileError::Operator(operator.address);
            let is_ascending = member.stakes.is_sorted_by(|a, b| a.quorum < b.quorum);
            if member.stakes.is_empty() || !is_ascending || !seen.insert(operator.id()) {
                return Err(malformed());
            }
            for QuorumStake { quorum, stake } in member.stakes {
                if !set.quorums().iter().any(|of_set| of_set == quorum) {
                    return Err(malformed());
                }
                set.insert(quorum, operator, stake);
            }
        }
        Ok(Self {
            domain: raw.domain,
            set,
        })
    }

    /// The file, indented for people; operators ascend by id.
    pub fn to_json(&self) -> String {
        let operators = self.set.operators().map(|(id, operator)| {
            let stakes = self.set.quorums().iter().filter_map(|quorum| {
                let stake = self.set.stake(quorum, id)?;
                Some(QuorumStake { quorum, stake })
            });
            RawOperator {
                address: operator.address,
                key_g1: operator.key_g1,
                key_g2: operator.key_g2,
                stakes: stakes.collect(),
            }
        });
        write(&RawOperators {
            head: Head::of::<C>(),
            domain: self.domain,
            reference_block: self.set.reference_block(),
            quorums: self.set.quorums().clone(),
            operators: operators.collect(),
        })
    }
}

/// Why bytes are not such a file.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// Longer than is read.
    #[error("the file has {length} bytes, at most {limit} are read")]
    TooLarge {
        /// Bytes of the file.
        length: usize,
        /// Bytes that are read.
        limit: usize,
    },
    /// Not the JSON of such a file.
    #[error("the file is malformed")]
    Json(#[source] serde_json::Error),
    /// Written by another release.
    #[error("the file has version {0}, this release reads {CERTIFICATE_VERSION}")]
    Version(u32),
    /// For another curve.
    #[error("the file is of curve {found:?}, expected {expected:?}")]
    Curve {
        /// What the file says.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// An operator stands there twice, or its stakes are none, not ascending or of other quorums.
    #[error("operator {0} is there twice, or its stakes are not those of quorums of the set")]
    Operator(Address),
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    curve: String,
}

impl Head {
    fn of<C: Curve>() -> Self {
        Self {
            version: CERTIFICATE_VERSION,
            curve: C::NAME.to_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    #[serde(flatten)]
    head: Head,
    certificate: T,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
struct RawOperators<C: Curve> {
    #[serde(flatten)]
    head: Head,
    domain: Domain,
    reference_block: u32,
    quorums: QuorumNumbers,
    operators: Vec<RawOperator<C>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
struct RawOperator<C: Curve> {
    address: Address,
    key_g1: G1Bytes<C>,
    key_g2: G2Bytes<C>,
    stakes: Vec<QuorumStake>,
}

/// Version and curve are looked at first: they say why the rest may not be understood.
fn read<T: DeserializeOwned, C: Curve>(
    json: &[u8],
    limit: usize,
) -> Result<T, CertificateFileError> {
    if json.len() > limit {
        let length = json.len();
        return Err(CertificateFileError::TooLarge { length, limit });
    }
    let head: Head = serde_json::from_slice(json).map_err(CertificateFileError::Json)?;
    if head.version != CERTIFICATE_VERSION {
        return Err(CertificateFileError::Version(head.version));
    }
    if head.curve != C::NAME {
        return Err(CertificateFileError::Curve {
            found: head.curve,
            expected: C::NAME,
        });
    }
    serde_json::from_slice(json).map_err(CertificateFileError::Json)
}

fn write(file: &impl Serialize) -> String {
    serde_json::to_string_pretty(file).expect("maps have text for keys and nothing else can fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bls12381, Stake};

    fn operators() -> OperatorsFile {
        let mut set = OperatorSet::new(QuorumNumbers::new([0, 2]).unwrap(), 7);
        for byte in 1..=3 {
            let operator = Operator {
                address: Address::repeat_byte(byte),
                key_g1: G1Bytes([byte; 64].into()),
                key_g2: G2Bytes([byte; 128].into()),
            };
            set.insert(0, operator, Stake::new(u128::from(byte) << 80).unwrap());
            if byte > 1 {
                set.insert(2, operator, Stake::ZERO);
            }
        }
        let domain = Domain {
            l1_chain_id: 1,
            service_manager: Address::repeat_byte(9),
        };
        OperatorsFile { domain, set }
    }

    #[test]
    fn an_operator_set_is_read_as_it_was_written() {
        let file = operators();
        let json = file.to_json();
        assert_eq!(OperatorsFile::from_json(json.as_bytes()).unwrap(), file);
        let wrong_curve = OperatorsFile::<Bls12381>::from_json(json.as_bytes());
        assert_eq!(
            wrong_curve.unwrap_err().to_string(),
            r#"the file is of curve "bn254", expected "bls12-381""#
        );
    }

    #[test]
    fn what_is_no_operator_set_is_named() {
        type Change = fn(&mut serde_json::Value);
        let changes: [(Change, &str); 8] = [
            (
                |it| it["version"] = 2.into(),
                "the file has version 2, this release reads 1",
            ),
            (|it| it["quorums"] = [2, 0].into(), "malformed"),
            (
                |it| it["operators"][0]["stakes"] = [(); 0].into(),
                "is there twice",
            ),
            (
                |it| it["operators"][0]["stakes"][0]["quorum"] = 1.into(),
                "is there twice",
            ),
            (
                |it| it["operators"][1]["stakes"][1]["quorum"] = 0.into(),
                "is there twice",
            ),
            (
                |it| it["operators"][1] = it["operators"][0].clone(),
                "is there twice",
            ),
            (
                |it| it["operators"][1]["stakes"][0]["stake"] = 1.into(),
                "malformed",
            ),
            (
                |it| it["operators"][1]["keyG1"] = "0x01".into(),
                "malformed",
            ),
        ];
        for (index, (change, expected)) in changes.into_iter().enumerate() {
            let mut json = serde_json::from_str(&operators().to_json()).unwrap();
            change(&mut json);
            let read = OperatorsFile::<Bn254>::from_json(json.to_string().as_bytes());
            let error = read.unwrap_err().to_string();
            assert!(error.contains(expected), "{index}: {error}");
        }
        let long = vec![b' '; MAX_CERTIFICATE_BYTES + 1];
        assert!(matches!(
            CertificateFile::<Bn254>::from_json(&long),
            Err(CertificateFileError::TooLarge { .. })
        ));
    }
}
