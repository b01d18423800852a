//! A BLS key in a Cerberus remote signer.

use std::time::Duration;

use alloy_primitives::{B256, b256, hex};
use async_trait::async_trait;
use mach_bls::{Signature, ValidKey};
use mach_core::{
    Domain, G1Bytes, OperatorId, SignedStatement, Statement,
    ports::{SignError, StatementSigner},
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use zeroize::Zeroizing;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::missing_const_for_fn,
    reason = "generated"
)]
mod proto {
    tonic::include_proto!("signer.v1");
}

use proto::{SignGenericRequest, signer_client::SignerClient};

/// How long a connection, and then an answer, is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes; a signature has 64.
const MAX_ANSWER_BYTES: usize = 4096;
/// The larger of `y` and `p - y` is the one above this: half of BN254's base field, rounded down.
const HALF: B256 = b256!("183227397098d014dc2822db40c0ac2ecbc0b548b438e5469e10460b6c3e7ea3");

/// Where a Cerberus signer is and what it asks for.
pub struct CerberusConfig {
    /// `http://host:port`, or `https://` with TLS.
    pub url: String,
    /// The key: both halves, of the same secret. An operator's are in the registry.
    pub key: ValidKey,
    /// Password of the key's file, where the signer has files.
    pub password: Option<Zeroizing<String>>,
    /// API key of the signer, where it asks for one.
    pub api_key: Option<Zeroizing<String>>,
    /// Certificate of the authority that vouches for the signer, in PEM; that of the system if `None`.
    pub authority: Option<Vec<u8>>,
}

/// Without what is secret.
impl std::fmt::Debug for CerberusConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CerberusConfig")
            .field("url", &self.url)
            .field("key", &self.key.operator_id())
            .finish_non_exhaustive()
    }
}

/// A [`StatementSigner`] whose key is in a [Cerberus](https://github.com/Layr-Labs/cerberus) remote
/// signer.
///
/// The digest is computed here, and every signature that comes back is checked against the key
/// before it is handed on: whatever the signer answers, nothing wrong leaves this process. The signer
/// keeps no guard; the operator's [`SigningGuard`](mach_core::ports::SigningGuard) stands before it
/// as before a local key.
pub struct CerberusSigner {
    client: SignerClient<Channel>,
    key: ValidKey,
    name: String,
    password: Zeroizing<String>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl std::fmt::Debug for CerberusSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CerberusSigner")
            .field("key", &self.name)
            .finish_non_exhaustive()
    }
}

impl CerberusSigner {
    /// The signer of `config`. It is reached when something is to be signed; has to be called in a
    /// tokio runtime.
    ///
    /// Errors: [`CerberusError`].
    pub fn new(config: CerberusConfig) -> Result<Self, CerberusError> {
        let endpoint = Endpoint::from_shared(config.url)
            .map_err(|_| CerberusError::Url)?
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT);
        let endpoint = match endpoint.uri().scheme_str() {
            Some("http") => endpoint,
            Some("https") => {
                let tls = match config.authority {
                    Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                    None => ClientTlsConfig::new().with_native_roots(),
                };
                endpoint.tls_config(tls).map_err(CerberusError::Tls)?
            }
            _ => return Err(CerberusError::Url),
        };
        let authorization = (config.api_key)
            .map(|api_key| {
                let mut value =
                    MetadataValue::try_from(api_key.as_str()).map_err(|_| CerberusError::ApiKey)?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()?;
        Ok(Self {
            client: SignerClient::new(endpoint.connect_lazy())
                .max_decoding_message_size(MAX_ANSWER_BYTES),
            name: compressed(&config.key.g1_bytes()),
            key: config.key,
            password: config.password.unwrap_or_default(),
            authorization,
        })
    }

    async fn signature(&self, digest: B256) -> Result<Signature, SignatureError> {
        let mut request = Request::new(SignGenericRequest {
            public_key_g1: self.name.clone(),
            data: digest.to_vec(),
            password: self.password.to_string(),
        });
        if let Some(authorization) = &self.authorization {
            (request.metadata_mut()).insert("authorization", authorization.clone());
        }
        let answer = self.client.clone().sign_generic(request).await?;
        let bytes = <[u8; 64]>::try_from(answer.into_inner().signature.as_slice())
            .map_err(|_| SignatureError::Form)?;
        let signature =
            Signature::from_bytes(&G1Bytes(bytes.into())).map_err(|_| SignatureError::Form)?;
        (self.key.verify(digest, &signature)).map_err(|_| SignatureError::Wrong)?;
        Ok(signature)
    }
}

#[async_trait]
impl StatementSigner for CerberusSigner {
    fn operator(&self) -> OperatorId {
        self.key.operator_id()
    }

