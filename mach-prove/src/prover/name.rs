use serde::{Deserialize, Serialize};

/// Which prover made a proof.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// The guest's code in this process. Not a proof.
    Native,
    /// OpenVM.
    OpenVm,
    /// RISC Zero.
    Risc0,
    /// SP1.
    Sp1,
}

/// What the word of a backend is worth; the more, the greater.
#[non_exhaustive]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Worth {
    /// Nothing to anybody else: for development.
    NotAProof,
    /// Whoever verifies it with the prover's own verifier knows. It is too large, or of another form,
    /// for a contract: OpenVM's STARK proofs and RISC Zero's composite receipts are such.
    #[default]
    Proof,
    /// A contract verifies it too: it is wrapped for the EVM.
    OnChain,
}

impl BackendName {
    /// All backends.
    pub const ALL: [Self; 4] = [Self::Native, Self::OpenVm, Self::Risc0, Self::Sp1];

    /// Name in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::OpenVm => "openvm",
            Self::Risc0 => "risc0",
            Self::Sp1 => "sp1",
        }
    }

    /// What its word is worth at least. Whether the EVM takes its proofs depends on how the prover is set
    /// up: `ProofBackend::worth` asks it.
    pub const fn worth(self) -> Worth {
        match self {
            Self::Native => Worth::NotAProof,
            _ => Worth::Proof,
        }
    }
}

impl core::fmt::Display for BackendName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::str::FromStr for BackendName {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == name);
        found.ok_or(UnknownBackend)
    }
}

/// A name that no backend has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a backend: there are native, openvm, risc0 and sp1")]
pub struct UnknownBackend;

/// How far a proof is.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Progress {
    /// The guest ran through without being proved.
    Executed {
        /// Instructions, or cycles.
        instructions: u64,
    },
    /// Segments are proved.
    Segment {
        /// So many are.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// A step that has no segments.
    Step {
        /// What is being done, for people.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in BackendName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
        }
        assert_eq!("sp2".parse::<BackendName>(), Err(UnknownBackend));
    }
}
