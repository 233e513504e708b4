//! What an engine declares is well-formed, before anything runs.

use crate::bench::{engines, example, operations};
use std::collections::BTreeSet;
use vaultmesh::args::tree::{OWN_COMMANDS, RESERVED_VERBS};
use vm_contracts::edge::{RESERVED_FIELDS, admit};
use vm_contracts::{AnyEngine, Field, Kind, Map, Presence, Spec, Value};
use vm_receipts::line::{is_field_name, is_op, is_scroll, is_type};

fn specs(engine: &dyn AnyEngine) -> Vec<&'static Spec> {
    engine.operations().into_iter().chain(engine.reports()).collect()
}

fn is_kebab(text: &str) -> bool {
    is_type(&text.replace('-', "_")) && !text.contains('_')
}

fn unique<'a>(names: impl IntoIterator<Item = &'a str>, of: &str) {
    let mut seen = BTreeSet::new();
    for name in names {
        assert!(seen.insert(name), "{of}: {name} stands twice");
    }
}

#[test]
fn engines_have_names_of_their_own() {
    unique(engines().iter().map(|e| e.name()), "engines");
    unique(engines().iter().map(|e| e.scroll()), "scrolls");
    unique(engines().iter().map(|e| e.prefix()), "prefixes");
    unique(engines().iter().flat_map(|e| e.types()), "receipt types of all engines");
    for engine in engines() {
        assert!(is_kebab(engine.name()) && is_scroll(engine.scroll()), "{}", engine.name());
        assert!(engine.prefix().ends_with('_'), "{}", engine.prefix());
        assert!(!OWN_COMMANDS.contains(&engine.name()), "{}", engine.name());
        assert!(!engine.about().is_empty() && !engine.operations().is_empty());
    }
}

#[test]
fn verbs_are_unique_kebab_case_and_never_words_of_the_lifecycle() {
    for engine in engines() {
        let specs = specs(*engine);
        unique(specs.iter().map(|s| s.verb), engine.name());
        for spec in specs {
            let shown = format!("{} {}", engine.name(), spec.verb);
            assert!(is_kebab(spec.verb), "{shown}");
            assert!(!RESERVED_VERBS.contains(&spec.verb), "{shown}");
            assert!(
                is_op(&format!("{}.{}", engine.name(), spec.verb).replace('-', "_")),
                "{shown}"
            );
            assert!(
                spec.needs.starts_with(&format!("{}.", engine.name())),
                "{shown}: {}",
                spec.needs
            );
            assert!(
                !spec.about.is_empty() && !spec.about.ends_with('.'),
                "{shown}: {}",
                spec.about
            );
        }
    }
}

#[test]
fn receipt_types_are_snake_case_under_the_engines_prefix() {
    for engine in engines() {
        engine.reports().iter().for_each(|s| assert!(s.types.is_empty(), "{}", s.verb));
        for spec in engine.operations() {
            assert!(!spec.types.is_empty(), "{} leaves nothing", spec.verb);
            unique(spec.types.iter().copied(), spec.verb);
            for kind in spec.types {
                // The prefix as a word of its own: `drill_approval`, `security_drill_run`.
                let named = format!("_{kind}").contains(&format!("_{}", engine.prefix()));
                assert!(is_type(kind) && named, "{}: {kind}", spec.verb);
                assert!(!kind.starts_with("ledger_"), "{kind} is the ledger's");
            }
        }
    }
}

#[test]
fn fields_are_unique_snake_case_limited_and_not_reserved() {
    for engine in engines() {
        specs(*engine)
            .iter()
            .for_each(|spec| fields(spec.fields, &format!("{} {}", engine.name(), spec.verb)));
    }
}

