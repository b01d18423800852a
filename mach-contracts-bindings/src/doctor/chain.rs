//! The node and the contracts.

use alloy_primitives::Address;
use alloy_provider::Provider;
use alloy_rpc_types_eth::{BlockId, Filter};
use alloy_sol_types::SolEvent;

use super::{Doctor, Finding, Head, Subject, text};
use crate::{
    CallError, Deployment, DeploymentError, DeploymentFile, Probe, ProbeError,
    abi::{IBLSApkRegistry, IMachServiceManager as I, IRegistryCoordinator as C},
    call::call_at,
};

/// Seconds that the newest block may differ from the machine's clock: some slots without a block.
const CLOCK_TOLERANCE: u64 = 90;
/// Ranges that events are asked for in, from best to least that is bearable.
const LOG_RANGES: [u64; 3] = [10_000, 1_000, 100];
/// How far back a certificate may refer: a day of L1.
const HISTORY: u64 = 7_200;

impl Doctor {
    /// The deployment, if the node and its contracts are the ones that are meant.
    pub(super) async fn contracts(&mut self, file: &DeploymentFile) -> Option<Deployment> {
        match file.resolve(self.provider.clone()).await {
            Ok(deployment) => {
                let chain = format!("the node is on chain {}", deployment.l1_chain_id);
                self.found(Finding::passed(Subject::Chain, chain));
                self.found(Finding::passed(
                    Subject::Contracts,
                    format!(
                        "coordinator {} of service manager {}",
                        deployment.registry_coordinator, deployment.service_manager
                    ),
                ));
                Some(deployment)
            }
            Err(error) => {
                self.found(Finding::from(&error));
                None
            }
        }
    }

    pub(super) fn clock(&mut self, head: Head, now: u64) {
        let skew = head.timestamp.abs_diff(now);
        let finding = if skew <= CLOCK_TOLERANCE {
            Finding::passed(
                Subject::Clock,
                format!("the newest block is {} old", text::span(skew)),
            )
        } else if head.timestamp > now {
            Finding::warning(
                Subject::Clock,
                format!(
                    "the newest block is {} in the future of this machine's clock",
                    text::span(skew)
                ),
                "set the clock (NTP); on a devnet, whose time is its own, leave it",
            )
        } else {
            Finding::warning(
                Subject::Clock,
                format!("the newest block is {} old", text::span(skew)),
                "wait until the node is in sync, set this machine's clock, or use another --l1-rpc",
            )
        };
        self.found(finding);
    }

    /// What the node lets its clients read; a running operator or aggregator needs both.
    pub(super) async fn limits(&mut self, deployment: &Deployment, head: u64) {
        self.log_range(deployment.apk_registry, head).await;
        let back = HISTORY.min(head.saturating_sub(deployment.l1_block));
        let past = BlockId::number(head.saturating_sub(back));
        let request = C::quorumCountCall {};
        let answer = call_at(
            &self.provider,
            past,
            deployment.registry_coordinator,
            &request,
        );
        let finding = match answer.await {
            Ok(_) => Finding::passed(Subject::History, format!("{back} blocks back are readable")),
            // At that block there was no contract yet: the state was read all the same.
            Err(CallError::Malformed { length: 0, .. }) => {
                Finding::passed(Subject::History, format!("{back} blocks back are readable"))
            }
            Err(error) => Finding::warning(
                Subject::History,
                format!(
                    "eth_call {back} blocks back is refused: {}",
                    text::chain_of(&error)
                ),
                "operators can join through this node; run the services on one that keeps a day of state",
            ),
        };
        self.found(finding);
    }

    async fn log_range(&mut self, keys: Address, head: u64) {
        let mut refusal = String::new();
        for range in LOG_RANGES {
            let filter = Filter::new()
                .address(keys)
                .event_signature(IBLSApkRegistry::NewPubkeyRegistration::SIGNATURE_HASH)
                .from_block(head.saturating_sub(range - 1))
                .to_block(head);
            match self.provider.get_logs(&filter).await {
                Ok(_) if refusal.is_empty() => {
                    let passed = format!("eth_getLogs over {range} blocks works");
                    self.found(Finding::passed(Subject::Logs, passed));
                    return;
                }
                Ok(_) => {
                    self.found(Finding::note(
                        Subject::Logs,
                        format!("eth_getLogs works over {range} blocks, not over more: {refusal}"),
                        "reading the operators' keys takes longer; another --l1-rpc is quicker",
                    ));
                    return;
                }
                Err(error) => refusal = text::chain_of(&error),
            }
        }
        self.found(Finding::warning(
            Subject::Logs,
            format!("eth_getLogs is refused: {refusal}"),
            "operators can join through this node; the aggregator needs one that serves events",
        ));
    }

    /// Which service manager this is, and whether it lets anybody in.
    pub(super) async fn service_manager(&mut self, deployment: &Deployment) {
        let manager = deployment.service_manager;
        match Probe::read(self.provider.clone(), manager).await {
            Ok(probe) if probe.registry_coordinator == deployment.registry_coordinator => {
                let found = format!(
                    "{}; operators sign {} digests",
                    probe.generation,
                    probe.generation.digest()
                );
                self.found(Finding::passed(Subject::Generation, found));
            }
            Ok(probe) => self.found(Finding::blocker(
                Subject::Generation,
                format!(
                    "the service manager {manager} listens to coordinator {}, not to {}",
                    probe.registry_coordinator, deployment.registry_coordinator
                ),
                "the deployment is mixed from two: correct `registryCoordinator`",
            )),
            Err(ProbeError::Transport(error)) => {
                self.heard::<()>(Subject::Generation, Err(error.into()));
            }
            Err(error) => self.found(Finding::blocker(
                Subject::Generation,
                text::chain_of(&error),
                "use the deployment of a MACH service manager, V1 to V3; for another AVS use its tool",
            )),
        }
        self.pause(manager).await;
    }

    async fn pause(&mut self, manager: Address) {
        let paused = self.ask(manager, I::paused_0Call {}).await;
        if let Some(paused) = self.heard(Subject::Pause, paused) {
            self.found(if paused.is_zero() {
                Finding::passed(Subject::Pause, "the service manager is not paused")
            } else {
                Finding::blocker(
                    Subject::Pause,
                    format!("the service manager is paused (flags {paused:#x})"),
                    "wait until its unpauser unpauses it: nobody can join or leave meanwhile",
                )
            });
        }
    }
}

impl From<&DeploymentError> for Finding {
    /// Why the deployment cannot be used, and what to do about it.
    fn from(error: &DeploymentError) -> Self {
        let (subject, fix) = match error {
            DeploymentError::WrongChain { expected, .. } => (
                Subject::Chain,
                format!("use an --l1-rpc on chain {expected}, or the deployment of this chain"),
            ),
            DeploymentError::NoCode { key, .. } => (
                Subject::Contracts,
                format!("check --l1-rpc, and `{key}` in the deployment"),
            ),
            DeploymentError::NotACoordinator { .. } => (
                Subject::Contracts,
                "put the address of the RegistryCoordinator's proxy into `registryCoordinator`"
                    .to_owned(),
            ),
            DeploymentError::Mismatch { key, actual, .. } => (
                Subject::Contracts,
                format!("set `{key}` to {actual}, if the coordinator is the one that is meant"),
            ),
            DeploymentError::Transport(_) => (
                Subject::Chain,
                "check that --l1-rpc is right and reachable".to_owned(),
            ),
            _ => (
                Subject::Contracts,
                "correct the deployment file, or name a built-in deployment".to_owned(),
            ),
        };
        Self::blocker(subject, text::chain_of(error), fix)
    }
}
