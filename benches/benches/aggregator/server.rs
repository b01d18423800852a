//! The aggregator in a process of its own.

use std::{
    fmt::Display,
    io::{BufRead, BufReader, Lines, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use mach_core::{QuorumNumbers, Threshold};
use mach_node::{
    Aggregator, AggregatorConfig,
    finality::FinalityIndex,
    http::{HttpConfig, HttpLimits},
    rpc::serve_aggregator,
    store::{RedbStore, Store},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ports::{BLOCK, DOMAIN, L1, ROLLUP},
    restart,
};

const STORE: &str = "MACH_BENCH_STORE";
const OPERATORS: &str = "MACH_BENCH_OPERATORS";
/// Whether it has an index of finality too.
const INDEX: &str = "MACH_BENCH_INDEX";

/// Whether this process is to be the aggregator.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(STORE).is_some()
}

pub(crate) fn config() -> AggregatorConfig {
    let quorums = QuorumNumbers::new([0]).unwrap();
    let thresholds = vec![Threshold::percent(67).unwrap()];
    AggregatorConfig::new(DOMAIN, ROLLUP..ROLLUP + 10, quorums, thresholds)
}

pub(crate) fn aggregator(store: impl Store + 'static, l1: L1) -> Aggregator {
    aggregator_with(store, l1, config())
}

pub(crate) fn aggregator_with(
    store: impl Store + 'static,
    l1: L1,
    config: AggregatorConfig,
) -> Aggregator {
    Aggregator::new(store, l1.clone(), Arc::new(l1.clone()), l1, config)
}

/// Serves until standard input ends.
pub(crate) fn run() {
    let store = std::env::var_os(STORE).unwrap();
    let operators = std::env::var(OPERATORS).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = RedbStore::open(store).unwrap();
        let l1 = L1::new(operators).confirming_after(BLOCK);
        let aggregator = aggregator(store.clone(), l1);
        let running = aggregator.clone();
        tokio::spawn(async move { running.run(CancellationToken::new()).await });
        let limits = HttpLimits {
            connections_per_address: 1024,
            rate: None,
            ..HttpLimits::default()
        };
        let loopback = HttpConfig::new("127.0.0.1:0".parse().unwrap()).with_limits(limits);
        let server = serve_aggregator(aggregator.clone(), loopback)
            .await
            .unwrap();
        say(server.url());
        // Operators do not wait for it, as with `mach-cli aggregator run`.
        if std::env::var_os(INDEX).is_some() {
            let index = FinalityIndex::open(store, restart::finality())
                .await
                .unwrap();
            tokio::spawn(async move { index.listen(&aggregator, CancellationToken::new()).await });
            say("the index is open");
        }
        let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        waiting.await.unwrap().unwrap();
    });
}

/// One line to whoever started this process.
fn say(line: impl Display) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// An aggregator in another process, killed when this is dropped.
pub(crate) struct Served {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Served {
    pub(crate) fn start(store: &Path, operators: u64) -> Self {
        Self::spawn(
            &mut Command::new(std::env::current_exe().unwrap()),
            store,
            operators,
        )
    }

    pub(crate) fn start_with_index(store: &Path, operators: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::spawn(command.env(INDEX, "1"), store, operators)
    }

    fn spawn(command: &mut Command, store: &Path, operators: u64) -> Self {
        let mut child = command
            .env(STORE, store)
            .env(OPERATORS, operators.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.next().expect("the server says where it is").unwrap();
        Self { child, lines, url }
    }

    /// Waits until the index of finality is open too.
    pub(crate) fn index(&mut self) {
        self.lines.next().expect("the server says so").unwrap();
    }
}

impl Served {
    /// Processor time that it took until now, its start included.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(&self.child.id().to_string())
    }
}

/// Processor time of a process, in hundredths of a second as Linux counts it; zero elsewhere.
pub(crate) fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may have spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = (fields.split_whitespace().skip(11).take(2))
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(10 * ticks)
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
