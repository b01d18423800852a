use std::path::{Path, PathBuf};

use eyre::WrapErr;
use mach_core::Fault;
use mach_prove::{
    BackendName, Native, ProcessBackend, Proof, ProofBackend, ProofRequest, ProveError,
    RequestError, Worth,
};
use mach_verify::{Bundle, ChainSpec, Evidence};
use serde_json::json;

use super::{account, args::ProveArgs, meter::Meter, print, words};
use crate::{outcome::Outcome, remote::runtime, signals::Ended, spec::Specs};

pub(super) fn run(args: &ProveArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    let evidence = Evidence::read(&args.bundle)
        .wrap_err_with(|| format!("bundle {}", args.bundle.display()))?;
    let chain_id = evidence.block().chain_id;
    let spec = specs.of(chain_id).unwrap_or(evidence.spec()).clone();
    let request = request(args, &evidence, spec)?;
    let backend: Box<dyn ProofBackend> = match args.backend {
        BackendName::Native => Box::new(Native),
        name => {
            // A prover works in another folder than this one, maybe.
            let work_dir = std::path::absolute(&args.work_dir)?;
            let mut backend = ProcessBackend::new(name, work_dir);
            if let Some(prover) = &args.prover.prover {
                backend = backend.with_prover(prover);
            }
            if let Some(limit) = args.memory_limit {
                backend = backend.with_memory_limit(limit);
            }
            Box::new(backend)
        }
    };
    let meter = Meter::new(args.json);
    let proof = runtime()?.block_on(async {
        let mut ended = Ended::new()?;
        let hear = |progress| meter.show(&progress);
        tokio::select! {
            proof = backend.prove(&request, &hear) => Ok(proof.map_err(explained)?),
            () = ended.wait() => {
                eyre::bail!("stopped; the same command goes on, in {}", args.work_dir.display())
            }
        }
    });
    meter.finish();
    let proof = proof?;
    let out = (args.out.clone()).unwrap_or_else(|| default_out(&args.bundle, args.backend));
    proof.write(&out)?;
    tell(args, &specs, &proof, &out);
    Ok(Outcome::Valid)
}

/// What is to be proved; with the account proof that an output root before Isthmus takes.
fn request(args: &ProveArgs, evidence: &Evidence, spec: ChainSpec) -> eyre::Result<ProofRequest> {
    let context = args.context();
    let made = ProofRequest::from_evidence_by(context, evidence, spec.clone());
    match (made, evidence.fault()) {
        (Err(RequestError::NoAccountProof(number)), Fault::OutputRoot(values)) => {
            if args.rpc.is_empty() {
                return Err(RequestError::NoAccountProof(number))
                    .wrap_err("name a node with --rpc");
            }
            let proof = runtime()?.block_on(account::proof(&args.rpc, number))?;
            let header = evidence.block().header.clone();
            Ok(ProofRequest::output(
                context,
                spec,
                header,
                values.claimed,
                proof,
            )?)
        }
        (made, _) => Ok(made?),
    }
}

fn tell(args: &ProveArgs, specs: &Specs, proof: &Proof, out: &Path) {
    let is_proof = proof.backend.worth() == Worth::Proof;
    if args.json {
        print(
            &json!({
                "isProof": is_proof,
                "backend": proof.backend,
                "program": proof.program,
                "programId": proof.program_id,
                "journal": proof.journal,
                "journalDigest": proof.journal.digest(),
                "bytes": proof.proof.len(),
                "file": out,
            })
            .to_string(),
        );
        return;
    }
    if is_proof {
        print(&format!("Proved by {}:", proof.backend));
    } else {
        print(words::NOT_A_PROOF);
        print("What the guest program says of itself:");
    }
    print(&words::journal(proof, specs));
    print(&format!(
        "{} bytes of proof in {}",
        proof.proof.len(),
        out.display()
    ));
}

/// What a person can do about it.
fn explained(error: ProveError) -> eyre::Report {
    let limit = match &error {
        ProveError::Memory { limit } => Some(*limit),
        _ => None,
    };
    let report = eyre::Report::new(error);
    match limit {
        Some(_) => report.wrap_err(
            "raise --memory-limit: the work is cut into other segments by it, and may begin anew",
        ),
        None => report,
    }
}

/// The bundle's name without what says how it is written.
fn default_out(bundle: &Path, backend: BackendName) -> PathBuf {
    let name = bundle.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(".gz").trim_end_matches(".json");
    format!("{name}.{backend}.proof.json").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_limit_is_said_to_lose_what_is_kept() {
        let told = format!("{:#}", explained(ProveError::Memory { limit: 5 }));
        assert!(told.starts_with("raise --memory-limit"), "{told}");
        assert!(told.contains("may begin anew"), "{told}");
        assert!(told.ends_with("more than 5 bytes of memory"), "{told}");
    }

    #[test]
    fn a_proof_is_named_after_its_bundle() {
        let bundle = Path::new("evidence/901-8-stateRoot.json.gz");
        assert_eq!(
            default_out(bundle, BackendName::OpenVm),
            Path::new("901-8-stateRoot.openvm.proof.json")
        );
    }
}
