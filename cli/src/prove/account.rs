use alloy_primitives::{Address, B256, Bytes, U64, address};
use alloy_provider::Provider;
use mach_contracts_bindings::http_provider;
use serde::Deserialize;
use url::Url;

use crate::nodes::shown;

/// `L2ToL1MessagePasser`.
const MESSAGE_PASSER: Address = address!("0x4200000000000000000000000000000000000016");

/// The nodes of the message passer's account after a block. They prove themselves: the guest refuses
/// what does not lead from the header's state root to the account.
///
/// Errors: no endpoint has them.
pub(super) async fn proof(endpoints: &[Url], number: u64) -> eyre::Result<Vec<Bytes>> {
    #[derive(Clone, Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Account {
        account_proof: Vec<Bytes>,
    }

    let mut last = eyre::eyre!("no endpoint is named");
    for url in endpoints {
        let keys: [B256; 0] = [];
        let params = (MESSAGE_PASSER, keys, U64::from(number));
        let node = http_provider(url.clone())?;
        let answer: Result<Account, _> = node.raw_request("eth_getProof".into(), params).await;
        match answer {
            Ok(account) => return Ok(account.account_proof),
            // The endpoint stands in no error of it.
            Err(error) => last = eyre::Report::new(error).wrap_err(shown(url)),
        }
    }
    Err(last.wrap_err(format!(
        "no proof of the message passer's account in block {number}"
    )))
}
