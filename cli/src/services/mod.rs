//! Services that stay up: parse, build the parts, hand them over, map the outcome.

mod account;
mod aggregator;
mod api;
mod chain;
mod health;
mod legacy;
mod lifecycle;
mod operator;
mod rollup;
mod verifier;
mod zk;

use clap::{Args, Subcommand};

use crate::{config::ConfigArgs, outcome::Outcome, remote::runtime};

/// Run an aggregator, which collects operators' signatures and brings certificates to L1
///
/// Everything it is told stands in one file, which `mach-cli init` writes and `mach-cli config check`
/// checks. What was acknowledged survives kill -9 and a restart. SIGINT and SIGTERM end it.
///
/// Examples:
///   mach-cli aggregator run --config aggregator.toml
///   mach-cli aggregator run --set aggregator.listen=0.0.0.0:8290
///   OPERATOR_ECDSA_KEY_PASSWORD=... mach-cli aggregator run
///
/// Exit codes: 0 ended by a signal, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AggregatorArgs {
    #[command(subcommand)]
    command: AggregatorCommand,
}

#[derive(Debug, Subcommand)]
enum AggregatorCommand {
    /// Run it, until SIGINT or SIGTERM
    ///
    /// It needs `l1.rpc` with `l1.deployment`, `aggregator.ecdsa_key` (or `web3signer`, or `dry_run`), and
    /// a [[rollup]] for each rollup. Operators reach it at `aggregator.listen`, applications, `top` and
    /// the dashboard's readers at `api.listen`.
    ///
    /// Examples:
    ///   mach-cli init --role aggregator --deployment deployment.json --l1-rpc $L1 --rollup 10=$OP
    ///   mach-cli config check
    ///   mach-cli aggregator run
    #[command(verbatim_doc_comment)]
    Run(ConfigArgs),
}

/// Run an operator, which verifies rollups and signs what it finds
///
/// It goes on where it stopped, says nothing that contradicts what it said before, and sends every
/// statement until the aggregators have taken it. One process for each BLS key: two with one key and
/// two stores can contradict each other.
///
/// Examples:
///   mach-cli operator run --config operator.toml
///   mach-cli operator run --set rollup.10.attest_every=300
///   OPERATOR_BLS_KEY_PASSWORD=... mach-cli operator run
///
/// Exit codes: 0 ended by a signal, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct OperatorArgs {
    #[command(subcommand)]
    command: OperatorCommand,
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Run it, until SIGINT or SIGTERM
    ///
    /// It needs `l1.rpc` with `l1.deployment`, `operator.bls_key` (or `cerberus`), `operator.aggregators`,
    /// and a [[rollup]] for each rollup, with `attest_every` where valid blocks are to be attested.
    ///
    /// Examples:
    ///   mach-cli init --role operator --deployment deployment.json --l1-rpc $L1 --rollup 10=$OP \
    ///       --aggregator $AGGREGATOR --attest-every 100
    ///   mach-cli config check
    ///   mach-cli operator run
    #[command(verbatim_doc_comment)]
    Run(ConfigArgs),
}

/// Run a verifier, which needs no key: it verifies rollups, keeps evidence, and tells how it is
///
/// With `verifier.operator` it reports what it finds to the verifier-facing API of an operator. With
/// `zk.service_manager` it shows wrong blocks to that contract: it raises an alert, has a proof made
/// and hands it in, which takes an account that pays and a prover whose proofs the EVM takes. Output
/// roots that are proposed on L1 are compared with the rollup's blocks. A wrong one takes no proof:
/// the rollup's `op_node` has to say what it is the hash of; where it does not, the case is told as
/// stuck.
///
/// Examples:
///   mach-cli verifier run --config verifier.toml
///   mach-cli verifier run --set metrics.verifier=127.0.0.1:9094
///   mach-cli verifier run --set zk.service_manager=0x... --set zk.backend=risc0
///
/// Exit codes: 0 ended by a signal, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct VerifierArgs {
    #[command(subcommand)]
    command: VerifierCommand,
}

#[derive(Debug, Subcommand)]
enum VerifierCommand {
    /// Run it, until SIGINT or SIGTERM
    ///
    /// It needs at least one [[rollup]] with its `rpc`, and nothing else.
    ///
    /// Examples:
    ///   mach-cli init --role verifier --rollup 10=$OP
    ///   mach-cli verifier run
    #[command(verbatim_doc_comment)]
    Run(ConfigArgs),
}

pub(crate) fn run_aggregator(args: &AggregatorArgs) -> eyre::Result<Outcome> {
    let AggregatorCommand::Run(config) = &args.command;
    let loaded = config.load()?;
    crate::outcome::init_service_logging(&loaded.config.log)?;
    runtime()?.block_on(aggregator::run(&loaded.config))
}

pub(crate) fn run_operator(args: &OperatorArgs) -> eyre::Result<Outcome> {
    let OperatorCommand::Run(config) = &args.command;
    let loaded = config.load()?;
    crate::outcome::init_service_logging(&loaded.config.log)?;
    runtime()?.block_on(operator::run(&loaded.config))
}

pub(crate) fn run_verifier(args: &VerifierArgs) -> eyre::Result<Outcome> {
    let VerifierCommand::Run(config) = &args.command;
    let loaded = config.load()?;
    crate::outcome::init_service_logging(&loaded.config.log)?;
    runtime()?.block_on(verifier::run(&loaded.config))
}
