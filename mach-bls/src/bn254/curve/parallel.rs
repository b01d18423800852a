//! The one place that knows whether there are threads.

/// `work` on pieces of `items`, one for each thread and none shorter than `shortest`; the results in
/// the order of the items.
pub(super) fn map_pieces<T: Sync, U: Send>(
    items: &[T],
    shortest: usize,
    work: impl Fn(&[T]) -> U + Sync + Send,
) -> Vec<U> {
    #[cfg(feature = "parallel")]
    {
        use rayon::iter::ParallelIterator;
        use rayon::slice::ParallelSlice;

        let length = items.len().div_ceil(rayon::current_num_threads());
        let pieces = items.par_chunks(length.max(shortest));
        pieces.map(work).collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        items.chunks(items.len().max(shortest)).map(work).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_items_in_order() {
        for count in [0, 1, 7, 1000] {
            let items: Vec<u32> = (0..count).collect();
            assert_eq!(map_pieces(&items, 3, <[u32]>::to_vec).concat(), items);
        }
    }
}
