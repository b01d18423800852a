//! Numbers for Prometheus.
//!
//! | name | labels | what |
//! |---|---|---|
//! | `mach_num_tasks_received` | | statements that this operator had to make, as the original counts tasks |
//! | `mach_num_signed_task_responses_accepted_by_aggregator` | | those that an aggregator has taken |
//! | `eigen_performance_score` | `avs_name` | share of the services that work, in percent |
//! | `eigen_registered_stakes` | `avs_name`, `quorum_number`, `quorum_name` | stake of the operator |
//! | `eigen_rpc_request_total`, `eigen_rpc_request_duration_seconds` | `avs_name`, `method`, `client_version` | requests to L1 |
//! | `eigen_fees_earned_total` | `avs_name`, `token` | 0, see below |
//! | `eigen_slashing_status` | | 0, see below |
//! | `mach_up` | `service` | whether a service works |
//! | `mach_verifier_head_block`, `…_next_block`, `…_verified_block`, `…_finalized_block` | `rollup` | how far a verifier is |
//! | `mach_verifier_lag_blocks` | `rollup` | blocks between head and verifier |
//! | `mach_verifier_valid_blocks`, `…_invalid_blocks`, `…_undecided_blocks`, `…_unlinked_blocks` | `rollup` | what was found, since the start |
//! | `mach_verifier_reorgs`, `mach_verifier_undelivered` | `rollup` | since the start |
//! | `mach_verifier_broken` | `rollup` | 1 after a reorg of final blocks |
//! | `mach_operator_waiting` | | statements that are not settled with every aggregator |
//! | `mach_operator_held` | | those among them that an aggregator has, without a certificate yet |
//! | `mach_operator_refused`, `mach_operator_given_up`, `mach_operator_withdrawn` | | statements, since the start |
//! | `mach_aggregator_rounds` | | rounds in memory |
//! | `mach_api_requests`, `mach_api_request_duration_seconds` | `route`, `status` | requests to the finality API; of streams until they begin |
//! | `mach_breaker_state` | `rollup`, `state` | 1 for what is in force |
//! | `mach_breaker_alerts`, `mach_breaker_attested_block`, `mach_breaker_feed_silent_seconds` | `rollup` | what a breaker knows |
//! | `mach_breaker_changes` | `rollup`, `state` | how often it came to be in force |
//! | `mach_breaker_calls` | `outcome` | `served` requests while no alert stands; `forwarded`, `answered` and `refused` calls while one does |
//! | `mach_zk_cases` | `stage` | cases of ZK mode: `found`, `chosen`, `raised`, `proved`, `shown`, `opened`, `convicted`, `done`, `given_up` |
//! | `mach_zk_stuck_cases`, `mach_zk_oldest_seconds` | | open cases that people have to look at, and the age of the oldest open one |
//!
//! `eigen_fees_earned_total` and `eigen_slashing_status` are served for the dashboards of the original,
//! and are 0: the contracts pay no fees and slash nobody.

mod l1;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::ChainId;
use axum::{
    Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusRecorder;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{
    OutboxStatus, VerifierStatus,
    breaker::{GateState, GateStatus},
    node_api::{Service, ServiceState},
};

pub use l1::counted;

/// Name of the AVS in the labels of EigenLayer's metrics.
pub const AVS_NAME: &str = "mach";

/// Seconds; of requests to L1, and to us.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Content type of the text format.
const TEXT: &str = "text/plain; version=0.0.4";

type Collector = Box<dyn Fn() + Send + Sync>;

/// The numbers of a process. Clones share them.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds closures")]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    collectors: Mutex<Vec<Collector>>,
}

