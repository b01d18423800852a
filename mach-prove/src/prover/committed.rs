use std::collections::BTreeMap;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BackendName;
use crate::Program;

/// A guest program as it is committed: which file, made how, and what each prover calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommittedProgram {
    /// Which guest.
    pub program: Program,
    /// Path of the executable in the repository.
    pub file: String,
    /// SHA-256 of the executable.
    pub sha256: B256,
    /// SHA-256 of the verifying key, which lies beside the executable as `.key`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<B256>,
    /// Program id for each prover that takes this executable.
    pub ids: BTreeMap<BackendName, B256>,
    /// What makes the executable again, byte for byte.
    pub recipe: String,
}

impl CommittedProgram {
    /// What `programs.json` says of the executable `elf` for one prover.
    pub fn new(program: Program, backend: BackendName, id: B256, elf: &[u8], recipe: &str) -> Self {
        Self {
            program,
            file: format!("guests/{backend}/{program}.elf"),
            sha256: B256::new(Sha256::digest(elf).into()),
            key_sha256: None,
            ids: [(backend, id)].into(),
            recipe: recipe.to_owned(),
        }
    }

    /// The same with the verifying key that lies beside it, if there is one.
    #[must_use]
    pub fn with_key(mut self, key: Option<&[u8]>) -> Self {
        self.key_sha256 = key.map(|key| B256::new(Sha256::digest(key).into()));
        self
    }

    /// All programs that belong to this version, from `programs.json`.
    ///
    /// The file belongs to the crate, and a test reads it.
    pub fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../../programs.json")).unwrap_or_default()
    }

    /// The committed program that `backend` calls `id`.
    pub fn find(backend: BackendName, id: B256) -> Option<Self> {
        let mut all = Self::all().into_iter();
        all.find(|it| it.ids.get(&backend) == Some(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_programs_are_read() {
        let text = include_str!("../../programs.json");
        let programs: Vec<CommittedProgram> = serde_json::from_str(text).unwrap();
        assert_eq!(CommittedProgram::all(), programs);
        for it in &programs {
            assert!(!it.recipe.is_empty() && !it.sha256.is_zero() && !it.ids.is_empty());
            assert!(!it.ids.contains_key(&BackendName::Native));
            for (backend, id) in &it.ids {
                assert_eq!(CommittedProgram::find(*backend, *id).as_ref(), Some(it));
            }
        }
        assert_eq!(
            CommittedProgram::find(BackendName::OpenVm, B256::ZERO),
            None
        );
    }
}