    async fn sign(
        &self,
        statement: &Statement,
        domain: &Domain,
    ) -> Result<SignedStatement, SignError> {
        let signature = self.signature(statement.digest(domain)).await;
        let signature = signature.map_err(|error| SignError::Backend(error.into()))?;
        Ok(SignedStatement {
            statement: statement.clone(),
            domain: *domain,
            operator: self.operator(),
            signature: signature.to_bytes(),
        })
    }
}

/// Why a signer cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CerberusError {
    /// The URL is none of gRPC.
    #[error("the remote signer's URL is not http:// or https://")]
    Url,
    /// The API key cannot stand in a header.
    #[error("the remote signer's API key has characters that cannot be sent")]
    ApiKey,
    /// The authority's certificate cannot be read.
    #[error("TLS to the remote signer cannot be set up")]
    Tls(#[source] tonic::transport::Error),
}

/// Why a signer gave no signature.
#[derive(Debug, thiserror::Error)]
enum SignatureError {
    #[error("the remote signer refused: {} ({:?})", .0.message(), .0.code())]
    Refused(#[from] tonic::Status),
    #[error("the remote signer's answer is no signature")]
    Form,
    #[error("the remote signer's signature is not of this statement and this key")]
    Wrong,
}

/// A point as gnark compresses it: X, big-endian, whose two highest bits say which Y it is.
fn compressed(point: &G1Bytes) -> String {
    let (x, y) = point.0.split_at(32);
    let flag = if y > HALF.as_slice() { 0xc0 } else { 0x80 };
    let mut x = x.to_vec();
    if let Some(first) = x.first_mut() {
        *first |= flag;
    }
    hex::encode(x)
}

#[cfg(test)]
mod tests {
    use mach_bls::bn254::SecretKey;

    use super::*;

    /// Key, name and signature of Cerberus's own test (`internal/services/signing`).
    #[test]
    fn keys_are_named_and_messages_are_signed_as_the_signer_does() {
        let secret = hex!("040ad69253b921aca71dd714cccc3095576fbe1a21f86c9b10cb5b119b1c6899");
        let key = SecretKey::from_bytes(&secret).unwrap();
        assert_eq!(
            compressed(&key.public_key().g1_bytes()),
            "a3111a2232584734d526d62cbb7c9a0d4ce1984a92b7ecb85bde8878fea5d1b0"
        );
        let signature = key.sign(B256::right_padding_from(b"somedata"));
        assert_eq!(
            hex::encode(signature.to_bytes().0),
            "0fea882fc5c936c304b0d79f4c256dbb2d38a2df74b44aaa483dfa87f1a86ede\
             0bbc32080db378a408b90af7e264b9768a4b2f16c6953ec2611a13bc448d27e4"
        );
    }

    /// Of a point and its negative one has each flag, as gnark has it: `11` for the larger Y.
    #[test]
    fn the_flag_says_which_y() {
        let point = SecretKey::random().public_key().g1_bytes();
        let (x, y) = point.0.split_at(32);
        let modulus = alloy_primitives::uint!(
            21888242871839275222246405745257275088696311157297823662689037894645226208583_U256
        );
        let negative = modulus - alloy_primitives::U256::from_be_slice(y);
        let mut negated = [0; 64];
        negated[..32].copy_from_slice(x);
        negated[32..].copy_from_slice(&negative.to_be_bytes::<32>());
        let flag = |point: &G1Bytes| hex::decode(compressed(point)).unwrap()[0] & 0xc0;
        let flags = [flag(&point), flag(&G1Bytes(negated.into()))];
        let larger = usize::from(alloy_primitives::U256::from_be_slice(y) < negative);
        assert_eq!((flags[larger], flags[1 - larger]), (0xc0, 0x80));
    }
}
