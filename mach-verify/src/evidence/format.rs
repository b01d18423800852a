//! Bundles as bytes.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, Sealed};
use alloy_rlp::Decodable;
use mach_core::Fault;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Bundle, Evidence, EvidenceError, file_name};
use crate::{ChainSpec, source::RecordedBlock};

/// Format that is written, and the only one that is read.
pub const EVIDENCE_VERSION: u64 = 1;

/// Longest name of a program that is read, in bytes.
const MAX_SOFTWARE_BYTES: usize = 64;

/// The field `evidence` of a recorded block.
#[derive(Serialize)]
struct Wire<'a> {
    version: u64,
    software: &'a str,
    fault: &'a Fault,
    rules_hash: B256,
    rules: &'a ChainSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_parent: Option<Bytes>,
}

/// The same as text, so that an error can name the field.
#[derive(Deserialize)]
struct RawWire<'a> {
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    software: Option<&'a RawValue>,
    fault: Option<&'a RawValue>,
    rules_hash: Option<&'a RawValue>,
    rules: Option<&'a RawValue>,
    other_parent: Option<&'a RawValue>,
}

impl Bundle for Evidence {
    type Error = EvidenceError;

    fn file_name(&self) -> String {
        file_name(self.block(), self.fault())
    }

    fn parse(json: &[u8]) -> Result<Self, EvidenceError> {
        let (recorded, evidence) = RecordedBlock::parse_with_evidence(json)?;
        let Some(evidence) = evidence else {
            return Err(EvidenceError::NoEvidence(Box::new(recorded)));
        };
        let raw: RawWire<'_> = parse("", evidence)?;
        // First of all: of another format nothing else is known.
        let version = field("version", raw.version)?;
        if version != EVIDENCE_VERSION {
            return Err(EvidenceError::Version(version));
        }
        let software: String = field("software", raw.software)?;
        let is_printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if software.len() > MAX_SOFTWARE_BYTES || !software.bytes().all(is_printable) {
            return Err(EvidenceError::Field {
                field: "software",
                source: "not the name of a program".into(),
            });
        }
        let fault = field("fault", raw.fault)?;
        let spec: ChainSpec = field("rules", raw.rules)?;
        let claimed = field("rules_hash", raw.rules_hash)?;
        let computed = spec.hash();
        if claimed != computed {
            return Err(EvidenceError::RulesHash { claimed, computed });
        }
        if spec.chain_id() != recorded.block.chain_id {
            return Err(EvidenceError::WrongChain {
                block: recorded.block.chain_id,
                rules: spec.chain_id(),
            });
        }
        let parent = (raw.other_parent)
            .map(|raw| header(&parse::<Bytes>("other_parent", raw)?))
            .transpose()?;
        Ok(Self {
            spec,
            recorded,
            parent,
            fault,
            software,
        })
    }

    fn to_json(&self) -> Result<Vec<u8>, EvidenceError> {
        let header = |header: &Sealed<Header>| alloy_rlp::encode(header.inner()).into();
        Ok(self.recorded.to_json_with(Some(&Wire {
            version: EVIDENCE_VERSION,
            software: &self.software,
            fault: &self.fault,
            rules_hash: self.spec.hash(),
            rules: &self.spec,
            other_parent: self.parent.as_ref().map(header),
        })))
    }
}

fn header(bytes: &[u8]) -> Result<Sealed<Header>, EvidenceError> {
    let malformed = |source| EvidenceError::Field {
        field: "other_parent",
        source,
    };
    let mut rest = bytes;
    let header = Header::decode(&mut rest).map_err(|error| malformed(Box::new(error)))?;
    if !rest.is_empty() {
        return Err(malformed("bytes stand behind the header".into()));
    }
    Ok(Sealed::new(header))
}

fn field<'a, T: Deserialize<'a>>(
    field: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<T, EvidenceError> {
    parse(field, raw.ok_or(EvidenceError::Missing(field))?)
}

fn parse<'a, T: Deserialize<'a>>(
    field: &'static str,
    raw: &'a RawValue,
) -> Result<T, EvidenceError> {
    serde_json::from_str(raw.get()).map_err(|source| EvidenceError::Field {
        field,
        source: Box::new(source),
    })
}
