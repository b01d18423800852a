//! Keys that are elsewhere, a database that is shared, and derivation, each where a service starts.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction, TypedTransaction};
use alloy_network::TransactionBuilder;
use alloy_primitives::{B256, Bytes, hex};
use alloy_provider::Provider;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use axum::{Json, Router, body::Body, extract::State, http::Response, routing::post};
use http_body_util::StreamBody;
use hyper::body::Frame;
use mach_bls::{
    bn254::SecretKey,
    keystore::{Format, Kdf, KeyFile, KeyKind, Password, Secret},
};
use mach_contracts_bindings::{DeploymentFile, ServiceManager};
use mach_devnet::{
    DEV_ACCOUNTS, DevnetServers, Lie,
    stack::{Stack, StackConfig},
};
use mach_node::store::{Change, Expected, RedbStore, Store, Table, Written};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);
/// Account that pays; the stack leaves it alone.
const PAYER: usize = 8;
const L1_CHAIN: u64 = 31337;

/// The devnet, served, with one operator who has all the stake.
struct World {
    stack: Stack,
    servers: DevnetServers,
    folder: TempDir,
    running: Vec<(String, Child)>,
}

impl World {
    async fn new() -> Self {
        let config = StackConfig {
            operators: 1,
            ..StackConfig::default()
        };
        let stack = Stack::start(&config).await.unwrap();
        stack.opt_in(&stack.operators()[0]).await.unwrap();
        // Stakes are read a block behind the head.
        stack.devnet().l1().mine().unwrap();
        let loopback = "127.0.0.1:0".parse().unwrap();
        let servers = stack.devnet().serve(loopback, loopback).await.unwrap();
        let this = Self {
            stack,
            servers,
            folder: tempfile::tempdir().unwrap(),
            running: Vec::new(),
        };
        let deployment = DeploymentFile::from(this.stack.deployment()).to_json();
        this.put("deployment.json", &deployment);
        let rollup = &this.stack.devnet().rollup().config;
        this.put("rollup.json", &serde_json::to_string(rollup).unwrap());
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes the configuration of a service and starts it.
    fn start(&mut self, service: &str, settings: &str, environment: &[(&str, &str)]) {
        let file = format!("{service}.toml");
        let (l1, l2) = (self.servers.l1.http_url(), self.servers.l2.http_url());
        let text = format!(
            "{settings}
            [l1]
            rpc = \"{l1}\"
            deployment = \"deployment.json\"
            [store]
            folder = \"data\"
            [[rollup]]
            chain_id = 901
            rpc = \"{l2}\"
            rollup_config = \"rollup.json\"
            l1 = \"{l1}\"
            beacon = \"{l1}\"
            derive = true
            head = \"safe\"
            start = 1
            attest_every = 1
            poll_interval = \"50ms\"
            "
        );
        self.put(&file, &text);
        let log = std::fs::File::create(self.path(&format!("{service}.log"))).unwrap();
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("MACH_") || name == "RUST_LOG" {
                command.env_remove(&*name);
            }
        }
        // Where there is no room, a write is to fail; the process is not to die of it.
        let child = command
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_mach-cli"))
            .args([service, "run", "--config", &file])
            .envs(environment.iter().copied())
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push((service.to_owned(), child));
    }

    /// Waits for what `look` finds; the logs of the services say why it does not come.
    async fn until<T>(&mut self, what: &str, mut look: impl AsyncFnMut(&Stack) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look(&self.stack).await {
                return found;
            }
            for (service, child) in &mut self.running {
                let ended = child.try_wait().unwrap();
                let log = read(self.folder.path(), service);
                assert!(ended.is_none(), "{service} has ended: {log}");
                assert!(started.elapsed() < PATIENCE, "no {what}: {log}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn read(folder: &Path, service: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{service}.log"))).unwrap()
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a remote signer has.
struct Vault<K> {
    key: Arc<K>,
    signed: Arc<AtomicUsize>,
}

impl<K> Clone for Vault<K> {
    fn clone(&self) -> Self {
        let (key, signed) = (Arc::clone(&self.key), Arc::clone(&self.signed));
        Self { key, signed }
    }
}

impl<K> Vault<K> {
    fn new(key: K) -> Self {
        Self {
            key: Arc::new(key),
            signed: Arc::default(),
        }
    }

