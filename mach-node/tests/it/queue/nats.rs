//! The queue on NATS JetStream. Needs `MACH_NATS_SERVER`, the path of a `nats-server`.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use mach_core::{
    UnitReport,
    ports::{Claim, Completion, QueueError, WorkQueue},
};
use mach_node::backfill::NatsQueue;
use tempfile::TempDir;

use super::{Place, claim, claim_later, conformance, finish, found, plan};

/// A server of its own, ended when this is dropped.
struct Server {
    program: PathBuf,
    folder: TempDir,
    child: Child,
    port: u16,
}

impl Server {
    async fn new() -> Option<Self> {
        let Some(program) = std::env::var_os("MACH_NATS_SERVER") else {
            println!("skipped: MACH_NATS_SERVER names no nats-server");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let program = PathBuf::from(program);
        // The server chooses a port and writes it into a file.
        let (child, port) = start(&program, &folder, -1).await;
        Some(Self {
            program,
            folder,
            child,
            port,
        })
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn queue(&self) -> NatsQueue {
        NatsQueue::connect(&self.url(), "test").await.unwrap()
    }

    /// Ends the server on the spot.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets the server write down what it has in memory.
    fn stop(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.child.wait().unwrap();
    }

    async fn start_again(&mut self) {
        let port = i32::from(self.port);
        (self.child, self.port) = start(&self.program, &self.folder, port).await;
    }
}

#[expect(clippy::zombie_processes, reason = "whoever gets the child ends it")]
async fn start(program: &PathBuf, folder: &TempDir, port: i32) -> (Child, u16) {
    let child = Command::new(program)
        .args(["--jetstream", "--addr", "127.0.0.1", "--store_dir"])
        .arg(folder.path().join("store"))
        .args(["--port", &port.to_string(), "--ports_file_dir"])
        .arg(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = format!("nats-server_{}.ports", child.id());
    let file = folder.path().join(file);
    for _ in 0..2400 {
        if let Ok(text) = std::fs::read_to_string(&file)
            && let Ok(ports) = serde_json::from_str::<serde_json::Value>(&text)
        {
            let url = ports["nats"][0].as_str().unwrap();
            return (child, url.rsplit(':').next().unwrap().parse().unwrap());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the server does not start");
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[async_trait::async_trait]
impl Place for Server {
    async fn worker(&self) -> Arc<dyn WorkQueue> {
        Arc::new(self.queue().await)
    }

    async fn restart(&mut self) -> Arc<dyn WorkQueue> {
        self.stop();
        self.start_again().await;
        self.worker().await
    }
}

conformance!(Server::new());

/// A server that is killed. It forgets who holds what and how often it was tried, and no report.
struct Killed(Server);

#[async_trait::async_trait]
impl Place for Killed {
    async fn worker(&self) -> Arc<dyn WorkQueue> {
        self.0.worker().await
    }

    async fn restart(&mut self) -> Arc<dyn WorkQueue> {
        self.0.kill();
        self.0.start_again().await;
        self.worker().await
    }
}

#[tokio::test]
async fn what_is_done_survives_a_server_that_is_killed() {
    if let Some(server) = Server::new().await {
        super::what_is_done_survives_a_restart(Killed(server)).await;
    }
}

/// The stream of units ends where a planner died; the next one goes on from there, and two at a
/// time put each unit in once.
#[tokio::test]
async fn a_plan_that_was_put_in_half_is_completed() {
    let Some(server) = Server::new().await else {
        return;
    };
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let queue = server.queue().await;
    let wanted = plan(4 * 2000);
    let stopped = tokio::time::timeout(Duration::from_millis(60), queue.plan(&wanted)).await;
    let (one, other) = (server.queue().await, server.queue().await);
    let (first, second) = tokio::join!(one.plan(&wanted), other.plan(&wanted));
    assert_eq!((first.unwrap(), second.unwrap()), (wanted.clone(), wanted));
    drop(stopped);
    let stream = context.get_stream("MACH_test_UNITS").await.unwrap();
    let info = stream.get_info().await.unwrap();
    assert_eq!(info.state.messages, 2001, "the plan, and each unit once");
    let last = stream.get_raw_message(2001).await.unwrap();
    assert_eq!(&last.payload[..], b"1999");
}

/// What somebody else publishes on the subjects of a queue stops nobody.
#[tokio::test]
async fn messages_of_others_are_put_away() {
    let Some(server) = Server::new().await else {
        return;
    };
    let queue = server.queue().await;
    queue.plan(&plan(4)).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    for foreign in ["", "x", "-1", "99999999999999999999999", "7"] {
        let sent = context.publish("mach.test.units", foreign.into()).await;
        sent.unwrap().await.unwrap();
    }
    // A second message for a unit is one attempt too many, and its report is dropped.
    let sent = context.publish("mach.test.units", "0".into()).await;
    sent.unwrap().await.unwrap();
    let (first, second) = (claim(&queue).await, claim(&queue).await);
    assert_eq!(first.unit, second.unit);
    assert_eq!(finish(&queue, &first, "w").await, Completion::Counted);
    assert_eq!(finish(&queue, &second, "w").await, Completion::Duplicate);
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
}

/// A unit that is neither done nor in the stream any more is found by whoever looks for work.
#[tokio::test]
async fn a_unit_that_somebody_dropped_is_put_in_again() {
    let Some(server) = Server::new().await else {
        return;
    };
    let queue = server.queue().await;
    queue.plan(&plan(8)).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client.clone());
    let dropped = claim(&queue).await;
    client
        .publish(dropped.token.clone(), "+TERM".into())
        .await
        .unwrap();
    let other = claim(&queue).await;
    finish(&queue, &other, "w").await;
    let again = claim_later(&queue).await;
    assert_eq!(again.unit, dropped.unit);
    finish(&queue, &again, "w").await;
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
    drop(context);
}

/// A unit that was taken and cannot be handed out does not wait for its lease to run out.
#[tokio::test]
async fn a_claim_that_fails_gives_the_unit_back() {
    let Some(server) = Server::new().await else {
        return;
    };
    let queue = server.queue().await;
    let wanted = plan(8).with_lease(Duration::from_secs(600));
    queue.plan(&wanted).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let sent = context.publish("mach.test.reports.0", "{".into()).await;
    sent.unwrap().await.unwrap();
    // More often than there are attempts.
    let (mut failed, mut other) = (0, None);
    while failed < 5 || other.is_none() {
        match queue.claim().await {
            Err(QueueError::Damaged(_)) => failed += 1,
            Ok(Claim::Unit(lease)) if lease.unit.index == 1 => other = Some(lease),
            Ok(Claim::Wait) => tokio::time::sleep(Duration::from_millis(5)).await,
            claimed => panic!("{claimed:?}"),
        }
    }
    let reports = context.get_stream("MACH_test_REPORTS").await.unwrap();
    reports.purge().await.unwrap();
    let lease = claim_later(&queue).await;
    assert_eq!((lease.unit.index, lease.attempt), (0, 1));
    assert_eq!(finish(&queue, &lease, "w").await, Completion::Counted);
}

#[tokio::test]
async fn a_report_that_does_not_fit_is_refused_with_its_length() {
    let Some(server) = Server::new().await else {
        return;
    };
    let queue = server.queue().await;
    queue.plan(&plan(4)).await.unwrap();
    let lease = claim(&queue).await;
    let report = UnitReport {
        worker: "w".repeat(2_000_000),
        ..found(&lease.unit, "")
    };
    let error = queue.complete(&lease, &report).await.unwrap_err();
    assert!(
        matches!(error, QueueError::TooLarge { bytes, most } if bytes > 2_000_000 && most < bytes),
        "{error:?}"
    );
    assert!(!error.is_transient());
    assert_eq!(finish(&queue, &lease, "w").await, Completion::Counted);
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said() {
    let error = NatsQueue::connect("nats://127.0.0.1:1", "test").await;
    assert!(matches!(error, Err(QueueError::Backend(_))));
    let error = NatsQueue::connect("nats://127.0.0.1:1", "a.b").await;
    let cause = std::error::Error::source(&error.unwrap_err())
        .unwrap()
        .to_string();
    assert!(cause.contains("letters, digits"), "{cause}");
    let Some(server) = Server::new().await else {
        return;
    };
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let queue = server.queue().await;
    queue.plan(&plan(4)).await.unwrap();
    // A plan of another version, as a later release may write it.
    context
        .publish("mach.test.plan", r#"{"version":2,"plan":{}}"#.into())
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(matches!(
        server.queue().await.claim().await,
        Err(QueueError::Version { found: 2, known: 1 })
    ));
}
