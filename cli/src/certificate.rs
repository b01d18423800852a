//! `mach-cli certificate`: what operators have signed, checked by whoever reads it.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, ChainId};
use clap::{Args, Subcommand};
use eyre::WrapErr;
use mach_bls::{OperatorKeys, verify_certificate, verify_self_contained};
use mach_contracts_bindings::{ContractRegistry, ServiceManager};
use mach_core::{
    Certificate, CertificateFile, Domain, MAX_CERTIFICATE_BYTES, OperatorSet, OperatorsFile,
    QuorumNumbers, Statement, Threshold, ports::OperatorRegistry,
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    config::{self, Config, Endpoint},
    l1::{self, L1, read_quorums},
    outcome::{Outcome, told_as_json},
    remote::runtime,
    rules,
};

/// Verify, show and prepare to verify certificates
///
/// A certificate says that operators with enough stake have signed a statement about a block. It
/// proves the signature by itself. Who the operators are, and how much stake they have, is L1's to
/// say: from an L1 node, from a file that was made with one, or from a hash that somebody trusts.
///
/// Examples:
///   mach-cli certificate verify block-120.json --config mach.toml
///   mach-cli certificate verify block-120.json --operators operators.json      (offline)
///   mach-cli certificate operators --config mach.toml --block 19000000 --out operators.json
///   mach-cli certificate show block-120.json
///
/// Exit codes: 0 valid or done, 1 not valid, 2 not known, because nothing says who the operators are,
/// or failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CertificateArgs {
    #[command(subcommand)]
    command: CertificateCommand,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum CertificateCommand {
    Verify(VerifyArgs),
    Show(ShowArgs),
    Operators(OperatorsArgs),
}

/// Check a certificate, and say what is proved and what is trusted
///
/// Who the operators were at the certificate's reference block is said by one of:
///   --config FILE            the contracts on L1 that its section [l1] names, or the file of
///                            operators that its key certificate.operators names
///   --l1-rpc, --deployment   the contracts on L1
///   --operators FILE         a file, and no node is asked
///   --operators-digest HASH  somebody who is trusted, and no node is asked
///   --trust-operators        the certificate itself
/// Flags beat the environment, and that beats the file of --config.
///
/// Examples:
///   curl -o block-120.json http://localhost:8080/v1/rollups/10/certificates/120
///   mach-cli certificate verify block-120.json --config mach.toml
///   mach-cli certificate verify block-120.json --l1-rpc $RPC --deployment deploy.json
///   mach-cli certificate verify block-120.json --operators operators.json --least-share 80
///
/// Exit codes: 0 valid, 1 not valid, 2 not known, because nothing says who the operators are, or
/// failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("trust").args(["operators", "operators_digest", "trust_operators", "deployment"]))]
struct VerifyArgs {
    /// Certificate, as `/v1/rollups/ID/certificates/DIGEST` of an aggregator serves it, or with the
    /// height of an attested block for DIGEST
    file: PathBuf,

    /// Configuration file, as `mach-cli init` writes it
    #[arg(long, env = "MACH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Operators and stakes at the reference block, as `certificate operators` writes them
    #[arg(long, env = "MACH_OPERATORS_FILE", value_name = "FILE")]
    operators: Option<PathBuf>,

    /// Hash of the operators that is trusted, as `certificate show` prints it
    #[arg(long, env = "MACH_OPERATORS_DIGEST", value_name = "HASH")]
    operators_digest: Option<B256>,

    /// Take the operators as the certificate has them
    #[arg(long)]
    trust_operators: bool,

    #[command(flatten)]
    l1: OptionalL1,

    /// Least share of its stake that each quorum has to have signed with, in percent; with an L1
    /// node also no less than the service manager asks for
    #[arg(long, env = "MACH_LEAST_SHARE", value_name = "PERCENT", default_value_t = 66, value_parser = clap::value_parser!(u8).range(1..=100))]
    least_share: u8,

