package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func errorsIs(err, want error) bool { return errors.Is(err, want) }

func (t *T) client(opts ...kgo.Opt) *kgo.Client {
	base := []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.FetchMaxWait(200 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner())}
	cl, err := kgo.NewClient(append(base, opts...)...)
	t.ok(err, "client")
	t.defers(cl.CloseAllowingRebalance)
	return cl
}

func (t *T) admin() *kadm.Client { return kadm.NewClient(t.client()) }

func (t *T) topic(label string, partitions int32, configs ...string) string {
	name, entries := fresh(label), map[string]*string{}
	for i := 0; i+1 < len(configs); i += 2 {
		entries[configs[i]] = &configs[i+1]
	}
	adm := t.admin()
	_, err := adm.CreateTopic(t.ctx, partitions, 1, entries, name)
	t.ok(err, "create topic")
	t.until("the topic has leaders", func() bool {
		found, err := adm.ListEndOffsets(t.ctx, name)
		return err == nil && found.Error() == nil && len(found[name]) == int(partitions)
	})
	return name
}

func value(n int) []byte { return []byte(strconv.Itoa(n)) }

// fill produces the numbers from start on and returns their offsets.
func (t *T) fill(topic string, partition int32, start, count int, opts ...kgo.Opt) (offsets []int64) {
	cl := t.client(opts...)
	var records []*kgo.Record
	for n := start; n < start+count; n++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: value(n)})
	}
	for _, result := range cl.ProduceSync(t.ctx, records...) {
		t.ok(result.Err, "produce")
		offsets = append(offsets, result.Record.Offset)
	}
	return offsets
}

func (t *T) take(cl *kgo.Client, count int) (records []*kgo.Record) {
	ctx, cancel := context.WithTimeout(t.ctx, 20*time.Second)
	defer cancel()
	for len(records) < count {
		fetches := cl.PollRecords(ctx, count-len(records))
		if err := fetches.Err0(); errors.Is(err, context.DeadlineExceeded) {
			t.fail("records read: got %d, want %d", len(records), count)
		}
		fetches.EachError(func(topic string, partition int32, err error) { t.fail("fetch %s %d: %v", topic, partition, err) })
		records = append(records, fetches.Records()...)
	}
	return records
}

func (t *T) readAll(topic string, count int, opts ...kgo.Opt) []*kgo.Record {
	cl := t.client(append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	defer cl.Close()
	return t.take(cl, count)
}

func values(records []*kgo.Record) (all []string) {
	for _, r := range records {
		all = append(all, string(r.Value))
	}
	return all
}

func offsets(records []*kgo.Record) (all []int64) {
	for _, r := range records {
		all = append(all, r.Offset)
	}
	return all
}

func upTo(from, to int) (all []int64) {
	for n := from; n < to; n++ {
		all = append(all, int64(n))
	}
	return all
}

func groupOptions(group, topic string, opts ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(session), kgo.HeartbeatInterval(300 * time.Millisecond), kgo.DisableAutoCommit(),
		kgo.MetadataMaxAge(time.Second)}, opts...)
}

// member polls on its own goroutine and keeps account of what it holds.
type member struct {
	cl      *kgo.Client
	cancel  context.CancelFunc
	done    chan struct{}
	mu      sync.Mutex
	held    map[int32]bool
	read    []*kgo.Record
	revoked int
	lost    int
	failed  error
}

func (t *T) member(group, topic string, opts ...kgo.Opt) *member {
	m := &member{held: map[int32]bool{}, done: make(chan struct{})}
	give := func(count *int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, ps := range gone {
				for _, p := range ps {
					delete(m.held, p)
					*count++
				}
			}
		}
	}
	m.cl = t.client(groupOptions(group, topic, append(opts, kgo.OnPartitionsRevoked(give(&m.revoked)), kgo.OnPartitionsLost(give(&m.lost)),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, ps := range got {
				for _, p := range ps {
					m.held[p] = true
				}
			}
		}))...)...)
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	t.defers(m.cancel)
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			fetches := m.cl.PollFetches(ctx)
			m.mu.Lock()
			m.read = append(m.read, fetches.Records()...)
			fetches.EachError(func(_ string, _ int32, err error) {
				if !errors.Is(err, context.Canceled) {
					m.failed = err
				}
			})
			m.mu.Unlock()
		}
	}()
	return m
}

func (m *member) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.held)
}

func (m *member) partitions() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprint(m.held) // fmt prints maps in key order
}

func (m *member) reads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.read)
}

func (m *member) revocations() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revoked + m.lost
}

func (m *member) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

func (m *member) leave() {
	m.cancel()
	<-m.done
	m.cl.CloseAllowingRebalance()
}

func die(group, topic string) {
	t := &T{ctx: context.Background()}
	m := t.member(group, topic)
	t.until("joined", func() bool { return m.count() > 0 })
	fmt.Println("joined")
	time.Sleep(time.Hour)
}