    fn signed(&self) -> usize {
        self.signed.load(Relaxed)
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Cerberus, as far as its protocol buffers say: fields 1 to 3 of the request are the name of the key,
/// the data and the password, field 1 of the answer is the signature.
async fn cerberus(
    State(vault): State<Vault<SecretKey>>,
    body: axum::body::Bytes,
) -> Response<Body> {
    let mut fields = [const { Vec::new() }; 4];
    // Compression flag and length come first. All fields are shorter than 128 bytes.
    let mut rest = &body[5..];
    while let [tag, length, ..] = *rest {
        assert_eq!(tag & 7, 2, "a field with a length");
        let end = 2 + usize::from(length);
        fields[usize::from(tag >> 3)] = rest[2..end].to_vec();
        rest = &rest[end..];
    }
    let [_, name, data, password] = fields;
    // The two highest bits of X say which Y it is.
    let mut x = hex::decode(name).unwrap();
    x[0] &= 0x3f;
    assert_eq!(x, vault.key.public_key().g1_bytes().0[..32]);
    assert_eq!(password, b"of the vault");
    let signature = vault.key.sign(B256::try_from(&data[..]).unwrap());
    vault.signed.fetch_add(1, Relaxed);
    let answer = [&[0, 0, 0, 0, 66, 0x0a, 64], &signature.to_bytes().0[..]].concat();
    let trailers = [("grpc-status", "0")].map(|(name, value)| {
        let name = axum::http::HeaderName::from_static(name);
        (name, axum::http::HeaderValue::from_static(value))
    });
    let frames: [Result<Frame<axum::body::Bytes>, std::convert::Infallible>; 2] = [
        Ok(Frame::data(answer.into())),
        Ok(Frame::trailers(trailers.into_iter().collect())),
    ];
    Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(StreamBody::new(futures::stream::iter(frames))))
        .unwrap()
}

/// Web3Signer: it says which keys it has, and signs transactions with them.
async fn web3signer(
    State(vault): State<Vault<PrivateKeySigner>>,
    Json(request): Json<Value>,
) -> Json<Value> {
    let result = match request["method"].as_str().unwrap() {
        "eth_accounts" => json!([vault.key.address()]),
        "eth_signTransaction" => {
            let mut asked: TransactionRequest =
                serde_json::from_value(request["params"][0].clone()).unwrap();
            assert_eq!(asked.from, Some(vault.key.address()));
            // A Web3Signer has its chain from its own settings.
            asked.set_chain_id(L1_CHAIN);
            let TypedTransaction::Eip1559(transaction) = asked.build_typed_tx().unwrap() else {
                unreachable!("not of EIP-1559");
            };
            let signature = vault.key.sign_hash_sync(&transaction.signature_hash());
            let signed = transaction.into_signed(signature.unwrap());
            vault.signed.fetch_add(1, Relaxed);
            let mut raw = Vec::new();
            signed.eip2718_encode(&mut raw);
            json!(Bytes::from(raw))
        }
        method => unreachable!("{method}"),
    };
    Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
}

/// A schema of its own in the database of `MACH_POSTGRES_URL`, without its password, which is the
/// second value.
async fn schema() -> Option<(String, String)> {
    let Ok(url) = std::env::var("MACH_POSTGRES_URL") else {
        println!("skipped: MACH_POSTGRES_URL is not set, the aggregator has a file");
        return None;
    };
    let name = format!("mach_wired_{}", std::process::id());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    let mut url: reqwest::Url = url.parse().unwrap();
    let password = url.password().unwrap_or_default().to_owned();
    url.set_password(None).unwrap();
    url.set_query(Some(&format!("options=-c%20search_path%3D{name}")));
    Some((url.into(), password))
}

/// The operator's key is in a Cerberus, the account of the aggregator in a Web3Signer, its rows in a
/// Postgres if there is one; and what the operator says follows from what was posted to L1.
#[tokio::test(flavor = "multi_thread")]
async fn services_start_with_remote_keys_a_database_and_derivation() {
    let mut world = World::new().await;
    let operator = world.stack.operators()[0];
    let bls = Vault::new(operator.secret_key().unwrap());
    let signer = Router::new()
        .route("/signer.v1.Signer/SignGeneric", post(cerberus))
        .with_state(bls.clone());
    let cerberus = serve(signer).await;
    let payer = Vault::new(DEV_ACCOUNTS[PAYER].signer());
    let signer = Router::new()
        .route("/", post(web3signer))
        .with_state(payer.clone());
    let web3signer = serve(signer).await;

    for _ in 0..4 {
        world.stack.devnet().step().unwrap();
    }
    let schema = schema().await;
    let (postgres, password) = match &schema {
        Some((url, password)) => (format!("postgres = \"{url}\""), password.as_str()),
        None => Default::default(),
    };
    let free = |listener: std::net::TcpListener| listener.local_addr().unwrap();
    let listen = free(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let address = payer.key.address();
    let settings = format!(
        "[aggregator]
        listen = \"{listen}\"
        web3signer = \"http://{web3signer}\"
        address = \"{address}\"
        {postgres}"
    );
    world.start("aggregator", &settings, &[("PGPASSWORD", password)]);
    let settings = format!(
        "[operator]
        cerberus = \"http://{cerberus}\"
        address = \"{}\"
        aggregators = \"http://{listen}\"",
        operator.account.address
    );
    let password = [("OPERATOR_BLS_KEY_PASSWORD", "of the vault")];
    world.start("operator", &settings, &password);

    // Nothing is said of what the batcher has not posted.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bls.signed(), 0);
    world.stack.devnet().publish().unwrap();
    world.stack.devnet().l1().mine().unwrap();
    let attested = async |stack: &Stack| {
        let head = stack.attested_head().await.unwrap();
        head.filter(|head| head.number == 4)
    };
    world.until("attestation of block 4", attested).await;
    // In whatever order they come through, each of them is signed and paid for with the remote keys.
    let manager = ServiceManager::connect(
        world.stack.l1().clone(),
        world.stack.deployment().service_manager,
    );
    let manager = manager.await.unwrap();
    for number in 1..=4 {
        let standing = async |stack: &Stack| {
            let (attested, _) = manager.attestation(901, number).await.unwrap()?;
            let hash = stack.devnet().l2().block_hash(number).unwrap();
            (attested.blockHash == hash).then_some(())
        };
        world.until("attestation of each block", standing).await;
    }
    assert_eq!(bls.signed(), 4);
    let paid = world.stack.l1().get_transaction_count(address);
    assert_eq!(paid.await.unwrap(), 4);
    assert!(payer.signed() >= 4);

    // A block that executes as it says, and has nothing against it but that the batcher posted another.
    world.stack.devnet().sequencer().lie_next(Lie::BatchDropped);
    world.stack.devnet().step().unwrap();
    let lying = world.stack.devnet().l2().head();
    world.stack.devnet().step().unwrap();
    world.stack.devnet().publish().unwrap();
    world.stack.devnet().l1().mine().unwrap();
    let standing = async |_: &Stack| {
        let count = manager.active_alerts(901).await.unwrap();
        (count == 1).then_some(())
    };
    world.until("alert on L1", standing).await;
    let log = read(world.folder.path(), "operator");
    assert!(log.contains("batchTransactions"), "{lying}: {log}");
    if let Some((url, _)) = &schema {
        let password = std::env::var("MACH_POSTGRES_URL").unwrap();
        let password: reqwest::Url = password.parse().unwrap();
        let mut url: reqwest::Url = url.parse().unwrap();
        url.set_password(password.password()).unwrap();
        let mut database = PgConnection::connect(url.as_str()).await.unwrap();
        let count =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM mach_rows WHERE name = 'rounds'");
        assert!(count.fetch_one(&mut database).await.unwrap() >= 5);
        assert!(!world.path("data").join("aggregator.redb").exists());
    }
}

/// Whom the aggregator answers: operators of the original under the names in the file, web pages in it,
/// and how often one address asks for finality.
#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_answers_whom_its_file_names() {
    let mut world = World::new().await;
    let secret = Secret::from_bytes(KeyKind::Ecdsa, &DEV_ACCOUNTS[PAYER].key.0).unwrap();
    let (format, password) = (Format::usual(secret.kind()), Password::new("of the file"));
    let key = KeyFile::encrypt(&secret, format, &password, Kdf::LIGHT).unwrap();
    world.put("confirmer.json", &key.to_json());
    world.put("password.txt", "of the file");
    let free = |listener: std::net::TcpListener| listener.local_addr().unwrap();
    let [listen, legacy, api] =
        [(); 3].map(|()| free(std::net::TcpListener::bind("127.0.0.1:0").unwrap()));
    let settings = format!(
        "[api]
        listen = \"{api}\"
        [aggregator]
        listen = \"{listen}\"
        dry_run = true
        requests_per_second = 1
        legacy_listen = \"{legacy}\"
        legacy_ecdsa_key = \"confirmer.json\"
        legacy_ecdsa_password_file = \"password.txt\"
        legacy_hosts = [\"aggregator.example\"]
        legacy_origins = [\"https://watch.example\"]"
    );
    world.start("aggregator", &settings, &[]);
    let hash = B256::repeat_byte(7);
    let ask = async |host: &str, origin: &str| {
        let request = reqwest::Client::new().post(format!("http://{legacy}"));
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "aggregator_createTask", "params": [hash],
        });
        let request = request.header("host", host).header("origin", origin);
        let request = request.header("content-type", "application/json");
        request.body(call.to_string()).send().await.ok()
    };
    let app = "https://watch.example";
    let answer = world
        .until("answer", async |_| {
            ask("aggregator.example:8291", app).await
        })
        .await;
    assert_eq!(answer.status(), 200);
    let allowed = answer.headers().get("access-control-allow-origin").cloned();
    assert_eq!(allowed.unwrap(), app);
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["result"]["alert_hash"], json!(hash), "{answer}");
    let other = ask("other.example", "https://evil.example").await.unwrap();
    assert_eq!(other.status(), 403);
    let allowed = other.headers().get("access-control-allow-origin");
    assert!(allowed.is_none(), "{allowed:?}");