impl Metrics {
    /// No numbers yet.
    ///
    /// Errors: never with the buckets that are built in.
    pub fn new() -> Result<Self, BuildError> {
        let times = Matcher::Suffix("request_duration_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(times, &BUCKETS)?;
        let recorder = builder.build_recorder();
        Ok(Self(Arc::new(Inner {
            handle: recorder.handle(),
            recorder: Arc::new(recorder),
            collectors: Mutex::default(),
        })))
    }

    /// Makes the macros of the `metrics` crate count here, in the whole process. Of several, the
    /// first one counts.
    pub fn install(&self) {
        let _ = metrics::set_global_recorder(Arc::clone(&self.0.recorder));
    }

    /// Has `collect` look at its service whenever somebody asks for the numbers.
    pub fn watch(&self, collect: impl Fn() + Send + Sync + 'static) {
        self.collectors().push(Box::new(collect));
    }

    /// Watches the verifier of a rollup.
    pub fn watch_verifier(
        &self,
        rollup: ChainId,
        status: impl Fn() -> VerifierStatus + Send + Sync + 'static,
    ) {
        let rollup = rollup.to_string();
        self.watch(move || verifier(&rollup, &status()));
    }

    /// Watches an operator's [`Outbox`](crate::Outbox).
    pub fn watch_outbox(&self, status: impl Fn() -> OutboxStatus + Send + Sync + 'static) {
        self.watch(move || outbox(&status()));
    }

    /// Watches a breaker.
    pub fn watch_breaker(&self, status: impl Fn() -> GateStatus + Send + Sync + 'static) {
        self.watch(move || breaker(&status()));
    }

    /// Watches the services of a node.
    pub fn watch_services(&self, services: Vec<Service>) {
        self.watch(move || {
            let mut up = 0_u32;
            for service in &services {
                let is_up = (service.state)() == ServiceState::Up;
                up += u32::from(is_up);
                gauge!("mach_up", "service" => service.id).set(u8::from(is_up));
            }
            let all = u32::try_from(services.len().max(1)).unwrap_or(u32::MAX);
            let score = f64::from(up) * 100.0 / f64::from(all);
            gauge!("eigen_performance_score", "avs_name" => AVS_NAME).set(score);
            counter!("eigen_fees_earned_total", "avs_name" => AVS_NAME, "token" => "none")
                .absolute(0);
            gauge!("eigen_slashing_status").set(0);
        });
    }

    /// All numbers, in the text format.
    pub fn render(&self) -> String {
        metrics::with_local_recorder(&self.0.recorder, || {
            for collect in self.collectors().iter() {
                collect();
            }
        });
        self.0.handle.run_upkeep();
        self.0.handle.render()
    }

    /// Counts here what `work` counts, whatever else is installed.
    #[cfg(test)]
    pub(crate) fn locally<T>(&self, work: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.0.recorder, work)
    }

    /// `GET /metrics`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/metrics", get(render))
            .with_state(self.clone())
    }

    fn collectors(&self) -> std::sync::MutexGuard<'_, Vec<Collector>> {
        (self.0.collectors.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT)], metrics.render())
}

/// Counts a request to a node whose version is this.
pub fn count_request(method: &str, client_version: &str, elapsed: Duration) {
    let labels = [
        ("avs_name", AVS_NAME.to_owned()),
        ("method", method.to_owned()),
        ("client_version", client_version.to_owned()),
    ];
    counter!("eigen_rpc_request_total", &labels).increment(1);
    metrics::histogram!("eigen_rpc_request_duration_seconds", &labels).record(elapsed);
}

/// Sets how many rounds an aggregator holds.
pub fn set_rounds(count: f64) {
    gauge!("mach_aggregator_rounds").set(count);
}

