//! One number of a request, written anew.
//!
//! In: the body, the place of the number's digits as it was read, the new number. Out: an [`Edit`].
//! A place that holds anything but digits is not of this body.

use std::ops::Range;

use crate::wire::doubt::Doubt;
use crate::wire::edit::Edit;

/// Writes `number` over the digits at `span`.
pub(super) fn digits(body: &[u8], span: Option<&Range<usize>>, number: u32) -> Result<Edit, Doubt> {
    let span = span.ok_or(Doubt::Misplaced)?;
    let old = body.get(span.clone()).ok_or(Doubt::Misplaced)?;
    if old.is_empty() || !old.iter().all(u8::is_ascii_digit) {
        return Err(Doubt::Misplaced);
    }
    let place = |at| u32::try_from(at).map_err(|_| Doubt::TooLarge);
    Ok(Edit { span: place(span.start)?..place(span.end)?, with: number.to_string().into_bytes() })
}
