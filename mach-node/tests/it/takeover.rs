//! Aggregators in processes of their own on one Postgres, killed in the middle of rounds.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mach_core::{
    Certificate, Confirmation, Statement,
    ports::{
        ConfirmError, L1Standing, Progress, SignatureAggregator, StatementConfirmer,
        StatementReader,
    },
};
use mach_node::{
    Aggregator, AggregatorConfig, InstanceConfig,
    rpc::{RemoteAggregator, serve_aggregator},
    store::PostgresStore,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ports::{FixedHead, FixedRegistry, config, confirmation, digest, signed},
    postgres::schema,
};

const URL: &str = "MACH_TAKEOVER_URL";
const CHAIN: &str = "MACH_TAKEOVER_CHAIN";

/// How often is killed: `MACH_TAKEOVERS`, or 4.
fn takeovers() -> u64 {
    std::env::var("MACH_TAKEOVERS").map_or(4, |count| count.parse().unwrap())
}

/// L1 as a folder: a statement stands there when its file does. Each line of a file is a
/// transaction.
struct Chain(PathBuf);

#[async_trait]
impl StatementReader for Chain {
    async fn standing(&self, _: &Statement) -> Result<L1Standing, ConfirmError> {
        Ok(L1Standing::Absent)
    }
}

#[async_trait]
impl StatementConfirmer for Chain {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        let digest = certificate.digest();
        let path = self.0.join(digest.to_string());
        if !path.exists() {
            // A transaction takes a while.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.create(true).append(true).open(path).unwrap();
            file.write_all(b"transaction\n").unwrap();
        }
        Ok(confirmation(digest))
    }
}

/// The process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test below"]
async fn child() {
    let (Ok(url), Some(chain)) = (std::env::var(URL), std::env::var_os(CHAIN)) else {
        return;
    };
    let config = AggregatorConfig {
        instance: Some(InstanceConfig::default()),
        ..config()
    };
    let aggregator = Aggregator::new(
        PostgresStore::connect(&url).await.unwrap(),
        FixedRegistry::new(4),
        FixedHead::new(),
        Chain(chain.into()),
        config,
    );
    let loopback: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = serve_aggregator(aggregator.clone(), loopback)
        .await
        .unwrap();
    let line = format!("\nserves {}\n", server.url());
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    aggregator.run(CancellationToken::new()).await;
}

struct Instance {
    process: Child,
    remote: RemoteAggregator,
}

impl Instance {
    fn start(url: &str, chain: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "takeover::child", "--ignored", "--nocapture"])
            .env(URL, url)
            .env(CHAIN, chain)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = output.map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("serves ").map(str::to_owned));
        let remote = RemoteAggregator::new(&url.expect("it serves")).unwrap();
        Self { process, remote }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends to each instance in turn until one takes the signature. Answers which.
async fn send(instances: &[Instance], number: u64, index: u64) -> (usize, Progress) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        for (place, instance) in instances.iter().enumerate() {
            match instance.remote.submit(signed(number, index)).await {
                Ok(progress) => return (place, progress),
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
        }
        assert!(Instant::now() < deadline, "nobody takes signatures");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_another_one_goes_on() {
    let Some((_connection, url)) = schema("takeover").await else {
        return;
    };
    let chain = tempfile::tempdir().unwrap();
    let mut instances = vec![
        Instance::start(&url, chain.path()),
        Instance::start(&url, chain.path()),
    ];
    let mut gaps = Vec::new();
    for number in 0..takeovers() {
        // Two of three signatures that are needed; one of the round before comes late.
        for index in 0..2 {
            send(&instances, number, index).await;
        }
        if let Some(before) = number.checked_sub(1) {
            send(&instances, before, 3).await;
        }
        let (leader, _) = send(&instances, number, 0).await;
        instances[leader].kill();
        let start = Instant::now();
        let (next, progress) = send(&instances, number, 2).await;
        gaps.push(start.elapsed());
        assert_ne!(next, leader);
        // Nobody is asked again who was taken before.
        assert_ne!(progress, Progress::Collecting { signers: 1 });
        assert_ne!(progress, Progress::Collecting { signers: 2 });
        instances[leader] = Instance::start(&url, chain.path());
    }
    println!("from the death of the leader to the next answer: {gaps:?}");
    // A machine that is busy with other tests may be late.
    assert!(gaps.iter().all(|gap| *gap < Duration::from_secs(30)));

    // Each statement stands on L1, by one transaction.
    let deadline = Instant::now() + Duration::from_secs(20);
    let expected: BTreeMap<_, _> = (0..takeovers())
        .map(|number| (digest(number).to_string(), "transaction\n".to_owned()))
        .collect();
    loop {
        let files = std::fs::read_dir(chain.path()).unwrap().map(|file| {
            let file = file.unwrap();
            let lines = std::fs::read_to_string(file.path()).unwrap();
            (file.file_name().into_string().unwrap(), lines)
        });
        let stand: BTreeMap<_, _> = files.collect();
        if stand == expected {
            break;
        }
        assert!(Instant::now() < deadline, "{stand:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