/// Sets the stake of the operator in a quorum.
pub fn set_stake(quorum: u8, stake: f64) {
    let labels = [
        ("avs_name", AVS_NAME.to_owned()),
        ("quorum_number", quorum.to_string()),
        ("quorum_name", format!("quorum {quorum}")),
    ];
    gauge!("eigen_registered_stakes", &labels).set(stake);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "block numbers are far below 2^52"
)]
fn verifier(rollup: &str, status: &VerifierStatus) {
    let set = |name: &'static str, value: u64| {
        gauge!(name, "rollup" => rollup.to_owned()).set(value as f64);
    };
    let count = |name: &'static str, value: u64| {
        counter!(name, "rollup" => rollup.to_owned()).absolute(value);
    };
    set("mach_verifier_next_block", status.next);
    for (name, block) in [
        ("mach_verifier_head_block", status.head),
        ("mach_verifier_verified_block", status.verified),
        ("mach_verifier_finalized_block", status.finalized),
    ] {
        if let Some(block) = block {
            set(name, block.number);
        }
    }
    if let Some(lag) = status.lag() {
        set("mach_verifier_lag_blocks", lag);
    }
    count("mach_verifier_valid_blocks", status.valid);
    count("mach_verifier_invalid_blocks", status.invalid);
    count("mach_verifier_undecided_blocks", status.undecided_count);
    count("mach_verifier_unlinked_blocks", status.unlinked);
    count("mach_verifier_undelivered", status.undelivered);
    count("mach_verifier_reorgs", status.reorgs);
    set("mach_verifier_broken", u64::from(status.broken.is_some()));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bounded by the limit of the outbox"
)]
fn outbox(status: &OutboxStatus) {
    counter!("mach_num_tasks_received").absolute(status.received);
    counter!("mach_num_signed_task_responses_accepted_by_aggregator").absolute(status.accepted);
    counter!("mach_operator_refused").absolute(status.refused);
    counter!("mach_operator_given_up").absolute(status.given_up);
    counter!("mach_operator_withdrawn").absolute(status.withdrawn);
    gauge!("mach_operator_waiting").set(status.waiting as f64);
    gauge!("mach_operator_held").set(status.held as f64);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "block numbers and counts are far below 2^52"
)]
fn breaker(status: &GateStatus) {
    let rollup = status.rollup.to_string();
    for state in GateState::ALL {
        let labels = [
            ("rollup", rollup.clone()),
            ("state", state.name().to_owned()),
        ];
        gauge!("mach_breaker_state", &labels).set(u8::from(state == status.state));
    }
    let set = |name: &'static str, value: f64| {
        gauge!(name, "rollup" => rollup.clone()).set(value);
    };
    set("mach_breaker_alerts", status.alerts.len() as f64);
    if let Some(block) = status.attested {
        set("mach_breaker_attested_block", block.number as f64);
    }
    if let Some(milliseconds) = status.feed_silent_for {
        set(
            "mach_breaker_feed_silent_seconds",
            milliseconds as f64 / 1000.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use mach_core::BlockRef;
    use tokio::sync::watch;
    use tower::ServiceExt;

    #[test]
    fn requests_to_l1_are_counted_with_the_version_of_its_node() {
        use alloy_provider::{Provider, ProviderBuilder, mock::Asserter};
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let metrics = Metrics::new().unwrap();
        metrics.locally(|| {
            runtime.block_on(async {
                let asserter = Asserter::new();
                asserter.push_success(&"Geth/v1.16.0");
                asserter.push_success(&"0x10");
                asserter.push_success(&"0x11");
                asserter.push_failure_msg("no such chain");
                let provider = ProviderBuilder::default().connect_mocked_client(asserter);
                let l1 = counted(provider).await;
                assert_eq!(l1.get_block_number().await.unwrap(), 16);
                assert_eq!(l1.get_block_number().await.unwrap(), 17);
                // What fails was asked for all the same.
                assert!(l1.get_chain_id().await.is_err());
            });
        });
        let text = metrics.render();
        let labels = |method: &str| {
            format!(r#"{{avs_name="mach",method="{method}",client_version="Geth/v1.16.0"}}"#)
        };
        for line in [
            format!("eigen_rpc_request_total{} 2", labels("eth_blockNumber")),
            format!("eigen_rpc_request_total{} 1", labels("eth_chainId")),
            format!(
                "eigen_rpc_request_duration_seconds_count{} 2",
                labels("eth_blockNumber")
            ),
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_breaker_tells_what_is_in_force() {
        let metrics = Metrics::new().unwrap();
        metrics.watch_breaker(|| GateStatus {
            rollup: 10,
            state: GateState::Tripped,
            policy: None,
            alerts: Vec::new(),
            attested: None,
            feed_silent_for: Some(1500),
            feed_error: None,
        });
        let text = metrics.render();
        for line in [
            r#"mach_breaker_state{rollup="10",state="tripped"} 1"#,
            r#"mach_breaker_state{rollup="10",state="serving"} 0"#,
            r#"mach_breaker_alerts{rollup="10"} 0"#,
            r#"mach_breaker_feed_silent_seconds{rollup="10"} 1.5"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }

    #[tokio::test]
    async fn the_numbers_are_those_of_the_services() {
        let metrics = Metrics::new().unwrap();
        let (status, watched) = watch::channel(VerifierStatus::default());
        metrics.watch_verifier(10, move || watched.borrow().clone());
        metrics.watch_outbox(|| OutboxStatus {
            waiting: 3,
            received: 9,
            accepted: 6,
            ..OutboxStatus::default()
        });
        let service = |id, state| Service {
            id,
            name: "",
            description: "",
            is_vital: true,
            state: Arc::new(move || state),
        };
        metrics.watch_services(vec![
            service("ServiceOperator", ServiceState::Up),
            service("ServiceOperatorVerifier", ServiceState::Down),
        ]);
        let block = |number| {
            Some(BlockRef {
                number,
                hash: Default::default(),
            })
        };
        status.send_modify(|status| {
            status.next = 121;
            status.head = block(130);
            status.valid = 20;
        });
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = metrics.router().oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], TEXT);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        for line in [
            "mach_num_tasks_received 9",
            "mach_num_signed_task_responses_accepted_by_aggregator 6",
            "mach_operator_waiting 3",
            r#"mach_verifier_next_block{rollup="10"} 121"#,
            r#"mach_verifier_lag_blocks{rollup="10"} 10"#,
            r#"mach_verifier_valid_blocks{rollup="10"} 20"#,
            r#"mach_up{service="ServiceOperatorVerifier"} 0"#,
            r#"eigen_performance_score{avs_name="mach"} 50"#,
            r#"eigen_fees_earned_total{avs_name="mach",token="none"} 0"#,
            "eigen_slashing_status 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        status.send_modify(|status| status.valid = 21);
        let again = metrics.render();
        let line = r#"mach_verifier_valid_blocks{rollup="10"} 21"#;
        assert!(again.lines().any(|it| it == line), "{again}");
    }
}
