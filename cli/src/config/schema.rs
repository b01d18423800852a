//! What can be configured. The names are those of the file.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use alloy_primitives::{Address, BlockNumber, ChainId};
use mach_core::ports::L2Head;
use mach_node::{
    Retention,
    breaker::{Policy, WhenLost},
    http::HttpLimits,
    zk::ZkConfig,
};
use mach_prove::{BackendName, Worth};
use mach_verify::op::Settlement;
use serde::{Deserialize, Deserializer, Serialize, de};
use url::Url;

use super::{Endpoint, Ether, Size, Span, value::list};
use crate::nodes::WitnessMethod;

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) l1: L1,
    pub(crate) store: Store,
    pub(crate) operator: Operator,
    pub(crate) aggregator: Aggregator,
    pub(crate) verifier: Verifier,
    pub(crate) zk: Zk,
    pub(crate) api: Api,
    pub(crate) breaker: Breaker,
    pub(crate) top: Top,
    pub(crate) certificate: Certificate,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    #[serde(rename = "rollup")]
    pub(crate) rollups: Vec<Rollup>,
}

/// The chain that the contracts are on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct L1 {
    /// JSON-RPC endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rpc: Option<Endpoint>,
    /// A built-in deployment by name, or a deployment file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deployment: Option<String>,
    /// Instead of a deployment: where operators register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry_coordinator: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operator_state_retriever: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_manager: Option<Address>,
    /// No operator registered before this block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from_block: Option<BlockNumber>,
}

/// Where services keep what they must not forget.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// One file for each service.
    pub(crate) folder: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("data"),
        }
    }
}

/// `operator run`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Operator {
    /// Name that the node API tells.
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bls_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bls_password_file: Option<PathBuf>,
    /// Instead of a key file: a Cerberus remote signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cerberus: Option<Endpoint>,
    /// Certificate of the authority that vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cerberus_authority: Option<PathBuf>,
    /// With a remote signer: the operator's account, whose registered key is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<Address>,
    /// URLs.
    #[serde(deserialize_with = "list")]
    pub(crate) aggregators: Vec<Endpoint>,
    /// Least threshold that is accepted, in percent; the service manager's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) least_threshold: Option<u8>,
    /// Most L1 blocks that a reference block may lie behind; the service manager's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_reference_age: Option<u64>,
    /// Where verifiers of the original reach the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verifier_listen: Option<SocketAddr>,
    /// How long an attestation is sent to aggregators that have it without a certificate, or that are away.
    pub(crate) resend_for: Span,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_api: Option<SocketAddr>,
}

impl Default for Operator {
    fn default() -> Self {
        Self {
            name: "mach".to_owned(),
            bls_key: None,
            bls_password_file: None,
            cerberus: None,
            cerberus_authority: None,
            address: None,
            aggregators: Vec::new(),
            least_threshold: None,
            max_reference_age: None,
            verifier_listen: None,
            resend_for: Span(Duration::from_secs(3600)),
            node_api: None,
        }
    }
}

