package main

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func init() {
	test("admin-create-list-describe-delete-topic", func(t *T) {
		topic, adm := fresh("admin"), t.admin()
		created, err := adm.CreateTopic(t.ctx, 3, 1, nil, topic)
		t.ok(err, "create")
		t.eq([]any{created.NumPartitions, created.ReplicationFactor}, []any{int32(3), int16(1)}, "answer")
		t.check(created.ID != kadm.TopicID{}, "no topic id in the answer")
		t.check(created.Configs["retention.ms"].Value != nil, "no configs in the answer")
		found, err := adm.ListTopics(t.ctx)
		t.ok(err, "list")
		t.eq([]any{len(found[topic].Partitions), found[topic].ID, found[topic].IsInternal}, []any{3, created.ID, false}, "listed")
		_, err = adm.DeleteTopic(t.ctx, topic)
		t.ok(err, "delete")
		t.until("the topic is gone", func() bool {
			found, err := adm.ListTopics(t.ctx)
			return err == nil && !found.Has(topic)
		})
	})

	test("admin-create-topic-refusals", func(t *T) {
		topic, adm, soon := t.topic("twice", 1), t.admin(), "soon"
		create := func(partitions int32, replicas int16, configs map[string]*string, name string) error {
			_, err := adm.CreateTopic(t.ctx, partitions, replicas, configs, name)
			return err
		}
		t.is(create(1, 1, nil, topic), kerr.TopicAlreadyExists, "twice")
		t.is(create(1, 1, nil, "not a topic!"), kerr.InvalidTopicException, "invalid name")
		t.is(create(0, 1, nil, fresh("t")), kerr.InvalidPartitions, "no partitions")
		t.is(create(1, 99, nil, fresh("t")), kerr.InvalidReplicationFactor, "too many replicas")
		t.is(create(1, 1, map[string]*string{"retention.ms": &soon}, fresh("t")), kerr.InvalidConfig, "bad value")
		t.is(create(1, 1, map[string]*string{"no.such.config": &soon}, fresh("t")), kerr.InvalidConfig, "unknown config")
		checked, err := adm.ValidateCreateTopics(t.ctx, 1, 1, nil, topic)
		t.ok(err, "validate")
		t.is(checked[topic].Err, kerr.TopicAlreadyExists, "twice, when only validating")
		t.ok(create(-1, -1, nil, fresh("defaults")), "with the broker's defaults")
	})

	test("admin-unknown-topic", func(t *T) {
		topic, adm := fresh("unknown"), t.admin()
		found, err := adm.ListTopics(t.ctx, topic)
		t.ok(err, "list")
		t.is(found[topic].Err, kerr.UnknownTopicOrPartition, "metadata")
		_, err = adm.DeleteTopic(t.ctx, topic)
		t.is(err, kerr.UnknownTopicOrPartition, "delete")
		all, err := adm.ListTopics(t.ctx)
		t.ok(err, "list")
		t.check(!all.Has(topic), "asking created the topic")
	})

	config := func(t *T, topic, key string) kadm.Config {
		found, err := t.admin().DescribeTopicConfigs(t.ctx, topic)
		t.ok(err, "describe configs")
		one, err := found.On(topic, nil)
		t.ok(err, "describe configs")
		for _, c := range one.Configs {
			if c.Key == key {
				return c
			}
		}
		t.fail("%s is not described", key)
		return kadm.Config{}
	}

	test("admin-configs-describe", func(t *T) {
		topic := t.topic("configs", 1, "retention.ms", "12345000")
		c := config(t, topic, "retention.ms")
		t.eq([]any{*c.Value, c.Source.String()}, []any{"12345000", "DYNAMIC_TOPIC_CONFIG"}, "retention.ms")
		t.check(len(c.Synonyms) > 0, "no synonyms")
		t.eq(*config(t, topic, "cleanup.policy").Value, "delete", "cleanup.policy")
		found, err := t.admin().DescribeBrokerConfigs(t.ctx)
		t.ok(err, "cluster-wide defaults")
		t.ok(found[0].Err, "cluster-wide defaults")
	})

	test("admin-configs-alter-incrementally", func(t *T) {
		topic, adm := t.topic("alter", 1, "retention.ms", "1000000"), t.admin()
		alter := func(op kadm.IncrementalOp, name, value string) error {
			done, err := adm.AlterTopicConfigs(t.ctx, []kadm.AlterConfig{{Op: op, Name: name, Value: &value}}, topic)
			t.ok(err, "alter")
			return done[0].Err
		}
		// The broker learns of a change a moment after its controller has confirmed it.
		seen := func(key, want string) {
			t.until(key+" is "+want, func() bool { return *config(t, topic, key).Value == want })
		}
		t.ok(alter(kadm.SetConfig, "max.message.bytes", "54321"), "set")
		seen("max.message.bytes", "54321")
		t.eq(*config(t, topic, "retention.ms").Value, "1000000", "the one not named")
		t.ok(alter(kadm.AppendConfig, "cleanup.policy", "compact"), "append")
		seen("cleanup.policy", "delete,compact")
		t.ok(alter(kadm.SubtractConfig, "cleanup.policy", "delete"), "subtract")
		seen("cleanup.policy", "compact")
		t.ok(alter(kadm.DeleteConfig, "max.message.bytes", ""), "delete")
		t.until("the deleted setting is no longer the topic's", func() bool {
			return config(t, topic, "max.message.bytes").Source.String() != "DYNAMIC_TOPIC_CONFIG"
		})
		t.is(alter(kadm.SetConfig, "retention.ms", "soon"), kerr.InvalidConfig, "bad value")
	})

	test("admin-configs-alter-all-at-once", func(t *T) {
		topic, adm, size := t.topic("alter-old", 1, "retention.ms", "1000000"), t.admin(), "54321"
		done, err := adm.AlterTopicConfigsState(t.ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: &size}}, topic)
		t.ok(err, "alter")
		t.ok(done[0].Err, "alter")
		t.until("max.message.bytes is set", func() bool { return *config(t, topic, "max.message.bytes").Value == size })
		t.check(config(t, topic, "retention.ms").Source.String() != "DYNAMIC_TOPIC_CONFIG", "a setting that was not named survived")
	})

	test("admin-create-partitions", func(t *T) {
		topic, adm := t.topic("grow", 1), t.admin()
		done, err := adm.UpdatePartitions(t.ctx, 3, topic)
		t.ok(err, "update partitions")
		t.ok(done[topic].Err, "update partitions")
		t.until("three partitions", func() bool {
			found, err := adm.ListTopics(t.ctx, topic)
			return err == nil && len(found[topic].Partitions) == 3
		})
		t.eq(t.fill(topic, 2, 0, 2), upTo(0, 2), "offsets in the new partition")
		done, err = adm.UpdatePartitions(t.ctx, 2, topic)
		t.ok(err, "update partitions")
		t.is(done[topic].Err, kerr.InvalidPartitions, "fewer")
	})

	test("admin-delete-records", func(t *T) {
		topic, adm := t.topic("delete-records", 1), t.admin()
		t.fill(topic, 0, 0, 10)
		before := func(at int64) kadm.DeleteRecordsResponse {
			var o kadm.Offsets
			o.AddOffset(topic, 0, at, -1)
			done, err := adm.DeleteRecords(t.ctx, o)
			t.ok(err, "delete records")
			return done[topic][0]
		}
		t.eq(before(4).LowWatermark, int64(4), "low watermark")
		t.eq(offsets(t.readAll(topic, 6)), upTo(4, 10), "offsets")
		t.eq(before(-1).LowWatermark, int64(10), "low watermark after deleting all")
		t.is(before(11).Err, kerr.OffsetOutOfRange, "past the end")
	})

	slow("admin-groups-list-describe-offsets-delete", 40*time.Second, func(t *T) {
		topic, group, adm := t.topic("admin-group", 2), fresh("admin-group"), t.admin()
		one := t.member(group, topic, kgo.Balancers(kgo.RangeBalancer()))
		t.until("the member has both", func() bool { return one.count() == 2 })
		listed, err := adm.ListGroups(t.ctx)
		t.ok(err, "list")
		t.eq([]string{listed[group].ProtocolType, listed[group].State}, []string{"consumer", "Stable"}, "listed")
		empty, err := adm.ListGroups(t.ctx, "Empty")
		t.ok(err, "list")
		_, among := empty[group]
		t.check(!among, "listed among the empty")
		described, err := adm.DescribeGroups(t.ctx, group)
		t.ok(err, "describe")
		g := described[group]
		t.eq([]any{g.State, g.Protocol, len(g.Members), g.Members[0].ClientID}, []any{"Stable", "range", 1, "kgo"}, "described")
		t.eq(fmt.Sprint(g.AssignedPartitions()[topic]), "map[0:{} 1:{}]", "assigned partitions")
		_, err = adm.DeleteGroup(t.ctx, group)
		t.is(err, kerr.NonEmptyGroup, "deleting a group with members")
		one.leave()
		t.until("the group is empty", func() bool {
			found, err := adm.DescribeGroups(t.ctx, group)
			return err == nil && found[group].State == "Empty"
		})
		var o kadm.Offsets
		o.Add(kadm.Offset{Topic: topic, Partition: 0, At: 2, LeaderEpoch: -1, Metadata: "сказано"})
		o.AddOffset(topic, 1, 0, -1)
		t.ok(adm.CommitAllOffsets(t.ctx, group, o), "commit")
		found, err := adm.FetchOffsets(t.ctx, group)
		t.ok(err, "fetch offsets")
		p, _ := found.Lookup(topic, 0)
		t.eq([]any{p.At, p.Metadata, len(found[topic])}, []any{int64(2), "сказано", 2}, "offsets")
		lag, err := adm.Lag(t.ctx, group)
		t.ok(err, "lag")
		t.eq(lag[group].Lag.Total(), int64(0), "lag past the end")
		var set kadm.TopicsSet
		set.Add(topic, 0)
		deleted, err := adm.DeleteOffsets(t.ctx, group, set)
		t.ok(err, "delete offsets")
		t.ok(deleted.Error(), "delete offsets")
		found, err = adm.FetchOffsets(t.ctx, group)
		t.ok(err, "fetch offsets")
		_, still := found.Lookup(topic, 0)
		t.check(!still, "the deleted offset is still there")
		_, err = adm.DeleteGroup(t.ctx, group)
		t.ok(err, "delete")
		_, err = adm.DeleteGroup(t.ctx, group)
		t.is(err, kerr.GroupIDNotFound, "deleting it again")
	})

	slow("admin-groups-describe-kip848", 40*time.Second, func(t *T) {
		topic, group, adm := t.topic("described", 2), fresh("described"), t.admin()
		one := t.member(group, topic, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
		t.until("the member has both", func() bool { return one.count() == 2 })
		listed, err := adm.ListGroupsByType(t.ctx, []string{"consumer"})
		t.ok(err, "list")
		t.eq(listed[group].State, "Stable", "listed state")
		found, err := adm.DescribeConsumerGroups(t.ctx, group)
		t.ok(err, "describe")
		t.eq([]any{found[group].State, found[group].AssignorName, len(found[group].Members)}, []any{"Stable", "range", 1}, "described")
		one.leave()
	})

	test("admin-unknown-group", func(t *T) {
		group, adm := fresh("unknown-group"), t.admin()
		found, err := adm.DescribeGroups(t.ctx, group)
		t.ok(err, "describe")
		t.check(found[group].State == "Dead" || errorsIs(found[group].Err, kerr.GroupIDNotFound), fmt.Sprintf("got %+v", found[group]))
		offsets, err := adm.FetchOffsets(t.ctx, group)
		t.ok(err, "fetch offsets")
		t.eq(len(offsets), 0, "offsets")
	})

	test("admin-cluster-and-api-versions", func(t *T) {
		adm := t.admin()
		found, err := adm.BrokerMetadata(t.ctx)
		t.ok(err, "metadata")
		t.check(found.Cluster != "" && len(found.Brokers) == 1 && found.Controller == found.Brokers[0].NodeID, fmt.Sprintf("got %+v", found))
		versions, err := adm.ApiVersions(t.ctx)
		t.ok(err, "api versions")
		all := versions[found.Brokers[0].NodeID]
		t.ok(all.Err, "api versions")
		for key, least := range map[int16]int16{0: 12, 1: 16, 3: 12, 8: 8, 9: 8, 11: 9, 68: 0} {
			max, _ := all.KeyMaxVersion(key)
			t.check(max >= least, fmt.Sprintf("API %d is served up to %d only", key, max))
		}
	})

	test("admin-log-dirs", func(t *T) {
		topic := t.topic("log-dirs", 2)
		t.fill(topic, 0, 0, 10)
		var set kadm.TopicsSet
		set.Add(topic, 0, 1)
		found, err := t.admin().DescribeAllLogDirs(t.ctx, set)
		t.ok(err, "describe log dirs")
		sizes := map[int32]int64{}
		found.Each(func(d kadm.DescribedLogDir) {
			d.Topics.Each(func(p kadm.DescribedLogDirPartition) { sizes[p.Partition] = p.Size })
		})
		t.check(len(sizes) == 2 && sizes[0] > 0 && sizes[1] == 0, fmt.Sprintf("sizes are %v", sizes))
	})

	test("admin-scram-and-quotas", func(t *T) {
		adm, user := t.admin(), fresh("user")
		done, err := adm.AlterUserSCRAMs(t.ctx, nil, []kadm.UpsertSCRAM{{User: user, Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "secret"}})
		t.ok(err, "upsert")
		t.ok(done[user].Err, "upsert")
		t.until("the credential is there", func() bool {
			found, err := adm.DescribeUserSCRAMs(t.ctx, user)
			return err == nil && found[user].Err == nil && len(found[user].CredInfos) == 1 && found[user].CredInfos[0].Iterations == 4096
		})
		entity := kadm.ClientQuotaEntity{{Type: "client-id", Name: &user}}
		_, err = adm.AlterClientQuotas(t.ctx, []kadm.AlterClientQuotaEntry{{Entity: entity, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 1000000}}}})
		t.ok(err, "alter quota")
		t.until("the quota is there", func() bool {
			found, err := adm.DescribeClientQuotas(t.ctx, true, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchName: &user, MatchType: kadm.QuotasMatchType(0)}})
			return err == nil && len(found) == 1 && found[0].Values[0].Value == 1000000
		})
	})

	test("admin-elect-leaders-and-reassignments", func(t *T) {
		topic, adm := t.topic("elect", 1), t.admin()
		var set kadm.TopicsSet
		set.Add(topic, 0)
		elected, err := adm.ElectLeaders(t.ctx, kadm.ElectPreferredReplica, set)
		t.ok(err, "elect")
		t.is(elected[topic][0].Err, kerr.ElectionNotNeeded, "elect")
		moving, err := adm.ListPartitionReassignments(t.ctx, set)
		t.ok(err, "list reassignments")
		t.eq(len(moving), 0, "reassignments")
	})
}
