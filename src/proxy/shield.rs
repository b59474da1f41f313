//! Our own code, run so that a panic in it costs nobody an answer.
//!
//! Whatever decides, ranks or learns is called through here. State behind locks stays usable: a
//! lock is held for one step, and a step that did not end leaves what was there before it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `work`; a panic in it becomes `on_panic`.
pub(super) fn shielded<T, E>(on_panic: E, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!("a panic was caught; the request goes on without us");
        Err(on_panic)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_reason_given_and_everything_else_passes_through() {
        assert_eq!(shielded("panic", || Ok::<_, &str>(1)), Ok(1));
        assert_eq!(shielded("panic", || Err::<(), _>("mine")), Err("mine"));
        let nothing: Vec<u32> = Vec::new();
        assert_eq!(shielded("panic", || Ok::<_, &str>(nothing[0])), Err("panic"));
    }
}