    /// Quorums that have to have signed [default: any; with an L1 node those of the service manager]
    #[arg(long, env = "MACH_CERTIFICATE_QUORUMS", value_name = "NUMBERS", value_parser = read_quorums)]
    quorums: Option<QuorumNumbers>,

    /// The only service manager whose certificates count [default: any; with operators, theirs]
    #[arg(long, env = "MACH_CERTIFICATE_SERVICE_MANAGER", value_name = "ADDRESS")]
    service_manager: Option<Address>,

    /// The only L1 chain whose certificates count [default: any; with operators, theirs]
    #[arg(long, env = "MACH_CERTIFICATE_L1_CHAIN", value_name = "ID")]
    l1_chain: Option<ChainId>,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

/// An L1 node and the contracts there, where they are named; they beat those of a configuration file.
#[derive(Debug, Args)]
struct OptionalL1 {
    /// JSON-RPC endpoint of the L1 that the contracts are on
    #[arg(long, env = "MACH_L1_RPC", value_name = "URL", hide_env_values = true)]
    l1_rpc: Option<Url>,

    /// A built-in deployment by name, or a deployment file: the L1 node is asked for its operators
    #[arg(long, env = "MACH_DEPLOYMENT", value_name = "NAME|FILE")]
    deployment: Option<String>,
}

/// Show what a certificate says, unchecked
///
/// Examples:
///   mach-cli certificate show block-120.json
///   mach-cli certificate show block-120.json --json | jq .referenceBlock
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct ShowArgs {
    /// Certificate
    file: PathBuf,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

/// Write operators and stakes at an L1 block into a file, to verify certificates offline
///
/// The file is good for certificates with this reference block and these quorums, which
/// `certificate show` tells.
///
/// Examples:
///   mach-cli certificate operators --config mach.toml --block 19000000 --out operators.json
///   mach-cli certificate operators --l1-rpc $RPC --deployment altlayer --block 19000000 --quorums 0,1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("l1_rpc", |arg| arg.required_unless_present("config")))]
#[command(mut_arg("deployment", |arg| arg.required_unless_present("config")))]
struct OperatorsArgs {
    /// Configuration file, as `mach-cli init` writes it: its section [l1] names node and contracts
    #[arg(long, env = "MACH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    l1: OptionalL1,

    /// L1 block: the reference block of the certificates
    #[arg(long, env = "MACH_REFERENCE_BLOCK", value_name = "L1 BLOCK")]
    block: u32,

    /// Quorums, such as 0 or 0,1
    #[arg(long, env = "MACH_QUORUMS", value_name = "NUMBERS", default_value = "0", value_parser = read_quorums)]
    quorums: QuorumNumbers,

    /// File to write [default: standard output]
    #[arg(long, env = "MACH_OPERATORS_OUT", value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &CertificateArgs) -> eyre::Result<Outcome> {
    match &args.command {
        CertificateCommand::Verify(args) => told_as_json(verify(args), args.json),
        CertificateCommand::Show(args) => told_as_json(show(args), args.json),
        CertificateCommand::Operators(args) => runtime()?.block_on(operators(args)),
    }
}

/// Who says who the operators are.
enum Known {
    Nobody,
    Certificate,
    Digest,
    File(Box<OperatorsFile>),
    L1(Box<FromL1>),
}

struct FromL1 {
    domain: Domain,
    set: OperatorSet,
    /// What the service manager asks for.
    terms: Vec<(u8, Threshold)>,
}

impl Known {
    const fn name(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Certificate => "certificate",
            Self::Digest => "digest",
            Self::File(_) => "file",
            Self::L1(_) => "l1",
        }
    }

    /// What is left to trust.
    const fn trusted(&self) -> &'static str {
        match self {
            Self::Nobody => {
                "nothing says that these are operators: give --config, --l1-rpc with --deployment, \
                 --operators or --operators-digest"
            }
            Self::Certificate => "that operators and stakes are those of the certificate",
            Self::Digest => "the hash of the operators that was given",
            Self::File(_) => "the file of the operators",
            Self::L1(_) => "the L1 node, and the contracts of the deployment",
        }
    }

