//! The text of a configuration file.

use toml::{Table, Value};

use super::Role;
use crate::config::{Config, Endpoint, Rollup};

/// Key, what it is, an example. This is the reference of the configuration.
const KEYS: &[(&str, &str, &str)] = &[
    (
        "l1.rpc",
        "JSON-RPC endpoint of the chain that the contracts are on",
        "\"http://localhost:8545\"",
    ),
    (
        "l1.deployment",
        "A built-in deployment by name, or a deployment file",
        "\"altlayer\"",
    ),
    (
        "l1.registry_coordinator",
        "Instead of a deployment: where operators register",
        "\"0x…\"",
    ),
    (
        "l1.operator_state_retriever",
        "Instead of a deployment: the reads that clients need",
        "\"0x…\"",
    ),
    (
        "l1.service_manager",
        "If it is not the registry coordinator's own",
        "\"0x…\"",
    ),
    (
        "l1.from_block",
        "No operator registered before this block: saves reading the events of years",
        "19426587",
    ),
    (
        "store.folder",
        "Folder for what services must not forget, one file for each",
        "\"data\"",
    ),
    ("operator.name", "Name that the node API tells", "\"mach\""),
    (
        "operator.bls_key",
        "Key file of the BLS key",
        "\"operator.bls.json\"",
    ),
    (
        "operator.bls_password_file",
        "File with its password; else the environment's OPERATOR_BLS_KEY_PASSWORD, else a prompt",
        "\"password.txt\"",
    ),
    (
        "operator.cerberus",
        "Instead of bls_key: a Cerberus remote signer; its API key comes from CERBERUS_API_KEY",
        "\"https://signer.example:50051\"",
    ),
    (
        "operator.cerberus_authority",
        "Certificate of the authority that vouches for it, in PEM; by default the system's",
        "\"ca.pem\"",
    ),
    (
        "operator.address",
        "With a remote signer: the operator's account, whose registered key signs",
        "\"0x…\"",
    ),
    (
        "operator.aggregators",
        "Aggregators that signatures go to",
        "[\"http://127.0.0.1:8290\"]",
    ),
    (
        "operator.least_threshold",
        "Least threshold of a round that is signed, in percent; by default the contract's",
        "66",
    ),
    (
        "operator.max_reference_age",
        "Most L1 blocks that a round's reference block may lie behind; by default the contract's",
        "300",
    ),
    (
        "operator.verifier_listen",
        "Where verifiers of the original MACH AVS reach the operator; what they say is verified before it is signed",
        "\"127.0.0.1:8901\"",
    ),
    (
        "operator.resend_for",
        "How long an attestation is sent to aggregators that have it without a certificate, or that are away while another has it",
        "\"1h\"",
    ),
    (
        "operator.node_api",
        "Where EigenLayer's node API is served",
        "\"127.0.0.1:9091\"",
    ),
    (
        "aggregator.listen",
        "Where operators reach the aggregator",
        "\"127.0.0.1:8290\"",
    ),
    (
        "aggregator.legacy_listen",
        "Where operators of the original MACH AVS reach it: what they sign binds no contract, and their requests are not authenticated",
        "\"127.0.0.1:8291\"",
    ),
    (
        "aggregator.legacy_grpc_listen",
        "The same over gRPC",
        "\"127.0.0.1:8191\"",
    ),
    (
        "aggregator.legacy_hosts",
        "Names that legacy_listen is reached under, the original's rpc_vhosts: requests to any other name get 403, unless \"*\" is one; an IP address is always permitted",
        "[\"aggregator.example\"]",
    ),
    (
        "aggregator.legacy_origins",
        "Web pages that may read what it answers, the original's rpc_cors; \"*\" for all",
        "[\"https://app.example\"]",
    ),
    (
        "aggregator.legacy_ecdsa_key",
        "Key file of the service manager's alert confirmer, who sends their alerts; another account than ecdsa_key",
        "\"confirmer.ecdsa.json\"",
    ),
    (
        "aggregator.legacy_ecdsa_password_file",
        "File with its password",
        "\"password.txt\"",
    ),
    (
        "aggregator.ecdsa_key",
        "Key file of the account that pays for confirmations",
        "\"aggregator.ecdsa.json\"",
    ),
    (
        "aggregator.ecdsa_password_file",
        "File with its password; else the environment's OPERATOR_ECDSA_KEY_PASSWORD, else a prompt",
        "\"password.txt\"",
    ),
    (
        "aggregator.web3signer",
        "Instead of ecdsa_key: a Web3Signer, or whatever else answers eth_signTransaction",
        "\"http://localhost:9000\"",
    ),
    (
        "aggregator.address",
        "With it: the account, whose key it has",
        "\"0x…\"",
    ),
    (
        "aggregator.postgres",
        "Instead of a file: the database that several aggregators share, one of which leads; its password comes from PGPASSWORD or ~/.pgpass",
        "\"postgres://mach@localhost/mach\"",
    ),
    (
        "aggregator.dry_run",
        "Certificates are tried against the contract and not sent",
        "true",
    ),
    (
        "aggregator.reference_margin",
        "L1 blocks that a reference block lies behind the head: reorganisations up to that change nothing",
        "1",
    ),
    ("aggregator.max_rounds", "Most rounds at a time", "1024"),
    (
        "aggregator.round_lifetime",
        "How long signatures of an attestation are taken, and its certificate is brought to L1; alerts go on until L1 has them",
        "\"1h\"",
    ),
    (
        "aggregator.confirm_every",
        "Of attestations, those of every so many blocks go to L1, where their ancestors are known with them; 0 for alerts alone",
        "1",
    ),
    (
        "aggregator.keep_rounds",
        "L1 blocks that late signatures extend the certificate of an attestation, after its confirmation",
        "7200",
    ),
    (
        "aggregator.keep_certificates",
        "L1 blocks that its round and its certificate are kept for; alerts are kept for ever",
        "216000",
    ),
    (
        "aggregator.connections",
        "Most connections at a time, at listen, where each operator keeps one, and as many at api.listen. More of them take a higher limit of open files (ulimit -n)",
        "1024",
    ),
    (
        "aggregator.connections_per_address",
        "Most of them from one address, at each of the two; behind a reverse proxy, which is one, as many as of all",
        "256",
    ),
    (
        "aggregator.requests_per_second",
        "How often one address may ask, at each of the two, and four times as often at once after a pause; 0 for no bound, where a reverse proxy sees to it",
        "250",
    ),
    (
        "aggregator.tls_certificate",
        "Certificate chain in PEM, to serve TLS at listen; api.listen has none, and takes a reverse proxy for it",
        "\"cert.pem\"",
    ),
    ("aggregator.tls_key", "Its key in PEM", "\"key.pem\""),
    (
        "verifier.name",
        "Name that the node API tells; the operator's by default",
        "\"verifier\"",
    ),
    (
        "verifier.operator",
        "Verifier-facing API of an operator, which alerts are reported to",
        "\"http://127.0.0.1:8901\"",
    ),
    (
        "verifier.node_api",
        "Where EigenLayer's node API is served",
        "\"127.0.0.1:9095\"",
    ),
    (
        "zk.service_manager",
        "MachZkServiceManager on L1, one or a list: with it the verifier shows wrong blocks to that contract, with proofs; each is about another of the rollups below",
        "\"0x…\"",
    ),
    (
        "zk.backend",
        "Who proves: risc0 or sp1, set up to wrap proofs for the EVM; openvm's own proofs are not for a contract",
        "\"risc0\"",
    ),
    (
        "zk.prover",
        "The prover's program; by default mach-prover-BACKEND on the PATH",
        "\"mach-prover-risc0\"",
    ),
    (
        "zk.prover_memory",
        "Memory that the prover may take",
        "\"16GiB\"",
    ),
    ("zk.folder", "Folder where proofs are made", "\"proofs\""),
    (
        "zk.ecdsa_key",
        "Key file of the account that pays bonds and hands proofs in; the bond of what is proved comes back to it",
        "\"zk.ecdsa.json\"",
    ),
    (
        "zk.ecdsa_password_file",
        "File with its password; else the environment's OPERATOR_ECDSA_KEY_PASSWORD, else a prompt",
        "\"password.txt\"",
    ),
    (
        "zk.web3signer",
        "Instead of ecdsa_key: a Web3Signer, or whatever else answers eth_signTransaction",
        "\"http://localhost:9000\"",
    ),
    (
        "zk.address",
        "With it: the account, whose key it has",
        "\"0x…\"",
    ),
    (
        "zk.escalate_after",
        "After how long without a step a case is told aloud: in the log, mach_zk_stuck_cases and the node API",
        "\"10m\"",
    ),
    (
        "zk.give_up_after",
        "After how long without a step it is given up",
        "\"30d\"",
    ),
    (
        "zk.max_bonded",
        "Most alerts of each contract that wait for their proof at a time, each with a bond; the oldest come first",
        "4",
    ),
    (
        "zk.max_bond",
        "Most that is paid as the bond of one alert; what costs more waits and is told aloud",
        "\"1 ether\"",
    ),
    (
        "zk.proof_within",
        "How long the prover may take for one proof before it is stopped",
        "\"1d\"",
    ),
    (
        "zk.prover_tries",
        "After how many failures of the prover it is given up; a restart tries again",
        "100",
    ),
    (
        "zk.prover_hangs",
        "After how many proofs that were not made in time",
        "3",
    ),
    (
        "zk.confirmations",
        "L1 blocks on top of a conviction after which the case ends; without it, once L1 has finalized it",
        "64",
    ),
    (
        "zk.published_within",
        "How long an output root or dispute game is waited for that leads to a block that was shown to be wrong",
        "\"30d\"",
    ),
    (
        "zk.keep_ended",
        "How long a case is kept once nothing is left to do",
        "\"30d\"",
    ),
    (
        "api.listen",
        "Where the aggregator serves finality, as REST under /v1 and as JSON-RPC, and the dashboard",
        "\"127.0.0.1:8080\"",
    ),
    (
        "api.keep_blocks",
        "Blocks of each rollup that can be asked for, with their transactions and certificates; alerts that stand are kept for ever",
        "43200",
    ),
    (
        "api.verifiers",
        "Node APIs of verifiers and operators whose verified heads are shown; by default those of this file",
        "[\"http://127.0.0.1:9091\"]",
    ),
    (
        "api.settle_alerts",
        "L1 blocks without an alert after which it is resolved; until then a reorganisation of L1 may bring it back",
        "64",
    ),
    (
        "breaker.upstream",
        "The node behind it, over HTTP",
        "\"http://localhost:9545\"",
    ),
    (
        "breaker.upstream_ws",
        "The same over WebSocket; by default where upstream is",
        "\"ws://localhost:9546\"",
    ),
    ("breaker.rollup", "EIP-155 id of the rollup", "10"),
    (
        "breaker.listen",
        "Where applications reach the rollup through the circuit breaker",
        "\"127.0.0.1:8645\"",
    ),
    (
        "breaker.policy",
        "What is done while an alert stands: refuse-writes, pin-latest or refuse-all",
        "\"refuse-writes\"",
    ),
    (
        "breaker.methods",
        "What a method has instead: serve, refuse or pin",
        "[\"trace_*=refuse\"]",
    ),
    (
        "breaker.when_lost",
        "What is done while alerts are not known: open, closed-for-writes or closed",
        "\"closed-for-writes\"",
    ),
    (
        "breaker.lost_after",
        "Seconds after which alerts that are not heard of count as not known",
        "30",
    ),
    (
        "breaker.events",
        "Finality API of an aggregator, whose events are followed",
        "\"http://127.0.0.1:8080\"",
    ),
    (
        "breaker.service_manager",
        "Instead of events: the service manager on L1, which is looked at",
        "\"0x…\"",
    ),
    (
        "breaker.poll_interval",
        "Milliseconds between two looks at L1",
        "2000",
    ),
    (
        "breaker.max_l1_age",
        "Seconds that the newest L1 block may be old",
        "600",
    ),
    (
        "breaker.settle_alerts",
        "L1 blocks without an alert after which it is gone; with events, the aggregator's api.settle_alerts counts",
        "64",
    ),
    (
        "top.api",
        "Finality API of an aggregator, which is shown; by default that of this file, at api.listen",
        "\"http://127.0.0.1:8080\"",
    ),
    (
        "certificate.operators",
        "Operators and stakes at the reference block, in a file of mach-cli certificate operators: no L1 node is asked then",
        "\"operators.json\"",
    ),
    (
        "metrics.operator",
        "Where Prometheus finds the operator, at /metrics",
        "\"127.0.0.1:9092\"",
    ),
    (
        "metrics.aggregator",
        "Where Prometheus finds the aggregator, at /metrics",
        "\"127.0.0.1:9093\"",
    ),
    (
        "metrics.verifier",
        "Where Prometheus finds the verifier, at /metrics",
        "\"127.0.0.1:9094\"",
    ),
    (
        "metrics.breaker",
        "Where Prometheus finds the breaker, at /metrics",
        "\"127.0.0.1:9096\"",
    ),
    (
        "log.level",
        "error, warn, info, debug, trace, or of which part what: info,mach_node=debug",
        "\"info\"",
    ),
    ("log.format", "pretty or json", "\"json\""),
    ("rollup.chain_id", "EIP-155 id of the rollup", "10"),
    (
        "rollup.avs_name",
        "What verifiers of the original call it, as in the path /NAME; by default the chain id",
        "\"optimism\"",
    ),
    (
        "rollup.rpc",
        "JSON-RPC endpoints; of several, more than half have to agree",
        "[\"http://localhost:9545\"]",
    ),
    (
        "rollup.agree",
        "Endpoints that have to agree, if it is not more than half",
        "2",
    ),
    (
        "rollup.rpc_rate",
        "Requests in a second to one endpoint: the pace of catching up, too",
        "50",
    ),
    (
        "rollup.witness",
        "Where witnesses come from: auto, debug (debug_executionWitness), proofs (eth_getProof)",
        "\"auto\"",
    ),
    (
        "rollup.genesis",
        "Genesis file (geth or op-geth) of a chain that is not built in",
        "\"genesis.json\"",
    ),
    (
        "rollup.rollup_config",
        "Or its rollup.json of op-node",
        "\"rollup.json\"",
    ),
    (
        "rollup.head",
        "Which head is followed: unsafe, safe or finalized",
        "\"unsafe\"",
    ),
    (
        "rollup.start",
        "First block, or latest for the head; later runs go on where the last stopped, unless this is changed",
        "\"latest\"",
    ),
    (
        "rollup.attest_every",
        "Every how many blocks a valid block is attested; without it only alerts are signed",
        "100",
    ),
    (
        "rollup.l1",
        "L1 endpoints that blocks are compared with: deposits, attributes, configuration, drift",
        "[\"http://localhost:8545\"]",
    ),
    (
        "rollup.l1_genesis",
        "Genesis file of an L1 that is not built in",
        "\"l1-genesis.json\"",
    ),
    (
        "rollup.l1_depth",
        "L1 blocks behind one that settle it, so that it accuses; by default L1 finalizes it",
        "64",
    ),
    (
        "rollup.derive",
        "Blocks are derived from L1 as well, so that what is attested follows from what was posted; needs l1, and head safe or finalized",
        "true",
    ),
    (
        "rollup.beacon",
        "Beacon node whose blobs the batches are in",
        "\"http://localhost:5052\"",
    ),
    (
        "rollup.op_node",
        "An op-node whose output roots are compared",
        "\"http://localhost:7545\"",
    ),
    (
        "rollup.evidence",
        "Folder for a bundle of every invalid block",
        "\"evidence\"",
    ),
    (
        "rollup.poll_interval",
        "Between two looks at the head",
        "\"1s\"",
    ),
    (
        "rollup.max_lag",
        "Blocks behind the head from which the node API says that the verifier is catching up",
        "100",
    ),
];

