//! An account's key in a Web3Signer.

use alloy_consensus::{SignableTransaction, TxEnvelope};
use alloy_eips::Decodable2718;
use alloy_network::TxSigner;
use alloy_primitives::{Address, Bytes, Signature};
use alloy_rpc_client::RpcClient;
use alloy_rpc_types_eth::{TransactionInput, TransactionRequest};
use alloy_signer::Error as SignError;
use alloy_transport::TransportError;
use async_trait::async_trait;
use url::Url;

use crate::http::http_client;

/// Signs transactions with a key that is in a [Web3Signer](https://docs.web3signer.consensys.io), or
/// in whatever else answers `eth_accounts` and `eth_signTransaction`.
///
/// Put it in an `EthereumWallet` for the [`Submitter`](crate::Submitter). What comes back is decoded and
/// compared: a signature of another transaction or of another account is an error. Such a signer
/// signs for the one chain that it was started with, and no hashes: an operator's consent to a
/// registration needs a key file.
#[derive(Clone)]
pub struct Web3Signer {
    client: RpcClient,
    address: Address,
}

/// URLs of signers may hold keys.
impl std::fmt::Debug for Web3Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web3Signer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Web3Signer {
    /// The key of `address` in the signer at `url`, which is asked whether it has it.
    ///
    /// Errors: [`Web3SignerError`].
    pub async fn connect(url: Url, address: Address) -> Result<Self, Web3SignerError> {
        Self::with(http_client(url)?, address).await
    }

    async fn with(client: RpcClient, address: Address) -> Result<Self, Web3SignerError> {
        let accounts: Vec<Address> = client.request_noparams("eth_accounts").await?;
        if accounts.contains(&address) {
            Ok(Self { client, address })
        } else {
            Err(Web3SignerError::UnknownAccount(address))
        }
    }
}

#[async_trait]
impl TxSigner<Signature> for Web3Signer {
    fn address(&self) -> Address {
        self.address
    }

    async fn sign_transaction(
        &self,
        tx: &mut dyn SignableTransaction<Signature>,
    ) -> alloy_signer::Result<Signature> {
        let request = request(self.address, tx);
        let wanted = tx.signature_hash();
        let raw: Bytes = (self.client.request("eth_signTransaction", (request,)).await)
            .map_err(SignError::other)?;
        let signed = TxEnvelope::decode_2718_exact(&raw)
            .map_err(|_| SignError::message("the signer's answer is no transaction"))?;
        if signed.signature_hash() != wanted {
            let other = "the signer signed another transaction; is it set up for this chain?";
            return Err(SignError::message(other));
        }
        let signature = *signed.signature();
        let signer = signature.recover_address_from_prehash(&wanted);
        if signer.ok() != Some(self.address) {
            return Err(SignError::message("the signature is not of this account"));
        }
        Ok(signature)
    }
}

/// Web3Signer reads the call from `data`, and has the chain from its own settings.
fn request(from: Address, tx: &dyn SignableTransaction<Signature>) -> TransactionRequest {
    let is_dynamic = tx.is_dynamic_fee();
    TransactionRequest {
        from: Some(from),
        to: Some(tx.kind()),
        nonce: Some(tx.nonce()),
        gas: Some(tx.gas_limit()),
        gas_price: tx.gas_price().filter(|_| !is_dynamic),
        max_fee_per_gas: is_dynamic.then(|| tx.max_fee_per_gas()),
        max_priority_fee_per_gas: tx.max_priority_fee_per_gas(),
        value: Some(tx.value()),
        input: TransactionInput {
            input: None,
            data: Some(tx.input().clone()),
        },
        ..Default::default()
    }
}

/// Why a signer cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Web3SignerError {
    /// It does not answer, or its URL is not of HTTP.
    #[error("the remote signer does not answer")]
    Transport(#[from] TransportError),
    /// It does not have the key.
    #[error("the remote signer has no key of {0}")]
    UnknownAccount(Address),
}