    const fn domain(&self) -> Option<Domain> {
        match self {
            Self::File(file) => Some(file.domain),
            Self::L1(l1) => Some(l1.domain),
            _ => None,
        }
    }
}

fn verify(args: &VerifyArgs) -> eyre::Result<Outcome> {
    let certificate = certificate(&args.file)?;
    let known = known(args, &certificate)?;
    let fault = judge(args, &certificate, &known)?;
    let outcome = match (&fault, &known) {
        (Some(_), _) => Outcome::Invalid,
        (None, Known::Nobody) => Outcome::NoVerdict,
        (None, _) => Outcome::Valid,
    };
    let verdict = match outcome {
        Outcome::Valid => "valid",
        Outcome::Invalid => "invalid",
        Outcome::NoVerdict => "unknown",
    };
    if args.json {
        let mut object = described(&certificate);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("verdict".into(), verdict.into());
            fields.insert("fault".into(), fault.into());
            fields.insert("operatorsFrom".into(), known.name().into());
            fields.insert("trusted".into(), known.trusted().into());
        }
        say(&object.to_string());
        return Ok(outcome);
    }
    say(&told(&certificate));
    match fault {
        Some(fault) => say(&format!("INVALID   {fault}")),
        None => say(&format!(
            "{}   proved: signers with this stake have signed this statement\n{}trusted: {}",
            verdict.to_uppercase(),
            " ".repeat(verdict.len() + 3),
            known.trusted()
        )),
    }
    Ok(outcome)
}

fn known(args: &VerifyArgs, certificate: &Certificate) -> eyre::Result<Known> {
    // What a flag names comes before what the file does, which is not read for it then.
    if let Some(path) = &args.operators {
        return operators_of(path);
    }
    if args.operators_digest.is_some() {
        return Ok(Known::Digest);
    }
    if args.trust_operators {
        return Ok(Known::Certificate);
    }
    let config = configuration(args.config.as_deref(), &args.l1)?;
    if let Some(path) = &config.certificate.operators
        && args.l1.deployment.is_none()
    {
        return operators_of(path);
    }
    if config.l1.deployment.is_none() && config.l1.registry_coordinator.is_none() {
        let Some(file) = &args.config else {
            return Ok(Known::Nobody);
        };
        eyre::bail!(
            "{} does not say who the operators are: l1.deployment is not set, and neither are \
             l1.registry_coordinator or certificate.operators",
            file.display()
        );
    }
    runtime()?.block_on(async {
        let round = &certificate.round;
        let (l1, domain, set) =
            from_l1(&config.l1, round.quorums(), round.reference_block()).await?;
        let manager = ServiceManager::connect(l1.provider.clone(), domain.service_manager).await;
        let manager = manager.map_err(|error| l1.told(&error))?;
        let terms = manager.terms().await.map_err(|error| l1.told(&error))?;
        let terms = terms.quorums.iter().zip(terms.thresholds).collect();
        Ok(Known::L1(Box::new(FromL1 { domain, set, terms })))
    })
}

fn operators_of(path: &Path) -> eyre::Result<Known> {
    let json = read(path, OperatorsFile::<mach_core::Bn254>::MAX_BYTES)?;
    let file = OperatorsFile::from_json(&json).wrap_err_with(|| path.display().to_string())?;
    Ok(Known::File(Box::new(file)))
}

/// What the configuration file says, with the flags over it.
fn configuration(file: Option<&Path>, flags: &OptionalL1) -> eyre::Result<Config> {
    let mut config = match file {
        Some(file) => config::load(file)?,
        None => Config::default(),
    };
    if let Some(url) = &flags.l1_rpc {
        config.l1.rpc = Some(Endpoint(url.clone()));
    }
    if let Some(name) = &flags.deployment {
        config.l1.deployment = Some(name.clone());
        config.l1.registry_coordinator = None;
    }
    Ok(config)
}

