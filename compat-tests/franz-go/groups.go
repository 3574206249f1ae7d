package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func init() {
	both := func(name string, run func(t *T, opts ...kgo.Opt)) {
		slow(name, 40*time.Second, func(t *T) { run(t, kgo.Balancers(kgo.RangeBalancer())) })
		slow(name+"-kip848", 40*time.Second, func(t *T) { run(t, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())) })
	}

	both("group-commit-and-resume", func(t *T, opts ...kgo.Opt) {
		topic, group := t.topic("resume", 1), fresh("group")
		t.fill(topic, 0, 0, 20)
		first := t.client(groupOptions(group, topic, opts...)...)
		got := t.take(first, 8)
		t.ok(first.CommitRecords(t.ctx, got...), "commit")
		first.Close()
		second := t.client(groupOptions(group, topic, opts...)...)
		t.eq(offsets(t.take(second, 12)), upTo(8, 20), "offsets of the second consumer")
		second.Close()
	})

	both("group-rebalance-join-and-leave", func(t *T, opts ...kgo.Opt) {
		topic, group := t.topic("rebalance", 4), fresh("group")
		one := t.member(group, topic, opts...)
		t.until("the first member has all", func() bool { return one.count() == 4 })
		two := t.member(group, topic, opts...)
		t.until("both have half", func() bool { return one.count() == 2 && two.count() == 2 })
		two.leave()
		t.until("the first member has all again", func() bool { return one.count() == 4 })
		for p := range int32(4) {
			t.fill(topic, p, 0, 1)
		}
		t.until("all records came", func() bool { return one.reads() == 4 })
		one.leave()
	})

	slow("group-member-dies", 50*time.Second, func(t *T) {
		topic, group := t.topic("dies", 4), fresh("group")
		victim := t.child(group, topic)
		one := t.member(group, topic)
		t.until("both have half", func() bool { return one.count() == 2 })
		t.ok(victim.Process.Kill(), "kill")
		t.untilFor(25*time.Second, "the survivor has all", func() bool { return one.count() == 4 })
		one.leave()
	})

	slow("group-static-member-returns-without-rebalance", 40*time.Second, func(t *T) {
		topic, group := t.topic("static", 4), fresh("group")
		long := kgo.SessionTimeout(20 * time.Second)
		one := t.member(group, topic, long, kgo.InstanceID("one"), kgo.Balancers(kgo.RangeBalancer()))
		t.until("the first member has all", func() bool { return one.count() == 4 })
		two := t.member(group, topic, long, kgo.InstanceID("two"), kgo.Balancers(kgo.RangeBalancer()))
		t.until("both have half", func() bool { return one.count() == 2 && two.count() == 2 })
		before, held := one.revocations(), two.partitions()
		two.leave()
		back := t.member(group, topic, long, kgo.InstanceID("two"), kgo.Balancers(kgo.RangeBalancer()))
		t.until("the returned member has its half", func() bool { return back.partitions() == held })
		t.eq(one.revocations(), before, "revocations seen by the other member")
		adm := t.admin()
		left, err := adm.LeaveGroup(t.ctx, kadm.LeaveGroup(group).InstanceIDs("one"))
		t.ok(err, "leave by instance id")
		t.ok(left.Error(), "leave by instance id")
		t.until("the other has all", func() bool { return back.count() == 4 })
		back.leave()
	})

	slow("group-static-member-fences-its-double", 40*time.Second, func(t *T) {
		topic, group := t.topic("fenced", 1), fresh("group")
		one := t.member(group, topic, kgo.InstanceID("same"))
		t.until("the first has it", func() bool { return one.count() == 1 })
		two := t.member(group, topic, kgo.InstanceID("same"))
		t.until("the second has it", func() bool { return two.count() == 1 })
		t.until("the first is fenced", func() bool { return one.err() != nil })
		t.is(one.err(), kerr.FencedInstanceID, "error of the first")
	})

	slow("group-cooperative-sticky", 40*time.Second, func(t *T) {
		topic, group := t.topic("cooperative", 4), fresh("group")
		sticky := kgo.Balancers(kgo.CooperativeStickyBalancer())
		one := t.member(group, topic, sticky)
		t.until("the first member has all", func() bool { return one.count() == 4 })
		two := t.member(group, topic, sticky)
		t.until("both have half", func() bool { return one.count() == 2 && two.count() == 2 })
		t.eq(one.revocations(), 2, "partitions revoked from the first")
		two.leave()
		t.until("the first member has all again", func() bool { return one.count() == 4 })
		one.leave()
	})

	slow("group-regex", 40*time.Second, func(t *T) {
		mark, group := fresh("pattern"), fresh("group")
		for _, letter := range []string{"a", "b"} {
			t.fill(mark+"-"+letter, 0, 0, 1, kgo.AllowAutoTopicCreation())
		}
		cl := t.client(groupOptions(group, "^"+mark+"-.*", kgo.ConsumeRegex())...)
		topics := map[string]bool{}
		for _, r := range t.take(cl, 2) {
			topics[r.Topic] = true
		}
		t.eq(topics, map[string]bool{mark + "-a": true, mark + "-b": true}, "topics")
		cl.Close()
	})

	test("group-join-with-too-short-a-session", func(t *T) {
		topic, group := t.topic("short", 1), fresh("group")
		one := t.member(group, topic, kgo.SessionTimeout(500*time.Millisecond), kgo.HeartbeatInterval(100*time.Millisecond))
		t.until("the join failed", func() bool { return one.err() != nil })
		t.is(one.err(), kerr.InvalidSessionTimeout, "error")
	})

	// -- transactions -------------------------------------------------------------------------------------------------

	slow("transaction-commit-and-abort", 40*time.Second, func(t *T) {
		topic := t.topic("transaction", 1)
		cl := t.client(kgo.TransactionalID(fresh("txn")))
		for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
			t.ok(cl.BeginTransaction(), "begin")
			for n := range 3 {
				t.ok(cl.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte(fmt.Sprintf("%v-%d", commit, n))}).FirstErr(), "produce")
			}
			t.ok(cl.EndTransaction(t.ctx, commit), "end")
		}
		committed := t.readAll(topic, 6, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		t.eq(values(committed), []string{"true-0", "true-1", "true-2", "true-0", "true-1", "true-2"}, "read committed")
		t.eq(offsets(committed), []int64{0, 1, 2, 8, 9, 10}, "offsets beside markers and aborted records")
		t.eq(len(t.readAll(topic, 9)), 9, "read uncommitted")
		controls := t.readAll(topic, 12, kgo.KeepControlRecords())
		t.check(controls[3].Attrs.IsControl() && controls[7].Attrs.IsControl(), "no control records at 3 and 7")
	})

	slow("transaction-consume-transform-produce", 40*time.Second, func(t *T) {
		source, target, group := t.topic("source", 1), t.topic("target", 1), fresh("group")
		t.fill(source, 0, 0, 10)
		sess, err := kgo.NewGroupTransactSession(append(groupOptions(group, source), kgo.SeedBrokers(bootstrap), kgo.TransactionalID(fresh("txn")),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.MetadataMinAge(50*time.Millisecond), kgo.FetchMaxWait(200*time.Millisecond))...)
		t.ok(err, "session")
		defer sess.Close()
		for done := 0; done < 10; {
			records := sess.PollRecords(t.ctx, 4).Records()
			t.ok(t.ctx.Err(), "poll")
			t.ok(sess.Begin(), "begin")
			for _, r := range records {
				t.ok(sess.ProduceSync(t.ctx, &kgo.Record{Topic: target, Value: r.Value}).FirstErr(), "produce")
			}
			committed, err := sess.End(t.ctx, kgo.TryCommit)
			t.ok(err, "end")
			t.check(committed, "not committed")
			done += len(records)
		}
		t.eq(values(t.readAll(target, 10, kgo.FetchIsolationLevel(kgo.ReadCommitted()))), []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, "target")
		found, err := t.admin().FetchOffsets(t.ctx, group)
		t.ok(err, "fetch offsets")
		o, _ := found.Lookup(source, 0)
		t.eq(o.At, int64(10), "committed offset")
	})

	slow("transaction-fences-the-older-producer", 40*time.Second, func(t *T) {
		topic, id := t.topic("zombie", 1), kgo.TransactionalID(fresh("txn"))
		old, young := t.client(id), t.client(id)
		t.ok(old.BeginTransaction(), "begin")
		t.ok(old.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte("old")}).FirstErr(), "produce")
		t.ok(young.BeginTransaction(), "begin")
		t.ok(young.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte("new")}).FirstErr(), "produce")
		err := errors.Join(old.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte("zombie")}).FirstErr(), old.EndTransaction(t.ctx, kgo.TryCommit))
		t.check(errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch), fmt.Sprintf("the older producer got %v", err))
		t.ok(young.EndTransaction(t.ctx, kgo.TryCommit), "end")
		t.eq(values(t.readAll(topic, 1, kgo.FetchIsolationLevel(kgo.ReadCommitted()))), []string{"new"}, "read committed")
	})

	slow("transaction-listed-and-described", 40*time.Second, func(t *T) {
		topic, id, adm := t.topic("open", 1), fresh("txn"), t.admin()
		cl := t.client(kgo.TransactionalID(id))
		t.ok(cl.BeginTransaction(), "begin")
		t.ok(cl.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(), "produce")
		listed, err := adm.ListTransactions(t.ctx, nil, []string{"Ongoing"})
		t.ok(err, "list transactions")
		t.eq(listed[id].State, "Ongoing", "listed state")
		described, err := adm.DescribeTransactions(t.ctx, id)
		t.ok(err, "describe transactions")
		t.eq([]any{described[id].State, described[id].Topics.Sorted()[0].Topic}, []any{"Ongoing", topic}, "described")
		end, err := adm.ListCommittedOffsets(t.ctx, topic)
		t.ok(err, "list offsets")
		o, _ := end.Lookup(topic, 0)
		t.eq(o.Offset, int64(0), "last stable offset while open")
		var set kadm.TopicsSet
		set.Add(topic, 0)
		producers, err := adm.DescribeProducers(t.ctx, set)
		t.ok(err, "describe producers")
		for _, p := range producers[topic].Partitions[0].ActiveProducers {
			t.eq([]any{p.LastSequence, p.CurrentTxnStartOffset}, []any{int32(0), int64(0)}, "active producer")
		}
		t.eq(len(producers[topic].Partitions[0].ActiveProducers), 1, "active producers")
		t.ok(cl.EndTransaction(t.ctx, kgo.TryAbort), "abort")
	})
}