fn fields(declared: &'static [Field], of: &str) {
    unique(declared.iter().map(|f| f.name), of);
    for field in declared {
        let shown = format!("{of}: {}", field.name);
        assert!(is_field_name(field.name), "{shown}");
        assert!(!RESERVED_FIELDS.contains(&field.name), "{shown} is reserved");
        assert!(!field.about.is_empty(), "{shown} is not explained");
        let is_list = matches!(field.kind, Kind::TextList(..) | Kind::Documents(..));
        assert!(!field.private_items || is_list, "{shown}: only items of a list can be private");
        assert!(!(field.private && field.secret), "{shown}: a secret is kept nowhere");
        assert!(!(field.secret && field.filter), "{shown}: a secret is no filter");
        assert!(
            !(field.secret && field.presence == Presence::Computed),
            "{shown}: nobody gives it"
        );
        assert!(
            !(field.filter && field.hides()),
            "{shown}: what is private cannot be searched for"
        );
        match field.kind {
            Kind::Text(max) | Kind::Name(max) => assert!((1..=16_384).contains(&max), "{shown}"),
            Kind::Integer(min, max) => assert!(min < max, "{shown}"),
            Kind::Choice(words) => {
                assert!(!words.is_empty(), "{shown}");
                unique(words.iter().copied(), &shown);
            }
            Kind::TextList(most, max) => {
                assert!(most >= 1 && (1..=4_096).contains(&max), "{shown}")
            }
            Kind::List(most, inner) => {
                assert!((1..=10_000).contains(&most), "{shown}");
                fields(inner, &shown);
            }
            Kind::Decimal(scale) => assert!(scale <= 38, "{shown}"),
            Kind::Document(max) => assert!((1..=1 << 20).contains(&max), "{shown}"),
            Kind::Documents(most, max) => {
                assert!((1..=64).contains(&most) && (1..=1 << 20).contains(&max), "{shown}")
            }
            Kind::Time | Kind::Bool => {}
        }
    }
}

#[test]
fn integers_that_are_kept_fit_a_receipt() {
    for (engine, spec) in operations() {
        for field in spec.fields.iter().filter(|f| f.is_kept() && f.is_input()) {
            if let Kind::Integer(min, max) = field.kind {
                let fits = |n: i64| n.unsigned_abs() < 1 << 53;
                assert!(fits(min) && fits(max), "{} {}: {}", engine.name(), spec.verb, field.name);
            }
        }
    }
}

#[test]
fn an_example_is_a_whole_accepted_intent() {
    for engine in engines() {
        for spec in specs(*engine) {
            let shown = format!("{} {}", engine.name(), spec.verb);
            let example = example(spec);
            keys(spec.fields, &example, &shown);
            let admitted = admit(spec, &example).unwrap_or_else(|e| panic!("{shown}: {e}"));
            assert_eq!(admitted, example, "{shown}: the example is not in its normal form");
        }
    }
}

/// The keys are declared inputs, and no required one is missing.
fn keys(declared: &'static [Field], given: &Map<String, Value>, of: &str) {
    for name in given.keys() {
        let known = declared.iter().any(|f| f.name == *name && f.is_input());
        assert!(known, "{of}: the example has {name}, which is no input");
    }
    for field in declared.iter().filter(|f| f.presence == Presence::Required) {
        assert!(given.contains_key(field.name), "{of}: the example lacks {}", field.name);
    }
    for field in declared {
        if let (Kind::List(_, inner), Some(Value::Array(items))) =
            (field.kind, given.get(field.name))
        {
            let objects = items.iter().filter_map(Value::as_object);
            objects.for_each(|item| keys(inner, item, &format!("{of}: {}", field.name)));
        }
    }
}

#[test]
fn a_field_name_means_one_kind_throughout_an_engine() {
    for engine in engines() {
        let mut kinds: std::collections::BTreeMap<&str, &str> = Default::default();
        for field in engine.operations().iter().flat_map(|s| s.fields).filter(|f| f.filter) {
            let word = field.kind.word();
            let before = kinds.insert(field.name, word).unwrap_or(word);
            assert_eq!(before, word, "{}: {} is of two kinds", engine.name(), field.name);
        }
    }
}