    // Four times as often at once.
    let rollups = format!("http://{api}/v1/rollups");
    let first = world.until("finality", async |_| reqwest::get(&rollups).await.ok());
    let mut statuses = vec![first.await.status().as_u16()];
    for _ in 1..20 {
        let answer = reqwest::get(&rollups).await;
        statuses.push(answer.unwrap().status().as_u16());
    }
    assert_eq!(statuses[..4], [200; 4]);
    assert!(statuses.contains(&429), "{statuses:?}");

    let (_, mut child) = world.running.pop().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    world.start(
        "aggregator",
        &settings,
        &[("MACH_AGGREGATOR_LEGACY_HOSTS", "*")],
    );
    let answer = world
        .until("answer", async |_| ask("other.example", app).await)
        .await;
    assert_eq!(answer.status(), 200);
}

/// A disk on which there is no more room, while the operator runs: it says so to whoever looks, and
/// signs nothing, for it could not remember that it did. With room again nothing is missing.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_signed_and_that_is_told() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        println!("skipped: there is no `prlimit`, which bounds files");
        return;
    }
    let mut world = World::new().await;
    let operator = world.stack.operators()[0];
    let bls = Vault::new(operator.secret_key().unwrap());
    let signer = Router::new()
        .route("/signer.v1.Signer/SignGeneric", post(cerberus))
        .with_state(bls.clone());
    let cerberus = serve(signer).await;
    let payer = Vault::new(DEV_ACCOUNTS[PAYER].signer());
    let signer = Router::new()
        .route("/", post(web3signer))
        .with_state(payer.clone());
    let web3signer = serve(signer).await;
    let free = |listener: std::net::TcpListener| listener.local_addr().unwrap();
    let [listen, node] =
        [(); 2].map(|()| free(std::net::TcpListener::bind("127.0.0.1:0").unwrap()));
    let settings = format!(
        "[aggregator]
        listen = \"{listen}\"
        web3signer = \"http://{web3signer}\"
        address = \"{}\"",
        payer.key.address()
    );
    world.start("aggregator", &settings, &[]);
    let settings = format!(
        "[operator]
        cerberus = \"http://{cerberus}\"
        address = \"{}\"
        aggregators = \"http://{listen}\"
        node_api = \"{node}\"",
        operator.account.address
    );
    let password = [("OPERATOR_BLS_KEY_PASSWORD", "of the vault")];
    world.start("operator", &settings, &password);
    let grow = |world: &World| {
        world.stack.devnet().step().unwrap();
        world.stack.devnet().publish().unwrap();
        world.stack.devnet().l1().mine().unwrap();
    };
    let attested = |number: u64| {
        async move |stack: &Stack| {
            let head = stack.attested_head().await.unwrap();
            head.filter(|head| head.number == number)
        }
    };
    grow(&world);
    world.until("attestation of block 1", attested(1)).await;
    let health = async |_: &Stack| {
        let answer = reqwest::get(format!("http://{node}/eigen/node/health")).await;
        answer.ok().map(|answer| answer.status().as_u16())
    };
    let health_is =
        |code: u16| async move |stack: &Stack| health(stack).await.filter(|it| *it == code);
    world.until("health", health_is(200)).await;

    let (_, child) = world.running.last().unwrap();
    let limit = ["--pid", &child.id().to_string(), "--fsize=4096"];
    assert!(
        Command::new("prlimit")
            .args(limit)
            .status()
            .unwrap()
            .success()
    );
    let signed = bls.signed();
    grow(&world);
    grow(&world);
    world.until("health of a full disk", health_is(503)).await;
    assert_eq!(bls.signed(), signed);
    let head = world.stack.attested_head().await.unwrap();
    assert_eq!(head.map(|head| head.number), Some(1));

    let (_, mut child) = world.running.pop().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    world.start("operator", &settings, &password);
    world.until("attestation of block 3", attested(3)).await;
    // What it could not remember it says once more, the same.
    assert!(bls.signed() >= signed + 2);
}

