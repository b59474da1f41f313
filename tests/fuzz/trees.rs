//! Trees: bytes from anywhere are refused or read, and what is read ends, is finite, and adds up.

use leafrank::model::trees::{Feature, Features, Node, Trees};
use leafrank::model::{Kind, Model, seal};

use crate::fuzz_time;

fn is_sound(trees: &Trees, features: &Features) {
    let mut scores = [0.0];
    trees.scores(&[*features], &mut scores);
    let score = scores[0];
    let parts: f32 = trees.parts(features).iter().sum();
    assert!(score.is_finite());
    assert!((score - parts).abs() <= 1.0e-3 * (1.0 + score.abs().max(trees.len() as f32 * 1.0e3)));
    assert_eq!(&Trees::read(&trees.payload()).expect("what it writes it reads"), trees);
}

fn features(numbers: &[u8]) -> Features {
    let mut features = [f32::NAN; Feature::ALL.len()];
    for (feature, number) in features.iter_mut().zip(numbers) {
        *feature = f32::from(*number) - 100.0;
    }
    features
}

#[test]
fn a_payload_of_trees_is_refused_or_sound() {
    let leaf = |value| Node { feature: 0, threshold: 0.0, left: 0, value };
    let split = |feature, left| Node { feature, threshold: 1.5, left, value: 0.5 };
    let names = Feature::ALL.map(|feature| feature.name().to_owned());
    let tree = vec![split(0, 1), leaf(1.0), split(3, 3), leaf(2.0), leaf(-1.0)];
    let whole = Trees::new(&names, vec![tree; 3]).expect("sound").payload();
    let body = whole.windows(8).position(|at| at == b"\"trees\":").expect("named");
    bolero::check!().with_test_time(fuzz_time()).with_type::<(Vec<(u16, u8)>, Vec<u8>)>().for_each(
        |(damage, numbers)| {
            let mut payload = whole.clone();
            for (at, byte) in damage.iter().take(8) {
                let at = body + usize::from(*at) % (payload.len() - body);
                // mostly digits: what still reads as numbers is what may lead astray
                payload[at] = if byte % 4 == 0 { *byte } else { b'0' + byte % 10 };
            }
            if let Ok((Model::Trees(trees), _)) = Model::read(&seal(Kind::Trees, &payload)) {
                is_sound(&trees, &features(numbers));
            }
        },
    );
}
