//! Whether what a service needs is there: looked at all the time, told when somebody asks.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::Router;
use mach_node::{
    L1Head, VerifiedBlocks,
    finality::verified_router,
    node_api::{NodeApi, Service, ServiceState},
    store::Store,
};
use tokio::net::TcpStream;
use tracing::{info, warn};

use super::{lifecycle::Lifecycle, rollup::Watched};
use crate::config::Endpoint;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(10);
/// Longest look.
const TIMEOUT: Duration = Duration::from_secs(8);

/// What a look has found.
#[derive(Clone, Default)]
pub(super) struct Probe(Arc<AtomicU8>);

impl Probe {
    /// Looks again and again, until the end of the service.
    pub(super) fn start<F: Future<Output = eyre::Result<()>> + Send>(
        life: &mut Lifecycle,
        what: &'static str,
        look: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let (this, shutdown) = (Self::default(), life.shutdown.clone());
        let probe = this.clone();
        life.helpers.spawn(async move {
            loop {
                let found = match tokio::time::timeout(TIMEOUT, look()).await {
                    Ok(found) => found,
                    Err(late) => Err(late.into()),
                };
                probe.found(what, found);
                tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = shutdown.cancelled() => return,
                }
            }
        });
        this
    }

    fn found(&self, what: &str, found: eyre::Result<()>) {
        let is_up = found.is_ok();
        let before = self.0.swap(if is_up { 1 } else { 2 }, Relaxed);
        match found {
            Ok(()) if before == 2 => info!("{what} is back"),
            Err(error) if before != 2 => warn!("{what} is not reached: {error:#}"),
            _ => {}
        }
    }

    pub(super) fn state(&self) -> ServiceState {
        match self.0.load(Relaxed) {
            0 => ServiceState::Initializing,
            1 => ServiceState::Up,
            _ => ServiceState::Down,
        }
    }

    /// Whether L1 answers.
    pub(super) fn l1(life: &mut Lifecycle, head: impl L1Head + Clone + 'static) -> Self {
        Self::start(life, "L1", move || {
            let head = head.clone();
            async move {
                let number = head.block_number().await;
                number.map(|_| ()).map_err(|error| eyre::eyre!("{error}"))
            }
        })
    }

    /// Whether the store takes rows.
    pub(super) fn store(life: &mut Lifecycle, store: impl Store + Clone + 'static) -> Self {
        Self::start(life, "the store", move || {
            let store = store.clone();
            async move { Ok(VerifiedBlocks::probe(&store).await?) }
        })
    }

    /// Whether one of the endpoints takes connections.
    pub(super) fn endpoints(life: &mut Lifecycle, endpoints: Vec<Endpoint>) -> Self {
        Self::start(life, "the aggregator", move || {
            let endpoints = endpoints.clone();
            async move {
                let mut last = eyre::eyre!("none is named");
                for endpoint in endpoints {
                    match connect(&endpoint).await {
                        Ok(()) => return Ok(()),
                        Err(error) => last = error.wrap_err(endpoint.to_string()),
                    }
                }
                Err(last)
            }
        })
    }
}

async fn connect(endpoint: &Endpoint) -> eyre::Result<()> {
    let host = endpoint.0.host_str().unwrap_or_default();
    let port = endpoint.0.port_or_known_default().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    TcpStream::connect((host, port)).await?;
    Ok(())
}

/// Several states as one: the worst.
pub(super) fn worst(states: impl IntoIterator<Item = ServiceState>) -> ServiceState {
    states
        .into_iter()
        .fold(ServiceState::Up, |worst, state| match (worst, state) {
            (ServiceState::Down, _) | (_, ServiceState::Down) => ServiceState::Down,
            (ServiceState::Initializing, _) | (_, ServiceState::Initializing) => {
                ServiceState::Initializing
            }
            (ServiceState::Up, ServiceState::Up) => ServiceState::Up,
        })
}

/// The verifiers of a process, as a service of its node API. The ids are the original's.
pub(super) fn verifiers(rollups: Vec<Watched>) -> Service {
    Service {
        id: "ServiceOperatorVerifier",
        name: "Verifier",
        description: "verifies every block of the rollups, up to their heads",
        is_vital: true,
        state: Arc::new(move || worst(rollups.iter().map(Watched::state))),
    }
}

/// What the process itself needs.
pub(super) fn process(what: &'static str, probes: Vec<Probe>) -> Service {
    Service {
        id: "ServiceOperator",
        name: "Operator",
        description: what,
        is_vital: true,
        state: Arc::new(move || worst(probes.iter().map(Probe::state))),
    }
}

/// The API of a node with these services, and how far it has verified its rollups.
pub(super) fn node_api(name: &str, services: Vec<Service>, rollups: Vec<Watched>) -> Router {
    let api = NodeApi {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        services,
    };
    let verified = move || rollups.iter().map(Watched::verified).collect();
    api.router()
        .merge(verified_router(name.to_owned(), verified))
}

#[cfg(test)]
mod tests {
    use super::*;

    use ServiceState::{Down, Initializing, Up};

    #[test]
    fn a_service_is_as_well_as_its_worst_part() {
        assert_eq!(worst([Up, Up]), Up);
        assert_eq!(worst([Up, Initializing]), Initializing);
        assert_eq!(worst([Initializing, Down, Up]), Down);
        let probe = Probe::default();
        assert_eq!(probe.state(), Initializing);
        probe.found("it", Err(eyre::eyre!("away")));
        assert_eq!(probe.state(), Down);
        probe.found("it", Ok(()));
        assert_eq!(probe.state(), Up);
    }
}
