//! Parts of slices whose bounds are known to be within them.

use std::slice::SliceIndex;

/// The part of `bytes` that `range` says, which has to be within them. If it is not, that is a fault of
/// this program's: the tests stop there, and what ships goes on with nothing rather than ending all
/// connections for one.
pub(crate) fn part<R>(bytes: &[u8], range: R) -> &[u8]
where
    R: SliceIndex<[u8], Output = [u8]>,
{
    let found = bytes.get(range);
    debug_assert!(
        found.is_some(),
        "more than there is of {} bytes",
        bytes.len()
    );
    found.unwrap_or_default()
}
