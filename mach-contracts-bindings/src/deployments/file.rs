use core::fmt;
use std::collections::BTreeMap;

use alloy_primitives::{Address, ChainId};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{Deployment, DeploymentError};

/// Longest file that is read, in bytes. The original's are about a kilobyte.
const MAX_LENGTH: usize = 64 * 1024;

const COORDINATOR: &str = "registryCoordinator";
const RETRIEVER: &str = "operatorStateRetriever";
const CHAIN_ID: &str = "l1ChainId";
const BLOCK: &str = "l1Block";

/// What a deployment file says: at least the coordinator and the retriever, as the original's
/// aggregator wants them.
///
/// The file is the original's `machavs_deploy_output.json`, a flat JSON object of addresses. Keys that
/// are not known are left alone. Two keys are ours: `l1ChainId` and `l1Block`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploymentFile {
    /// `l1ChainId`: EIP-155 id of the chain.
    pub l1_chain_id: Option<ChainId>,
    /// `l1Block`: no event of the deployment is in an older block.
    pub l1_block: Option<u64>,
    /// `registryCoordinator`
    pub registry_coordinator: Address,
    /// `operatorStateRetriever`
    pub operator_state_retriever: Address,
    /// `machServiceManager`
    pub service_manager: Option<Address>,
    /// `machServiceManagerImpl`
    pub service_manager_implementation: Option<Address>,
    /// `registryCoordinatorImpl`
    pub registry_coordinator_implementation: Option<Address>,
    /// `stakeRegistry`
    pub stake_registry: Option<Address>,
    /// `apkRegistry`
    pub apk_registry: Option<Address>,
    /// `indexRegistry`
    pub index_registry: Option<Address>,
    /// `pauserRegistry`
    pub pauser_registry: Option<Address>,
    /// `machAVSProxyAdmin`
    pub proxy_admin: Option<Address>,
}

impl DeploymentFile {
    /// A file that says only what must be said.
    pub const fn new(registry_coordinator: Address, operator_state_retriever: Address) -> Self {
        Self {
            l1_chain_id: None,
            l1_block: None,
            registry_coordinator,
            operator_state_retriever,
            service_manager: None,
            service_manager_implementation: None,
            registry_coordinator_implementation: None,
            stake_registry: None,
            apk_registry: None,
            index_registry: None,
            pauser_registry: None,
            proxy_admin: None,
        }
    }

    /// Reads a deployment file.
    ///
    /// Errors: [`DeploymentError`] names the key that is absent, twice there, or not an address. An
    /// address in mixed case has to have the checksum of EIP-55, and the zero address is none.
    pub fn parse(json: &[u8]) -> Result<Self, DeploymentError> {
        if json.len() > MAX_LENGTH {
            return Err(DeploymentError::TooLong {
                length: json.len(),
                limit: MAX_LENGTH,
            });
        }
        let entries: Entries = serde_json::from_slice(json).map_err(DeploymentError::Json)?;
        if let Some(key) = entries.twice {
            return Err(DeploymentError::DuplicateKey(key));
        }
        let of = |key| entries.address(key);
        let required = |key| of(key)?.ok_or(DeploymentError::MissingKey(key));
        Ok(Self {
            l1_chain_id: entries.number(CHAIN_ID)?,
            l1_block: entries.number(BLOCK)?,
            registry_coordinator: required(COORDINATOR)?,
            operator_state_retriever: required(RETRIEVER)?,
            service_manager: of("machServiceManager")?,
            service_manager_implementation: of("machServiceManagerImpl")?,
            registry_coordinator_implementation: of("registryCoordinatorImpl")?,
            stake_registry: of("stakeRegistry")?,
            apk_registry: of("apkRegistry")?,
            index_registry: of("indexRegistry")?,
            pauser_registry: of("pauserRegistry")?,
            proxy_admin: of("machAVSProxyAdmin")?,
        })
    }

