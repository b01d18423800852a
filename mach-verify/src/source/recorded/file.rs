//! Files of blocks, whatever is in them.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use super::RecordError;

/// Most bytes of a file that are read, after decompression.
pub const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// Block files at `path`: itself, or those of the directory, sorted by name.
///
/// Errors: [`RecordError::Io`].
pub fn recorded_files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, RecordError> {
    let path = path.as_ref();
    let io = |source| RecordError::Io {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        let name = file.to_string_lossy();
        if (name.ends_with(".json") || name.ends_with(".json.gz")) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Content of a file, decompressed if its name ends in `.gz`, at most [`MAX_FILE_BYTES`].
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, RecordError> {
    let io = |source| RecordError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let bound = MAX_FILE_BYTES + 1;
    let mut bytes = Vec::new();
    if is_gzip(path) {
        MultiGzDecoder::new(file.take(bound))
            .take(bound)
            .read_to_end(&mut bytes)
    } else {
        file.take(bound).read_to_end(&mut bytes)
    }
    .map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(RecordError::TooLarge);
    }
    Ok(bytes)
}

/// Writes a file that [`read_file`] reads. It appears whole or not at all, whoever else writes it.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), RecordError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);

    let io = |source| RecordError::Io {
        path: path.to_owned(),
        source,
    };
    let mut partial = path.as_os_str().to_owned();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    partial.push(format!(".{}-{count}.partial", std::process::id()));
    let write = || {
        let mut file = File::create(&partial)?;
        if is_gzip(path) {
            let mut encoder = GzEncoder::new(&mut file, Compression::best());
            encoder.write_all(content)?;
            encoder.finish()?;
        } else {
            file.write_all(content)?;
        }
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|error| {
        // Half a file helps nobody; that it cannot be removed is no news after that.
        let _ = std::fs::remove_file(&partial);
        io(error)
    })
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "gz")
}
