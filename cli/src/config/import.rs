//! Files of the original MACH AVS, as a configuration of ours.
//!
//! The names and their meanings are those of its operator, aggregator, proxy and verifier.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    net::SocketAddr,
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::{Address, ChainId};
use eyre::{WrapErr, bail};
use serde_json::Value;
use url::Url;

use super::{Config, Endpoint, LogFormat, Rollup, Span, layers::read};
use crate::init::Role;

/// What came of it.
pub(crate) struct Imported {
    pub(crate) config: Config,
    pub(crate) role: Role,
    /// What has no counterpart, and what is different.
    pub(crate) notes: Vec<String>,
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Operator,
    Aggregator,
    Proxy,
    Avs,
    Verifier,
}

/// Reads the original's files, several as one configuration.
///
/// Errors: a file cannot be read, or is none of the original's.
pub(crate) fn import(files: &[PathBuf], chain_id: Option<ChainId>) -> eyre::Result<Imported> {
    let mut importer = Importer::default();
    let mut verifiers = Vec::new();
    for path in files {
        let value = parse(path).wrap_err_with(|| path.display().to_string())?;
        importer.file = path.display().to_string();
        let kind = kind(&value);
        let Some(kind) = kind else {
            bail!("{} is none of the original's files", path.display());
        };
        importer.kinds.push(kind);
        match kind {
            Kind::Operator | Kind::Aggregator => importer.node(kind, &value)?,
            Kind::Proxy => importer.proxy(&value)?,
            Kind::Avs => importer.avs(&value)?,
            Kind::Verifier => verifiers.push((path, value)),
        }
    }
    // They do not say which rollup they are about: the others may.
    let mut about = BTreeMap::new();
    for (path, value) in verifiers {
        importer.file = path.display().to_string();
        let id = importer.about(path, chain_id)?;
        if let Some(other) = about.insert(id, path) {
            bail!(
                "{} and {} are both about rollup {id}: {IN_FOLDERS}",
                other.display(),
                path.display()
            );
        }
        importer.verifier(&value, id)?;
    }
    let kinds = &importer.kinds;
    let role = if kinds.iter().all(|kind| *kind == Kind::Aggregator) {
        Role::Aggregator
    } else if kinds.iter().all(|kind| *kind == Kind::Verifier) {
        Role::Verifier
    } else if kinds.contains(&Kind::Aggregator) {
        Role::All
    } else {
        Role::Operator
    };
    Ok(Imported {
        config: importer.config,
        role,
        notes: importer.notes,
    })
}

/// How several files are about several rollups.
const IN_FOLDERS: &str = "without --chain-id, each is about the rollup whose name in \
                          operator_proxy.yaml is that of its folder";

fn parse(path: &Path) -> eyre::Result<Value> {
    let text = read(path)?;
    let extension = path.extension().and_then(|it| it.to_str());
    Ok(match extension {
        Some("yaml" | "yml") => serde_yaml_ng::from_str(&text)?,
        Some("toml") => serde_json::to_value(toml::from_str::<toml::Table>(&text)?)?,
        Some("json") => serde_json::from_str(&text)?,
        _ => environment(&text),
    })
}

/// Lines of `NAME=value`, with the keys that the original's YAML has for them.
fn environment(text: &str) -> Value {
    let mut values = serde_json::Map::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("export ");
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let value = value.trim().trim_matches(|it| it == '\'' || it == '"');
        let key = match name.trim() {
            "ECDSA_PRIVATE_KEY_PATH" => "ecdsa_private_key_store_path",
            "BLS_PRIVATE_KEY_PATH" | "NODE_BLS_KEY_FILE_HOST" => "bls_private_key_store_path",
            "AGGREGATOR_SERVER_URL" => "aggregator_server_ip_port_address",
            "AGGREGATOR_GRPC_SERVER_URL" => "aggregator_grpc_server_ip_port_address",
            "AGGREGATOR_JSONRPC_SERVER_URL" => "aggregator_jsonrpc_server_ip_port_address",
            "EIGEN_METRICS_URL" => "eigen_metrics_ip_port_address",
            "NODE_API_URL" => "node_api_ip_port_address",
            "OPERATOR_SERVER_URL" => "operator_server_ip_port_addr",
            "OPERATOR_PRODUCTION" => "production",
            "OPERATOR_ECDSA_ADDRESS" => "operator_ecdsa_address",
            "AVS_REGISTRY_COORDINATOR_ADDRESS" => "avs_registry_coordinator_address",
            "OPERATOR_STATE_RETRIEVER_ADDRESS" => "operator_state_retriever_address",
            "SERVICE_MANAGER_ADDRESS" => "service_manager_address",
            "RUST_LOG" => "log_level",
            "ETH_RPC_URL"
            | "ETH_WS_URL"
            | "ENABLE_METRICS"
            | "ENABLE_NODE_API"
            | "METADATA_URI"
            | "OPERATOR_SOCKET"
            | "LAYER1_CHAIN_ID"
            | "LAYER2_CHAIN_ID"
            | "ECDSA_PRIVATE_KEY"
            | "OPERATOR_BLS_KEY_PASSWORD"
            | "OPERATOR_ECDSA_KEY_PASSWORD" => &name.trim().to_lowercase(),
            // Of the containers.
            _ => continue,
        };
        // In the order of the file, a later one counts.
        if !value.is_empty() && !value.contains("${") {
            values.insert(key.to_owned(), Value::String(value.to_owned()));
        }
    }
    values.insert("environment_file".to_owned(), Value::Bool(true));
    Value::Object(values)
}

