//! Key files on disk: bounded reading, writing that destroys nothing.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use super::{KeyFile, KeyFileError, MAX_FILE_BYTES};

/// What to do if there is a file already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Leave it and say so.
    Refuse,
    /// Put the new file in its place.
    Replace,
}

impl KeyFile {
    /// Reads and parses a file of at most [`MAX_FILE_BYTES`].
    ///
    /// Errors: [`KeyFileError::Io`], and those of [`KeyFile::parse`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|source| KeyFileError::Io {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(&bytes)
    }

    /// Writes the file, readable and writable for its owner only (mode 0600).
    ///
    /// It is there whole or not at all: the bytes go to a file beside it, which is then given its
    /// name.
    ///
    /// Errors: [`KeyFileError::Exists`], [`KeyFileError::Io`].
    pub fn write(&self, path: &Path, overwrite: Overwrite) -> Result<(), KeyFileError> {
        let io = |source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Created with mode 0600, deleted again if anything below fails.
        let mut file = tempfile::Builder::new()
            .prefix(".key-")
            .tempfile_in(folder)
            .map_err(io)?;
        file.write_all(self.to_json().as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(io)?;
        let persisted = match overwrite {
            Overwrite::Refuse => file.persist_noclobber(path),
            Overwrite::Replace => file.persist(path),
        };
        match persisted {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(KeyFileError::Exists(path.to_owned()))
            }
            Err(error) => Err(io(error.error)),
        }
    }
}
