//! How good an order is.
//!
//! In: an order and what was chosen. Out: NDCG@5, NDCG@10 (binary gain, log2 discount; the best
//! order counts all that was chosen, also what the list lacks), reciprocal rank, Hit@1, Hit@10.

/// How many numbers an order is measured by.
pub const METRICS: usize = 5;

/// Their names, in order.
pub const METRIC_NAMES: [&str; METRICS] = ["ndcg@5", "ndcg@10", "mrr", "hit@1", "hit@10"];

/// The place of NDCG@10 among them.
pub const NDCG10: usize = 1;

/// One order, measured.
pub(super) type Scores = [f64; METRICS];

/// Measures an order; 0 all over where nothing was chosen.
pub(super) fn measure(order: impl Iterator<Item = u32>, truth: &[u32]) -> Scores {
    let mut gains = [0.0; 2];
    let mut first = 0;
    for (position, product) in order.enumerate() {
        if !truth.contains(&product) {
            continue;
        }
        if first == 0 {
            first = position + 1;
        }
        if position >= 10 {
            break;
        }
        gains[1] += discount(position);
        if position < 5 {
            gains[0] += discount(position);
        }
    }
    let ideal = |depth: usize| (0..truth.len().min(depth)).map(discount).sum::<f64>();
    let share = |gain: f64, ideal: f64| if ideal > 0.0 { gain / ideal } else { 0.0 };
    let reciprocal = if first > 0 { 1.0 / first as f64 } else { 0.0 };
    let hit = |depth: usize| f64::from(u8::from((1..=depth).contains(&first)));
    [share(gains[0], ideal(5)), share(gains[1], ideal(10)), reciprocal, hit(1), hit(10)]
}

fn discount(position: usize) -> f64 {
    /// `1 / log2(2 + position)`.
    const DISCOUNTS: [f64; 10] = [
        1.0,
        0.630_929_753_571_457_4,
        0.5,
        0.430_676_558_073_393_05,
        0.386_852_807_234_541_6,
        0.356_207_187_108_022_2,
        0.333_333_333_333_333_3,
        0.315_464_876_785_728_7,
        std::f64::consts::LOG10_2,
        0.289_064_826_317_887_9,
    ];
    DISCOUNTS.get(position).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_measured_as_the_reference_does() {
        let scores = measure([9, 1, 8, 2].into_iter(), &[1, 2, 7]);
        let gain = 1.0 / 3_f64.log2() + 1.0 / 5_f64.log2();
        let ideal = 1.0 + 1.0 / 3_f64.log2() + 0.5;
        assert!((scores[NDCG10] - gain / ideal).abs() < 1e-12);
        assert_eq!((scores[2], scores[3], scores[4]), (0.5, 0.0, 1.0));
        assert_eq!(measure([1, 2].into_iter(), &[]), [0.0; METRICS]);
        let deep = measure((0..30).map(|place| u32::from(place == 20)), &[1]);
        assert_eq!((deep[NDCG10], deep[2], deep[4]), (0.0, 1.0 / 21.0, 0.0));
    }

    #[test]
    fn the_discounts_are_those_of_the_logarithm() {
        for position in 0..10 {
            let wanted = 1.0 / (2.0 + position as f64).log2();
            assert!((discount(position) - wanted).abs() < 1e-12, "{position}");
        }
    }
}