fn kind(value: &Value) -> Option<Kind> {
    if value.is_array() {
        return Some(Kind::Avs);
    }
    let has = |key: &str| value.get(key).is_some();
    let any = |keys: &[&str]| keys.iter().any(|key| has(key));
    if any(&["collector", "fetcher", "validator", "scheduler", "alerter"]) {
        Some(Kind::Verifier)
    } else if any(&["generic_operator_addr", "rpc_cfg", "work_proofs_mod"]) {
        Some(Kind::Proxy)
    } else if any(&["quorum_nums", "rpc_vhosts", "rpc_cors"])
        || (has("aggregator_server_ip_port_address") && !any(&OPERATOR) && !has("environment_file"))
    {
        Some(Kind::Aggregator)
    } else if any(&OPERATOR) || any(&["eth_rpc_url", "environment_file"]) {
        Some(Kind::Operator)
    } else {
        None
    }
}

/// Keys that only an operator has.
const OPERATOR: [&str; 4] = [
    "bls_private_key_store_path",
    "operator_ecdsa_address",
    "operator_server_ip_port_addr",
    "node_api_ip_port_address",
];

#[derive(Default)]
struct Importer {
    config: Config,
    kinds: Vec<Kind>,
    notes: Vec<String>,
    file: String,
}

impl Importer {
    fn note(&mut self, key: &str, what: &str) {
        self.notes.push(format!("{}: {key}: {what}", self.file));
    }

    /// Of the operator or the aggregator: YAML and environment have the same names.
    fn node(&mut self, kind: Kind, value: &Value) -> eyre::Result<()> {
        let Some(values) = value.as_object() else {
            bail!("{} is no table", self.file);
        };
        let is_on = |key: &str| values.get(key).is_none_or(|it| text(it) == "true");
        for (key, given) in values {
            let value = text(given);
            if value.is_empty() {
                continue;
            }
            let set = |error: eyre::Report| error.wrap_err(key.clone());
            match key.as_str() {
                "eth_rpc_url" => self.config.l1.rpc = Some(endpoint(&value).map_err(set)?),
                "avs_registry_coordinator_address" => {
                    self.config.l1.registry_coordinator = Some(value.parse()?);
                }
                "operator_state_retriever_address" => {
                    self.config.l1.operator_state_retriever = Some(value.parse()?);
                }
                "service_manager_address" => {
                    self.config.l1.service_manager = Some(value.parse()?);
                }
                "layer2_chain_id" => {
                    self.rollup(value.parse()?);
                }
                "layer1_chain_id" => self.note(key, "not needed, L1 is asked"),
                "eth_ws_url" => self.note(key, "not needed, nothing is subscribed to"),
                "bls_private_key_store_path" => {
                    self.config.operator.bls_key = Some(PathBuf::from(value));
                }
                "ecdsa_private_key_store_path" if kind == Kind::Operator => self.note(
                    key,
                    "only registration needs it: mach-cli opt-in --ecdsa-key",
                ),
                "aggregator_jsonrpc_server_ip_port_address" if kind == Kind::Operator => {
                    let aggregator = endpoint(&value).map_err(set)?;
                    self.config.operator.aggregators = vec![aggregator];
                    self.note(key, "has to be an aggregator of mach");
                }
                "aggregator_jsonrpc_server_ip_port_address" => {
                    self.config.aggregator.listen = address(&value).map_err(set)?;
                }
                "aggregator_server_ip_port_address" | "aggregator_grpc_server_ip_port_address" => {
                    self.note(key, "not needed, operators and aggregator speak JSON-RPC");
                }
                "eigen_metrics_ip_port_address" if is_on("enable_metrics") => {
                    self.config.metrics.operator = Some(address(&value).map_err(set)?);
                }
                "node_api_ip_port_address" if is_on("enable_node_api") => {
                    self.config.operator.node_api = Some(address(&value).map_err(set)?);
                }
                "production" if value == "true" => self.config.log.format = LogFormat::Json,
                "environment" if value == "production" => {
                    self.config.log.format = LogFormat::Json;
                }
                "log_level" => self.config.log.level = value,
                "operator_ecdsa_address" => {
                    self.note(key, "not needed, the BLS key says who the operator is");
                }
                "operator_server_ip_port_addr" => {
                    self.config.operator.verifier_listen = Some(address(&value).map_err(set)?);
                    self.note(
                        key,
                        "only for verifiers of the original: the operator verifies itself",
                    );
                }
                "metadata_uri" => self.note(key, "mach-cli eigenlayer register --metadata-uri"),
                "operator_socket" => self.note(key, "mach-cli opt-in --socket"),
                "quorum_nums" => self.note(key, "not needed, the service manager is asked"),
                "rpc_vhosts" => {
                    self.config.aggregator.legacy_hosts = list(given);
                    self.note(key, "counts for aggregator.legacy_listen");
                }
                "rpc_cors" => {
                    self.config.aggregator.legacy_origins = list(given);
                    self.note(key, "counts for aggregator.legacy_listen");
                }
                "ecdsa_private_key" => self.note(
                    key,
                    "a key is never in a variable: mach-cli keys import, then aggregator.ecdsa_key",
                ),
                "operator_bls_key_password" | "operator_ecdsa_key_password" => self.note(
                    &key.to_uppercase(),
                    "is read from the environment under the same name",
                ),
                "enable_metrics"
                | "enable_node_api"
                | "environment"
                | "production"
                | "environment_file"
                | "eigen_metrics_ip_port_address"
                | "node_api_ip_port_address" => {}
                _ => self.note(key, "is not known"),
            }
        }
        Ok(())
    }