    /// The file's text, which [`Self::parse`] and the original's tools read.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        if let Some(chain_id) = self.l1_chain_id {
            object.insert(CHAIN_ID.into(), chain_id.into());
        }
        if let Some(block) = self.l1_block {
            object.insert(BLOCK.into(), block.into());
        }
        // The original's files have this line.
        object.insert("object".into(), "machAVS deployment output".into());
        for (key, address) in self.addresses() {
            if let Some(address) = address {
                object.insert(key.into(), address.to_checksum(None).into());
            }
        }
        format!("{:#}", Value::Object(object))
    }

    const fn addresses(&self) -> [(&'static str, Option<Address>); 10] {
        [
            (COORDINATOR, Some(self.registry_coordinator)),
            (RETRIEVER, Some(self.operator_state_retriever)),
            ("machServiceManager", self.service_manager),
            (
                "machServiceManagerImpl",
                self.service_manager_implementation,
            ),
            (
                "registryCoordinatorImpl",
                self.registry_coordinator_implementation,
            ),
            ("stakeRegistry", self.stake_registry),
            ("apkRegistry", self.apk_registry),
            ("indexRegistry", self.index_registry),
            ("pauserRegistry", self.pauser_registry),
            ("machAVSProxyAdmin", self.proxy_admin),
        ]
    }
}

impl From<&Deployment> for DeploymentFile {
    fn from(deployment: &Deployment) -> Self {
        Self {
            l1_chain_id: Some(deployment.l1_chain_id),
            l1_block: Some(deployment.l1_block),
            registry_coordinator: deployment.registry_coordinator,
            operator_state_retriever: deployment.operator_state_retriever,
            service_manager: Some(deployment.service_manager),
            service_manager_implementation: deployment.service_manager_implementation,
            registry_coordinator_implementation: deployment.registry_coordinator_implementation,
            stake_registry: Some(deployment.stake_registry),
            apk_registry: Some(deployment.apk_registry),
            index_registry: Some(deployment.index_registry),
            pauser_registry: deployment.pauser_registry,
            proxy_admin: deployment.proxy_admin,
        }
    }
}

/// A JSON object that knows whether a key was there twice, which serde_json's own maps forget.
struct Entries {
    values: BTreeMap<String, Value>,
    twice: Option<String>,
}

impl Entries {
    fn address(&self, key: &'static str) -> Result<Option<Address>, DeploymentError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let bad = |expected| DeploymentError::BadValue {
            key,
            expected,
            found: shown(value),
        };
        let text = value.as_str().ok_or_else(|| bad("an address"))?;
        let address: Address = text.parse().map_err(|_| bad("an address"))?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mixed = digits.bytes().any(|byte| byte.is_ascii_uppercase())
            && digits.bytes().any(|byte| byte.is_ascii_lowercase());
        if mixed && address.to_checksum(None).get(2..) != Some(digits) {
            return Err(bad("an address with its EIP-55 checksum"));
        }
        if address.is_zero() {
            return Err(bad("the address of a contract"));
        }
        Ok(Some(address))
    }

    fn number(&self, key: &'static str) -> Result<Option<u64>, DeploymentError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let bad = || DeploymentError::BadValue {
            key,
            expected: "a whole number",
            found: shown(value),
        };
        value.as_u64().map(Some).ok_or_else(bad)
    }
}

