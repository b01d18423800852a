//! Secret keys and words: from a prompt, a file or standard input.

use std::{
    fs::File,
    io::{IsTerminal, Read},
    path::Path,
};

use eyre::WrapErr;
use zeroize::Zeroizing;

/// Most bytes of a secret key or a mnemonic: 24 words of any language take less.
const MAX_BYTES: usize = 1024;

/// What the file holds, or standard input for `-` or if there is nobody to ask, or the answer to
/// `question`.
pub(super) fn read(question: &str, from: Option<&Path>) -> eyre::Result<Zeroizing<String>> {
    match from {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).wrap_err_with(|| path.display().to_string())?;
            all(file).wrap_err_with(|| path.display().to_string())
        }
        None if std::io::stdin().is_terminal() => rpassword::prompt_password(question)
            .map(Zeroizing::new)
            .wrap_err("prompt"),
        _ => all(std::io::stdin().lock()).wrap_err("standard input"),
    }
}

fn all(source: impl Read) -> eyre::Result<Zeroizing<String>> {
    // Of the full size at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    source.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    eyre::ensure!(bytes.len() <= MAX_BYTES, "more than {MAX_BYTES} bytes");
    let text = std::str::from_utf8(&bytes).wrap_err("not text")?;
    Ok(Zeroizing::new(text.to_owned()))
}
