//! Our own code, run so that a panic in it costs nobody an answer.
//!
//! Whatever decides, ranks or learns is called through here, and its route's breaker hears of each
//! panic. State behind locks stays usable: a lock is held for one step, and a step that did not end
//! leaves what was there before it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::personalize::breaker::Breaker;

/// Does `work`; a panic in it becomes `on_panic` and a fault of the route.
pub(super) fn shielded<T, E>(
    breaker: &Breaker,
    on_panic: E,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    caught(work).unwrap_or_else(|| {
        breaker.fault("panic");
        Err(on_panic)
    })
}

fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_nothing_and_everything_else_passes_through() {
        assert_eq!(caught(|| Ok::<_, &str>(1)), Some(Ok(1)));
        assert_eq!(caught(|| Err::<(), _>("mine")), Some(Err("mine")));
        let nothing: Vec<u32> = Vec::new();
        assert_eq!(caught(|| nothing[0]), None);
    }
}
