use eyre::WrapErr;
use mach_prove::{
    BackendName, CommittedProgram, Native, ProcessBackend, Proof, ProofBackend, ProveError,
};
use serde_json::json;

use super::{args::VerifyProofArgs, print, words};
use crate::{outcome::Outcome, remote::runtime, spec::Specs};

pub(super) fn run(args: &VerifyProofArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    let proof = Proof::read(&args.file).wrap_err_with(|| args.file.display().to_string())?;
    match check(args, &proof) {
        Ok(()) => {
            told(args, &proof, &specs, None);
            Ok(Outcome::Valid)
        }
        Err(error @ (ProveError::Backend(_) | ProveError::Unable { .. })) => Err(error.into()),
        Err(error) => {
            told(args, &proof, &specs, Some(&error));
            Ok(Outcome::Invalid)
        }
    }
}

fn check(args: &VerifyProofArgs, proof: &Proof) -> Result<(), ProveError> {
    if let Some(expected) = args.program
        && proof.backend != BackendName::Native
        && expected != proof.program_id
    {
        return Err(ProveError::OtherProgram {
            program: proof.program,
            expected,
            given: proof.program_id,
        });
    }
    let backend: Box<dyn ProofBackend> = match proof.backend {
        BackendName::Native => Box::new(Native),
        name => {
            let backend = ProcessBackend::new(name, std::env::temp_dir());
            Box::new(match &args.prover.prover {
                Some(prover) => backend.with_prover(prover),
                None => backend,
            })
        }
    };
    let runtime = runtime().map_err(|error| ProveError::Backend(error.into()))?;
    runtime.block_on(backend.verify(proof))
}

/// Says what is proved, or why nothing is.
fn told(args: &VerifyProofArgs, proof: &Proof, specs: &Specs, error: Option<&ProveError>) {
    let committed = CommittedProgram::find(proof.backend, proof.program_id);
    let reason = error.map(reason);
    if args.json {
        let rules = words::rules(&proof.journal, specs);
        print(
            &json!({
                "isProved": error.is_none(),
                "reason": reason,
                "backend": proof.backend,
                "program": proof.program,
                "programId": proof.program_id,
                "isCommittedProgram": committed.is_some(),
                "configuration": rules,
                "journal": proof.journal,
                "journalDigest": proof.journal.digest(),
            })
            .to_string(),
        );
        return;
    }
    if let Some(reason) = reason {
        match error {
            Some(ProveError::NotAProof(_)) => print(words::NOT_A_PROOF),
            _ => print(&format!("NOT PROVED: {reason}")),
        }
        print("The file claims, and nothing shows:");
    } else {
        print(&format!(
            "Proved by {}, with its program {}:",
            proof.backend, proof.program_id
        ));
    }
    print(&words::journal(proof, specs));
    if error.is_none() {
        print(match committed {
            Some(_) => "The program is the one that is committed with this version.",
            None => {
                "The program is none of those that are committed with this version: what it checks is for its source to say."
            }
        });
    }
}

/// An error with its causes.
fn reason(error: &ProveError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
