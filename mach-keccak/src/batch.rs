use alloy_primitives::{B256, keccak256};

/// Keccak-256 of each input, in the order of the inputs, by [`Backend::detect`].
pub fn keccak256_batch<T: AsRef<[u8]>>(inputs: &[T]) -> Vec<B256> {
    Backend::detect().hash(inputs)
}

/// How many inputs are hashed at once.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One after the other, by `alloy_primitives::keccak256`.
    Portable,
    /// Four at once.
    Avx2,
    /// Eight at once.
    Avx512,
}

impl Backend {
    /// The widest that this processor has. Asked once, remembered.
    pub fn detect() -> Self {
        [Self::Avx512, Self::Avx2]
            .into_iter()
            .find(|backend| backend.is_available())
            .unwrap_or(Self::Portable)
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Keccak-256 of each input, in the order of the inputs.
    ///
    /// One input, and all of them if this processor lacks the backend, are hashed as by
    /// [`Self::Portable`].
    pub fn hash<T: AsRef<[u8]>>(self, inputs: &[T]) -> Vec<B256> {
        #[cfg(target_arch = "x86_64")]
        if inputs.len() > 1
            && let Some(hashes) = crate::lanes::hash(self, inputs)
        {
            return hashes;
        }
        inputs.iter().map(keccak256).collect()
    }
}
