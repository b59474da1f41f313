//! Model files: bytes from anywhere are refused or read, and what is read says the same again.

use leafrank::model::hierarchical::{Hierarchical, NUMBER_MAX};
use leafrank::model::{Kind, Model, seal};

use crate::fuzz_time;

fn is_sound(model: &Hierarchical) -> bool {
    let numbers = [model.own_variance, model.popular_variance, model.noise];
    let scales = model.facets.values().map(|known| known.scale);
    let groups = model.groups.iter().map(|group| group.variance);
    numbers.into_iter().chain(scales).chain(groups).all(|x| (0.0..=NUMBER_MAX).contains(&x))
        && model.facets.values().all(|known| model.axis_of(known.group).is_some())
}

#[test]
fn a_model_file_is_refused_or_read_whole() {
    bolero::check!().with_max_len(2_048).with_test_time(fuzz_time()).for_each(|input: &[u8]| {
        // as it came, and as a payload whose envelope is whole
        for bytes in [input.to_vec(), seal(Kind::Hierarchical, input)] {
            if let Ok((Model::Hierarchical(model), _)) = Model::read(&bytes) {
                assert!(is_sound(&model));
            }
        }
    });
}

#[test]
fn a_damaged_payload_is_refused_or_sound() {
    let mut fitted = Hierarchical::default();
    fitted.know(2, "spicy", 0.5);
    fitted.know(1, "oatly", 1.5);
    let whole = fitted.payload();
    bolero::check!().with_test_time(fuzz_time()).with_type::<Vec<(u16, u8)>>().for_each(|damage| {
        let mut payload = whole.clone();
        for (at, byte) in damage.iter().take(8) {
            let at = usize::from(*at) % payload.len();
            payload[at] = *byte;
        }
        let Ok((Model::Hierarchical(model), _)) = Model::read(&seal(Kind::Hierarchical, &payload))
        else {
            return;
        };
        assert!(is_sound(&model));
        let again = Hierarchical::read(&model.payload()).expect("what it writes it reads");
        assert_eq!(again.payload(), model.payload());
    });
}