    fn proxy(&mut self, value: &Value) -> eyre::Result<()> {
        for (key, what) in [
            ("method", "not needed"),
            (
                "generic_operator_addr",
                "not needed, one process does it all",
            ),
            (
                "rpc_cfg",
                "verifiers need no proxy: the operator verifies in its own process",
            ),
            ("avs_name", "not needed, a rollup has its chain id"),
        ] {
            if value.get(key).is_some() {
                self.note(key, what);
            }
        }
        if let Some(url) = value.get("eth_rpc_url") {
            self.config.l1.rpc = Some(endpoint(&text(url))?);
        }
        let chains = value.get("chain_ids").and_then(Value::as_object);
        for (avs, id) in chains.into_iter().flatten() {
            let Some(id) = id.as_u64() else {
                bail!("chain_ids.{avs} is no chain id");
            };
            let every = value.get("work_proofs_mod").and_then(|it| it.get(avs));
            let every = every.and_then(Value::as_u64).and_then(NonZeroU64::new);
            let rollup = self.rollup(id);
            rollup.avs_name = Some(avs.clone());
            if every.is_some() {
                rollup.attest_every = every;
                let what = "an attestation takes the place of a work proof";
                self.note(&format!("work_proofs_mod.{avs}"), what);
            }
        }
        Ok(())
    }

