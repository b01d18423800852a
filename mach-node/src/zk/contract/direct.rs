//! Output roots that convict themselves: in the EVM, without a proof and without a bond.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use mach_contracts_bindings::zk::abi::Opening;
use mach_core::Alert;

use super::{
    AlertState, Descent, L1ZkContract, Proposal, Target, ZkContract, ZkContractError, kind, number,
    raised_by, refusal::not_sent, search::WINDOW,
};

impl L1ZkContract {
    /// What a wrong output root is the hash of, with the header that it names; `None` if no node says.
    pub(super) async fn opened(&self, alert: &Alert) -> Result<Option<Descent>, ZkContractError> {
        let refused = || {
            let reason = "the output root is that of the block that it names";
            Err(ZkContractError::Refused(reason.into()))
        };
        // The rollup may have gone back since it was compared.
        let own = self.chain.output_at(alert.block.number).await;
        if let Ok(Some((_, root))) = own
            && root == alert.claimed
        {
            return refused();
        }
        let opened = self.chain.opening(alert.block.number, alert.claimed).await;
        let opened = opened.map_err(ZkContractError::Backend)?;
        let Some((descent, header)) = opened else {
            return Ok(None);
        };
        let passer = descent.message_passer;
        let is_right = header.number == alert.block.number
            && header.state_root == descent.state_root
            && self.chain.passer_of(&header, descent.block_hash).await == Some(passer);
        if is_right {
            return refused();
        }
        Ok(Some(descent))
    }

    /// Convicts an output root wherever it stands on L1, and says under which id the first; `None` if it does not stand
    /// there, as far as was looked.
    pub(super) async fn convicted(
        &self,
        alert: &Alert,
        opened: &Descent,
    ) -> Result<Option<(B256, Target)>, ZkContractError> {
        let damaged = || ZkContractError::Gone("the header that was kept is damaged".into());
        let header = opened.headers.first().ok_or_else(damaged)?;
        let named: Header = alloy_rlp::decode_exact(header).map_err(|_| damaged())?;
        let mut standing = Vec::new();
        let looked = self.standing(alert, named.timestamp, &mut standing).await;
        let convicted = match looked {
            Ok(()) => self.convict_each(alert, opened, header, &standing).await,
            Err(error) => Err(error),
        };
        if !standing.is_empty() {
            // The next look begins with them if that failed, or with what is claimed once more, and not behind them.
            self.looks().retain(|(root, _), _| *root != alert.claimed);
        }
        convicted
    }

    /// Convicts each of these that can be, and says under which id the first.
    async fn convict_each(
        &self,
        alert: &Alert,
        opened: &Descent,
        header: &Bytes,
        standing: &[Proposal],
    ) -> Result<Option<(B256, Target)>, ZkContractError> {
        let (mut convicted, mut refused) = (None, None);
        for proposal in standing {
            let mut proposal = *proposal;
            proposal.expected = alert.computed;
            match self.convict_one(&proposal, opened, header).await {
                Ok(id) => {
                    convicted = convicted.or(Some((id, Target::Published(proposal))));
                }
                Err(error) if error.is_transient() => return Err(error),
                // The same root may be right where another proposal claims it, of another block.
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match (convicted, refused) {
            (None, Some(error)) => Err(error),
            (convicted, _) => Ok(convicted),
        }
    }

    /// Convicts what stands at one place, unless it is, and says under which id.
    async fn convict_one(
        &self,
        proposal: &Proposal,
        opened: &Descent,
        header: &Bytes,
    ) -> Result<B256, ZkContractError> {
        let target = Target::Published(*proposal);
        let opening = Opening {
            stateRoot: opened.state_root,
            messagePasserStorageRoot: opened.message_passer,
            blockHash: opened.block_hash,
        };
        let (manager, submitter, proof) = (&self.manager, &self.submitter, &opened.account_proof);
        if let Some(id) = self.find(&target).await? {
            if self.state(id, &target).await? != AlertState::Proved {
                let sent = manager.convict_directly(submitter, number(id), &opening, header, proof);
                sent.await.map_err(not_sent)?;
            }
            return Ok(id);
        }
        let (kind, _) = kind(proposal.source);
        let sent =
            manager.accuse_directly(submitter, kind, proposal.index, &opening, header, proof);
        raised_by(manager.address(), &sent.await.map_err(not_sent)?)
    }

    /// Adds where the root of an alert stands on L1, of what counts and as far as was looked.
    async fn standing(
        &self,
        alert: &Alert,
        since: u64,
        standing: &mut Vec<Proposal>,
    ) -> Result<(), ZkContractError> {
        let (provider, from) = (self.provider(), alert.block.number);
        let outputs = self.sources.outputs(provider, from).await?;
        standing.extend(self.counting(alert, outputs).await?);
        for game_type in self.sources.game_types(provider, since).await? {
            let what = (alert.claimed, game_type);
            let mut left = self.games_at_a_time;
            while left > 0 {
                let most = left.min(WINDOW);
                left -= most;
                let (claims, next) = self.claims(what, from, since, most).await?;
                standing.extend(self.counting(alert, claims).await?);
                if !self.looked(what, next) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Those of these that have the root of the alert and count.
    async fn counting(
        &self,
        alert: &Alert,
        proposals: Vec<Proposal>,
    ) -> Result<Vec<Proposal>, ZkContractError> {
        let mut counting = Vec::new();
        for proposal in proposals.into_iter().filter(|it| it.root == alert.claimed) {
            if self.sources.counts(self.provider(), &proposal).await? {
                counting.push(proposal);
            }
        }
        Ok(counting)
    }
}