/// What a section is about.
const SECTIONS: [(&str, &str); 12] = [
    ("l1", "The L1 that the contracts are on."),
    ("store", "What services must not forget."),
    ("operator", "mach-cli operator run"),
    ("aggregator", "mach-cli aggregator run"),
    ("verifier", "mach-cli verifier run"),
    (
        "zk",
        "ZK mode, a part of mach-cli verifier run: on once service_manager is set.",
    ),
    ("api", "Finality for applications."),
    ("breaker", "mach-cli breaker"),
    ("top", "mach-cli top"),
    (
        "certificate",
        "mach-cli certificate verify, which asks the contracts in l1 who the operators are.",
    ),
    ("metrics", "Prometheus."),
    (
        "log",
        "Logs go to standard error; RUST_LOG beats the level.",
    ),
];

const HEAD: &str = "\
# Configuration of mach's services. A value is beaten by its environment twin (l1.rpc by MACH_L1_RPC,
# start of rollup 10 by MACH_ROLLUP_10_START), and that by --set l1.rpc=...
# Passwords never stand here: they come from files, the environment or a prompt.
# Paths are looked for beside this file. mach-cli config check says what is wrong with it.
";

impl Role {
    fn needs(self, section: &str) -> bool {
        let own: &[&str] = match self {
            Self::All => return true,
            Self::Operator => &["operator", "log", "rollup"],
            Self::Aggregator => &["aggregator", "api", "log", "rollup"],
            Self::Verifier => &["verifier", "zk", "log", "rollup"],
            Self::Breaker => &["breaker"],
        };
        let everybodys = ["l1", "store", "metrics", "top", "certificate"];
        own.contains(&section) || everybodys.contains(&section)
    }

