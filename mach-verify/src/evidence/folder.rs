use std::path::{Path, PathBuf};

use super::{Bundle, EvidenceError};
use crate::source::{RecordError, recorded_files};

/// Bundles that a folder takes unless it is told otherwise: a chain that is followed by the wrong
/// rules has a fault in every block, and is not to fill the disk.
pub const MAX_BUNDLES: usize = 1000;

/// Where bundles are kept, one file each.
#[derive(Clone, Debug)]
pub struct EvidenceFolder {
    path: PathBuf,
    limit: usize,
}

impl EvidenceFolder {
    /// A folder that is made when there is something to put into it, of at most [`MAX_BUNDLES`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            limit: MAX_BUNDLES,
        }
    }

    /// The same folder for another number of bundles.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `evidence` to its own file, whole or not at all, and says which. A bundle that is
    /// there already stays.
    ///
    /// Errors: [`EvidenceError`].
    pub fn keep<B: Bundle>(&self, evidence: &B) -> Result<PathBuf, EvidenceError> {
        std::fs::create_dir_all(&self.path).map_err(|source| RecordError::Io {
            path: self.path.clone(),
            source,
        })?;
        let file = self.path.join(evidence.file_name());
        if file.exists() {
            return Ok(file);
        }
        let count = recorded_files(&self.path)?.len();
        if count >= self.limit {
            return Err(EvidenceError::Full {
                path: self.path.clone(),
                count,
            });
        }
        evidence.write(&file).map_err(Into::into)?;
        Ok(file)
    }
}
