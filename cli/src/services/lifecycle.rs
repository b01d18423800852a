//! From the start of a service to its end.

use std::{net::SocketAddr, path::Path, time::Duration};

use eyre::WrapErr;
use mach_node::{
    VerifiedBlocks,
    http::{self, HttpConfig, HttpServer},
    store::{RedbStore, StoreError},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{config, outcome::Outcome, signals::Ended};

/// How long a service that is told to end may take.
const GRACE: Duration = Duration::from_secs(15);

/// Tasks of a service, and what ends them.
pub(super) struct Lifecycle {
    pub(super) shutdown: CancellationToken,
    /// What the service is for: it ends when all of them have.
    pub(super) work: JoinSet<eyre::Result<()>>,
    /// What goes on beside.
    pub(super) helpers: JoinSet<()>,
    servers: Vec<HttpServer>,
    ended: Ended,
}

impl Lifecycle {
    /// From here on signals end it in order.
    pub(super) fn new() -> eyre::Result<Self> {
        Ok(Self {
            shutdown: CancellationToken::new(),
            work: JoinSet::new(),
            helpers: JoinSet::new(),
            servers: Vec::new(),
            ended: Ended::new()?,
        })
    }

    /// Serves `router` until the end. Returns where.
    pub(super) async fn serve(
        &mut self,
        what: &str,
        router: axum::Router,
        address: SocketAddr,
    ) -> eyre::Result<String> {
        self.serve_with(what, router, HttpConfig::new(address))
            .await
    }

    /// The same with another configuration than the usual one.
    pub(super) async fn serve_with(
        &mut self,
        what: &str,
        router: axum::Router,
        config: HttpConfig,
    ) -> eyre::Result<String> {
        let address = config.address;
        let server = http::serve(router, config)
            .await
            .wrap_err_with(|| format!("{what} at {address}"))?;
        let url = server.url();
        info!(%url, "{what}");
        self.servers.push(server);
        Ok(url)
    }

    /// Until a signal comes, nothing works any more, or something beside it has panicked: whoever started the
    /// service may start it again, and nobody would miss an outbox that sends nothing.
    pub(super) async fn run(mut self) -> eyre::Result<Outcome> {
        let mut failure = None;
        loop {
            tokio::select! {
                () = self.ended.wait() => break,
                finished = self.work.join_next() => match finished {
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => {
                        error!("{error:#}");
                        failure = Some(error);
                    }
                    Some(Err(panicked)) => failure = Some(panicked.into()),
                    None => {
                        // Without work there is nothing to stay up for.
                        self.end().await;
                        return Err(failure.unwrap_or_else(|| eyre::eyre!("there is nothing to do")));
                    }
                },
                Some(ended) = self.helpers.join_next() => {
                    if let Err(panicked) = ended {
                        self.end().await;
                        return Err(panicked.into());
                    }
                }
            }
        }
        info!("ends");
        self.end().await;
        Ok(Outcome::Valid)
    }

    async fn end(&mut self) {
        self.shutdown.cancel();
        self.servers.clear();
        let all = async {
            while self.work.join_next().await.is_some() {}
            while self.helpers.join_next().await.is_some() {}
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!("stopped with work that was not finished");
        }
    }
}

/// Opens the store of a service.
pub(super) async fn open_store(config: &config::Config, service: &str) -> eyre::Result<RedbStore> {
    let folder = &config.store.folder;
    std::fs::create_dir_all(folder)
        .wrap_err_with(|| format!("folder of the store {}", folder.display()))?;
    let path = folder.join(service).with_extension("redb");
    let store = open(&path)?;
    VerifiedBlocks::probe(&store)
        .await
        .wrap_err_with(|| path.display().to_string())?;
    Ok(store)
}

fn open(path: &Path) -> eyre::Result<RedbStore> {
    RedbStore::open(path).map_err(|error| {
        let advice = match &error {
            StoreError::InUse(_) => {
                "it runs already: one process at a time; name another store.folder for another one"
            }
            StoreError::Damaged { .. } | StoreError::Unreadable(_) => {
                "nothing may be signed with this store: bring a copy of it back"
            }
            _ => "the store",
        };
        eyre::Report::new(error)
            .wrap_err(path.display().to_string())
            .wrap_err(advice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_ends_when_a_part_of_it_panics() {
        let mut life = Lifecycle::new().unwrap();
        let shutdown = life.shutdown.clone();
        life.work.spawn(async move {
            shutdown.cancelled().await;
            Ok(())
        });
        // One that has done its work is no reason.
        life.helpers.spawn(async {});
        life.helpers.spawn(async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            panic!("the outbox is gone");
        });
        let ended = tokio::time::timeout(Duration::from_secs(10), life.run());
        let error = ended.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("the outbox is gone"), "{error}");
    }
}
