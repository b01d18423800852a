//! Passwords: from a file, the environment or a prompt, never from an argument, which everybody on
//! the machine can read.

use std::{
    fs::File,
    io::{IsTerminal, Read},
    path::Path,
};

use eyre::WrapErr;
use mach_bls::keystore::Password;

/// Most bytes of a password.
const MAX_PASSWORD_BYTES: usize = 4096;

/// The options that say where a password comes from, as a struct for `#[command(flatten)]`.
///
/// The first of these that is there: the file of the flag, the file of its environment twin, the
/// environment variable with the password itself, which may be empty, a prompt.
macro_rules! password_args {
    ($name:ident, $flag:literal, $file_variable:literal, $variable:literal, $what:literal) => {
        #[doc = concat!("Where the password of ", $what, " comes from.")]
        #[derive(Debug, clap::Args)]
        pub(crate) struct $name {
            // Clap reads no doc comment that is put together.
            #[arg(
                id = $flag,
                long = $flag,
                env = $file_variable,
                value_name = "FILE",
                help = concat!(
                    "File with the password of ", $what, ", without the line break at its end; else ",
                    "the environment's ", $variable, ", which may be empty, else a prompt"
                )
            )]
            file: Option<std::path::PathBuf>,
        }

        #[allow(dead_code, reason = "each command needs some of them")]
        impl $name {
            /// The password of something that is there.
            pub(crate) fn read(&self) -> eyre::Result<mach_bls::keystore::Password> {
                match self.given()? {
                    Some(password) => Ok(password),
                    None => $crate::password::prompt($what, concat!("--", $flag), $variable),
                }
            }

            /// A password for something new: a prompt asks twice.
            pub(crate) fn read_new(&self) -> eyre::Result<mach_bls::keystore::Password> {
                match self.given()? {
                    Some(password) => Ok(password),
                    None => $crate::password::prompt_twice($what, concat!("--", $flag), $variable),
                }
            }

            /// The password, if it is given in a file or in the environment.
            pub(crate) fn given(&self) -> eyre::Result<Option<mach_bls::keystore::Password>> {
                $crate::password::given(self.file.as_deref(), $variable)
            }
        }
    };
}
pub(crate) use password_args;

password_args!(
    PasswordArgs,
    "password-file",
    "MACH_KEY_PASSWORD_FILE",
    "MACH_KEY_PASSWORD",
    "the key file"
);

/// From the file if there is one, else from the environment variable if it is set.
pub(crate) fn given(file: Option<&Path>, variable: &str) -> eyre::Result<Option<Password>> {
    if let Some(path) = file {
        return from_file(path).map(Some);
    }
    match std::env::var_os(variable) {
        Some(password) => Ok(Some(Password::new(password.into_encoded_bytes()))),
        None => Ok(None),
    }
}

fn from_file(path: &Path) -> eyre::Result<Password> {
    let limit = MAX_PASSWORD_BYTES + 2;
    // Of the full size at once: a buffer that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(limit + 1);
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .wrap_err_with(|| format!("password file {}", path.display()))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    let is_short = bytes.len() <= MAX_PASSWORD_BYTES;
    let password = Password::new(bytes);
    eyre::ensure!(
        is_short,
        "password file {} has more than {MAX_PASSWORD_BYTES} bytes",
        path.display()
    );
    Ok(password)
}

/// Asks for the password of `what`; `flag` and `variable` are the other ways.
pub(crate) fn prompt(what: &str, flag: &str, variable: &str) -> eyre::Result<Password> {
    ask(&format!("Password of {what}: "), what, flag, variable)
}

/// Asks twice for a new password.
pub(crate) fn prompt_twice(what: &str, flag: &str, variable: &str) -> eyre::Result<Password> {
    let password = ask(&format!("New password of {what}: "), what, flag, variable)?;
    let again = ask("The same again: ", what, flag, variable)?;
    eyre::ensure!(password == again, "the two passwords differ");
    Ok(password)
}

fn ask(question: &str, what: &str, flag: &str, variable: &str) -> eyre::Result<Password> {
    eyre::ensure!(
        std::io::stdin().is_terminal(),
        "no password for {what}: there is no terminal to ask on; use {flag} or {variable}"
    );
    rpassword::prompt_password(question)
        .map(Password::new)
        .wrap_err("password prompt")
}
