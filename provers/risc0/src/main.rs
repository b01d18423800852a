//! See the library for what it does, and `mach_prove::protocol` for how it is talked to.

use std::{env, ffi::OsString, fs, io::stdout, path::Path, process::ExitCode};

use mach_prove::{
    BackendName, CommittedProgram, Program,
    protocol::{ProverError, serve},
};
use mach_prover_risc0::{Risc0, binary, image_id};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let is_done = match &arguments[..] {
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
        _ => serve(&Risc0, arguments, &mut stdout()),
    };
    if is_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What `mach-prove/programs.json` says of the guests in `folder`.
fn commit(folder: &Path, recipe: &str) -> Result<String, ProverError> {
    let entries = Program::ALL.into_iter().map(|program| {
        let elf = fs::read(folder.join(format!("{program}.elf")))?;
        let id = <[u8; 32]>::from(image_id(&binary(&elf))?);
        let backend = BackendName::Risc0;
        Ok(CommittedProgram::new(
            program,
            backend,
            id.into(),
            &elf,
            recipe,
        ))
    });
    let entries: Vec<_> = entries.collect::<Result<_, ProverError>>()?;
    Ok(serde_json::to_string(&entries)?)
}