/// `aggregator run`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Aggregator {
    pub(crate) listen: SocketAddr,
    /// Where operators of the original reach it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) legacy_listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) legacy_grpc_listen: Option<SocketAddr>,
    /// Names that `legacy_listen` is reached under; `*` for any.
    #[serde(deserialize_with = "list")]
    pub(crate) legacy_hosts: Vec<String>,
    /// Origins of web pages that may read its answers; `*` for any.
    #[serde(deserialize_with = "list")]
    pub(crate) legacy_origins: Vec<String>,
    /// Account of the service manager's alert confirmer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) legacy_ecdsa_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) legacy_ecdsa_password_file: Option<PathBuf>,
    /// Account that pays for confirmations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ecdsa_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ecdsa_password_file: Option<PathBuf>,
    /// Instead of a key file: a Web3Signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) web3signer: Option<Endpoint>,
    /// With it: the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<Address>,
    /// Instead of a file: the database that several aggregators share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postgres: Option<Endpoint>,
    /// Certificates are tried against the contract and not sent.
    pub(crate) dry_run: bool,
    /// L1 blocks that a reference block lies behind the head.
    pub(crate) reference_margin: u32,
    pub(crate) max_rounds: usize,
    pub(crate) round_lifetime: Span,
    /// Every how many blocks an attestation goes to L1; 0 for alerts alone.
    pub(crate) confirm_every: u64,
    /// L1 blocks that a certificate is extended by late signatures.
    pub(crate) keep_rounds: u64,
    /// L1 blocks that a closed round and its certificate are kept for.
    pub(crate) keep_certificates: u64,
    /// Connections at a time, those of one address, and requests of one address in a second, at `listen` and
    /// again at `api.listen`.
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    pub(crate) requests_per_second: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl Default for Aggregator {
    fn default() -> Self {
        Self {
            // The original's sample port.
            listen: SocketAddr::from(([127, 0, 0, 1], 8290)),
            legacy_listen: None,
            legacy_grpc_listen: None,
            legacy_hosts: Vec::new(),
            legacy_origins: Vec::new(),
            legacy_ecdsa_key: None,
            legacy_ecdsa_password_file: None,
            ecdsa_key: None,
            ecdsa_password_file: None,
            web3signer: None,
            address: None,
            postgres: None,
            dry_run: false,
            reference_margin: 1,
            max_rounds: 1024,
            round_lifetime: Span(Duration::from_secs(3600)),
            confirm_every: 1,
            keep_rounds: Retention::default().rounds,
            keep_certificates: Retention::default().certificates,
            connections: HttpLimits::default().connections,
            connections_per_address: HttpLimits::default().connections_per_address,
            requests_per_second: 250,
            tls_certificate: None,
            tls_key: None,
        }
    }
}

/// `verifier run`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Verifier {
    /// Name that the node API tells; the operator's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// An operator's verifier-facing API, which alerts are reported to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_api: Option<SocketAddr>,
}

/// ZK mode, a part of `verifier run`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Zk {
    /// `MachZkServiceManager`s on L1, each about another rollup; without any there is no ZK mode.
    #[serde(deserialize_with = "list")]
    pub(crate) service_manager: Vec<Address>,
    /// Who proves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backend: Option<BackendName>,
    /// The prover's program, if it is not the backend's on the PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prover: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prover_memory: Option<Size>,
    /// Where proofs are made.
    pub(crate) folder: PathBuf,
    /// Account that pays bonds and gas; only it can hand its proofs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ecdsa_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ecdsa_password_file: Option<PathBuf>,
    /// Instead of a key file: a Web3Signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) web3signer: Option<Endpoint>,
    /// With it: the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<Address>,
    /// After how long without a step a case is told aloud.
    pub(crate) escalate_after: Span,
    /// After how long without a step it is given up.
    pub(crate) give_up_after: Span,
    /// Most alerts of each contract that wait for their proof at a time.
    pub(crate) max_bonded: usize,
    /// Most that is paid as the bond of one.
    pub(crate) max_bond: Ether,
    /// How long the prover may take for one proof.
    pub(crate) proof_within: Span,
    /// After how many failures of the prover.
    pub(crate) prover_tries: u32,
    /// After how many proofs that were not made in time.
    pub(crate) prover_hangs: u32,
    /// L1 blocks on top of a conviction after which it stands, instead of L1's finality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confirmations: Option<u64>,
    /// How long an output root is waited for that leads to a wrong block.
    pub(crate) published_within: Span,
    /// How long a case is kept once it has ended.
    pub(crate) keep_ended: Span,
}