    /// Keys of a section for several services that are somebody else's.
    fn is_others(self, key: &str) -> bool {
        let mine = match self {
            Self::All => return false,
            Self::Breaker => "metrics.breaker",
            Self::Operator => "metrics.operator",
            Self::Aggregator => "metrics.aggregator",
            Self::Verifier => "metrics.verifier",
        };
        key.starts_with("metrics.") && key != mine
    }
}

/// A file that means `config`: what is not set, or is as it is without being set, stands there as a
/// comment.
pub(crate) fn document(config: &Config, role: Role) -> String {
    let mut text = HEAD.to_owned();
    let (values, defaults) = (table(config), table(&Config::default()));
    for (section, about) in SECTIONS {
        if !role.needs(section) {
            continue;
        }
        text.push_str(&format!("\n# {about}\n[{section}]\n"));
        let of = |table: &Table| table.get(section).and_then(Value::as_table).cloned();
        let (set, unset) = (
            of(&values).unwrap_or_default(),
            of(&defaults).unwrap_or_default(),
        );
        keys(&mut text, role, section, &set, &unset);
    }
    if !role.needs("rollup") {
        return text;
    }
    let unset = rollup_table(&Rollup::new(0));
    text.push_str("\n# A rollup; there may be several.\n");
    for rollup in &config.rollups {
        text.push_str("[[rollup]]\n");
        keys(&mut text, role, "rollup", &rollup_table(rollup), &unset);
        text.push('\n');
    }
    if config.rollups.is_empty() {
        text.push_str("# [[rollup]]\n");
        keys(&mut text, role, "rollup", &Table::new(), &Table::new());
    }
    text
}

