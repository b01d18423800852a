//! Key derivation from passwords, with its cost bounded before anything is computed.

use core::fmt;

use sha2::Sha256;

use super::KeyFileError;

/// What turns a password into a key, and at what cost.
///
/// Every value of this type is within the bounds: scrypt with n a power of two from 2^10 to 2^20,
/// r from 1 to 32, p from 1 to 16 and at most 1 GiB; PBKDF2-HMAC-SHA256 with 10^3 to 10^7 rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kdf(pub(super) Function);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Scrypt { log_n: u8, r: u32, p: u32 },
    Pbkdf2 { rounds: u32 },
}

/// Most memory that scrypt may take, in bytes.
const MAX_MEMORY: u64 = 1 << 30;

impl Kdf {
    /// scrypt with n = 2^18, r = 8, p = 1: what geth, eigensdk-go and EIP-2335 use. Takes 256 MiB
    /// and half a second or more.
    pub const STANDARD: Self = Self(Function::Scrypt {
        log_n: 18,
        r: 8,
        p: 1,
    });

    /// scrypt with n = 2^12, r = 8, p = 6, geth's `--lightkdf`: 4 MiB. For keys that are worth
    /// little.
    pub const LIGHT: Self = Self(Function::Scrypt {
        log_n: 12,
        r: 8,
        p: 6,
    });

    /// PBKDF2-HMAC-SHA256 with 2^18 rounds, as in EIP-2335. Takes no memory, so it is cheaper to
    /// attack than scrypt.
    pub const PBKDF2: Self = Self(Function::Pbkdf2 { rounds: 1 << 18 });

    /// scrypt with these parameters.
    ///
    /// Errors: [`KeyFileError::OutOfBounds`].
    pub const fn scrypt(n: u64, r: u64, p: u64) -> Result<Self, KeyFileError> {
        if !n.is_power_of_two() || n < 1 << 10 || n > 1 << 20 {
            return Err(out("scrypt n", n, "a power of two from 1024 to 1048576"));
        }
        if r < 1 || r > 32 {
            return Err(out("scrypt r", r, "1 to 32"));
        }
        if p < 1 || p > 16 {
            return Err(out("scrypt p", p, "1 to 16"));
        }
        let memory = 128 * n * r;
        if memory > MAX_MEMORY {
            return Err(out("scrypt memory (128·n·r)", memory, "at most 1073741824"));
        }
        let log_n = n.trailing_zeros() as u8;
        // RFC 7914, section 2: n is below 2^(128·r/8).
        if log_n as u64 >= 16 * r {
            return Err(out("scrypt n", n, "below 2^(16·r)"));
        }
        Ok(Self(Function::Scrypt {
            log_n,
            r: r as u32,
            p: p as u32,
        }))
    }

    /// PBKDF2-HMAC-SHA256 with this number of rounds.
    ///
    /// Errors: [`KeyFileError::OutOfBounds`].
    pub const fn pbkdf2(rounds: u64) -> Result<Self, KeyFileError> {
        if rounds < 1_000 || rounds > 10_000_000 {
            return Err(out("pbkdf2 c", rounds, "1000 to 10000000"));
        }
        Ok(Self(Function::Pbkdf2 {
            rounds: rounds as u32,
        }))
    }

    /// Its name in key files: `scrypt` or `pbkdf2`.
    pub const fn name(&self) -> &'static str {
        match self.0 {
            Function::Scrypt { .. } => "scrypt",
            Function::Pbkdf2 { .. } => "pbkdf2",
        }
    }

    /// Fills `key`, which has 32 bytes.
    pub(super) fn derive(
        &self,
        password: &[u8],
        salt: &[u8],
        key: &mut [u8],
    ) -> Result<(), KeyFileError> {
        match self.0 {
            Function::Scrypt { log_n, r, p } => {
                let refused = || KeyFileError::Unsupported {
                    what: "cost",
                    value: self.to_string(),
                };
                let params = scrypt::Params::new(log_n, r, p, key.len()).map_err(|_| refused())?;
                scrypt::scrypt(password, salt, &params, key).map_err(|_| refused())?;
            }
            Function::Pbkdf2 { rounds } => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, key);
            }
        }
        Ok(())
    }
}

const fn out(parameter: &'static str, value: u64, allowed: &'static str) -> KeyFileError {
    KeyFileError::OutOfBounds {
        parameter,
        value,
        allowed,
    }
}

impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Function::Scrypt { log_n, r, p } => {
                write!(f, "scrypt n={} r={r} p={p}", 1u32 << log_n)
            }
            Function::Pbkdf2 { rounds } => write!(f, "pbkdf2 c={rounds}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    /// RFC 7914, section 12, and RFC 7914, section 11, which are cut to 32 bytes.
    #[test]
    fn the_vectors_of_the_rfc_come_out() {
        let derive = |kdf: Kdf, password: &[u8]| {
            let mut key = [0; 32];
            kdf.derive(password, b"NaCl", &mut key).unwrap();
            key
        };
        assert_eq!(
            derive(Kdf::scrypt(1024, 8, 16).unwrap(), b"password"),
            hex!("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")
        );
        assert_eq!(
            derive(Kdf::pbkdf2(80_000).unwrap(), b"Password"),
            hex!("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56")
        );
    }

    #[test]
    fn costs_out_of_bounds_are_refused() {
        for (n, r, p) in [
            (0, 8, 1),
            (1, 8, 1),
            (512, 8, 1),
            (262_143, 8, 1),
            (1 << 21, 8, 1),
            (1 << 40, 8, 1),
            (u64::MAX, 8, 1),
            (1 << 18, 0, 1),
            (1 << 18, 33, 1),
            (1 << 18, u64::MAX, 1),
            (1 << 18, 8, 0),
            (1 << 18, 8, 17),
            (1 << 18, 8, u64::MAX),
            (1 << 20, 9, 1),
            (1 << 19, 32, 1),
            (1 << 16, 1, 1),
        ] {
            assert!(
                matches!(Kdf::scrypt(n, r, p), Err(KeyFileError::OutOfBounds { .. })),
                "{n} {r} {p}"
            );
        }
        for rounds in [0, 1, 999, 10_000_001, u64::MAX] {
            assert!(matches!(
                Kdf::pbkdf2(rounds),
                Err(KeyFileError::OutOfBounds { .. })
            ));
        }
        for (n, r, p) in [(1 << 10, 1, 1), (1 << 20, 8, 16), (1 << 18, 32, 16)] {
            assert!(Kdf::scrypt(n, r, p).is_ok(), "{n} {r} {p}");
        }
        assert_eq!(Kdf::scrypt(1 << 18, 8, 1).unwrap(), Kdf::STANDARD);
        assert_eq!(Kdf::STANDARD.to_string(), "scrypt n=262144 r=8 p=1");
    }
}