impl Default for Zk {
    fn default() -> Self {
        let config = ZkConfig::default();
        Self {
            service_manager: Vec::new(),
            backend: None,
            prover: None,
            prover_memory: None,
            folder: PathBuf::from("proofs"),
            ecdsa_key: None,
            ecdsa_password_file: None,
            web3signer: None,
            address: None,
            escalate_after: Span(config.escalate_after),
            give_up_after: Span(config.give_up_after),
            max_bonded: config.max_bonded,
            max_bond: Ether(config.max_bond),
            proof_within: Span(config.proof_within),
            prover_tries: config.prover_tries,
            prover_hangs: config.prover_hangs,
            confirmations: None,
            published_within: Span(config.published_within),
            keep_ended: Span(config.keep_ended),
        }
    }
}

impl Zk {
    /// How often something is tried again.
    pub(crate) fn config(&self) -> ZkConfig {
        ZkConfig {
            escalate_after: self.escalate_after.0,
            give_up_after: self.give_up_after.0,
            max_bonded: self.max_bonded,
            max_bond: self.max_bond.0,
            proof_within: self.proof_within.0,
            prover_tries: self.prover_tries,
            prover_hangs: self.prover_hangs,
            published_within: self.published_within.0,
            keep_ended: self.keep_ended.0,
            ..ZkConfig::default()
        }
    }

    /// When a conviction stands.
    pub(crate) fn settlement(&self) -> Settlement {
        self.confirmations
            .map_or(Settlement::Finalized, Settlement::Depth)
    }

    /// What ZK mode would not begin with.
    pub(crate) fn wrong(&self) -> Option<&'static str> {
        if self.service_manager.is_empty() {
            return None;
        }
        Some(match self.backend {
            None => "zk.backend is not set: who proves, risc0 or sp1",
            Some(backend) if backend.worth() == Worth::NotAProof => {
                "zk.backend: it proves nothing, and every alert would lose its bond"
            }
            _ if self.ecdsa_key.is_none() && self.web3signer.is_none() => {
                "zk.ecdsa_key is not set: an account that pays, or zk.web3signer"
            }
            _ if self.ecdsa_key.is_some() && self.web3signer.is_some() => {
                "zk.ecdsa_key and zk.web3signer exclude each other"
            }
            _ if self.web3signer.is_some() && self.address.is_none() => {
                "zk.web3signer needs zk.address, its account"
            }
            _ => return None,
        })
    }
}

/// Finality for applications, served by the aggregator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// Blocks of each rollup that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_blocks: Option<NonZeroU64>,
    /// Node APIs of verifiers and operators, whose heads are shown; those of the same file by default.
    #[serde(deserialize_with = "list")]
    pub(crate) verifiers: Vec<Endpoint>,
    /// L1 blocks without an alert after which it counts as resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settle_alerts: Option<u64>,
}

/// `breaker`: its flags.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Breaker {
    /// The node behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_ws: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollup: Option<ChainId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Policy>,
    #[serde(deserialize_with = "list")]
    pub(crate) methods: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) when_lost: Option<WhenLost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost_after: Option<NonZeroU64>,
    /// Finality API of an aggregator, whose events are followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Endpoint>,
    /// Instead of `events`: the contract on L1 that is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_manager: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) poll_interval: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_l1_age: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settle_alerts: Option<u64>,
}

/// `top`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Top {
    /// Finality API that is shown; that of the same file by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<Endpoint>,
}

/// `certificate verify`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Certificate {
    /// Operators and stakes at one L1 block, instead of those that L1 has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operators: Option<PathBuf>,
}

/// Where Prometheus finds each service, at `/metrics`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aggregator: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verifier: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) breaker: Option<SocketAddr>,
}

