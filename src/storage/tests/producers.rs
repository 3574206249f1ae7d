//! Idempotent producers (I30-I37) and transactions at the level of one log (I40, I47, I48).

use super::harness::*;
use crate::storage::log::{AbortedTransaction, AppendError, Origin};
use crate::types::*;

#[test]
fn i30_a_retry_of_any_of_the_last_five_batches_gets_its_first_offset_and_adds_nothing() {
    let mut bench = Bench::new(small());
    for index in 0..7 {
        assert_eq!(bench.put(produced(1, 0, index * 2, 2)), i64::from(index) * 2);
    }
    for restarts in 0..3 {
        for index in 2..7 {
            let again = bench.append(produced(1, 0, index * 2, 2)).unwrap();
            assert!(again.duplicate);
            assert_eq!((again.base_offset.0, again.last_offset.0), (i64::from(index) * 2, i64::from(index) * 2 + 1));
        }
        assert_eq!(bench.refused(produced(1, 0, 2, 2)), ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(bench.refused(produced(1, 0, 12, 1)), ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(bench.end(), 14);
        // I33: the same after a clean stop and after a crash.
        if restarts == 0 { bench.restart() } else { bench.crash(0).unwrap() }
    }
}

#[test]
fn i31_a_gap_is_refused_and_sequences_wrap() {
    let mut bench = Bench::new(small());
    bench.put(produced(1, 0, 0, 1));
    assert_eq!(bench.refused(produced(1, 0, 2, 1)), ErrorCode::OutOfOrderSequenceNumber);
    // Lesson 7. I35: with no state any first sequence will do.
    bench.put(produced(2, 0, i32::MAX - 1, 2));
    assert_eq!(bench.refused(produced(2, 0, 1, 1)), ErrorCode::OutOfOrderSequenceNumber);
    bench.put(produced(2, 0, 0, 1));
    bench.put(produced(3, 0, i32::MAX - 1, 4));
    assert_eq!(bench.put(produced(3, 0, 2, 1)), 8);
    assert!(bench.append(produced(3, 0, i32::MAX - 1, 4)).unwrap().duplicate);
}

#[test]
fn i32_a_lower_epoch_is_fenced_and_a_higher_one_starts_at_zero() {
    let mut bench = Bench::new(small());
    bench.put(produced(1, 3, 0, 1));
    assert_eq!(bench.refused(produced(1, 2, 1, 1)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(bench.refused(produced(1, 4, 1, 1)), ErrorCode::OutOfOrderSequenceNumber);
    bench.put(produced(1, 4, 0, 1));
    assert_eq!(bench.refused(produced(1, 3, 1, 1)), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn lesson_6_negative_producer_ids_are_no_producer() {
    let mut bench = Bench::new(small());
    for _ in 0..2 {
        bench.put(produced(-5, 0, 3, 1));
    }
    assert_eq!(bench.log.producer_count(), 0);
}

#[test]
fn i33_producers_are_the_same_without_their_snapshots() {
    let mut bench = Bench::new(small());
    for index in 0..40 {
        bench.put(produced(i64::from(index % 3), 0, index / 3, 1));
    }
    let before = bench.log.producers();
    bench.log.close().unwrap();
    let snapshots = bench.files("snapshot");
    assert!((1..=3).contains(&snapshots.len()), "the newest few are kept");
    for kept in (0..snapshots.len()).rev() {
        std::fs::write(&snapshots[kept], [&b"rubbish"[..], b""][kept % 2]).unwrap();
        bench.crash(0).unwrap();
        assert_eq!(bench.log.producers(), before);
        assert!(bench.append(produced(0, 0, 12, 1)).unwrap().duplicate);
    }
}

#[test]
fn i34_producers_leave_when_they_expire_but_not_during_a_transaction() {
    let mut bench = Bench::new(small());
    bench.put(produced(1, 0, 0, 1));
    bench.put(in_transaction(2, 0, 0, 1));
    let later = Now { mono: now().mono.plus_ms(1000), ..now() };
    assert_eq!(bench.log.expire_producers(later, 1001), 0);
    assert_eq!(bench.log.expire_producers(later, 1000), 1);
    assert_eq!(bench.log.producers().iter().map(|p| p.producer_id.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn i34_deleting_records_changes_no_answer_to_a_retry() {
    let mut bench = Bench::new(small());
    for index in 0..30 {
        bench.put(produced(1, 0, index, 1));
    }
    bench.log.flush().unwrap();
    bench.log.delete_records_before(Offset(28)).unwrap();
    bench.log.delete_segments(Offset(28)).unwrap();
    bench.restart();
    assert_eq!(bench.append(produced(1, 0, 25, 1)).unwrap().base_offset, Offset(25));
}

fn lso(bench: &Bench) -> i64 {
    bench.log.last_stable_offset(bench.log.log_end_offset()).0
}

#[test]
fn i47_the_last_stable_offset_is_the_start_of_the_oldest_open_transaction() {
    let mut bench = Bench::new(small());
    let (a, b) = (1, 2);
    bench.put(in_transaction(a, 0, 0, 5));
    bench.put(in_transaction(b, 0, 0, 5));
    assert_eq!(lso(&bench), 0);
    bench.put(marker(a, 0, true));
    assert_eq!(lso(&bench), 5);
    bench.put(in_transaction(a, 0, 5, 5));
    bench.put(marker(b, 0, true));
    assert_eq!(lso(&bench), 11);
    bench.put(in_transaction(b, 0, 5, 5));
    bench.put(marker(a, 0, true));
    assert_eq!(lso(&bench), 17);
    bench.restart();
    assert_eq!(lso(&bench), 17);
    bench.crash(0).unwrap();
    assert_eq!(lso(&bench), 17);
    // Until the end of a transaction is committed it may be taken back: its records stay unstable (I40).
    bench.log.flush().unwrap();
    bench.put(marker(b, 0, true));
    assert_eq!(bench.log.last_stable_offset(Offset(23)).0, 17);
    assert_eq!(lso(&bench), 24);
}

#[test]
fn i48_the_aborted_list_covers_the_range_and_outlasts_restart_and_index_loss() {
    let mut bench = Bench::new(small());
    let mut expected = Vec::new();
    for round in 0..20 {
        for id in 0..3 {
            let first = bench.put(in_transaction(id, 0, round * 3, 3));
            if (round + id as i32) % 2 == 0 {
                expected.push((id, first));
            }
        }
        for id in 0..3 {
            bench.put(marker(id, 0, (round + id as i32) % 2 != 0));
        }
    }
    let list = |bench: &Bench, from: i64, to: i64| -> Vec<(i64, i64)> {
        let found = bench.log.aborted_transactions(Offset(from), Offset(to)).unwrap();
        found.iter().map(|AbortedTransaction { producer_id, first_offset }| (producer_id.0, first_offset.0)).collect()
    };
    let end = bench.end();
    for step in 0..6 {
        assert_eq!(list(&bench, 0, end), expected, "step {step}");
        assert_eq!(list(&bench, 15, 16), [(1, 15)]);
        match step {
            0 => bench.restart(),
            1 => bench.crash(0).unwrap(),
            2 => bench.crash(end).unwrap(),
            3 => {
                bench.log.close().unwrap();
                std::fs::write(&bench.files("txnindex")[0], b"rubbish").unwrap();
                bench.restart();
            }
            _ => {
                bench.log.close().unwrap();
                let last = bench.files("txnindex").pop().unwrap();
                std::fs::write(last, b"").unwrap();
                bench.crash(end).unwrap();
            }
        }
    }
}

#[test]
fn i53_a_marker_of_an_older_coordinator_is_refused_and_one_with_nothing_open_has_no_effect() {
    use crate::record::control::EndTransaction;
    let mut bench = Bench::new(small());
    let end = |epoch| {
        EndTransaction { commit: true, coordinator_epoch: epoch }.batch(ProducerId(1), ProducerEpoch(0), Timestamp(5))
    };
    bench.put(in_transaction(1, 0, 0, 1));
    bench.put(end(4));
    bench.put(end(4));
    assert_eq!(lso(&bench), 3);
    assert_eq!(bench.refused(end(3)), ErrorCode::TransactionCoordinatorFenced);
    assert!(bench.log.aborted_transactions(Offset(0), Offset(3)).unwrap().is_empty());
}

#[test]
fn a_plain_batch_in_the_middle_of_a_transaction_is_refused() {
    let mut bench = Bench::new(small());
    bench.put(in_transaction(1, 0, 0, 1));
    assert_eq!(bench.refused(produced(1, 0, 1, 1)), ErrorCode::InvalidTxnState);
    assert!(bench.log.has_open_transaction(ProducerId(1), ProducerEpoch(0)));
}

#[test]
fn a_batch_larger_than_a_segment_is_refused_from_a_client_and_gets_one_to_itself_from_us() {
    let mut bench = Bench::new(small());
    bench.put(values(&["first"]));
    let large = "x".repeat(2000);
    assert_eq!(bench.refused(values(&[&large])), ErrorCode::RecordListTooLarge);
    let mut batch = values(&[&large]);
    let appended = match bench.log.append(&mut batch, EPOCH, now(), Origin::Raft) {
        Err(AppendError::Refused(code, message)) => panic!("{code} {message}"),
        other => other.unwrap(),
    };
    assert_eq!(appended.base_offset, Offset(1));
    bench.put(values(&["last"]));
    assert_eq!(bench.files("log").len(), 3);
    assert_eq!(bench.read_all(1, 10)[0].1, large);
}
