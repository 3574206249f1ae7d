//! The checker finds what is planted, by its name and no other, in a large history that is right; and passes what is allowed.

use milena_checker::anomaly::{Class, Report, Rules};
use milena_checker::check::check;
use milena_checker::faults::plant;
use milena_checker::generate::{Shape, operations};
use milena_checker::history::{Event, Function, History, Operation, Outcome, write_completion, write_invocation};
use milena_checker::json;
use milena_checker::random::Random;

const SEEDS: u64 = 20;

fn shape(seed: u64) -> Shape {
    Shape { seed, events: 20_000, keys: 5, processes: 8 }
}

const STRICT: Rules = Rules { idempotent: true, read_committed: true, exactly_once: true, write_order: false };

fn judge(operations: &[Operation], rules: &Rules) -> Report {
    check(&History::from_operations(operations), rules)
}

#[test]
fn a_history_without_faults_is_clean_and_holds_what_is_allowed() {
    let mut allowed = [0; Class::ALL.len()];
    for seed in 0..SEEDS {
        let operations = operations(&shape(seed));
        let report = judge(&operations, &STRICT);
        assert!(report.is_clean(), "seed {seed}: {report}");
        assert!(report.events > 19_000 && report.values_committed > 5_000, "seed {seed}: {report}");
        Class::ALL.iter().for_each(|class| allowed[*class as usize] += report.allowed(*class));
    }
    for class in [Class::PollSkip, Class::NonmonotonicPoll] {
        assert!(allowed[class as usize] > 0, "no {} by a subscriber in any of them", class.name());
    }
}

/// What comes along because it cannot be otherwise.
fn companions(class: Class) -> &'static [Class] {
    match class {
        // Who read past the lost one skipped it; within one poll or between two, and it was consumed by nobody.
        Class::LostWrite => &[Class::IntPollSkip, Class::PollSkip],
        _ => &[],
    }
}

#[test]
fn every_class_that_is_forbidden_is_named_when_it_is_planted() {
    let forbidden = Class::ALL.into_iter().filter(|class| !STRICT.allow(*class));
    for class in forbidden {
        for seed in 0..SEEDS {
            let mut operations = operations(&shape(seed));
            plant(class, &mut operations, &mut Random::new(seed));
            let report = judge(&operations, &STRICT);
            assert!(report.forbidden(class) > 0, "{} with seed {seed}: {report}", class.name());
            assert_eq!(report.examples.iter().filter(|(told, _)| *told == class).count().min(1), 1);
            let others: Vec<Class> = report
                .forbidden_classes()
                .into_iter()
                .filter(|other| *other != class && !companions(class).contains(other))
                .collect();
            assert!(others.is_empty(), "{} with seed {seed} also gave {others:?}: {report}", class.name());
        }
    }
}

#[test]
fn what_is_always_allowed_is_counted_and_passes() {
    let rules = Rules { write_order: true, ..STRICT };
    for class in [Class::G0, Class::IntSendSkip] {
        for seed in 0..SEEDS {
            let mut operations = operations(&shape(seed));
            let before = judge(&operations, &rules).allowed(class);
            plant(class, &mut operations, &mut Random::new(seed));
            let report = judge(&operations, &rules);
            assert!(report.is_clean(), "{} with seed {seed}: {report}", class.name());
            assert!(
                report.allowed(class) > before || (class == Class::G0 && before > 0),
                "{} with seed {seed}",
                class.name()
            );
        }
    }
}

#[test]
fn without_idempotence_repeated_records_pass() {
    let rules = Rules { idempotent: false, ..STRICT };
    for class in [Class::Duplicate, Class::NonmonotonicSend, Class::IntNonmonotonicSend] {
        let mut operations = operations(&shape(1));
        plant(class, &mut operations, &mut Random::new(1));
        let report = judge(&operations, &rules);
        assert!(report.is_clean() && report.allowed(class) > 0, "{}: {report}", class.name());
    }
}

#[test]
fn without_write_order_a_circle_of_reads_is_forbidden_and_with_it_allowed() {
    let mut operations = operations(&shape(2));
    plant(Class::G1c, &mut operations, &mut Random::new(2));
    assert_eq!(judge(&operations, &STRICT).forbidden(Class::G1c), 1);
    let report = judge(&operations, &Rules { write_order: true, ..STRICT });
    assert!(report.is_clean() && report.allowed(Class::G1c) > 0, "{report}");
}