/// Logs go to standard error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// A level, or what is shown of which part: `info,mach_node=debug`.
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// A rollup that is verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollup {
    pub(crate) chain_id: ChainId,
    /// What verifiers of the original call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) avs_name: Option<String>,
    /// JSON-RPC endpoints; of several, more than half have to agree.
    #[serde(default, deserialize_with = "list")]
    pub(crate) rpc: Vec<Endpoint>,
    /// Endpoints that have to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agree: Option<NonZeroUsize>,
    /// Requests in a second to one endpoint, which is the pace of catching up, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rpc_rate: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) witness: WitnessMethod,
    /// Of a chain that is not built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) genesis: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rollup_config: Option<PathBuf>,
    #[serde(default)]
    pub(crate) head: Head,
    /// First block; later runs go on where the one before stopped.
    #[serde(default)]
    pub(crate) start: Start,
    /// Every how many blocks a valid block is attested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attest_every: Option<NonZeroU64>,
    /// L1 endpoints that blocks are compared with.
    #[serde(default, deserialize_with = "list")]
    pub(crate) l1: Vec<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) l1_genesis: Option<PathBuf>,
    /// L1 blocks behind one that settle it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) l1_depth: Option<u64>,
    /// Blocks are derived from L1 as well.
    #[serde(default)]
    pub(crate) derive: bool,
    /// Where blobs are read that batches are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beacon: Option<Endpoint>,
    /// An op-node whose output roots are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) op_node: Option<Endpoint>,
    /// Folder for bundles of invalid blocks.
    #[serde(default = "evidence")]
    pub(crate) evidence: PathBuf,
    /// Between two looks at the head.
    #[serde(default = "poll_interval")]
    pub(crate) poll_interval: Span,
    /// Blocks that the verifier may be behind before the node API says so.
    #[serde(default = "max_lag")]
    pub(crate) max_lag: u64,
}

fn evidence() -> PathBuf {
    PathBuf::from("evidence")
}

const fn poll_interval() -> Span {
    Span(Duration::from_secs(1))
}

const fn max_lag() -> u64 {
    100
}

impl Rollup {
    /// What verifiers of the original call it: its chain id if nothing else is set.
    pub(crate) fn avs_name(&self) -> String {
        let id = || self.chain_id.to_string();
        self.avs_name.clone().unwrap_or_else(id)
    }

    /// Why its blocks cannot be derived although they are to be.
    pub(crate) const fn cannot_derive(&self) -> Option<&'static str> {
        match (self.derive, self.head) {
            (true, Head::Unsafe) => Some(
                "derive needs head = \"safe\" or \"finalized\": what is not posted to L1 follows from nothing",
            ),
            (true, _) if self.l1.is_empty() => Some("derive needs l1"),
            _ => None,
        }
    }

    /// A rollup with the defaults.
    pub(crate) fn new(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            avs_name: None,
            rpc: Vec::new(),
            agree: None,
            rpc_rate: None,
            witness: WitnessMethod::default(),
            genesis: None,
            rollup_config: None,
            head: Head::default(),
            start: Start::default(),
            attest_every: None,
            l1: Vec::new(),
            l1_genesis: None,
            l1_depth: None,
            derive: false,
            beacon: None,
            op_node: None,
            evidence: evidence(),
            poll_interval: poll_interval(),
            max_lag: max_lag(),
        }
    }
}

/// Which head is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Head {
    #[default]
    Unsafe,
    Safe,
    Finalized,
}

impl From<Head> for L2Head {
    fn from(head: Head) -> Self {
        match head {
            Head::Unsafe => Self::Unsafe,
            Head::Safe => Self::Safe,
            Head::Finalized => Self::Finalized,
        }
    }
}

/// First block of the first run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    /// The head.
    #[default]
    Latest,
    /// This one.
    At(BlockNumber),
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Latest => serializer.serialize_str("latest"),
            Self::At(number) => serializer.serialize_u64(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            At(BlockNumber),
            Named(String),
        }

        match Given::deserialize(deserializer) {
            Ok(Given::At(number)) => Ok(Self::At(number)),
            Ok(Given::Named(name)) if name == "latest" => Ok(Self::Latest),
            _ => Err(de::Error::custom("no block number, and not `latest`")),
        }
    }
}

impl Config {
    /// Where the finality API is reached: where `top` is told, or where the aggregator of this file
    /// serves it.
    pub(crate) fn finality_api(&self) -> Option<Url> {
        if let Some(api) = &self.top.api {
            return Some(api.0.clone());
        }
        // Which port is free, only the aggregator knows.
        let mut address = self.api.listen.filter(|it| it.port() != 0)?;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Url::parse(&format!("http://{address}")).ok()
    }

