//! Blocks that a node is asked for.

use std::time::Instant;

use mach_core::{
    Verdict,
    ports::{BlockValidator, L2Source},
};
use mach_verify::{
    WitnessMemory,
    source::{RecordedBlock, RpcSource, StatelessValidator},
};
use url::Url;

use crate::{
    args::BlockRange,
    evidence::Bundles,
    outcome::Outcome,
    report::{Report, Row},
    spec::Specs,
};

/// Verifies a range of blocks with the witnesses of the node at `url`.
pub(crate) fn verify(
    specs: &Specs,
    url: &Url,
    blocks: &BlockRange,
    bundles: &Bundles,
    json: bool,
) -> eyre::Result<Outcome> {
    runtime()?.block_on(async {
        let source = RpcSource::connect(url.clone()).await?;
        let spec = specs.of(source.chain_id())?.clone();
        let witnesses = WitnessMemory::new(source.clone());
        let validator = StatelessValidator::new(spec.clone(), &witnesses);
        let name = shown(url);
        let mut report = Report::new(Some(blocks.count()), json);
        for number in blocks.numbers() {
            let started = Instant::now();
            let mut row = Row::unknown(name.clone());
            row.chain_id = Some(source.chain_id());
            row.number = Some(number);
            row.result = match source.block(number).await {
                Ok(block) => {
                    row.set_block(&block);
                    let verdict = validator.validate(&block).await;
                    if let Ok(Verdict::Invalid(fault)) = &verdict
                        && let Some(witness) = witnesses.remembered(block.hash())
                    {
                        let recorded = RecordedBlock {
                            block,
                            witness,
                            source: None,
                        };
                        bundles.keep(&spec, recorded, fault, &mut row);
                    }
                    verdict.map_err(eyre::Report::new)
                }
                Err(error) => Err(error.into()),
            };
            row.elapsed = started.elapsed();
            report.add(row);
        }
        Ok(report.finish())
    })
}

/// A runtime for commands that wait for sockets.
pub(crate) fn runtime() -> eyre::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// The URL without what may be a secret: user, password, path and query.
pub(crate) fn shown(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        (Some(host), None) => format!("{}://{host}", url.scheme()),
        _ => url.scheme().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_secret() {
        let url = "https://user:pass@node.example:8545/v2/key?token=secret"
            .parse()
            .unwrap();
        assert_eq!(shown(&url), "https://node.example:8545");
    }
}
