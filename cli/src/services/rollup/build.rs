//! What judges the blocks of a rollup, put together as its configuration says.

use std::sync::Arc;

use mach_core::{
    L2Block,
    ports::{BlobSource, BlockValidator, L1Head, L1Source},
};
use mach_verify::{
    Accuser, EvidenceFolder, EvidenceValidator, PendingEvidence, WitnessMemory,
    derive::{DerivationAccuser, DerivationValidator, Driver},
    follow::{FollowLimits, FollowValidator, Follower},
    op::{OpL1Validator, Rollup as RollupRules, Settlement},
    source::{OpNode, ProposalValidator},
};
use tracing::{info, warn};
use url::Url;

use super::{RETRY, Work, settled::Settled};
use crate::{
    against_l1::{connect_l1, l1_rules},
    config::{Endpoint, Head},
    derive::{blob_source, executor},
    nodes::{Node, Nodes, RpcArgs},
};

/// What a verifier is made of.
pub(in crate::services) struct Parts {
    pub(in crate::services) source: Arc<dyn Node>,
    pub(in crate::services) validator: Arc<dyn BlockValidator>,
    pub(super) bundles: PendingEvidence,
}

/// What judges a block, and who proves what it finds on L1.
struct Judge {
    validator: Arc<dyn BlockValidator>,
    l1: Option<Arc<dyn Accuser>>,
    derivation: Option<Arc<dyn DerivationAccuser>>,
}

type Executing = FollowValidator<Arc<WitnessMemory<Arc<dyn Node>>>>;

impl Work {
    /// The nodes, as soon as they are there.
    ///
    /// Errors: they are those of another chain.
    pub(super) async fn nodes(&self) -> eyre::Result<Nodes> {
        let rpc = self.rpc(&self.rollup.rpc);
        let mut is_told = false;
        let nodes = loop {
            let error = match Nodes::connect(&rpc, &self.specs).await {
                Ok(nodes) => break nodes,
                Err(error) => error,
            };
            if !is_told {
                warn!(
                    rollup = self.rollup.chain_id,
                    "no node yet, tried again: {error:#}"
                );
                is_told = true;
            }
            tokio::time::sleep(RETRY).await;
        };
        eyre::ensure!(
            nodes.chain_id() == self.rollup.chain_id,
            "{} is on chain {}",
            nodes.name,
            nodes.chain_id()
        );
        Ok(nodes)
    }

    /// What judges the blocks behind `behind`, which only derivation asks for.
    pub(super) async fn parts(
        &self,
        nodes: &Nodes,
        behind: Option<&L2Block>,
    ) -> eyre::Result<Parts> {
        let source = Arc::clone(&nodes.source);
        let witnesses = Arc::new(WitnessMemory::new(Arc::clone(&source)));
        let follower = Arc::new(Follower::new(self.spec.clone(), FollowLimits::default()));
        let executing = FollowValidator::new(Arc::clone(&follower), Arc::clone(&witnesses));
        let judge = self.against_l1(executing, &source, behind).await?;
        let validator: Arc<dyn BlockValidator> = match &self.rollup.op_node {
            Some(node) => Arc::new(ProposalValidator::new(
                judge.validator,
                OpNode::connect(node.0.clone())?,
            )),
            None => judge.validator,
        };
        let folder = EvidenceFolder::new(&self.rollup.evidence);
        let kept = EvidenceValidator::new(self.spec.clone(), validator, witnesses, folder);
        let bundles = kept.pending();
        let kept = kept.with_follower(follower);
        let kept = match judge.l1 {
            Some(accuser) => kept.with_l1(accuser),
            None => kept,
        };
        let kept = match judge.derivation {
            Some(accuser) => kept.with_derivation(accuser),
            None => kept,
        };
        info!(
            rollup = self.rollup.chain_id,
            nodes = nodes.name,
            derives = self.rollup.derive,
            "verifies"
        );
        Ok(Parts {
            source,
            validator: Arc::new(kept),
            bundles,
        })
    }

    async fn against_l1(
        &self,
        executing: Executing,
        source: &Arc<dyn Node>,
        behind: Option<&L2Block>,
    ) -> eyre::Result<Judge> {
        let rollup = &self.rollup;
        if rollup.l1.is_empty() {
            return Ok(Judge {
                validator: Arc::new(executing),
                l1: None,
                derivation: None,
            });
        }
        let config = self.specs.rollup_of(rollup.chain_id)?;
        let rules = l1_rules(
            &self.specs,
            rollup.l1_genesis.as_deref(),
            config.l1_chain_id,
        )?;
        let l1 = self.l1(config.l1_chain_id).await;
        let settlement = rollup
            .l1_depth
            .map_or(Settlement::Finalized, Settlement::Depth);
        let rules = RollupRules::new(config, self.spec.clone(), rules);
        let validator = OpL1Validator::new(executing, rules.clone(), l1, Arc::clone(source));
        let validator = Arc::new(validator.with_settlement(settlement));
        let (Some(behind), true) = (behind, rollup.derive) else {
            return Ok(Judge {
                validator: Arc::clone(&validator) as _,
                l1: Some(validator),
                derivation: None,
            });
        };
        let head = match rollup.head {
            Head::Finalized => L1Head::Finalized,
            // What the rollup's node calls safe it has derived up to the head of L1.
            Head::Safe | Head::Unsafe => L1Head::Latest,
        };
        let l1 = self.l1(rules.config.l1_chain_id).await;
        let beacon = rollup.beacon.as_ref().map(|it| &it.0);
        let blobs: Box<dyn BlobSource> =
            blob_source(beacon, None, &self.rpc(&rollup.l1).options())?;
        let driver = Driver::new(rules, behind, l1, blobs, Arc::clone(source))?
            .with_head(head)
            .with_executor(executor(&self.rpc(&rollup.rpc), &self.spec)?);
        let derived = Arc::new(DerivationValidator::new(Arc::clone(&validator), driver));
        let settled = Settled::new(Arc::clone(&derived), Arc::clone(source), rollup.chain_id);
        Ok(Judge {
            validator: Arc::new(settled),
            l1: Some(validator),
            derivation: Some(derived),
        })
    }

    /// L1, as soon as it is there.
    async fn l1(&self, chain_id: u64) -> Box<dyn L1Source> {
        let rollup = &self.rollup;
        let urls: Vec<Url> = rollup.l1.iter().map(|it| it.0.clone()).collect();
        let rpc = self.rpc(&rollup.l1);
        loop {
            match connect_l1(&urls, &rpc, chain_id).await {
                Ok(l1) => return l1,
                Err(error) => warn!(
                    rollup = rollup.chain_id,
                    "no L1 yet, tried again: {error:#}"
                ),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn rpc(&self, endpoints: &[Endpoint]) -> RpcArgs {
        let urls = endpoints.iter().map(|it| it.0.clone()).collect();
        let mut args = RpcArgs::of(urls, self.rollup.rpc_rate);
        args.witness = self.rollup.witness;
        args.agree = self.rollup.agree;
        args
    }
}