/// What was said is not known any more: saying anything could contradict it.
#[tokio::test]
async fn with_a_damaged_record_nothing_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let path = folder.path().join("data").join("operator.redb");
    let store = RedbStore::open(&path).unwrap();
    let value = b"what was said about a height".to_vec();
    let change = Change {
        table: Table::Guard,
        key: vec![7; 9],
        expected: Expected::Absent,
        value: Some(value.clone()),
    };
    assert_eq!(store.write(vec![change]).await.unwrap(), Written::Applied);
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let found = bytes.windows(value.len()).position(|it| it == value);
    bytes[found.unwrap()] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let settings = "[operator]\naggregators = \"http://127.0.0.1:1\"\nbls_key = \"key.json\"\n\
                    [l1]\nrpc = \"http://127.0.0.1:1\"\n[store]\nfolder = \"data\"\n";
    std::fs::write(folder.path().join("mach.toml"), settings).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mach-cli"))
        .args(["operator", "run", "--config", "mach.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = crate::errors(&output);
    assert!(
        told.contains("nothing may be signed with this store"),
        "{told}"
    );
    assert!(
        told.contains("row 0x070707070707070707 of table guard"),
        "{told}"
    );
}

/// What cannot work is told before anything begins.
#[test]
fn what_does_not_start_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        std::fs::write(folder.path().join("mach.toml"), text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_mach-cli"))
            .args(["config", "check"])
            .current_dir(folder.path())
            .env_remove("MACH_CONFIG")
            .env_remove("MACH_L1_RPC")
            .output()
            .unwrap();
        let told = crate::errors(&output) + &String::from_utf8(output.stdout).unwrap();
        (output.status.code(), told)
    };
    let rollup = "[[rollup]]\nchain_id = 10\nrpc = \"http://localhost:1\"\n";
    let wrong = |text: &str, told: &str| {
        let (code, shown) = check(&format!("{rollup}{text}"));
        assert_eq!(code, Some(1), "{text}: {shown}");
        assert!(shown.contains(told), "{text}: {shown}");
    };
    for (text, told) in [
        ("derive = true\n", "head = \"safe\""),
        ("agree = 2\n", "rollup 10: 2 have to agree, and rpc has 1"),
        ("derive = true\nhead = \"safe\"\n", "derive needs l1"),
        (
            "[aggregator]\nweb3signer = \"http://localhost:9000\"\n",
            "aggregator.address",
        ),
        (
            "[aggregator]\nweb3signer = \"http://localhost:9000\"\necdsa_key = \"mach.toml\"\n",
            "aggregator.ecdsa_key and aggregator.web3signer exclude each other",
        ),
        (
            "[aggregator]\npostgres = \"postgres://mach:secret@localhost/mach\"\n",
            "aggregator.postgres: its password",
        ),
        (
            "[operator]\ncerberus = \"http://localhost:50051\"\n",
            "operator.cerberus needs operator.address",
        ),
    ] {
        wrong(text, told);
    }
    let (code, shown) = check(&format!(
        "{rollup}derive = true\nhead = \"finalized\"\nl1 = \"http://localhost:2\"\n"
    ));
    assert_eq!(code, Some(0), "{shown}");

    // In the words of the file: neither is a flag of the services.
    let (code, shown) = check("[[rollup]]\nchain_id = 4242\nrpc = \"http://localhost:1\"\n");
    let run = Command::new(env!("CARGO_BIN_EXE_mach-cli"))
        .args(["verifier", "run", "--config", "mach.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!((code, run.status.code()), (Some(1), Some(2)), "{shown}");
    for told in [shown, crate::errors(&run)] {
        let expected =
            "rollup 4242: its rules are not built in: set genesis or rollup_config of this";
        assert!(
            told.contains(expected) && !told.contains("--genesis"),
            "{told}"
        );
    }

    let upstream = "upstream = \"http://localhost:1\"\n";
    let events = "events = \"http://localhost:2\"\n";
    let manager = "service_manager = \"0x71a77037870169d47aad6c2C9360861A4C0df2bF\"\n";
    let whole = format!("[breaker]\nrollup = 10\n{upstream}{events}");
    let (code, shown) = check(&format!("{rollup}{whole}"));
    assert_eq!(code, Some(0), "{shown}");
    // The rest is said by flags.
    let (code, shown) = check(&format!("{rollup}[breaker]\npolicy = \"pin-latest\"\n"));
    assert_eq!(code, Some(0), "{shown}");
    for (more, told) in [
        ("policy = \"pin-latets\"\n", "pin-latets"),
        ("when_lost = \"closed-for-reads\"\n", "closed-for-reads"),
        (
            "methods = [\"trace_*\"]\n",
            "breaker.methods: trace_*: NAME=RULE",
        ),
        ("methods = [\"trace_*=hide\"]\n", "serve, refuse or pin"),
        ("lost_after = 0\n", "lost_after"),
        ("poll_interval = 0\n", "poll_interval"),
    ] {
        wrong(&format!("{whole}{more}"), told);
    }
    for (text, told) in [
        (
            format!("rollup = 10\n{events}"),
            "breaker.upstream is not set",
        ),
        (format!("{upstream}{events}"), "breaker.rollup is not set"),
        (
            format!("rollup = 10\n{upstream}"),
            "neither breaker.events nor breaker.service_manager is set",
        ),
        (
            format!("rollup = 10\n{upstream}{manager}"),
            "l1.rpc is not set, so that breaker does not start",
        ),
    ] {
        wrong(&format!("[breaker]\n{text}"), told);
    }
}