fn keys(text: &mut String, role: Role, section: &str, set: &Table, unset: &Table) {
    for (key, about, example) in KEYS {
        let Some(name) = key
            .strip_prefix(section)
            .and_then(|it| it.strip_prefix('.'))
        else {
            continue;
        };
        if role.is_others(key) {
            continue;
        }
        text.push_str(&format!("# {about}\n"));
        match (set.get(name), unset.get(name)) {
            (Some(value), default) if Some(value) != default => {
                text.push_str(&format!("{name} = {value}\n"));
            }
            (Some(value), _) if !is_empty(value) => {
                text.push_str(&format!("# {name} = {value}\n"));
            }
            _ => text.push_str(&format!("# {name} = {example}\n")),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// The values, with URLs as they are.
fn table(config: &Config) -> Table {
    // Every value of the schema is one of TOML's.
    let mut table = Table::try_from(config).unwrap_or_default();
    let mut put = |section: &str, key: &str, value: Option<Value>| {
        let section = table.get_mut(section).and_then(Value::as_table_mut);
        if let (Some(section), Some(value)) = (section, value) {
            section.insert(key.to_owned(), value);
        }
    };
    put("l1", "rpc", config.l1.rpc.as_ref().map(url));
    put(
        "operator",
        "aggregators",
        Some(urls(&config.operator.aggregators)),
    );
    put(
        "verifier",
        "operator",
        config.verifier.operator.as_ref().map(url),
    );
    put("api", "verifiers", Some(urls(&config.api.verifiers)));
    let breaker = &config.breaker;
    put(
        "operator",
        "cerberus",
        config.operator.cerberus.as_ref().map(url),
    );
    put("zk", "web3signer", config.zk.web3signer.as_ref().map(url));
    put(
        "aggregator",
        "web3signer",
        config.aggregator.web3signer.as_ref().map(url),
    );
    put(
        "aggregator",
        "postgres",
        config.aggregator.postgres.as_ref().map(url),
    );
    put("breaker", "upstream", breaker.upstream.as_ref().map(url));
    put(
        "breaker",
        "upstream_ws",
        breaker.upstream_ws.as_ref().map(url),
    );
    put("breaker", "events", breaker.events.as_ref().map(url));
    put("top", "api", config.top.api.as_ref().map(url));
    table
}

fn rollup_table(rollup: &Rollup) -> Table {
    let mut table = Table::try_from(rollup).unwrap_or_default();
    table.insert("rpc".to_owned(), urls(&rollup.rpc));
    table.insert("l1".to_owned(), urls(&rollup.l1));
    if let Some(node) = &rollup.op_node {
        table.insert("op_node".to_owned(), url(node));
    }
    if let Some(node) = &rollup.beacon {
        table.insert("beacon".to_owned(), url(node));
    }
    table
}

fn url(endpoint: &Endpoint) -> Value {
    Value::String(endpoint.0.to_string())
}

fn urls(endpoints: &[Endpoint]) -> Value {
    Value::Array(endpoints.iter().map(url).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys_of_schema;

    #[test]
    fn every_key_is_explained_once() {
        let mut explained: Vec<_> = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
        let mut known = keys_of_schema();
        known.sort();
        explained.sort();
        assert_eq!(explained, known);
    }

    #[test]
    fn what_is_commented_out_can_be_taken_in() {
        let text = document(&Config::default(), Role::All);
        let mut taken = String::new();
        for line in text.lines() {
            let is_example = |line: &str| {
                let name = line.split(" = ").next().unwrap_or_default();
                line.contains(" = ")
                    && name
                        .chars()
                        .all(|it| it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit())
            };
            let line = match line.strip_prefix("# ") {
                Some(line) if is_example(line) || line == "[[rollup]]" => line,
                _ => line,
            };
            taken.push_str(&line.replace("0x…", "0x0000000000000000000000000000000000000001"));
            taken.push('\n');
        }
        let config: Config = toml::from_str(&taken).unwrap();
        assert_eq!(config.rollups.len(), 1);
        assert_eq!(config.operator.least_threshold, Some(66));
    }

    #[test]
    fn a_document_means_what_it_was_made_of() {
        let mut config = Config::default();
        let node: Endpoint = serde_json::from_str("\"https://node.example/key\"").unwrap();
        config.l1.rpc = Some(node.clone());
        config.aggregator.max_rounds = 7;
        config.top.api = Some(node.clone());
        config.rollups.push(Rollup {
            rpc: vec![node.clone()],
            ..Rollup::new(901)
        });
        let text = document(&config, Role::All);
        let read: Config = toml::from_str(&text).unwrap();
        assert_eq!(table(&read), table(&config));
        assert_eq!(read.rollups[0].rpc, [node]);
        assert_eq!(
            rollup_table(&read.rollups[0]),
            rollup_table(&config.rollups[0])
        );
    }
}
