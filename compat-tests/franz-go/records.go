package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sample holds records that a careless broker or codec would change.
func sample(topic string) (records []*kgo.Record) {
	all, noise := make([]byte, 256), make([]byte, 10_000)
	for i := range all {
		all[i] = byte(i)
	}
	rand.Read(noise)
	h := func(pairs ...string) (headers []kgo.RecordHeader) {
		for i := 0; i < len(pairs); i += 2 {
			headers = append(headers, kgo.RecordHeader{Key: pairs[i], Value: []byte(pairs[i+1])})
		}
		return headers
	}
	add := func(key, value []byte, headers []kgo.RecordHeader) {
		records = append(records, &kgo.Record{Topic: topic, Key: key, Value: value, Headers: headers,
			Timestamp: time.UnixMilli(1_600_000_000_000 + int64(len(records)))})
	}
	add([]byte("key"), []byte("value"), nil)
	add(nil, []byte("no key"), h("h", "1"))
	add([]byte{}, []byte{}, h("empty", ""))
	add([]byte("tombstone"), nil, []kgo.RecordHeader{{Key: "null", Value: nil}})
	add(all, all, h("bytes", string(all)))
	add([]byte("ключ"), []byte("värde 値"), h("имя", "值"))
	add([]byte("repeated header"), []byte("v"), h("h", "1", "h", "2", "g", "3", "h", "1"))
	add([]byte("compressible"), []byte(strings.Repeat("milena ", 3000)), nil)
	add([]byte("incompressible"), noise, nil)
	for n := range 20 {
		add(value(n), value(n), nil)
	}
	return records
}

func same(t *T, got, want []*kgo.Record) {
	t.eq(len(got), len(want), "records read")
	for i, w := range want {
		g := got[i]
		t.check(bytes.Equal(g.Key, w.Key) && (g.Key == nil) == (w.Key == nil), fmt.Sprintf("key of record %d: got %q, want %q", i, g.Key, w.Key))
		t.check(bytes.Equal(g.Value, w.Value) && (g.Value == nil) == (w.Value == nil), fmt.Sprintf("value of record %d", i))
		t.eq(g.Timestamp.UnixMilli(), w.Timestamp.UnixMilli(), fmt.Sprintf("timestamp of record %d", i))
		t.eq(fmt.Sprintf("%q", g.Headers), fmt.Sprintf("%q", w.Headers), fmt.Sprintf("headers of record %d", i))
		t.eq(g.Offset, int64(i), "offset")
	}
}