/// The operators as L1 has them.
async fn from_l1(
    config: &config::L1,
    quorums: &QuorumNumbers,
    reference_block: u32,
) -> eyre::Result<(L1, Domain, OperatorSet)> {
    eyre::ensure!(
        config.rpc.is_some(),
        "no L1 node is named: give --l1-rpc, or set l1.rpc in the file of --config"
    );
    let (l1, deployment) = l1::configured(config).await?;
    let registry = ContractRegistry::connect(
        l1.provider.clone(),
        deployment.registry_coordinator,
        deployment.operator_state_retriever,
        deployment.l1_block,
    );
    let registry = registry.await.map_err(|error| l1.told(&error))?;
    let set = registry.operator_set(quorums, reference_block).await;
    let set = set.map_err(|error| l1.told(&error))?;
    Ok((l1, deployment.domain(), set))
}

/// What is wrong with the certificate, if anything is.
fn judge(
    args: &VerifyArgs,
    certificate: &Certificate,
    known: &Known,
) -> eyre::Result<Option<String>> {
    let domain = certificate.domain;
    let chain = args.l1_chain.or(known.domain().map(|it| it.l1_chain_id));
    let manager = args.service_manager;
    let manager = manager.or(known.domain().map(|it| it.service_manager));
    if chain.is_some_and(|chain| chain != domain.l1_chain_id) {
        let chain = domain.l1_chain_id;
        return Ok(Some(format!("it is for another L1 chain, {chain}")));
    }
    if manager.is_some_and(|manager| manager != domain.service_manager) {
        let manager = domain.service_manager;
        return Ok(Some(format!(
            "it is for another service manager, {manager}"
        )));
    }
    if let Err(error) = verify_self_contained(certificate) {
        return Ok(Some(chain_of(&error)));
    }
    let set = match known {
        Known::File(file) => Some(&file.set),
        Known::L1(l1) => Some(&l1.set),
        _ => None,
    };
    if let Some(set) = set {
        let round = &certificate.round;
        // Nothing is known of the operators of another block then.
        eyre::ensure!(
            set.reference_block() == round.reference_block() && set.quorums() == round.quorums(),
            "the file has the operators of quorums {} at L1 block {}, the certificate is of quorums \
             {} at L1 block {}: `mach-cli certificate operators` writes those",
            listed(set.quorums()),
            set.reference_block(),
            listed(round.quorums()),
            round.reference_block()
        );
        let keys = OperatorKeys::new(set).wrap_err("the operators cannot be used")?;
        if let Err(error) = verify_certificate(certificate, &keys) {
            return Ok(Some(chain_of(&error)));
        }
    }
    let operators = certificate.operators_digest();
    if args
        .operators_digest
        .is_some_and(|digest| digest != operators)
    {
        return Ok(Some(format!("its operators are others, {operators}")));
    }
    Ok(too_little(args, certificate, known))
}

/// A quorum that is missing, or has signed with too little stake.
fn too_little(args: &VerifyArgs, certificate: &Certificate, known: &Known) -> Option<String> {
    let mut asked: Vec<(u8, u8)> = match known {
        Known::L1(l1) => (l1.terms.iter())
            .map(|(quorum, threshold)| (*quorum, threshold.value()))
            .collect(),
        _ => Vec::new(),
    };
    let named = args.quorums.iter().flat_map(QuorumNumbers::iter);
    asked.extend(named.map(|quorum| (quorum, 0)));
    let of_certificate = certificate.quorums.iter();
    asked.extend(of_certificate.map(|tally| (tally.quorum, 0)));
    asked.into_iter().find_map(|(quorum, percent)| {
        let percent = percent.max(args.least_share);
        let mut tallies = certificate.quorums.iter();
        let Some(tally) = tallies.find(|tally| tally.quorum == quorum) else {
            return Some(format!("quorum {quorum} has not signed"));
        };
        let least = Threshold::percent(percent).ok()?;
        let is_enough = least.is_met(tally.signed, tally.total);
        (!is_enough).then(|| {
            let (signed, total) = (tally.signed, tally.total);
            format!("quorum {quorum} has signed with {signed} of {total} stake, below {percent} %")
        })
    })
}