#[test]
fn a_skip_is_excused_by_a_subscription_or_a_rebalance_only() {
    let sent = |value| Operation::new(1, Outcome::Ok, Function::Send, vec![Event::send(0, value, Some(value as i64))]);
    let poll = |process, value| {
        Operation::new(process, Outcome::Ok, Function::Poll, vec![Event::poll(0, value, value as i64)])
    };
    let all = || Operation::new(9, Outcome::Ok, Function::Poll, (1..4).map(|v| Event::poll(0, v, v as i64)).collect());
    let history = |turn: Function, rebalanced: bool| {
        let turned = Operation { keys: vec![0], ..Operation::new(2, Outcome::Ok, turn, Vec::new()) };
        let mut last = poll(2, 3);
        last.rebalanced = if rebalanced { vec![0] } else { Vec::new() };
        judge(&[sent(1), sent(2), sent(3), turned, poll(2, 1), last, all()], &STRICT)
    };
    assert_eq!(history(Function::Assign, false).forbidden(Class::PollSkip), 1);
    assert_eq!(history(Function::Assign, true).allowed(Class::PollSkip), 1);
    assert_eq!(history(Function::Subscribe, false).allowed(Class::PollSkip), 1);
}

#[test]
fn an_unanswered_send_counts_as_committed_once_somebody_read_it() {
    let info = |value| Operation::new(1, Outcome::Info, Function::Send, vec![Event::send(0, value, None)]);
    let poll = Operation::new(2, Outcome::Ok, Function::Poll, vec![Event::poll(0, 7, 0)]);
    let report = judge(&[info(7), info(8), poll.clone()], &STRICT);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.values_committed, 1);
    // Half of one operation is there: the other half is committed too, and nobody sees it.
    let both = vec![Event::send(0, 7, None), Event::send(1, 8, None)];
    let report = judge(&[Operation::new(1, Outcome::Info, Function::Txn, both), poll], &STRICT);
    assert_eq!(report.forbidden_classes(), [Class::Unseen]);
}

#[test]
fn a_history_reads_back_from_its_lines() {
    let operations = operations(&shape(3));
    let mut text = String::new();
    for operation in &operations {
        write_invocation(&mut text, operation);
        write_completion(&mut text, operation);
    }
    let mut history = History::default();
    json::read(&mut text.as_bytes(), &mut history).expect("it reads");
    let direct = History::from_operations(&operations);
    assert!(history.events().eq(direct.events()));
    assert_eq!(check(&history, &STRICT).to_string(), check(&direct, &STRICT).to_string());
}

#[test]
fn an_invocation_that_nothing_follows_is_of_unknown_outcome() {
    let text = r#"
        {"process":1,"time":1,"type":"invoke","f":"send","value":[["send",0,5]]}
        {"process":2, "time":2, "type":"ok", "f":"poll", "value":[["poll",{"0":[[0,5]]}]], "error":null, "more":{"a":[1,"x"]}}
    "#;
    let mut history = History::default();
    json::read(&mut text.as_bytes(), &mut history).expect("it reads");
    let report = check(&history, &STRICT);
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.operations, report.values_committed), (2, 1));
}

#[test]
fn a_line_that_is_none_is_named() {
    for (bad, reason) in [
        ("{", "missing"),
        (r#"{"process":1}"#, "lacks"),
        (r#"{"process":1,"time":1,"type":"maybe","f":"send"}"#, "maybe"),
        (r#"{"process":1,"time":1,"type":"ok","f":"send","value":[["send",0]]}"#, "missing"),
        (r#"{"process":99999999999,"time":1,"type":"ok","f":"send"}"#, "too large"),
    ] {
        let text = format!("{{\"process\":1,\"type\":\"ok\",\"f\":\"crash\"}}\n{bad}\n");
        let error = json::read(&mut text.as_bytes(), &mut History::default()).unwrap_err();
        assert!(error.starts_with("line 2: ") && error.contains(reason), "{bad}: {error}");
    }
}
