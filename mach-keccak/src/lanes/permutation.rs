//! Keccak-f[1600], for whatever a word is.

/// Defines `permute(&mut [Word; 25])` for the processor feature `$feature`.
///
/// In scope must be the type `Word` and, for the same feature, `splat`, `xor`, `xor5` (of five),
/// `rotate::<LEFT, { 64 - LEFT }>` and `chi` (`a ^ (!b & c)`).
///
/// Lane (x, y) of the specification is element `x + 5y`. Each line of the second half makes one row
/// of the next state: which lanes the step pi brings there, with their columns and the rotations of
/// the step rho.
macro_rules! permutation {
    ($feature:literal) => {
        #[target_feature(enable = $feature)]
        fn permute(state: &mut [Word; 25]) {
            let mut s = *state;
            for constant in $crate::lanes::ROUND_CONSTANTS {
                let c = [
                    xor5(s[0], s[5], s[10], s[15], s[20]),
                    xor5(s[1], s[6], s[11], s[16], s[21]),
                    xor5(s[2], s[7], s[12], s[17], s[22]),
                    xor5(s[3], s[8], s[13], s[18], s[23]),
                    xor5(s[4], s[9], s[14], s[19], s[24]),
                ];
                let d = [
                    xor(c[4], rotate::<1, 63>(c[1])),
                    xor(c[0], rotate::<1, 63>(c[2])),
                    xor(c[1], rotate::<1, 63>(c[3])),
                    xor(c[2], rotate::<1, 63>(c[4])),
                    xor(c[3], rotate::<1, 63>(c[0])),
                ];
                let mut next = s;
                row!(s, d, next, 0: (0, 0, 0), (6, 1, 44), (12, 2, 43), (18, 3, 21), (24, 4, 14));
                row!(s, d, next, 5: (3, 3, 28), (9, 4, 20), (10, 0, 3), (16, 1, 45), (22, 2, 61));
                row!(s, d, next, 10: (1, 1, 1), (7, 2, 6), (13, 3, 25), (19, 4, 8), (20, 0, 18));
                row!(s, d, next, 15: (4, 4, 27), (5, 0, 36), (11, 1, 10), (17, 2, 15), (23, 3, 56));
                row!(s, d, next, 20: (2, 2, 62), (8, 3, 55), (14, 4, 39), (15, 0, 41), (21, 1, 2));
                next[0] = xor(next[0], splat(constant));
                s = next;
            }
            *state = s;
        }
    };
}

/// One row of the next state: the steps theta to pi, and chi.
macro_rules! row {
    (
        $s:ident, $d:ident, $next:ident,
        $start:literal: $(($lane:literal, $column:literal, $rotation:literal)),*
    ) => {
        let b = [$(
            rotate::<$rotation, { 64 - $rotation }>(xor($s[$lane], $d[$column]))
        ),*];
        $next[$start] = chi(b[0], b[1], b[2]);
        $next[$start + 1] = chi(b[1], b[2], b[3]);
        $next[$start + 2] = chi(b[2], b[3], b[4]);
        $next[$start + 3] = chi(b[3], b[4], b[0]);
        $next[$start + 4] = chi(b[4], b[0], b[1]);
    };
}
