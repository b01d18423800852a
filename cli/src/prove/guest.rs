use mach_prove::{CommittedProgram, ProcessBackend, Worth, protocol::ProgramInfo};
use serde_json::json;

use super::{args::InfoArgs, print};
use crate::{outcome::Outcome, remote::runtime};

pub(super) fn info(args: &InfoArgs) -> eyre::Result<Outcome> {
    let mut committed = CommittedProgram::all();
    if let Some(backend) = args.backend {
        committed.retain(|it| it.ids.contains_key(&backend));
    }
    let asked = asked(args)?;
    if args.json {
        print(&json!({ "committed": committed, "prover": asked }).to_string());
        return Ok(Outcome::Valid);
    }
    if committed.is_empty() {
        print("No guest program is committed with this version.");
    }
    for it in committed {
        print(&format!("{} ({})", it.program, it.file));
        print(&format!("  sha256  {}", it.sha256));
        if let Some(sha256) = it.key_sha256 {
            print(&format!("  key     {sha256}"));
        }
        for (backend, id) in &it.ids {
            print(&format!("  {:<6}  {id}", backend.as_str()));
        }
        print(&format!("  made by {}", it.recipe));
    }
    for it in asked.into_iter().flatten() {
        print(&format!("{} of the prover ({})", it.program, it.file));
        print(&format!("  sha256  {}", it.sha256));
        print(&format!("  id      {}", it.id));
        print(match it.worth {
            Worth::OnChain => "  as it is set up, contracts take its proofs",
            _ => "  as it is set up, no contract takes its proofs",
        });
        if let Some(missing) = &it.missing {
            print(&format!("  for proofs that contracts take: {missing}"));
        }
    }
    Ok(Outcome::Valid)
}

/// What the prover says, if one is named.
fn asked(args: &InfoArgs) -> eyre::Result<Option<Vec<ProgramInfo>>> {
    let Some(prover) = &args.prover.prover else {
        return Ok(None);
    };
    let backend = args.backend.unwrap_or(mach_prove::BackendName::OpenVm);
    let backend = ProcessBackend::new(backend, std::env::temp_dir()).with_prover(prover);
    Ok(Some(runtime()?.block_on(backend.programs())?))
}
