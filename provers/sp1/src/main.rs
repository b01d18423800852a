//! See the library for what it does, and `mach_prove::protocol` for how it is talked to.

use std::{env, ffi::OsString, io::stdout, process::ExitCode};

use mach_prove::protocol::serve;
use mach_prover_sp1::Sp1;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let is_done = match &arguments[..] {
        #[cfg(feature = "setup")]
        [command, folder, recipe] if command == "commit" => {
            match commit(folder.as_ref(), &recipe.to_string_lossy()) {
                Ok(programs) => {
                    println!("{programs}");
                    true
                }
                Err(error) => {
                    eprintln!("{}", error.source);
                    false
                }
            }
        }
        _ => serve(&Sp1, arguments, &mut stdout()),
    };
    if is_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Writes the verifying keys of the guests in `folder` beside them; what `mach-prove/programs.json` says
/// of them.
#[cfg(feature = "setup")]
fn commit(
    folder: &std::path::Path,
    recipe: &str,
) -> Result<String, mach_prove::protocol::ProverError> {
    use mach_prove::{BackendName, CommittedProgram, Program};

    let mut entries = Vec::new();
    for program in Program::ALL {
        let elf = std::fs::read(folder.join(format!("{program}.elf")))?;
        let key = mach_prover_sp1::key(&elf)?;
        std::fs::write(folder.join(format!("{program}.key")), key.bytes)?;
        let backend = BackendName::Sp1;
        entries.push(CommittedProgram::new(
            program,
            backend,
            key.program,
            &elf,
            recipe,
        ));
    }
    Ok(serde_json::to_string(&entries)?)
}