    /// Calls `look` with every file that has to be there, and its key.
    pub(crate) fn for_each_named_file(&mut self, mut look: impl FnMut(&str, &std::path::Path)) {
        self.for_each_path(|key, path| {
            if !key.ends_with(".folder") && !key.ends_with(".evidence") {
                look(key, path);
            }
        });
    }

    /// Calls `change` with every path and its key.
    pub(super) fn for_each_path(&mut self, mut change: impl FnMut(&str, &mut PathBuf)) {
        change("store.folder", &mut self.store.folder);
        change("zk.folder", &mut self.zk.folder);
        // A bare name is looked for on the PATH.
        if let Some(prover) = &mut self.zk.prover
            && prover.components().count() > 1
        {
            change("zk.prover", prover);
        }
        let named = [
            ("operator.bls_key", &mut self.operator.bls_key),
            (
                "operator.bls_password_file",
                &mut self.operator.bls_password_file,
            ),
            (
                "operator.cerberus_authority",
                &mut self.operator.cerberus_authority,
            ),
            (
                "aggregator.legacy_ecdsa_key",
                &mut self.aggregator.legacy_ecdsa_key,
            ),
            (
                "aggregator.legacy_ecdsa_password_file",
                &mut self.aggregator.legacy_ecdsa_password_file,
            ),
            ("aggregator.ecdsa_key", &mut self.aggregator.ecdsa_key),
            (
                "aggregator.ecdsa_password_file",
                &mut self.aggregator.ecdsa_password_file,
            ),
            (
                "aggregator.tls_certificate",
                &mut self.aggregator.tls_certificate,
            ),
            ("aggregator.tls_key", &mut self.aggregator.tls_key),
            ("certificate.operators", &mut self.certificate.operators),
            ("zk.ecdsa_key", &mut self.zk.ecdsa_key),
            ("zk.ecdsa_password_file", &mut self.zk.ecdsa_password_file),
        ];
        for (key, path) in named {
            if let Some(path) = path {
                change(key, path);
            }
        }
        if let Some(deployment) = &mut self.l1.deployment
            && crate::l1::names_a_file(deployment)
        {
            let mut path = PathBuf::from(&*deployment);
            change("l1.deployment", &mut path);
            *deployment = path.display().to_string();
        }
        for rollup in &mut self.rollups {
            let key = |name: &str| format!("rollup.{}.{name}", rollup.chain_id);
            change(&key("evidence"), &mut rollup.evidence);
            let named = [
                ("genesis", &mut rollup.genesis),
                ("rollup_config", &mut rollup.rollup_config),
                ("l1_genesis", &mut rollup.l1_genesis),
            ];
            for (name, path) in named {
                if let Some(path) = path {
                    change(&format!("rollup.{}.{name}", rollup.chain_id), path);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finality_api_is_where_top_is_told_or_where_the_file_serves_it() {
        let cases = [
            ("", None),
            (
                "[api]\nlisten = \"127.0.0.1:8080\"",
                Some("http://127.0.0.1:8080/"),
            ),
            (
                "[api]\nlisten = \"0.0.0.0:8080\"",
                Some("http://127.0.0.1:8080/"),
            ),
            ("[api]\nlisten = \"[::]:8080\"", Some("http://[::1]:8080/")),
            (
                "[api]\nlisten = \"192.0.2.1:80\"",
                Some("http://192.0.2.1/"),
            ),
            ("[api]\nlisten = \"127.0.0.1:0\"", None),
            (
                "[api]\nlisten = \"127.0.0.1:8080\"\n[top]\napi = \"https://a.example/x\"",
                Some("https://a.example/x"),
            ),
        ];
        for (file, expected) in cases {
            let config: Config = toml::from_str(file).unwrap();
            let api = config.finality_api();
            assert_eq!(api.as_ref().map(Url::as_str), expected, "{file}");
        }
    }
}