#[cfg(test)]
mod tests {
    use alloy_consensus::TxEip1559;
    use alloy_eips::Encodable2718;
    use alloy_network::TxSignerSync;
    use alloy_primitives::{TxKind, U256, b256};
    use alloy_signer_local::PrivateKeySigner;
    use alloy_transport::mock::Asserter;

    use super::*;

    /// The first account of anvil and of hardhat.
    const KEY: alloy_primitives::B256 =
        b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

    fn transaction(chain_id: u64) -> TxEip1559 {
        TxEip1559 {
            chain_id,
            nonce: 7,
            gas_limit: 90_000,
            max_fee_per_gas: 30_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(Address::repeat_byte(0x11)),
            value: U256::from(5),
            input: Bytes::from_static(&[1, 2, 3, 4]),
            ..Default::default()
        }
    }

    fn raw(key: &PrivateKeySigner, mut tx: TxEip1559) -> Bytes {
        let signature = key.sign_transaction_sync(&mut tx).unwrap();
        TxEnvelope::from(tx.into_signed(signature))
            .encoded_2718()
            .into()
    }

    /// Another implementation signs; RFC 6979 leaves one signature.
    #[tokio::test]
    async fn anvil_signs_what_a_local_key_signs() {
        let Ok(url) = std::env::var("MACH_L1_RPC") else {
            println!("skipped: MACH_L1_RPC is not set");
            return;
        };
        let key = PrivateKeySigner::from_bytes(&KEY).unwrap();
        let url: Url = url.parse().unwrap();
        let signer = Web3Signer::connect(url.clone(), key.address())
            .await
            .unwrap();
        let mut tx = transaction(31_337);
        let signature = signer.sign_transaction(&mut tx).await.unwrap();
        assert_eq!(signature, key.sign_transaction_sync(&mut tx).unwrap());

        let other_chain = signer.sign_transaction(&mut transaction(1)).await;
        assert!(other_chain.is_err());
        let stranger = Web3Signer::connect(url, Address::repeat_byte(9)).await;
        assert!(matches!(stranger, Err(Web3SignerError::UnknownAccount(_))));
    }

    #[tokio::test]
    async fn what_is_not_that_transactions_signature_is_refused() {
        let key = PrivateKeySigner::from_bytes(&KEY).unwrap();
        let stranger = PrivateKeySigner::random();
        let asserter = Asserter::new();
        asserter.push_success(&vec![key.address()]);
        let signer = Web3Signer::with(RpcClient::mocked(asserter.clone()), key.address())
            .await
            .unwrap();
        for (answer, text) in [
            (raw(&key, transaction(2)), "another transaction"),
            (raw(&stranger, transaction(1)), "not of this account"),
            (Bytes::from_static(&[2, 0xc0]), "no transaction"),
            (Bytes::new(), "no transaction"),
        ] {
            asserter.push_success(&answer);
            let error = signer
                .sign_transaction(&mut transaction(1))
                .await
                .unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        asserter.push_failure_msg("signer is locked");
        let error = signer
            .sign_transaction(&mut transaction(1))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("locked"), "{error}");
        asserter.push_success(&raw(&key, transaction(1)));
        signer.sign_transaction(&mut transaction(1)).await.unwrap();
        assert!(!format!("{signer:?}").contains("client"));
    }

    /// What the documentation of Web3Signer's `eth_signTransaction` shows as its parameters.
    #[test]
    fn the_request_has_the_fields_that_a_signer_reads() {
        let request = request(Address::ZERO, &transaction(1));
        assert_eq!(
            serde_json::to_value(request).unwrap(),
            serde_json::json!({
                "from": "0x0000000000000000000000000000000000000000",
                "to": "0x1111111111111111111111111111111111111111",
                "nonce": "0x7",
                "gas": "0x15f90",
                "maxFeePerGas": "0x6fc23ac00",
                "maxPriorityFeePerGas": "0x3b9aca00",
                "value": "0x5",
                "data": "0x01020304",
            })
        );
    }
}
