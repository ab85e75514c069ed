//! What is printed is read again as the same value; what cannot be read is said with its place.

use super::*;
use proptest::prelude::*;
use types::{Labels, REPLICAS_MAX};

fn printed(text: &str) -> String {
    Layout::parse(text).unwrap().to_string()
}

fn refused(text: &str) -> String {
    Layout::parse(text).unwrap_err().to_string()
}

fn labels(text: &str) -> Vec<Label> {
    text.split(' ').map(|word| Label::new(word).unwrap()).collect()
}

#[test]
fn a_layout_is_printed_in_one_form() {
    for (text, form) in [
        ("2*ssd,backup", "2*ssd,backup"),
        (" 2 * ssd , ~ 1*backup ", "2*ssd,~backup"),
        ("ssd,hdd,ssd", "2*ssd,hdd"),
        ("ssd,~ssd", "ssd,~ssd"),
        ("(a&(b&c))|(d|!(!e))", "a&b&c|d|e"),
        ("2*(a|b)&!(c|d)&!(e)", "2*(a|b)&!(c|d)&!e"),
        ("!!!a,((any))", "!a,any"),
        ("9*site=home&!rack=2", "9*site=home&!rack=2"),
    ] {
        assert_eq!(printed(text), form, "{text}");
    }
}

#[test]
fn errors_name_the_place_and_what_could_stand_there() {
    for (text, error) in [
        ("", "character 1: expected a label, any, ! or (, found the end"),
        ("ssd,", "character 5: expected a label, any, ! or (, found the end"),
        ("2*ssd,,hdd", "character 7: expected a label, any, ! or (, found \",\""),
        ("ssd hdd", "character 5: expected &, |, a comma or the end, found \"hdd\""),
        ("ssd*2", "character 4: expected &, |, a comma or the end, found \"*\""),
        ("(ssd|hdd", "character 9: expected &, | or ), found the end"),
        ("ssd)", "character 4: expected &, |, a comma or the end, found \")\""),
        ("größe", "character 3: expected &, |, a comma or the end, found \"ö\""),
        ("ä|ß", "character 1: expected a label, any, ! or (, found \"ä\""),
        ("a|ssd&~hdd", "character 7: expected a label, any, ! or (, found \"~\""),
        ("ssd,site=", "character 5: \"site=\" is no label: there is no value after the = at character 5"),
        ("2", "character 1: 2 alone says how many and not where; for 2 replicas on any disks write 2*any"),
        ("a&3", "character 3: 3 alone says how many and not where; for 3 replicas on any disks write 3*any"),
        ("ssd,0*hdd", "character 5: 1 replicas are asked for; it can be 1 to 9 in all"),
        ("5*ssd,5*hdd", "character 7: 10 replicas are asked for; it can be 1 to 9 in all"),
        ("~ssd,~hdd", "character 6: at least one replica must not lag (~)"),
    ] {
        assert_eq!(refused(text), error, "{text:?}");
    }
    assert!(refused(&format!("{}*a", "9".repeat(50))).contains("1 to 9"));
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(printed(&nested(NESTING_MAX)), "a");
    assert!(refused(&nested(NESTING_MAX + 1)).ends_with("within each other"));
    assert_eq!(printed(&format!("{}a", "!".repeat(EXPRESSION_BYTES_MAX - 1))), "!a");
    for text in ["a".repeat(EXPRESSION_BYTES_MAX + 1), "ä".repeat(EXPRESSION_BYTES_MAX / 2 + 1)] {
        let error = Layout::parse(&text).unwrap_err();
        assert_eq!(error, ParseError { at: text.chars().count() - 1, problem: Problem::TooLong });
    }
    assert_eq!(Layout::parse(&nested(500)).unwrap_err().at, NESTING_MAX);
}

#[test]
fn a_condition_holds_by_the_labels_of_a_disk() {
    let disk = Labels::new(labels("ssd site=home")).unwrap();
    for (text, holds) in [
        ("any", true),
        ("ssd&site=home", true),
        ("site", false),
        ("home", false),
        ("!usb", true),
        ("usb|ssd&!site=home", false),
        ("(usb|ssd)&!site=work", true),
        ("!(ssd&hdd)", true),
        ("!any", false),
    ] {
        assert_eq!(Condition::parse(text).unwrap().holds(&disk), holds, "{text}");
    }
}

#[test]
fn an_unknown_label_is_told_with_the_nearest_known_one() {
    let known = labels("ssd hdd backup site=home site=work nvme");
    let told = |text: &str| -> Vec<String> {
        unknown_labels(text, &known).iter().map(ToString::to_string).collect()
    };
    assert_eq!(told("2*ssd,~backup&!hdd|any"), [""; 0]);
    assert_eq!(
        told("2*sdd, ~bakcup,sdd,SSD"),
        [
            "character 3: no disk has the label sdd; did you mean hdd?",
            "character 9: no disk has the label bakcup; did you mean backup?",
            "character 20: no disk has the label SSD; did you mean ssd?",
        ]
    );
    assert_eq!(told("site=hoem"), ["character 1: no disk has the label site=hoem; did you mean site=home?"]);
    assert_eq!(told("!tape"), ["character 2: no disk has the label tape"]);
}

fn condition() -> impl Strategy<Value = Condition> {
    let word = prop_oneof!["[a-z][a-z0-9._-]{0,6}", "[a-z]{1,3}=[a-z0-9]{1,3}"];
    let leaf = word.prop_map(|word| Label::new(&word).map_or(Condition::ANY, Condition::label));
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Condition::not),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::all),
            prop::collection::vec(inner, 1..4).prop_map(Condition::either),
        ]
    })
}

fn layout() -> impl Strategy<Value = Layout> {
    let item = (1..=REPLICAS_MAX, any::<bool>(), condition());
    prop::collection::vec(item, 1..5).prop_filter_map("too many replicas, or all lag", |items| {
        Layout::new(items.into_iter().map(|(count, lagging, condition)| Item { count, lagging, condition }))
            .ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_printed_is_read_as_the_same_value(layout in layout()) {
        let text = layout.to_string();
        prop_assume!(text.len() <= EXPRESSION_BYTES_MAX);
        prop_assert_eq!(Layout::parse(&text), Ok(layout));
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in "[a-c2-9=.~!&|*(), -]{0,40}|\\PC{0,20}") {
        match Layout::parse(&text) {
            Ok(layout) => {
                let form = layout.to_string();
                prop_assert!(form.len() <= text.len(), "{form} is longer than {text}");
                prop_assert_eq!(Layout::parse(&form), Ok(layout));
            }
            Err(error) => prop_assert!(error.at <= text.chars().count()),
        }
        let _ = unknown_labels(&text, &[]);
    }
}
