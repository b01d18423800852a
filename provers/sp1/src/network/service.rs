//! Where the network is, who pays, and how much.

use std::{fmt, fs, time::Duration};

use alloy_primitives::{Address, eip191_hash_message, hex};
use k256::ecdsa::SigningKey;
use mach_prove::protocol::ProverError;
use reqwest::Url;
use zeroize::Zeroizing;

/// Who pays: a key of secp256k1 in hex, or the file that has it.
pub const KEY: &str = "NETWORK_PRIVATE_KEY";
/// File with the key.
pub const KEY_FILE: &str = "NETWORK_PRIVATE_KEY_FILE";
/// URL of the network, if it is not Succinct's.
pub const URL: &str = "NETWORK_RPC_URL";
/// `auction`, where provers bid, or `reserved`, where the network has its own.
pub const MODE: &str = "NETWORK_MODE";
/// Most that a unit of prover gas may cost, in wei of PROVE. Without it, what the network asks and a
/// fifth more.
pub const MAX_PRICE: &str = "NETWORK_MAX_PRICE_PER_PGU";
/// Most units of prover gas that a proof may take.
pub const GAS_LIMIT: &str = "NETWORK_GAS_LIMIT";

/// Most that one order may cost, in wei of PROVE, whatever the network asks; ten PROVE if nothing is
/// said. Where provers bid.
pub const MAX_COST: &str = "NETWORK_MAX_COST";
/// How often the same is ordered, and may have to be paid, before people are asked; 3 by default.
pub const MAX_ORDERS: &str = "NETWORK_MAX_ORDERS";

const AUCTION_URL: &str = "https://rpc.mainnet.succinct.xyz";
const RESERVED_URL: &str = "https://rpc.production.succinct.xyz";
/// As in `sp1-sdk`.
const DEFAULT_GAS_LIMIT: u64 = 1_000_000_000;
/// Ten PROVE.
const DEFAULT_MAX_COST: u128 = 10_000_000_000_000_000_000;
const DEFAULT_MAX_ORDERS: u32 = 3;
const POLL: Duration = Duration::from_secs(5);

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// Whoever bids the lowest price, up to this one if there is one.
    Auction {
        /// In wei of PROVE for each unit of prover gas.
        max_price: Option<u128>,
    },
    /// The network's own provers, under an agreement.
    Reserved,
}

/// The network, and who pays it.
pub struct Service {
    pub(super) url: String,
    pub(super) market: Market,
    pub(super) gas_limit: u64,
    pub(super) max_cost: u128,
    pub(super) max_orders: u32,
    pub(super) poll: Duration,
    /// Wipes itself.
    key: SigningKey,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("url", &self.url)
            .field("market", &self.market)
            .field("gas_limit", &self.gas_limit)
            .field("max_cost", &self.max_cost)
            .field("max_orders", &self.max_orders)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Service {
    /// The network at `url`, paid by the account of `key`.
    ///
    /// Errors: [`ProverError`], if the key is none, or what is said would pass in the clear.
    pub fn new(url: &str, key: &str, market: Market) -> Result<Self, ProverError> {
        if !is_private(url) {
            let reason = format!("{URL} has to begin with https://, or others see what is asked");
            return Err(ProverError::other(reason));
        }
        let key = key.trim();
        let mut bytes = Zeroizing::new([0; 32]);
        let digits = key.strip_prefix("0x").unwrap_or(key);
        let decoded = hex::decode_to_slice(digits, &mut *bytes).ok();
        let key = decoded.and_then(|()| SigningKey::from_slice(&*bytes).ok());
        let malformed = || ProverError::other(format!("{KEY} is no key: 32 bytes in hex"));
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            market,
            gas_limit: DEFAULT_GAS_LIMIT,
            max_cost: DEFAULT_MAX_COST,
            max_orders: DEFAULT_MAX_ORDERS,
            poll: POLL,
            key: key.ok_or_else(malformed)?,
        })
    }

    /// The same, asked every `poll` how far it is.
    #[must_use]
    pub const fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// The network that the environment gives the key for, if it gives one.
    ///
    /// Errors: [`ProverError`].
    pub fn from_env(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ProverError> {
        let key = match (variable(KEY), variable(KEY_FILE)) {
            (Some(key), _) => key,
            (None, Some(file)) => fs::read_to_string(&file)
                .map_err(|error| ProverError::other(format!("{file}: {error}")))?,
            (None, None) => return Ok(None),
        };
        let key = Zeroizing::new(key);
        let number = |name: &str| {
            let text = variable(name);
            let number = text.map(|it| it.trim().parse::<u128>()).transpose();
            number.map_err(|_| ProverError::other(format!("{name} is no number")))
        };
        let max_price = number(MAX_PRICE)?;
        let (market, default) = match variable(MODE).as_deref() {
            None | Some("auction") => (Market::Auction { max_price }, AUCTION_URL),
            Some("reserved") => (Market::Reserved, RESERVED_URL),
            Some(_) => {
                let reason = format!("{MODE} is neither auction nor reserved");
                return Err(ProverError::other(reason));
            }
        };
        let url = variable(URL);
        let mut service = Self::new(url.as_deref().unwrap_or(default), &key, market)?;
        if let Some(limit) = number(GAS_LIMIT)? {
            service.gas_limit = u64::try_from(limit)?;
        }
        if let Some(cost) = number(MAX_COST)? {
            service.max_cost = cost;
        }
        if let Some(orders) = number(MAX_ORDERS)? {
            service.max_orders = u32::try_from(orders)?;
        }
        Ok(Some(service))
    }

    /// Who pays.
    pub fn address(&self) -> Address {
        Address::from_private_key(&self.key)
    }

    /// Signature of EIP-191: 65 bytes, the last of them 27 or 28.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 65], ProverError> {
        let hash = eip191_hash_message(message);
        let (signature, recovery) = (self.key.sign_prehash_recoverable(hash.as_slice()))
            .map_err(|_| ProverError::other("the message cannot be signed"))?;
        let mut bytes = [27 + recovery.to_byte(); 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        Ok(bytes)
    }
}