fn show(args: &ShowArgs) -> eyre::Result<Outcome> {
    let certificate = certificate(&args.file)?;
    if args.json {
        say(&described(&certificate).to_string());
    } else {
        say(&told(&certificate));
    }
    Ok(Outcome::Valid)
}

async fn operators(args: &OperatorsArgs) -> eyre::Result<Outcome> {
    let config = configuration(args.config.as_deref(), &args.l1)?;
    let (_, domain, set) = from_l1(&config.l1, &args.quorums, args.block).await?;
    // What cannot be verified with is not written.
    OperatorKeys::new(&set).wrap_err("the operators cannot be used")?;
    let count = set.operators().count();
    let json = OperatorsFile { domain, set }.to_json();
    match &args.out {
        Some(path) => {
            std::fs::write(path, json).wrap_err_with(|| path.display().to_string())?;
            say(&format!("{}: {count} operators", path.display()));
        }
        None => say(&json),
    }
    Ok(Outcome::Valid)
}

/// What the certificate says, as JSON.
fn described(certificate: &Certificate) -> Value {
    let round = &certificate.round;
    let quorums: Vec<_> = (round.terms().zip(&certificate.quorums))
        .map(|((quorum, threshold), tally)| {
            json!({
                "quorum": quorum,
                "threshold": threshold.value(),
                "signed": tally.signed,
                "total": tally.total,
            })
        })
        .collect();
    json!({
        "digest": certificate.digest(),
        "statement": certificate.statement,
        "domain": certificate.domain,
        "referenceBlock": round.reference_block(),
        "quorums": quorums,
        "absent": certificate.non_signers.iter().map(|it| it.id).collect::<Vec<_>>(),
        "operatorsDigest": certificate.operators_digest(),
    })
}

/// The same for people.
fn told(certificate: &Certificate) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<12} {value}"));
    let rollup = certificate.statement.rollup_chain_id();
    let block = certificate.statement.block();
    match &certificate.statement {
        Statement::Attestation(it) => {
            line("attests", format!("block {block} of rollup {rollup}"));
            line("state root", it.state_root.to_string());
            line("output root", it.output_root.to_string());
        }
        Statement::Alert(it) => {
            line("accuses", format!("block {block} of rollup {rollup}"));
            line("kind", format!("{:?}, {}", it.kind, rules::told(it.rule)));
            line("claimed", it.claimed.to_string());
            line("computed", it.computed.to_string());
        }
    }
    line("digest", certificate.digest().to_string());
    let Domain {
        l1_chain_id,
        service_manager,
    } = certificate.domain;
    line(
        "for",
        format!("{service_manager} on L1 chain {l1_chain_id}"),
    );
    let block = certificate.round.reference_block();
    let operators = certificate.operators_digest();
    line("operators", format!("{operators} at L1 block {block}"));
    for ((quorum, threshold), tally) in certificate.round.terms().zip(&certificate.quorums) {
        let (signed, total) = (tally.signed, tally.total);
        let percent = (signed.weight() * 100).checked_div(total.weight());
        let (percent, threshold) = (percent.unwrap_or_default(), threshold.value());
        line(
            &format!("quorum {quorum}"),
            format!("{signed} of {total} stake, {percent} %, threshold {threshold} %"),
        );
    }
    line("absent", certificate.non_signers.len().to_string());
    lines.join("\n")
}

fn certificate(path: &Path) -> eyre::Result<Certificate> {
    let json = read(path, MAX_CERTIFICATE_BYTES)?;
    let file = CertificateFile::from_json(&json).wrap_err_with(|| path.display().to_string())?;
    Ok(file.0)
}

/// A file of bounded length.
fn read(path: &Path, limit: usize) -> eyre::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .wrap_err_with(|| path.display().to_string())?;
    eyre::ensure!(read <= limit, "{} is too long", path.display());
    Ok(bytes)
}

/// Quorums as flags name them.
fn listed(quorums: &QuorumNumbers) -> String {
    let numbers: Vec<_> = quorums.iter().map(|number| number.to_string()).collect();
    numbers.join(",")
}

/// An error with its causes.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(text: &str) {
    println!("{text}");
}
