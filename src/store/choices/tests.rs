//! Choices against their journal, their caps, and those who read meanwhile.

use std::fs;

use super::*;
use crate::store::testing::settings;
use crate::types::product::Axis;

const ANN: SubjectKey = SubjectKey(7);
const BEN: SubjectKey = SubjectKey(8);
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn choice(word: &str, mark: Option<Mark>) -> Choice {
    let facet = FacetKey::of(Axis::Attribute, word);
    Choice { facet, mark, at: NOW, word: if mark.is_some() { word.into() } else { "".into() } }
}

fn muted(word: &str) -> Choice {
    choice(word, Some(Mark::Muted))
}

fn open(directory: &Path) -> Choices {
    Choices::open(directory, &settings(), NOW)
}

fn marks(choices: &Choices, key: SubjectKey) -> Vec<(String, Option<Mark>)> {
    let own = choices.of(key);
    let mut own: Vec<_> =
        own.iter().flat_map(|own| own.iter().map(|c| (c.word.to_string(), c.mark))).collect();
    own.sort_by(|a, b| a.0.cmp(&b.0));
    own
}

#[test]
fn a_choice_is_there_after_a_restart_and_the_last_one_about_a_facet_counts() {
    let directory = tempfile::tempdir().unwrap();
    let choices = open(directory.path());
    choices.say(ANN, muted("very spicy")).unwrap();
    choices.say(ANN, choice("organic", Some(Mark::Pinned))).unwrap();
    choices.say(ANN, choice("very spicy", Some(Mark::Pinned))).unwrap();
    choices.say(BEN, muted("organic")).unwrap();
    assert!(choices.take_back(BEN, FacetKey::of(Axis::Attribute, "organic"), NOW).unwrap());
    assert!(!choices.take_back(BEN, FacetKey::of(Axis::Attribute, "organic"), NOW).unwrap());
    for one in [choices, open(directory.path())] {
        let pinned = |word: &str| (word.to_owned(), Some(Mark::Pinned));
        assert_eq!(marks(&one, ANN), [pinned("organic"), pinned("very spicy")]);
        assert_eq!(one.of(BEN), None);
        assert!(one.of(ANN).unwrap().is_sorted_by_key(|choice| choice.facet));
    }
}

#[test]
fn the_digest_is_another_for_other_marks_and_the_same_for_the_same() {
    let choices = Choices::in_memory(&settings());
    assert_eq!(choices.digest(ANN), 0);
    choices.say(ANN, muted("spicy")).unwrap();
    let muted_so = choices.digest(ANN);
    choices.say(ANN, choice("spicy", Some(Mark::Pinned))).unwrap();
    assert!(muted_so != 0 && choices.digest(ANN) != muted_so);
    choices.say(ANN, muted("spicy")).unwrap();
    assert_eq!(choices.digest(ANN), muted_so);
    choices.say(ANN, choice("spicy", None)).unwrap();
    assert_eq!(choices.digest(ANN), 0, "what was forgotten marks nothing");
}

#[test]
fn beyond_a_cap_a_choice_is_refused_and_one_that_takes_the_place_of_another_is_not() {
    let choices = Choices::in_memory(&settings());
    ["a", "b", "c"].iter().for_each(|word| choices.say(ANN, muted(word)).unwrap());
    let refused = choices.say(ANN, muted("d"));
    assert!(matches!(refused, Err(ChoiceError::FullForSubject(3))), "{refused:?}");
    choices.say(ANN, choice("a", Some(Mark::Pinned))).unwrap();
    ["a", "b"].iter().for_each(|word| choices.say(BEN, muted(word)).unwrap());
    assert!(matches!(choices.say(BEN, muted("c")), Err(ChoiceError::Full(5))));
    // forgetting needs no room
    for number in 0..9 {
        choices.say(BEN, choice(&number.to_string(), None)).unwrap();
    }
    assert!(choices.of(BEN).unwrap().len() <= 5);
    assert_eq!(marks(&choices, ANN).len(), 3);
}

#[test]
fn who_is_forgotten_leaves_memory_at_once_and_the_disk_when_it_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let choices = open(directory.path());
    choices.say(ANN, muted("spicy")).unwrap();
    choices.say(BEN, muted("sweet")).unwrap();
    choices.forget(ANN);
    assert_eq!(choices.of(ANN), None);
    choices.settle().unwrap();
    let text = fs::read_to_string(directory.path().join(JOURNAL_FILE)).unwrap();
    assert!(!text.contains("spicy") && text.contains("sweet"), "{text}");
    assert_eq!(open(directory.path()).of(ANN), None);
}

#[test]
fn a_visits_choices_become_the_users_who_have_the_last_word() {
    let choices = Choices::in_memory(&settings());
    choices.say(ANN, muted("spicy")).unwrap();
    choices.say(ANN, muted("sweet")).unwrap();
    choices.say(BEN, choice("spicy", Some(Mark::Pinned))).unwrap();
    choices.join(ANN, BEN);
    assert_eq!(choices.of(ANN), None);
    let expected = [("spicy".to_owned(), Some(Mark::Pinned)), ("sweet".into(), Some(Mark::Muted))];
    assert_eq!(marks(&choices, BEN), expected);
}

#[test]
fn a_line_that_was_cut_short_is_left_out_and_where_nothing_can_be_read_nothing_can_be_said() {
    let directory = tempfile::tempdir().unwrap();
    let choices = open(directory.path());
    choices.say(ANN, muted("spicy")).unwrap();
    choices.say(ANN, muted("sweet")).unwrap();
    let file = directory.path().join(JOURNAL_FILE);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() - 9]).unwrap();
    assert_eq!(marks(&open(directory.path()), ANN), [("spicy".to_owned(), Some(Mark::Muted))]);

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let unreadable = open(directory.path());
    assert!(unreadable.is_unreadable() && unreadable.of(ANN).is_none());
    assert!(matches!(unreadable.say(ANN, muted("spicy")), Err(ChoiceError::Unreadable)));
}

#[test]
fn what_was_forgotten_is_remembered_without_its_word_and_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).say(ANN, choice("spicy", None)).unwrap();
    let text = fs::read_to_string(directory.path().join(JOURNAL_FILE)).unwrap();
    assert!(!text.contains("spicy"), "{text}");
    let again = open(directory.path());
    assert_eq!(again.forgotten(), [(ANN, FacetKey::of(Axis::Attribute, "spicy"), NOW)]);
    let later = Timestamp(NOW.0 + ERASED_KEPT_DAYS * DAY_MS);
    assert_eq!(Choices::open(directory.path(), &settings(), later).forgotten(), []);
}