/// Whether only the other end reads what goes to `url`.
pub(super) fn is_private(url: &str) -> bool {
    Url::parse(url).is_ok_and(|it| match it.scheme() {
        "https" => true,
        "http" => is_here(url),
        _ => false,
    })
}

/// Whether `url` is one of this machine.
pub(super) fn is_here(url: &str) -> bool {
    let is_here = |host: &str| matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(is_here))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0101010101010101010101010101010101010101010101010101010101010101";

    #[test]
    fn nothing_is_said_in_the_clear() {
        for good in [
            "https://rpc.mainnet.succinct.xyz/",
            "http://127.0.0.1:8081",
            "http://localhost/",
            "http://[::1]:1",
        ] {
            assert!(is_private(good), "{good}");
        }
        for bad in [
            "http://rpc.mainnet.succinct.xyz",
            "http://127.0.0.1.example.org",
            "http://localhost@example.org",
            "http://localhost:1@example.org",
            "ftp://localhost",
            "",
        ] {
            assert!(!is_private(bad), "{bad}");
            assert!(
                Service::new(bad, SECRET, Market::Reserved).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_environment_says_who_pays_and_how_much() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, format!("0x{SECRET}\n")).unwrap();
        let file = file.path().display().to_string();
        let from = |pairs: &[(&str, &str)]| {
            Service::from_env(|name| {
                let pair = pairs.iter().find(|(it, _)| *it == name);
                pair.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(from(&[(URL, "https://example.org")]).unwrap().is_none());
        let service = from(&[(KEY_FILE, &file)]).unwrap().unwrap();
        // The address of this key is in many wallets' tests.
        assert_eq!(
            service.address().to_string(),
            "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"
        );
        assert_eq!(service.url, "https://rpc.mainnet.succinct.xyz");
        assert_eq!(service.market, Market::Auction { max_price: None });
        assert!(!format!("{service:?}").contains("0101"), "{service:?}");
        let key = (KEY, SECRET);
        let service = from(&[key, (MODE, "reserved"), (GAS_LIMIT, "7")]);
        let service = service.unwrap().unwrap();
        assert_eq!(service.url, "https://rpc.production.succinct.xyz");
        assert_eq!((service.market, service.gas_limit), (Market::Reserved, 7));
        assert_eq!((service.max_cost, service.max_orders), (10_u128.pow(19), 3));
        let limits = [key, (MAX_COST, "5"), (MAX_ORDERS, "1")];
        let service = from(&limits).unwrap().unwrap();
        assert_eq!((service.max_cost, service.max_orders), (5, 1));
        let max_price = Some(9);
        let service = from(&[key, (MAX_PRICE, "9"), (URL, "http://[::1]:2/")]);
        let service = service.unwrap().unwrap();
        assert_eq!(service.market, Market::Auction { max_price });
        assert_eq!(service.url, "http://[::1]:2");
        for bad in [
            &[(KEY, "01")][..],
            &[(KEY, &"00".repeat(32))],
            &[(KEY_FILE, "/absent")],
            &[key, (MODE, "cheap")],
            &[key, (MAX_PRICE, "-1")],
            &[key, (GAS_LIMIT, "18446744073709551616")],
            &[key, (MAX_COST, "ten")],
            &[key, (MAX_ORDERS, "4294967296")],
            &[key, (URL, "http://example.org")],
        ] {
            let error = from(bad).unwrap_err();
            assert!(!error.source.to_string().contains("0101"));
        }
    }
}
