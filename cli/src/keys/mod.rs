//! `mach-cli keys`: key files.

mod args;
mod describe;
mod input;

use std::{path::Path, time::Duration};

use eyre::WrapErr;
use indicatif::{ProgressBar, ProgressStyle};
use mach_bls::keystore::{
    DerivationPath, Format, Kdf, KeyFile, KeyFileError, KeyKind, Language, Mnemonic, Password,
    Secret,
};
use serde_json::{Map, Value, json};

pub(crate) use self::args::KeysArgs;
use self::{
    args::{
        DerivationArgs, ExportArgs, ImportArgs, InspectArgs, KeysCommand, ListArgs, NewArgs,
        OutputArgs,
    },
    describe::Description,
};
use crate::outcome::Outcome;

pub(crate) fn run(args: &KeysArgs) -> eyre::Result<Outcome> {
    match &args.command {
        KeysCommand::New(args) => new(args),
        KeysCommand::Import(args) => import(args),
        KeysCommand::Export(args) => export(args),
        KeysCommand::List(args) => list(args),
        KeysCommand::Inspect(args) => inspect(args),
    }
}

fn new(args: &NewArgs) -> eyre::Result<Outcome> {
    let kind = args.key.kind.into();
    let format = format(kind, args.key.format.map(Format::from))?;
    is_free(&args.file, &args.output)?;
    let (secret, path, mnemonic) = if args.mnemonic {
        let mnemonic = Mnemonic::random(Language::English)?;
        let (secret, path) = derive(&mnemonic, kind, &args.derivation)?;
        (secret, Some(path), Some(mnemonic))
    } else {
        (Secret::random(kind)?, None, None)
    };
    let password = args.password.read_new()?;
    let shown = write(&secret, format, path, &password, &args.file, &args.output)?;
    if args.output.json {
        let mut json = shown.to_json();
        if let Some(mnemonic) = &mnemonic {
            json.insert("mnemonic".to_owned(), mnemonic.words().as_str().into());
        }
        say(&Value::Object(json));
    } else {
        say(&shown);
        if let Some(mnemonic) = &mnemonic {
            say(&format_args!(
                "\nWrite these words down: they are the key, and they are stored nowhere.\n\n{}",
                mnemonic.words().as_str()
            ));
        }
    }
    Ok(Outcome::Valid)
}

fn import(args: &ImportArgs) -> eyre::Result<Outcome> {
    let kind = args.key.kind.into();
    let format = format(kind, args.key.format.map(Format::from))?;
    is_free(&args.file, &args.output)?;
    let (secret, path) = if args.mnemonic {
        let words = input::read("Words of the mnemonic: ", args.from.as_deref())?;
        let (secret, path) = derive(&Mnemonic::parse(words.trim())?, kind, &args.derivation)?;
        (secret, Some(path))
    } else {
        let text = input::read("Secret key: ", args.from.as_deref())?;
        (Secret::from_text(kind, &text)?, None)
    };
    let password = args.password.read_new()?;
    let shown = write(&secret, format, path, &password, &args.file, &args.output)?;
    show(&shown, args.output.json);
    Ok(Outcome::Valid)
}

fn export(args: &ExportArgs) -> eyre::Result<Outcome> {
    let file = read(&args.file)?;
    if let Some(out) = &args.out {
        is_free(out, &args.output)?;
    }
    let password = args.password.read()?;
    let secret = open(&file, &password).wrap_err_with(|| args.file.display().to_string())?;
    let Some(out) = &args.out else {
        warn("this is the secret key itself: whoever sees it signs in your name");
        let bytes = secret.to_bytes();
        let digits = zeroize::Zeroizing::new(alloy_primitives::hex::encode_prefixed(*bytes));
        if args.output.json {
            say(&json!({ "kind": secret.kind().name(), "secretKey": digits.as_str() }));
        } else {
            say(&digits.as_str());
        }
        return Ok(Outcome::Valid);
    };
    let format = format(secret.kind(), args.format.map(Format::from))?;
    // The same password unless another one is given.
    let password = args.new_password.given()?.unwrap_or(password);
    let path = file.path().parse::<DerivationPath>().ok();
    let shown = write(&secret, format, path, &password, out, &args.output)?;
    show(&shown, args.output.json);
    Ok(Outcome::Valid)
}