/// The start of a value: enough to find it in the file.
fn shown(value: &Value) -> String {
    const MOST: usize = 64;
    let text = value.to_string();
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of addresses")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Entries {
                    values: BTreeMap::new(),
                    twice: None,
                };
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if entries.values.insert(key.clone(), value).is_some() {
                        entries.twice.get_or_insert(key);
                    }
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    /// The original's own file for Holesky, as far as it is read.
    const HOLESKY: &str = r#"{
        "apkRegistry": "0x705c34e97b5bAB460bE69818fae604838c91C681",
        "emptyContract": "0x5c87C91319f12E6F39a711a2829fec0d0b19c699",
        "indexRegistry": "0xD9bB07a1Af8ebef0E4D17bf988d8e866BBEA87Dc",
        "machAVSProxyAdmin": "0xCaF316c4200aA1f9898f45dd29611F34fb504692",
        "machServiceManager": "0x56361D346d1F80c13f7AE2D809401C9aA1399CD3",
        "machServiceManagerImpl": "0xe3916ba82988e726e3666f1E5bB1338b5704ad5b",
        "object": "machAVS deployment output",
        "operatorStateRetriever": "0x57e359910f9432cD4e8f989C935aA4C73205aA85",
        "pauserRegistry": "0x326FDbCABb5CEb3C430d5b998E190DAD7cA0BA1E",
        "registryCoordinator": "0xae3a38CBbd2D4e27AC823bb2Fc084361345e6F52",
        "registryCoordinatorImpl": "0x758efb84b493Ef0d6003e35ea3a4E069b125F73D",
        "stakeRegistry": "0xaafac23E4B70cEFaba1af85B545642D3C651aB90"
    }"#;

    #[test]
    fn the_originals_file_is_read() {
        let file = DeploymentFile::parse(HOLESKY.as_bytes()).unwrap();
        assert_eq!(
            file.registry_coordinator,
            address!("ae3a38CBbd2D4e27AC823bb2Fc084361345e6F52")
        );
        assert_eq!(
            file.proxy_admin,
            Some(address!("CaF316c4200aA1f9898f45dd29611F34fb504692"))
        );
        assert_eq!(file.l1_chain_id, None);
        assert_eq!(
            DeploymentFile::parse(file.to_json().as_bytes()).unwrap(),
            file
        );
        assert!(file.to_json().contains(
            r#""registryCoordinatorImpl": "0x758efb84b493Ef0d6003e35ea3a4E069b125F73D""#
        ));
    }

    #[test]
    fn coordinator_and_retriever_are_enough() {
        let json = br#"{"operatorStateRetriever":"0x57e359910f9432cd4e8f989c935aa4c73205aa85",
            "registryCoordinator":"0xae3a38cbbd2d4e27ac823bb2fc084361345e6f52"}"#;
        let file = DeploymentFile::parse(json).unwrap();
        let expected = DeploymentFile::new(
            address!("ae3a38CBbd2D4e27AC823bb2Fc084361345e6F52"),
            address!("57e359910f9432cD4e8f989C935aA4C73205aA85"),
        );
        assert_eq!(file, expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        let with = |from: &str, to: &str| HOLESKY.replace(from, to);
        let cases = [
            (
                with("registryCoordinator\"", "coordinator\""),
                "the deployment file lacks the key `registryCoordinator`",
            ),
            (
                with("operatorStateRetriever", "retriever"),
                "the deployment file lacks the key `operatorStateRetriever`",
            ),
            (
                with("indexRegistry", "stakeRegistry"),
                "the deployment file has the key `stakeRegistry` twice",
            ),
            (
                with("\"0xaafac23E4B70cEFaba1af85B545642D3C651aB90\"", "7"),
                "the deployment file's `stakeRegistry` is 7, not an address",
            ),
            (
                with("0xaafac23E4B70cEFaba1af85B545642D3C651aB90", "0xaafac23E"),
                "the deployment file's `stakeRegistry` is \"0xaafac23E\", not an address",
            ),
            (
                with("0xaafac23E", "0xAafac23E"),
                "the deployment file's `stakeRegistry` is \"0xAafac23E4B70cEFaba1af85B545642D3C651aB90\", not an address with its EIP-55 checksum",
            ),
            (
                with(
                    "0xaafac23E4B70cEFaba1af85B545642D3C651aB90",
                    "0x0000000000000000000000000000000000000000",
                ),
                "the deployment file's `stakeRegistry` is \"0x0000000000000000000000000000000000000000\", not the address of a contract",
            ),
            (
                with(
                    "\"object\": \"machAVS deployment output\"",
                    "\"l1ChainId\": \"1\"",
                ),
                "the deployment file's `l1ChainId` is \"1\", not a whole number",
            ),
            ("[]".to_owned(), "the deployment file is not a JSON object"),
            ("{".to_owned(), "the deployment file is not a JSON object"),
            (
                " ".repeat(MAX_LENGTH + 1),
                "the deployment file has 65537 bytes, more than 65536",
            ),
        ];
        for (json, message) in cases {
            let error = DeploymentFile::parse(json.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