    fn avs(&mut self, value: &Value) -> eyre::Result<()> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let [first, others @ ..] = list else {
            bail!("{} names no AVS", self.file);
        };
        let ours = contracts(first)?;
        let l1 = &mut self.config.l1;
        let [coordinator, retriever, manager] = ours;
        l1.registry_coordinator = coordinator.or(l1.registry_coordinator);
        l1.operator_state_retriever = retriever.or(l1.operator_state_retriever);
        l1.service_manager = manager.or(l1.service_manager);
        for key in [
            "methods",
            "abi_path",
            "aggregator_state_retriever_abi_path",
            "operator_configs_path",
        ] {
            if first.get(key).is_some() {
                self.note(key, "not needed, the contracts are asked");
            }
        }
        for other in others {
            // Rollups of one service manager are in one file, and so in one store.
            if contracts(other)? != ours {
                let name = other.get("avs_name").map(text).unwrap_or_default();
                let what = "another service manager needs a configuration file of its own";
                self.note(&name, what);
            }
        }
        Ok(())
    }

    /// The rollup that a mach-config.toml is about: the one that is given, or has the name of the file's
    /// folder, or is the only one.
    fn about(&self, path: &Path, given: Option<ChainId>) -> eyre::Result<ChainId> {
        if let Some(id) = given {
            return Ok(id);
        }
        let path = std::path::absolute(path)?;
        let folder = path.parent().and_then(Path::file_name);
        let is_named = |rollup: &&Rollup| {
            let name = rollup.avs_name.as_deref().map(OsStr::new);
            name.is_some() && name == folder
        };
        let rollups = self.config.rollups.as_slice();
        match (rollups.iter().find(is_named), rollups) {
            (Some(rollup), _) | (None, [rollup]) => Ok(rollup.chain_id),
            _ => bail!(
                "{} does not say which rollup it is about: give --chain-id; {IN_FOLDERS}",
                self.file
            ),
        }
    }

    fn verifier(&mut self, value: &Value, id: ChainId) -> eyre::Result<()> {
        let get = |section: &str, key: &str| value.get(section)?.get(key);
        let number = |section: &str, key: &str| get(section, key).and_then(Value::as_u64);
        let is_on = |section: &str, key: &str| get(section, key).and_then(Value::as_bool);
        let node = get("collector", "url").or(get("fetcher", "url"));
        let interval = number("collector", "interval_ms").or(number("fetcher", "interval_ms"));
        let rpc = node.map(|url| endpoint(&text(url))).transpose()?;
        let rollup = self.rollup(id);
        rollup.rpc = rpc.into_iter().collect();
        if let Some(interval) = interval {
            rollup.poll_interval = Span(Duration::from_millis(interval));
        }
        let operator = get("operator", "url").or(get("alerter", "url"));
        let reports = is_on("operator", "enable").or(is_on("alerter", "enable"));
        if let Some(url) = operator.filter(|_| reports.unwrap_or(false)) {
            self.config.verifier.operator = Some(endpoint(&text(url))?);
        }
        if value.get("prometheus").is_some() {
            let port = number("prometheus", "port").unwrap_or(9094);
            let host = match is_on("prometheus", "external") {
                Some(true) => [0, 0, 0, 0],
                _ => [127, 0, 0, 1],
            };
            let port = u16::try_from(port).wrap_err("prometheus.port")?;
            self.config.metrics.verifier = Some(SocketAddr::from((host, port)));
        }
        if let Some(mode) = get("validator", "mode") {
            let what = format!(
                "`{}`: every block is validated here, and the result counts",
                text(mode)
            );
            self.note("validator.mode", &what);
        }
        if number("scheduler", "verify_block_interval").is_some_and(|every| every > 1) {
            self.note(
                "scheduler.verify_block_interval",
                "every block is verified here",
            );
        }
        for (section, key) in [
            ("validator", "url"),
            ("validator", "rpc_rate_ms"),
            ("collector", "max_fetcher"),
            ("scheduler", "verify_timeout_ms"),
            ("scheduler", "retry_wait_timout_ms"),
            ("l1-fetcher", "l1_bridge_address"),
        ] {
            if get(section, key).is_some() {
                self.note(&format!("{section}.{key}"), "has no counterpart");
            }
        }
        Ok(())
    }

    /// The rollup with this id, a new one if need be.
    fn rollup(&mut self, id: ChainId) -> &mut Rollup {
        let rollups = &mut self.config.rollups;
        let position = rollups.iter().position(|it| it.chain_id == id);
        let position = position.unwrap_or_else(|| {
            rollups.push(Rollup::new(id));
            rollups.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "it was found or pushed")]
        &mut rollups[position]
    }
}

/// Registry coordinator, operator state retriever and service manager of an AVS.
fn contracts(avs: &Value) -> eyre::Result<[Option<Address>; 3]> {
    let get = |key: &str| {
        let text = avs.get(key).map(text).filter(|it| !it.is_empty());
        text.map(|it| it.parse().wrap_err(key.to_owned()))
            .transpose()
    };
    let manager = get("avs_contract_address")?;
    Ok([
        get("avs_registry_coordinator_address")?,
        get("operator_state_retriever_address")?,
        manager.or(get("aggregator_state_retriever_address")?),
    ])
}

/// Texts, of a list or one alone.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A URL, also one without its scheme.
fn endpoint(text: &str) -> eyre::Result<Endpoint> {
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // It may hold a key, and stands in no error.
    let url = Url::parse(&text).map_err(|error| eyre::eyre!("no URL: {error}"))?;
    Ok(Endpoint(url))
}

/// An address to listen on, also one without host.
fn address(text: &str) -> eyre::Result<SocketAddr> {
    let text = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.replace("localhost", "127.0.0.1"),
    };
    text.parse()
        .wrap_err_with(|| format!("{text} is no address"))
}
