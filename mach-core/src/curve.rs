//! The curves that operators sign on, as far as the wire goes.

use core::{array::TryFromSliceError, fmt::Debug, hash::Hash};

use alloy_primitives::FixedBytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A pairing-friendly curve: its name and how long its points are on the wire. No arithmetic.
///
/// On every curve an operator has one secret key with a public half in each group, and signs in G1.
/// The G1 half gives the operator its id and is cheap to sum on chain; the G2 half is what a pairing
/// checks. Types that carry points take a curve, and mean [`Bn254`] where none is named.
pub trait Curve: Copy + Debug + Default + Eq + Hash + Ord + Send + Sync + 'static {
    /// How the curve is called in files and messages.
    const NAME: &'static str;
    /// Bytes of a point of G1.
    type G1: WireBytes;
    /// Bytes of a point of G2.
    type G2: WireBytes;
}

/// BN254, also called alt_bn128: what EigenLayer's contracts and the precompiles of EIP-196 and
/// EIP-197 compute on. About 100 bits of security.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bn254;

impl Curve for Bn254 {
    const NAME: &'static str = "bn254";
    type G1 = FixedBytes<64>;
    type G2 = FixedBytes<128>;
}

/// BLS12-381: what the precompiles of EIP-2537 compute on. About 120 bits of security.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bls12381;

impl Curve for Bls12381 {
    const NAME: &'static str = "bls12-381";
    type G1 = FixedBytes<128>;
    type G2 = FixedBytes<256>;
}

/// A number of bytes that is known at compile time: [`FixedBytes`].
pub trait WireBytes:
    AsRef<[u8]>
    + AsMut<[u8]>
    + for<'a> TryFrom<&'a [u8], Error = TryFromSliceError>
    + Copy
    + Debug
    + Default
    + Eq
    + Hash
    + Ord
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<const N: usize> WireBytes for FixedBytes<N> {}

/// A G1 point in its wire form, not yet checked: X then Y, big-endian.
///
/// 64 bytes for BN254, as EIP-196 has them. 128 bytes for BLS12-381, as EIP-2537 has them: each
/// coordinate of 48 bytes follows 16 bytes of zeros. The identity is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct G1Bytes<C: Curve = Bn254>(pub C::G1);

/// A G2 point in its wire form, not yet checked: X.c0, X.c1, Y.c0, Y.c1, each big-endian, real part
/// first.
///
/// 128 bytes for BN254, whose contracts take the imaginary part first (EIP-197); the bindings swap.
/// 256 bytes for BLS12-381, as EIP-2537 has them: each part of 48 bytes follows 16 bytes of zeros.
/// The identity is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct G2Bytes<C: Curve = Bn254>(pub C::G2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operator, OperatorId, SignedStatement};
    use alloy_primitives::{Address, keccak256};

    /// JSON of one curve's points is not JSON of the other's.
    #[test]
    fn a_point_has_the_length_of_its_curve() {
        let operator = Operator::<Bls12381> {
            address: Address::ZERO,
            key_g1: G1Bytes([1; 128].into()),
            key_g2: G2Bytes([2; 256].into()),
        };
        let json = serde_json::to_string(&operator).unwrap();
        assert_eq!(
            serde_json::from_str::<Operator<Bls12381>>(&json).unwrap(),
            operator
        );
        assert!(serde_json::from_str::<Operator>(&json).is_err());
        assert_eq!(operator.id(), OperatorId(keccak256([1; 128])));
    }

    /// The default is BN254, also for what is named without a curve.
    #[test]
    fn what_names_no_curve_is_on_bn254() {
        fn same<T>(_: fn(T), _: fn(T)) {}
        same::<SignedStatement>(|_: SignedStatement| (), |_: SignedStatement<Bn254>| ());
    }
}