func init() {
	codecs := []struct {
		name  string
		codec kgo.CompressionCodec
	}{{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()}, {"lz4", kgo.Lz4Compression()},
		{"zstd", kgo.ZstdCompression()}}
	acks := []struct {
		name string
		opts []kgo.Opt
	}{{"0", []kgo.Opt{kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()}},
		{"1", []kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}}, {"all", nil}}
	for _, c := range codecs {
		for _, a := range acks {
			test(fmt.Sprintf("produce-%s-acks-%s", c.name, a.name), func(t *T) {
				topic := t.topic("round-trip", 1)
				cl := t.client(append(a.opts, kgo.ProducerBatchCompression(c.codec), kgo.ProducerLinger(20*time.Millisecond))...)
				want := sample(topic)
				t.ok(cl.ProduceSync(t.ctx, sampleCopy(want)...).FirstErr(), "produce")
				same(t, t.readAll(topic, len(want)), want)
			})
		}
	}

	test("produce-by-name-of-auto-created-topic", func(t *T) {
		topic := fresh("auto-created")
		t.eq(t.fill(topic, 0, 0, 3, kgo.AllowAutoTopicCreation()), upTo(0, 3), "offsets")
		t.eq(values(t.readAll(topic, 3)), []string{"0", "1", "2"}, "values")
	})

	test("produce-idempotent-in-order", func(t *T) {
		topic := t.topic("idempotent", 1)
		cl := t.client(kgo.ProducerBatchMaxBytes(1000), kgo.ProducerLinger(0))
		var records []*kgo.Record
		for n := range 3000 {
			records = append(records, &kgo.Record{Topic: topic, Value: value(n)})
		}
		results := cl.ProduceSync(t.ctx, records...)
		t.ok(results.FirstErr(), "produce")
		for n, r := range t.readAll(topic, 3000) {
			t.eq(string(r.Value), fmt.Sprint(n), fmt.Sprintf("value at offset %d", n))
		}
	})

	test("produce-keys-keep-their-partition", func(t *T) {
		topic := t.topic("keyed", 4)
		cl := t.client(kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
		where := map[string]int32{}
		for n := range 60 {
			key := fmt.Sprintf("key-%d", n%6)
			r, err := cl.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Key: []byte(key), Value: value(n)}).First()
			t.ok(err, "produce")
			if p, known := where[key]; known {
				t.eq(r.Partition, p, "partition of "+key)
			}
			where[key] = r.Partition
		}
	})

	test("produce-log-append-time", func(t *T) {
		topic, before := t.topic("append-time", 1, "message.timestamp.type", "LogAppendTime"), time.Now().Add(-5*time.Second)
		t.ok(t.client().ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte("a"), Timestamp: time.UnixMilli(1000)}).FirstErr(), "produce")
		got := t.readAll(topic, 1)[0]
		t.check(got.Timestamp.After(before), "the timestamp is the producer's")
		t.eq(got.Attrs.TimestampType(), int8(1), "timestamp type")
	})

	test("produce-message-too-large", func(t *T) {
		topic := t.topic("too-large", 1, "max.message.bytes", "2000")
		cl := t.client(kgo.ProducerBatchCompression(kgo.NoCompression()))
		t.is(cl.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: make([]byte, 5000)}).FirstErr(), kerr.MessageTooLarge, "produce")
		r, err := cl.ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte("small")}).First()
		t.ok(err, "produce a small one")
		t.eq(r.Offset, int64(0), "offset after the refusal")
	})

	test("produce-invalid-topic-name", func(t *T) {
		cl := t.client(kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(2), kgo.RecordDeliveryTimeout(8*time.Second))
		t.is(cl.ProduceSync(t.ctx, &kgo.Record{Topic: "not a topic!", Value: []byte("x")}).FirstErr(), kerr.InvalidTopicException, "produce")
	})

	test("produce-unknown-topic", func(t *T) {
		cl := t.client(kgo.UnknownTopicRetries(2))
		t.is(cl.ProduceSync(t.ctx, &kgo.Record{Topic: fresh("unknown"), Value: []byte("x")}).FirstErr(), kerr.UnknownTopicOrPartition, "produce")
	})

	test("produce-null-key-to-compacted-topic-refused", func(t *T) {
		topic := t.topic("compacted", 1, "cleanup.policy", "compact")
		err := t.client().ProduceSync(t.ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr()
		t.is(err, kerr.InvalidRecord, "produce")
		_, err = t.client().ProduceSync(t.ctx, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("x")}).First()
		t.ok(err, "produce with a key")
	})

	// -- read ---------------------------------------------------------------------------------------------------------

	test("consume-without-group", func(t *T) {
		topic := t.topic("no-group", 3)
		for p := range int32(3) {
			t.fill(topic, p, 0, 10)
		}
		byPartition := map[int32][]int64{}
		for _, r := range t.readAll(topic, 30) {
			byPartition[r.Partition] = append(byPartition[r.Partition], r.Offset)
		}
		t.eq(byPartition, map[int32][]int64{0: upTo(0, 10), 1: upTo(0, 10), 2: upTo(0, 10)}, "offsets")
	})

	from := func(topic string, offset kgo.Offset) kgo.Opt {
		return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: offset}})
	}

	test("consume-from-the-middle-of-a-batch", func(t *T) {
		topic := t.topic("middle", 1)
		t.fill(topic, 0, 0, 50, kgo.ProducerLinger(200*time.Millisecond))
		t.eq(offsets(t.take(t.client(from(topic, kgo.NewOffset().At(33))), 17)), upTo(33, 50), "offsets")
	})

	test("consume-relative-and-by-time", func(t *T) {
		topic := t.topic("relative", 1)
		cl := t.client()
		for n := range 10 {
			r := &kgo.Record{Topic: topic, Value: value(n), Timestamp: time.UnixMilli(1_600_000_000_000 + int64(n))}
			t.ok(cl.ProduceSync(t.ctx, r).FirstErr(), "produce")
		}
		t.eq(offsets(t.take(t.client(from(topic, kgo.NewOffset().AtEnd().Relative(-3))), 3)), upTo(7, 10), "from three before the end")
		t.eq(offsets(t.take(t.client(from(topic, kgo.NewOffset().AfterMilli(1_600_000_000_004))), 6)), upTo(4, 10), "from a time")
	})

	test("consume-out-of-range-resets", func(t *T) {
		topic := t.topic("out-of-range", 1)
		t.fill(topic, 0, 0, 5)
		cl := t.client(from(topic, kgo.NewOffset().At(1000)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		t.eq(offsets(t.take(cl, 5)), upTo(0, 5), "offsets")
	})

	test("consume-out-of-range-fails-if-told", func(t *T) {
		topic := t.topic("out-of-range", 1)
		t.fill(topic, 0, 0, 5)
		cl := t.client(from(topic, kgo.NewOffset().At(1000)), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
		var got error
		t.until("the error came", func() bool {
			ctx, cancel := context.WithTimeout(t.ctx, time.Second)
			defer cancel()
			cl.PollFetches(ctx).EachError(func(_ string, _ int32, err error) {
				if !errors.Is(err, context.DeadlineExceeded) {
					got = err
				}
			})
			return got != nil
		})
		t.is(got, kerr.OffsetOutOfRange, "poll")
	})

	test("consume-long-poll-wakes-on-append", func(t *T) {
		topic := t.topic("long-poll", 1)
		cl := t.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(20*time.Second))
		ctx, cancel := context.WithTimeout(t.ctx, 500*time.Millisecond)
		cl.PollFetches(ctx)
		cancel()
		begun := time.Now()
		t.fill(topic, 0, 0, 1)
		t.take(cl, 1)
		t.check(time.Since(begun) < 10*time.Second, "the parked fetch was not woken by the append")
	})

	test("consume-fetch-sessions-follow-many-partitions", func(t *T) {
		topic := t.topic("session", 8)
		cl := t.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		for turn := range 4 {
			for p := turn % 2; p < 8; p += 2 {
				t.fill(topic, int32(p), turn, 2)
			}
			t.take(cl, 8)
		}
	})

	test("consume-topic-deleted-and-made-again", func(t *T) {
		topic, adm := t.topic("recreated", 1), t.admin()
		t.fill(topic, 0, 0, 3)
		_, err := adm.DeleteTopic(t.ctx, topic)
		t.ok(err, "delete")
		t.until("it can be made again", func() bool {
			_, err := adm.CreateTopic(t.ctx, 1, 1, nil, topic)
			return err == nil
		})
		t.eq(t.fill(topic, 0, 7, 1), upTo(0, 1), "first offset")
		t.eq(values(t.readAll(topic, 1)), []string{"7"}, "values")
	})

	test("offsets-start-end-and-by-time", func(t *T) {
		topic, adm := t.topic("times", 2), t.admin()
		cl, start := t.client(kgo.ProducerBatchCompression(kgo.SnappyCompression()), kgo.ProducerLinger(100*time.Millisecond)), int64(1_600_000_000_000)
		var records []*kgo.Record
		for n := range 20 {
			records = append(records, &kgo.Record{Topic: topic, Value: value(n), Timestamp: time.UnixMilli(start + int64(n))})
		}
		t.ok(cl.ProduceSync(t.ctx, records...).FirstErr(), "produce")
		at := func(found kadm.ListedOffsets, err error) int64 {
			t.ok(err, "list offsets")
			o, _ := found.Lookup(topic, 0)
			t.ok(o.Err, "list offsets")
			return o.Offset
		}
		t.eq(at(adm.ListStartOffsets(t.ctx, topic)), int64(0), "start")
		t.eq(at(adm.ListEndOffsets(t.ctx, topic)), int64(20), "end")
		t.eq(at(adm.ListCommittedOffsets(t.ctx, topic)), int64(20), "last stable")
		t.eq(at(adm.ListMaxTimestampOffsets(t.ctx, topic)), int64(19), "max timestamp")
		t.eq(at(adm.ListOffsetsAfterMilli(t.ctx, start+7, topic)), int64(7), "by time")
		t.eq(at(adm.ListLocalLogStartOffsets(t.ctx, topic)), int64(0), "local start")
	})

	test("offsets-for-leader-epoch", func(t *T) {
		topic := t.topic("epochs", 1)
		t.fill(topic, 0, 0, 5)
		epoch := t.readAll(topic, 1)[0].LeaderEpoch
		var request kadm.OffsetForLeaderEpochRequest
		request.Add(topic, 0, epoch)
		found, err := t.admin().OffsetForLeaderEpoch(t.ctx, request)
		t.ok(err, "offset for leader epoch")
		t.eq([]any{found[topic][0].Err, found[topic][0].EndOffset, found[topic][0].LeaderEpoch}, []any{error(nil), int64(5), epoch}, "answer")
	})
}

func sampleCopy(records []*kgo.Record) (copies []*kgo.Record) {
	for _, r := range records {
		c := *r
		copies = append(copies, &c)
	}
	return copies
}