fn list(args: &ListArgs) -> eyre::Result<Outcome> {
    let folder = || format!("folder {}", args.folder.display());
    let mut paths = std::fs::read_dir(&args.folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .wrap_err_with(folder)
        .map(|paths: Vec<_>| paths)?;
    paths.sort();
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for path in paths {
        if !path.is_file() {
            continue;
        }
        // geth's have no extension.
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        match KeyFile::read(&path) {
            Ok(file) => files.push((path, file)),
            Err(error) if is_json => others.push((path, error)),
            Err(_) => {}
        }
    }
    if args.json {
        for (path, file) in &files {
            say(&Value::Object(Description::of(path, file).to_json()));
        }
        for (path, error) in &others {
            say(&Value::Object(failure(path, error)));
        }
        return Ok(Outcome::Valid);
    }
    let rows: Vec<_> = files
        .into_iter()
        .map(|(path, file)| (name(&path), file))
        .collect();
    say(&describe::table(&rows));
    for (path, error) in others {
        say(&format_args!(
            "no key file: {}: {:#}",
            name(&path),
            eyre::Report::new(error)
        ));
    }
    Ok(Outcome::Valid)
}

fn inspect(args: &InspectArgs) -> eyre::Result<Outcome> {
    let mut outcome = Outcome::Valid;
    let mut password = args.password.given()?;
    if args.open && password.is_none() {
        password = Some(args.password.read()?);
    }
    for (index, path) in args.files.iter().enumerate() {
        if index > 0 && !args.json {
            say(&"");
        }
        let shown = KeyFile::read(path).map(|file| {
            let shown = Description::of(path, &file);
            match &password {
                Some(password) => match open(&file, password) {
                    Ok(secret) => {
                        let mut shown = shown.with_secret(&secret);
                        shown.add("opens", "yes");
                        (shown, None)
                    }
                    Err(error) => (shown, Some(error)),
                },
                None => (shown, None),
            }
        });
        let (shown, error) = match shown {
            Ok((shown, error)) => (Some(shown), error),
            Err(error) => (None, Some(error)),
        };
        if args.json {
            let mut json = shown.map(|shown| shown.to_json()).unwrap_or_default();
            if let Some(error) = &error {
                json.extend(failure(path, error));
            }
            say(&Value::Object(json));
        } else {
            if let Some(shown) = shown {
                say(&shown);
            }
            if let Some(error) = &error {
                say(&format_args!(
                    "does not open: {}: {}",
                    path.display(),
                    chain(error)
                ));
            }
        }
        if error.is_some() {
            outcome = Outcome::NoVerdict;
        }
    }
    Ok(outcome)
}

/// The format asked for, or the usual one; an error before any password is asked for.
fn format(kind: KeyKind, format: Option<Format>) -> eyre::Result<Format> {
    let format = format.unwrap_or(Format::usual(kind));
    if !format.holds(kind) {
        return Err(KeyFileError::WrongKind { format, kind }.into());
    }
    Ok(format)
}

/// Says so at once if the file is there; writing checks again.
fn is_free(path: &Path, output: &OutputArgs) -> eyre::Result<()> {
    eyre::ensure!(
        output.force || !path.exists(),
        "{} exists already; --force replaces it",
        path.display()
    );
    Ok(())
}

fn derive(
    mnemonic: &Mnemonic,
    kind: KeyKind,
    args: &DerivationArgs,
) -> eyre::Result<(Secret, DerivationPath)> {
    let path = args.path.clone().unwrap_or(DerivationPath::usual(kind));
    let passphrase = args
        .passphrase
        .given()?
        .unwrap_or(Password::new(Vec::new()));
    let secret = mnemonic.derive(&passphrase, kind, &path)?;
    Ok((secret, path))
}

fn read(path: &Path) -> eyre::Result<KeyFile> {
    KeyFile::read(path).wrap_err_with(|| format!("key file {}", path.display()))
}

fn open(file: &KeyFile, password: &Password) -> Result<Secret, KeyFileError> {
    while_waiting(file.kdf(), || file.decrypt(password))
}

fn write(
    secret: &Secret,
    format: Format,
    path: Option<DerivationPath>,
    password: &Password,
    out: &Path,
    output: &OutputArgs,
) -> eyre::Result<Description> {
    let kdf = output.kdf.into();
    let mut file = while_waiting(kdf, || KeyFile::encrypt(secret, format, password, kdf))?;
    if let Some(path) = &path {
        file = file.with_path(path);
    }
    file.write(out, output.overwrite())?;
    Ok(Description::of(out, &file).with_secret(secret))
}

/// Shows that something happens while a password becomes a key.
fn while_waiting<T>(kdf: Kdf, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(kdf.to_string());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    let result = work();
    spinner.finish_and_clear();
    result
}

fn failure(path: &Path, error: &KeyFileError) -> Map<String, Value> {
    let pairs: [(&str, Value); 4] = [
        ("file", path.display().to_string().into()),
        ("opens", false.into()),
        ("error", describe::error_name(error).into()),
        ("message", chain(error).into()),
    ];
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn show(shown: &Description, json: bool) {
    if json {
        say(&Value::Object(shown.to_json()));
    } else {
        say(shown);
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &dyn std::fmt::Display) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "a warning that no log filter hides")]
fn warn(line: &str) {
    eprintln!("mach-cli: {line}");
}
