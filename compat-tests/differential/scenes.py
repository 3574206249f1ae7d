"""The scenes: what is asked, in order."""

from wire import NIL, batch, record

import uuid

SCENES = []


def scene(function):
    SCENES.append((function.__name__.replace("_", "-"), function))
    return function


def topic(t, label, partitions=1, **configs):
    name = t.name(label)
    made = [dict(Name=k.replace("_", "."), Value=str(v)) for k, v in configs.items()]
    answer = t.quiet("CreateTopics", 7, timeoutMs=10_000,
                     Topics=[dict(Name=name, NumPartitions=partitions, ReplicationFactor=1, Configs=made)])
    assert answer["Topics"][0]["ErrorCode"] == 0, answer
    wait_for(t, name, partitions)
    return name, answer["Topics"][0]["TopicId"]


def wait_for(t, name, partitions):
    """Until the broker leads all of them: Kafka answers CreateTopics before that."""
    for index in range(partitions):
        t.quiet("ListOffsets", 5, not_yet={3, 6}, ReplicaId=-1, Topics=[dict(Name=name, Partitions=[
            dict(PartitionIndex=index, CurrentLeaderEpoch=-1, Timestamp=-1)])])


def offsets_topic(t):
    """Sees to it that `__consumer_offsets` is there."""
    t.quiet("FindCoordinator", 4, KeyType=0, CoordinatorKeys=[t.name("g")])
    t.quiet("JoinGroup", 4, **{k: v for k, v in joining(t.name("g")).items() if k != "GroupInstanceId"})


def produce(t, what, name, records, version=9, index=0, acks=-1, **more):
    fields = dict(Acks=acks, TimeoutMs=10_000,
                  TopicData=[dict(Name=name, PartitionData=[dict(Index=index, Records=records)])])
    fields.update(more)
    return t.ask(what, "Produce", version, **fields)


def fill(t, name, count=3, index=0):
    for n in range(count):
        fields = dict(Acks=-1, TimeoutMs=10_000, TopicData=[
            dict(Name=name, PartitionData=[dict(Index=index, Records=batch(b"v%d" % n, time=1_600_000_000_000 + n * 1000))])])
        answer = t.quiet("Produce", 9, **fields)
        assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0, answer


# -- produce and idempotence ------------------------------------------------------------------------------------------------------


@scene
def produce_refusals(t):
    name, id_ = topic(t, "p", 2)
    offsets_topic(t)
    produce(t, "unknown topic", t.name("none"), batch(b"x"))
    produce(t, "unknown partition", name, batch(b"x"), index=2)
    produce(t, "negative partition", name, batch(b"x"), index=-1)
    produce(t, "invalid name", "a/b", batch(b"x"))
    produce(t, "empty name", "", batch(b"x"))
    produce(t, "acks 2", name, batch(b"x"), acks=2)
    produce(t, "acks -2", name, batch(b"x"), acks=-2)
    # Records that are null are not sent: Kafka never answers that.
    produce(t, "records empty", name, b"")
    produce(t, "no topics", name, b"", TopicData=[])
    produce(t, "no partitions", name, b"", TopicData=[dict(Name=name, PartitionData=[])])
    produce(t, "half a header", name, batch(b"x")[:30])
    produce(t, "cut short", name, batch(b"x")[:-1])
    produce(t, "wrong checksum", name, batch(b"x", crc=1))
    produce(t, "two batches", name, batch(b"x") + batch(b"y"))
    produce(t, "two batches v3", name, batch(b"x") + batch(b"y"), version=3)
    produce(t, "magic 1", name, batch(b"x", magic=1))
    produce(t, "magic 0", name, batch(b"x", magic=0))
    produce(t, "magic 3", name, batch(b"x", magic=3))
    produce(t, "count too high", name, batch(b"x", count=2))
    produce(t, "count 0", name, batch(b"x", count=0, last_delta=0))
    produce(t, "negative count", name, batch(b"x", count=-1, last_delta=0))
    produce(t, "no records", name, batch(payload=b"", count=0, last_delta=0))
    produce(t, "last delta off", name, batch(b"x", b"y", last_delta=5))
    produce(t, "negative last delta", name, batch(b"x", last_delta=-2))
    produce(t, "control batch", name, batch(b"x", attributes=0x20))
    produce(t, "unknown codec", name, batch(b"x", attributes=7))
    produce(t, "log append time", name, batch(b"x", attributes=8))
    produce(t, "rubbish for records", name, batch(payload=b"\x10garbage!", count=1, last_delta=0))
    produce(t, "base offset 5", name, batch(b"x", base_offset=5))
    produce(t, "future timestamp", name, batch(b"x", time=4_000_000_000_000))
    produce(t, "time -1", name, batch(b"x", time=-1))
    produce(t, "v13 by id", "", batch(b"x"), version=13, TopicData=[
        dict(TopicId=id_, PartitionData=[dict(Index=0, Records=batch(b"x"))])])
    produce(t, "v13 unknown id", "", batch(b"x"), version=13, TopicData=[
        dict(TopicId=uuid.UUID(int=99), PartitionData=[dict(Index=0, Records=batch(b"x"))])])
    produce(t, "v13 nil id", "", batch(b"x"), version=13, TopicData=[
        dict(TopicId=NIL, PartitionData=[dict(Index=0, Records=batch(b"x"))])])
    produce(t, "one good one bad", "", b"", TopicData=[
        dict(Name=name, PartitionData=[dict(Index=0, Records=batch(b"x")), dict(Index=9, Records=batch(b"x"))]),
        dict(Name=t.name("none"), PartitionData=[dict(Index=0, Records=batch(b"x"))])])
    produce(t, "internal topic", "__consumer_offsets", batch(b"x"))
    produce(t, "timeout 0", name, batch(b"x"), TimeoutMs=0, acks=1)


@scene
def produce_careless(t):
    name, _ = topic(t, "pc")
    produce(t, "bytes behind it", name, batch(b"x") + b"\0" * 5)
    name, _ = topic(t, "pd")
    produce(t, "delta out of order", name, batch(payload=record(b"x", None, 1) + record(b"y", None, 0), count=2, last_delta=1))


@scene
def produce_on_special_topics(t):
    compact, _ = topic(t, "c", cleanup_policy="compact")
    produce(t, "no key", compact, batch(b"x"))
    produce(t, "no key v7", compact, batch(b"x"), version=7)
    produce(t, "second without key", compact, batch(payload=record(b"x", b"k", 0) + record(b"y", None, 1), count=2, last_delta=1))
    produce(t, "a key", compact, batch(b"x", key=b"k"))
    small, _ = topic(t, "s", max_message_bytes=100)
    produce(t, "too large", small, batch(b"x" * 200))
    produce(t, "just fits", small, batch(b"x" * 20))
    stamped, _ = topic(t, "l", message_timestamp_type="LogAppendTime")
    produce(t, "stamped", stamped, batch(b"x"))
    produce(t, "stamped v3", stamped, batch(b"x"), version=3)
    old, _ = topic(t, "o", message_timestamp_before_max_ms=1000)
    produce(t, "too old", old, batch(b"x"))
    produce(t, "too old v8", old, batch(b"x"), version=8)
    gzip, _ = topic(t, "z", compression_type="gzip")
    produce(t, "compressed by the broker", gzip, batch(b"x" * 100))


@scene
def idempotence(t):
    name, _ = topic(t, "i")
    made = t.ask("id", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1000)
    pid = made["ProducerId"]
    send = lambda what, sequence, *values, epoch=0, **more: produce(  # noqa: E731
        t, what, name, batch(*(values or (b"x",)), producer=(pid, epoch, sequence)), **more)
    send("first", 0)
    send("second", 1, b"a", b"b")
    send("duplicate of the first", 0)
    send("part of the second", 1)
    send("gap", 7)
    send("gap again", 4)
    send("next", 3)
    send("higher epoch not at 0", 5, epoch=1)
    send("higher epoch", 0, epoch=1)
    send("old epoch", 4, epoch=0)
    send("negative sequence", -1, epoch=1)
    send("next of the new epoch", 1, epoch=1)
    for sequence in range(2, 8):
        send(f"run {sequence}", sequence, epoch=1)
    send("sixth last", 2, epoch=1)
    send("fifth last", 3, epoch=1)
    other = t.ask("another id", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1000)["ProducerId"]
    produce(t, "unknown producer from 5", name, batch(b"x", producer=(other, 0, 5)))
    produce(t, "goes on", name, batch(b"x", producer=(other, 0, 6)))
    produce(t, "no epoch", name, batch(b"x", producer=(other + 1, -1, 0)))
    produce(t, "sequence with no id", name, batch(b"x", producer=(-1, 0, 0)))
    produce(t, "id -2", name, batch(b"x", producer=(-2, 0, 0)))
    wrap = t.ask("third id", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1000)["ProducerId"]
    produce(t, "before the wrap", name, batch(b"x", b"y", producer=(wrap, 0, 2147483646)))
    produce(t, "after the wrap", name, batch(b"x", producer=(wrap, 0, 0)))
    produce(t, "across", name, batch(b"x", producer=(wrap, 0, 1)))


@scene
def producer_ids(t):
    for version in (0, 2, 3, 5):
        t.ask(f"v{version}", "InitProducerId", version, TransactionalId=None, TransactionTimeoutMs=60_000)
    t.ask("timeout 0", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=0)
    t.ask("negative timeout", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=-1)
    pid = t.ask("one", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1)["ProducerId"]
    t.ask("with id and epoch", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1, ProducerId=pid, ProducerEpoch=0)
    t.ask("with id only", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1, ProducerId=pid, ProducerEpoch=-1)
    t.ask("with epoch only", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1, ProducerId=-1, ProducerEpoch=3)
    t.ask("unknown id", "InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1, ProducerId=1 << 40, ProducerEpoch=3)
    t.ask("empty transactional id", "InitProducerId", 4, TransactionalId="", TransactionTimeoutMs=60_000)
    t.ask("empty transactional id v0", "InitProducerId", 0, TransactionalId="", TransactionTimeoutMs=60_000)


# -- fetch and offsets ------------------------------------------------------------------------------------------------------------


def want(index=0, at=0, epoch=-1, last=-1, most=1 << 20):
    return dict(Partition=index, CurrentLeaderEpoch=epoch, FetchOffset=at, LastFetchedEpoch=last, LogStartOffset=-1,
                PartitionMaxBytes=most)


def fetch(t, what, name, *partitions, version=12, **more):
    fields = dict(MaxWaitMs=0, MinBytes=1, MaxBytes=50 << 20, SessionEpoch=-1, Topics=[
        dict(Topic=name, Partitions=list(partitions))])
    fields.update(more)
    return t.ask(what, "Fetch", version, **fields)


@scene
def fetches(t):
    name, id_ = topic(t, "f", 2)
    fill(t, name)
    fetch(t, "all", name, want())
    fetch(t, "all v4", name, want(), version=4)
    fetch(t, "at the end", name, want(at=3))
    fetch(t, "behind the end", name, want(at=4))
    fetch(t, "negative", name, want(at=-1))
    fetch(t, "empty partition", name, want(1))
    fetch(t, "empty partition behind", name, want(1, 1))
    fetch(t, "unknown topic", t.name("none"), want())
    fetch(t, "unknown partition", name, want(2))
    fetch(t, "negative partition", name, want(-1))
    fetch(t, "invalid name", "a/b", want())
    fetch(t, "one byte", name, want(most=1))
    fetch(t, "no bytes", name, want(most=0))
    fetch(t, "request of one byte", name, want(), want(1), MaxBytes=1)
    fetch(t, "request of no bytes", name, want(), MaxBytes=0)
    fetch(t, "newer epoch", name, want(epoch=5))
    fetch(t, "epoch 0", name, want(epoch=0))
    fetch(t, "last fetched epoch newer", name, want(last=4))
    fetch(t, "last fetched epoch 0", name, want(at=3, last=0))
    fetch(t, "read committed", name, want(), IsolationLevel=1)
    fetch(t, "isolation 2", name, want(at=3), IsolationLevel=2)
    fetch(t, "partition twice", name, want(), want(at=2))
    fetch(t, "by id", "", want(at=2), version=13, Topics=[dict(TopicId=id_, Partitions=[want(at=2)])])
    fetch(t, "unknown id", "", version=13, Topics=[dict(TopicId=uuid.UUID(int=99), Partitions=[want()])])
    fetch(t, "nil id", "", version=13, Topics=[dict(TopicId=NIL, Partitions=[want()])])
    fetch(t, "id and unknown partition", "", version=13, Topics=[dict(TopicId=id_, Partitions=[want(7)])])
    fetch(t, "no topics", "", Topics=[])
    fetch(t, "a topic without partitions", name)
    fetch(t, "as a replica that is none", name, want(at=3), ReplicaId=7)
    fetch(t, "as a replica that is none v15", "", version=15, Topics=[dict(TopicId=id_, Partitions=[want(at=3)])],
          ReplicaState=dict(ReplicaId=7, ReplicaEpoch=1))
    fetch(t, "as a debugger", name, want(at=3), ReplicaId=-2)


@scene
def fetch_sessions(t):
    name, id_ = topic(t, "fs", 2)
    fill(t, name, 1)
    fetch(t, "unknown session", name, want(), SessionId=12345, SessionEpoch=1)
    fetch(t, "unknown session closed", name, want(), SessionId=12345, SessionEpoch=-1)
    made = fetch(t, "opened", name, want(), want(1), SessionEpoch=0)["SessionId"]
    fetch(t, "again the same", name, Topics=[], SessionId=made, SessionEpoch=1)
    fetch(t, "wrong epoch", name, Topics=[], SessionId=made, SessionEpoch=5)
    fetch(t, "moved on", name, want(at=1), SessionId=made, SessionEpoch=2)
    fetch(t, "epoch used", name, Topics=[], SessionId=made, SessionEpoch=2)
    fill(t, name, 1, index=1)
    fetch(t, "news of the other", name, Topics=[], SessionId=made, SessionEpoch=3)
    fetch(t, "forgotten", name, Topics=[], SessionId=made, SessionEpoch=4, ForgottenTopicsData=[dict(Topic=name, Partitions=[1])])
    fetch(t, "added unknown", name, want(9), SessionId=made, SessionEpoch=5)
    fetch(t, "unknown stays", name, Topics=[], SessionId=made, SessionEpoch=6)
    fetch(t, "closed", name, Topics=[], SessionId=made, SessionEpoch=-1)
    fetch(t, "after it", name, Topics=[], SessionId=made, SessionEpoch=7)
    fetch(t, "session for a topic that is not", t.name("no"), want(), SessionEpoch=0)
    ids = fetch(t, "opened by id", "", version=13, SessionEpoch=0, Topics=[dict(TopicId=id_, Partitions=[want()])])["SessionId"]
    fetch(t, "names in a session of ids", name, version=12, Topics=[], SessionId=ids, SessionEpoch=1)
    names = fetch(t, "opened by name", name, want(), SessionEpoch=0)["SessionId"]
    fetch(t, "ids in a session of names", "", version=13, Topics=[], SessionId=names, SessionEpoch=1)
    fetch(t, "names again", name, version=12, Topics=[], SessionId=names, SessionEpoch=1)


@scene
def list_offsets(t):
    name, _ = topic(t, "lo", 2)
    fill(t, name)
    ask = lambda what, at, version=10, index=0, epoch=-1, topic_=name, **more: t.ask(  # noqa: E731
        what, "ListOffsets", version, ReplicaId=-1, Topics=[dict(Name=topic_, Partitions=[
            dict(PartitionIndex=index, CurrentLeaderEpoch=epoch, Timestamp=at)])], **more)
    for version in (1, 3, 4, 6, 7, 8, 9, 10):
        for at in (-1, -2, -3, -4, -5, -6, -7):
            ask(f"v{version} at {at}", at, version)
    for index in (0, 1):
        for at in (-1, -2, -3, -4, -5):
            ask(f"partition {index} at {at}", at, index=index)
    for at in (0, 1_600_000_000_000, 1_600_000_000_001, 1_600_000_002_000, 1_600_000_002_001, (1 << 63) - 1, -8, -(1 << 63)):
        ask(f"time {at}", at)
    ask("empty partition by time", 0, index=1)
    ask("v1 by time", 1_600_000_001_000, 1)
    ask("unknown topic", -1, topic_=t.name("none"))
    ask("invalid name", -1, topic_="a/b")
    ask("unknown partition", -1, index=5)
    ask("newer epoch", -1, epoch=3)
    ask("epoch 0", -1, epoch=0)
    ask("read committed", -1, IsolationLevel=1)
    ask("isolation 7", -1, IsolationLevel=7)
    twice = [dict(PartitionIndex=0, CurrentLeaderEpoch=-1, Timestamp=at) for at in (-1, -2)]
    t.ask("twice", "ListOffsets", 5, ReplicaId=-1, Topics=[dict(Name=name, Partitions=twice)])
    t.ask("topic twice", "ListOffsets", 5, ReplicaId=-1, Topics=[dict(Name=name, Partitions=[one]) for one in twice])
    t.ask("nothing", "ListOffsets", 5, ReplicaId=-1, Topics=[])
    t.ask("as a replica", "ListOffsets", 5, ReplicaId=7, Topics=[dict(Name=name, Partitions=twice[:1])])
    t.ask("as a debugger", "ListOffsets", 5, ReplicaId=-2, Topics=[dict(Name=name, Partitions=twice[:1])])


@scene
def leader_epochs(t):
    name, _ = topic(t, "le", 2)
    fill(t, name)
    for version in (2, 3, 4):
        for index, current, epoch in [(0, -1, 0), (0, 0, 0), (0, -1, 1), (0, -1, -1), (0, 1, 0), (0, -1, -7), (1, -1, 0), (9, -1, 0)]:
            t.ask(f"v{version} {index} {current} {epoch}", "OffsetForLeaderEpoch", version, ReplicaId=-1, Topics=[
                dict(Topic=name, Partitions=[dict(Partition=index, CurrentLeaderEpoch=current, LeaderEpoch=epoch)])])
    t.ask("unknown topic", "OffsetForLeaderEpoch", 4, ReplicaId=-1, Topics=[
        dict(Topic=t.name("none"), Partitions=[dict(Partition=0, CurrentLeaderEpoch=-1, LeaderEpoch=0)])])
    t.ask("nothing", "OffsetForLeaderEpoch", 4, ReplicaId=-1, Topics=[])
    t.ask("as a replica", "OffsetForLeaderEpoch", 4, ReplicaId=7, Topics=[
        dict(Topic=name, Partitions=[dict(Partition=0, CurrentLeaderEpoch=-1, LeaderEpoch=0)])])


@scene
def delete_records(t):
    name, _ = topic(t, "dr", 3)
    offsets_topic(t)
    fill(t, name, 5)
    ask = lambda what, offset, index=0, topic_=name, version=2: t.ask(  # noqa: E731
        what, "DeleteRecords", version, TimeoutMs=5000, Topics=[dict(Name=topic_, Partitions=[
            dict(PartitionIndex=index, Offset=offset)])])
    ask("below 2", 2)
    ask("again", 2)
    ask("further back", 1)
    ask("behind the end", 6)
    ask("-2", -2)
    ask("unknown partition", 0, 9)
    ask("unknown topic", 0, topic_=t.name("none"))
    ask("invalid name", 0, topic_="a/b")
    ask("internal topic", 0, topic_="__consumer_offsets")
    ask("empty partition", 0, 1)
    ask("empty partition behind", 1, 1)
    ask("v0", 3, version=0)
    t.ask("earliest", "ListOffsets", 5, ReplicaId=-1, Topics=[dict(Name=name, Partitions=[
        dict(PartitionIndex=0, CurrentLeaderEpoch=-1, Timestamp=-2)])])
    fetch(t, "fetch below", name, want(at=1))
    fetch(t, "fetch at the start", name, want(at=3))
    ask("all", -1)
    fetch(t, "fetch at the end", name, want(at=5))
    ask("empty partition all", -1, 1)
    t.ask("epoch of what is gone", "OffsetForLeaderEpoch", 4, ReplicaId=-1, Topics=[
        dict(Topic=name, Partitions=[dict(Partition=0, CurrentLeaderEpoch=-1, LeaderEpoch=0)])])
    t.ask("max timestamp", "ListOffsets", 7, ReplicaId=-1, Topics=[dict(Name=name, Partitions=[
        dict(PartitionIndex=0, CurrentLeaderEpoch=-1, Timestamp=-3)])])
    produce(t, "written after it", name, batch(b"new"))
    compact, _ = topic(t, "drc", cleanup_policy="compact")
    ask("compacted topic", 0, topic_=compact)
    t.ask("nothing", "DeleteRecords", 2, TimeoutMs=5000, Topics=[])
    t.ask("partition twice", "DeleteRecords", 2, TimeoutMs=5000, Topics=[dict(Name=name, Partitions=[
        dict(PartitionIndex=0, Offset=5), dict(PartitionIndex=0, Offset=6)])])


# -- topics -----------------------------------------------------------------------------------------------------------------------


def create(t, what, *topics, version=7, pick=None, **more):
    fields = dict(timeoutMs=10_000, Topics=[dict(dict(NumPartitions=1, ReplicationFactor=1), **one) for one in topics])
    fields.update(more)

    def short(answer):
        for one in answer["Topics"]:
            if one.get("Configs"):
                one["Configs"] = len(one["Configs"])
        answer["Topics"].sort(key=lambda one: one["Name"])
        return answer

    return t.ask(what, "CreateTopics", version, pick=pick or short, **fields)


def assigned(*brokers):
    return [dict(PartitionIndex=n, BrokerIds=list(ids)) for n, ids in enumerate(brokers)]


@scene
def creating_topics(t):
    n = t.name
    offsets_topic(t)
    create(t, "plain", dict(Name=n("a")))
    create(t, "again", dict(Name=n("a")))
    create(t, "again v2", dict(Name=n("a")), version=2)
    create(t, "same name twice", dict(Name=n("b")), dict(Name=n("b")))
    create(t, "same name twice and another", dict(Name=n("b")), dict(Name=n("b")), dict(Name=n("b2")))
    create(t, "nothing")
    create(t, "empty name", dict(Name=""))
    create(t, "dot", dict(Name="."))
    create(t, "dots", dict(Name=".."))
    create(t, "slash", dict(Name="../x"))
    create(t, "249 long", dict(Name="l" * (249 - 9) + "-" + t.suffix), pick=lambda a: a["Topics"][0]["ErrorCode"])
    create(t, "250 long", dict(Name="m" * 250))
    create(t, "collides with a dot", dict(Name=n("x.y")))
    create(t, "collides", dict(Name=n("x_y")))
    create(t, "internal", dict(Name="__consumer_offsets"))
    create(t, "cluster metadata", dict(Name="__cluster_metadata"))
    create(t, "0 partitions", dict(Name=n("c"), NumPartitions=0))
    create(t, "-1 partitions", dict(Name=n("d"), NumPartitions=-1))
    create(t, "-2 partitions", dict(Name=n("c"), NumPartitions=-2))
    create(t, "0 replicas", dict(Name=n("c"), ReplicationFactor=0))
    create(t, "-1 replicas", dict(Name=n("e"), ReplicationFactor=-1))
    create(t, "-2 replicas", dict(Name=n("c"), ReplicationFactor=-2))
    create(t, "2 replicas", dict(Name=n("c"), ReplicationFactor=2))
    create(t, "20000 partitions validated", dict(Name=n("c"), NumPartitions=20000), validateOnly=True)
    create(t, "validated", dict(Name=n("c"), NumPartitions=3), validateOnly=True)
    create(t, "validated that exists", dict(Name=n("a")), validateOnly=True)
    create(t, "validated that is wrong", dict(Name=n("c"), ReplicationFactor=5), validateOnly=True)
    create(t, "validated v4", dict(Name=n("c")), validateOnly=True, version=4)
    create(t, "assigned", dict(Name=n("g"), NumPartitions=-1, ReplicationFactor=-1, Assignments=assigned([1], [1])))
    create(t, "assigned with counts", dict(Name=n("h"), NumPartitions=2, ReplicationFactor=1, Assignments=assigned([1], [1])))
    create(t, "assigned with partitions", dict(Name=n("h"), NumPartitions=2, ReplicationFactor=-1, Assignments=assigned([1])))
    create(t, "assigned to nobody", dict(Name=n("h"), NumPartitions=-1, ReplicationFactor=-1, Assignments=assigned([])))
    create(t, "assigned to an unknown broker", dict(Name=n("h"), NumPartitions=-1, ReplicationFactor=-1, Assignments=assigned([9])))
    create(t, "assigned twice", dict(Name=n("h"), NumPartitions=-1, ReplicationFactor=-1, Assignments=assigned([1, 1])))
    create(t, "assigned with a gap", dict(Name=n("h"), NumPartitions=-1, ReplicationFactor=-1,
                                          Assignments=[dict(PartitionIndex=1, BrokerIds=[1])]))
    create(t, "assigned one partition twice", dict(Name=n("h"), NumPartitions=-1, ReplicationFactor=-1,
                                                   Assignments=[dict(PartitionIndex=0, BrokerIds=[1])] * 2))
    create(t, "unequal replicas", dict(Name=n("h"), NumPartitions=-1, ReplicationFactor=-1,
                                       Assignments=[dict(PartitionIndex=0, BrokerIds=[1]), dict(PartitionIndex=1, BrokerIds=[1, 2])]))
    for label, configs in {
        "unknown config": [("no.such.config", "1")],
        "broker config": [("num.partitions", "1")],
        "not a number": [("retention.ms", "soon")],
        "too low": [("segment.bytes", "1")],
        "below -1": [("retention.ms", "-2")],
        "not one of": [("cleanup.policy", "shred")],
        "two policies": [("cleanup.policy", "compact,delete")],
        "empty policy": [("cleanup.policy", "")],
        "null value": [("retention.ms", None)],
        "empty config name": [("", "1")],
        "config twice": [("retention.ms", "1000"), ("retention.ms", "2000")],
        "two wrong": [("retention.ms", "x"), ("segment.bytes", "1")],
        "local above total": [("local.retention.ms", "5000"), ("retention.ms", "1000")],
        "remote storage": [("remote.storage.enable", "true")],
        "min isr 2": [("min.insync.replicas", "2")],
        "ratio": [("min.cleanable.dirty.ratio", "1.5")],
        "lags": [("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")],
        "message format": [("message.format.version", "2.0")],
        "bool": [("preallocate", "yes")],
        "codec": [("compression.type", "brotli")],
        "spaces": [("retention.ms", " 1000 ")],
        "gzip level": [("compression.gzip.level", "10")],
        "follower throttle": [("leader.replication.throttled.replicas", "x")],
    }.items():
        made = [dict(Name=k, Value=v) for k, v in configs]
        create(t, label, dict(Name=n("cfg-" + label.replace(" ", "-")), Configs=made))
    create(t, "v5 without id", dict(Name=n("v5")), version=5)
    create(t, "good and bad", dict(Name=n("good")), dict(Name=n("bad"), NumPartitions=0))
    t.settle()
    known_first = lambda a: sorted(a["Topics"], key=lambda one: one["Name"])  # noqa: E731
    t.ask("what became of them", "Metadata", 12, known_first, AllowAutoTopicCreation=False, Topics=[
        dict(Name=n(x)) for x in ("b", "b2", "c", "good", "bad")])


@scene
def deleting_topics(t):
    name, id_ = topic(t, "d1")
    two, id2 = topic(t, "d2")
    three, id3 = topic(t, "d3")
    t.ask("unknown name", "DeleteTopics", 4, TopicNames=[t.name("none")], TimeoutMs=5000)
    t.ask("invalid name", "DeleteTopics", 4, TopicNames=["a/b"], TimeoutMs=5000)
    t.ask("nothing", "DeleteTopics", 4, TopicNames=[], TimeoutMs=5000)
    t.ask("unknown id", "DeleteTopics", 6, Topics=[dict(Name=None, TopicId=uuid.UUID(int=99))], TimeoutMs=5000)
    t.ask("name and id", "DeleteTopics", 6, Topics=[dict(Name=name, TopicId=id_)], TimeoutMs=5000)
    t.ask("neither", "DeleteTopics", 6, Topics=[dict(Name=None, TopicId=NIL)], TimeoutMs=5000)
    t.ask("twice by name", "DeleteTopics", 6, Topics=[dict(Name=name, TopicId=NIL)] * 2, TimeoutMs=5000)
    t.ask("twice by id", "DeleteTopics", 6, Topics=[dict(Name=None, TopicId=id_)] * 2, TimeoutMs=5000)
    t.ask("by name and by id", "DeleteTopics", 6, TimeoutMs=5000, Topics=[dict(Name=name, TopicId=NIL), dict(Name=None, TopicId=id_)])
    t.ask("twice v4", "DeleteTopics", 4, TopicNames=[three, three], TimeoutMs=5000)
    t.ask("by id", "DeleteTopics", 6, Topics=[dict(Name=None, TopicId=id2)], TimeoutMs=5000)
    t.ask("by id again", "DeleteTopics", 6, Topics=[dict(Name=None, TopicId=id2)], TimeoutMs=5000)
    t.ask("by name", "DeleteTopics", 6, Topics=[dict(Name=name, TopicId=NIL)], TimeoutMs=5000)
    t.ask("by name again v5", "DeleteTopics", 5, TopicNames=[name], TimeoutMs=5000)
    t.ask("by name again v4", "DeleteTopics", 4, TopicNames=[name], TimeoutMs=5000)


@scene
def more_partitions(t):
    name, _ = topic(t, "cp", 2)
    ask = lambda what, count, name_=name, version=3, assignments=None, **more: t.ask(  # noqa: E731
        what, "CreatePartitions", version, TimeoutMs=5000, Topics=[dict(Name=name_, Count=count, Assignments=assignments)], **more)
    ask("fewer", 1)
    ask("as many", 2)
    ask("0", 0)
    ask("negative", -1)
    ask("validated", 3, ValidateOnly=True)
    ask("validated fewer", 1, ValidateOnly=True)
    ask("unknown topic", 3, t.name("none"))
    ask("invalid name", 3, "a/b")
    ask("assigned to one of two", 4, assignments=[dict(BrokerIds=[1])])
    ask("assigned to nobody", 3, assignments=[dict(BrokerIds=[])])
    ask("assigned to an unknown broker", 3, assignments=[dict(BrokerIds=[9])])
    ask("assigned to two", 3, assignments=[dict(BrokerIds=[1, 2])])
    ask("assigned to one twice", 3, assignments=[dict(BrokerIds=[1, 1])])
    ask("no assignments", 3, assignments=[])
    ask("assigned", 3, assignments=[dict(BrokerIds=[1])])
    ask("v0", 4, version=0)
    ask("too many", 100_000, ValidateOnly=True)
    t.ask("twice", "CreatePartitions", 3, TimeoutMs=5000, Topics=[dict(Name=name, Count=c, Assignments=None) for c in (5, 6)])
    t.ask("nothing", "CreatePartitions", 3, TimeoutMs=5000, Topics=[])
    t.settle()
    t.ask("now", "Metadata", 12, Topics=[dict(Name=name)], AllowAutoTopicCreation=False,
          pick=lambda a: len(a["Topics"][0]["Partitions"]))


@scene
def metadata(t):
    name, id_ = topic(t, "m")
    pick = lambda a: dict(Topics=a["Topics"])  # noqa: E731
    no = dict(AllowAutoTopicCreation=False)
    for version in (0, 1, 4, 5, 7, 8, 9, 10, 12, 13):
        t.ask(f"known v{version}", "Metadata", version, pick, Topics=[dict(Name=name)], **(no if version >= 4 else {}))
    t.ask("unknown", "Metadata", 12, pick, Topics=[dict(Name=t.name("none"))], **no)
    t.ask("invalid", "Metadata", 12, pick, Topics=[dict(Name="a/b")], **no)
    t.ask("invalid to be made", "Metadata", 12, pick, Topics=[dict(Name="a/b")], AllowAutoTopicCreation=True)
    t.ask("empty", "Metadata", 12, pick, Topics=[dict(Name="")], **no)
    t.ask("empty to be made", "Metadata", 12, pick, Topics=[dict(Name="")], AllowAutoTopicCreation=True)
    t.ask("twice", "Metadata", 12, pick, Topics=[dict(Name=name)] * 2, **no)
    t.ask("none", "Metadata", 12, pick, Topics=[], **no)
    t.ask("none, whole", "Metadata", 12, Topics=[], **no)
    t.ask("none v13", "Metadata", 13, Topics=[], **no)
    t.ask("by id", "Metadata", 12, pick, Topics=[dict(Name=None, TopicId=id_)], **no)
    t.ask("unknown id", "Metadata", 12, pick, Topics=[dict(Name=None, TopicId=uuid.UUID(int=99))], **no)
    t.ask("nil id without name", "Metadata", 12, pick, Topics=[dict(Name=None, TopicId=NIL)], **no)
    t.ask("id and name", "Metadata", 12, pick, Topics=[dict(Name=name, TopicId=id_)], **no)
    t.ask("id v11", "Metadata", 11, pick, Topics=[dict(Name=None, TopicId=id_)], **no)
    t.ask("ids and names", "Metadata", 12, pick, Topics=[dict(Name=name), dict(Name=None, TopicId=id_)], **no)
    t.ask("operations", "Metadata", 12, pick, Topics=[dict(Name=name)], IncludeTopicAuthorizedOperations=True, **no)
    t.ask("cluster operations v10", "Metadata", 10, Topics=[], IncludeClusterAuthorizedOperations=True, **no)
    t.ask("internal", "Metadata", 12, lambda a: dict(Topics=[{k: v for k, v in a["Topics"][0].items() if k != "Partitions"}]),
          Topics=[dict(Name="__consumer_offsets")], **no)


@scene
def describing_topics(t):
    a, _ = topic(t, "da", 3)
    b, _ = topic(t, "db", 2)
    ask = lambda what, names, limit=2000, cursor=None: t.ask(  # noqa: E731
        what, "DescribeTopicPartitions", 0, Topics=[dict(Name=n) for n in names], ResponsePartitionLimit=limit, Cursor=cursor)
    at = lambda name, index: dict(TopicName=name, PartitionIndex=index)  # noqa: E731
    ask("both", [a, b])
    ask("in another order", [b, a])
    ask("twice", [a, a])
    ask("limit 2", [a, b], 2)
    ask("limit 3", [a, b], 3)
    ask("limit 4", [a, b], 4)
    ask("limit 0", [a, b], 0)
    ask("limit -1", [a, b], -1)
    ask("from a cursor", [a, b], 2, at(a, 2))
    ask("cursor at the end", [a, b], 2, at(a, 3))
    ask("cursor behind", [a, b], 2, at(a, 9))
    ask("negative cursor", [a, b], 2, at(a, -1))
    ask("cursor of the second", [a, b], 2, at(b, 1))
    ask("cursor of none of them", [a, b], 2, at(t.name("dab"), 0))
    ask("unknown", [t.name("none")])
    ask("invalid", ["a/b"])
    ask("empty", [""])
    ask("known and unknown", [t.name("none"), a])


# -- configs ----------------------------------------------------------------------------------------------------------------------


def describe(t, what, kind, name, keys=("retention.ms", "cleanup.policy"), version=4, **more):

    def in_order(answer):
        for one in answer["Results"]:
            one["Configs"].sort(key=lambda config: config["Name"])
        return answer

    return t.ask(what, "DescribeConfigs", version, in_order, Resources=[
        dict(ResourceType=kind, ResourceName=name, ConfigurationKeys=None if keys is None else list(keys))], **more)


@scene
def describing_configs(t):
    name, _ = topic(t, "dc", retention_ms=5000)
    for version in (1, 2, 3, 4):
        describe(t, f"topic v{version}", 2, name, version=version)
    describe(t, "synonyms", 2, name, IncludeSynonyms=True)
    describe(t, "documentation", 2, name, ["retention.ms"], IncludeDocumentation=True)
    describe(t, "unknown key", 2, name, ["no.such"])
    describe(t, "unknown topic", 2, t.name("none"))
    describe(t, "invalid topic", 2, "a/b")
    describe(t, "empty topic", 2, "")
    describe(t, "broker", 4, "1", ["log.retention.ms", "num.io.threads", "background.threads"])
    describe(t, "broker synonyms", 4, "1", ["log.retention.hours", "compression.type"], IncludeSynonyms=True)
    describe(t, "another broker", 4, "9", ["num.io.threads"])
    describe(t, "broker that is no number", 4, "x", ["num.io.threads"])
    describe(t, "all brokers", 4, "", ["num.io.threads", "log.retention.ms"])
    describe(t, "loggers", 8, "1", ["no.such.logger"])
    describe(t, "loggers of another", 8, "9", ["root"])
    describe(t, "group", 32, t.name("g"), ["consumer.session.timeout.ms"])
    describe(t, "empty group", 32, "", ["consumer.session.timeout.ms"])
    describe(t, "client metrics", 16, t.name("cm"), ["interval.ms"])
    describe(t, "client metrics without name", 16, "", ["interval.ms"])
    describe(t, "unknown kind", 3, name)
    describe(t, "kind 0", 0, name)
    describe(t, "kind 100", 100, name)
    t.ask("nothing", "DescribeConfigs", 4, Resources=[])
    t.ask("twice", "DescribeConfigs", 4, Resources=[dict(ResourceType=2, ResourceName=name, ConfigurationKeys=["retention.ms"])] * 2)
    t.ask("all keys of a topic", "DescribeConfigs", 4, lambda a: [
        {k: v for k, v in one.items() if k in ("Name", "Value", "ReadOnly", "IsSensitive", "ConfigType")}
        for one in sorted(a["Results"][0]["Configs"], key=lambda c: c["Name"])],
        Resources=[dict(ResourceType=2, ResourceName=name, ConfigurationKeys=None)])


def change(t, what, kind, name, *configs, version=1, **more):
    return t.ask(what, "IncrementalAlterConfigs", version, Resources=[dict(ResourceType=kind, ResourceName=name, Configs=[
        dict(Name=k, ConfigOperation=op, Value=v) for op, k, v in configs])], **more)


def then(t, what, name, *keys):
    """What became of a change, once it is in force."""
    t.settle()
    describe(t, what + ", then", 2, name, keys)


SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


@scene
def changing_configs(t):
    name, _ = topic(t, "ic")
    show = lambda what: then(t, what, name, "retention.ms", "cleanup.policy")  # noqa: E731
    for label, configs in {
        "set": [(SET, "retention.ms", "1000")],
        "set to the default": [(SET, "cleanup.policy", "delete")],
        "append": [(APPEND, "cleanup.policy", "compact")],
        "append again": [(APPEND, "cleanup.policy", "compact")],
        "subtract": [(SUBTRACT, "cleanup.policy", "delete")],
        "subtract what is not there": [(SUBTRACT, "cleanup.policy", "delete")],
        "append two": [(APPEND, "cleanup.policy", "delete,compact")],
        "subtract all": [(SUBTRACT, "cleanup.policy", "delete,compact")],
        "append to a number": [(APPEND, "retention.ms", "1")],
        "subtract from a number": [(SUBTRACT, "retention.ms", "1")],
        "delete": [(DELETE, "retention.ms", None)],
        "delete again": [(DELETE, "retention.ms", None)],
        "delete with a value": [(DELETE, "retention.ms", "5")],
        "set null": [(SET, "retention.ms", None)],
        "append null": [(APPEND, "cleanup.policy", None)],
        "wrong value": [(SET, "retention.ms", "x")],
        "too low": [(SET, "segment.bytes", "1")],
        "unknown config": [(SET, "no.such", "1")],
        "delete unknown config": [(DELETE, "no.such", None)],
        "unknown operation": [(9, "retention.ms", "1")],
        "twice": [(SET, "retention.ms", "1"), (SET, "retention.ms", "2")],
        "one good one bad": [(SET, "retention.ms", "7"), (SET, "segment.bytes", "x")],
        "no configs": [],
        "empty name": [(SET, "", "1")],
        "empty value": [(SET, "retention.ms", "")],
        "throttled": [(APPEND, "leader.replication.throttled.replicas", "0:1")],
    }.items():
        change(t, label, 2, name, *configs)
        show(label)
    change(t, "validated", 2, name, (SET, "retention.ms", "99"), ValidateOnly=True)
    show("validated")
    change(t, "validated wrong", 2, name, (SET, "retention.ms", "x"), ValidateOnly=True)
    change(t, "unknown topic", 2, t.name("none"), (SET, "retention.ms", "1"))
    change(t, "invalid topic", 2, "a/b", (SET, "retention.ms", "1"))
    change(t, "empty topic", 2, "", (SET, "retention.ms", "1"))
    change(t, "broker validated", 4, "1", (SET, "log.retention.ms", "5000"), ValidateOnly=True)
    change(t, "broker read-only", 4, "1", (SET, "num.partitions", "5"), ValidateOnly=True)
    change(t, "broker static", 4, "1", (SET, "log.dirs", "/x"), ValidateOnly=True)
    change(t, "broker wrong", 4, "1", (SET, "log.retention.ms", "x"), ValidateOnly=True)
    change(t, "another broker", 4, "9", (SET, "log.retention.ms", "5000"), ValidateOnly=True)
    change(t, "broker no number", 4, "x", (SET, "log.retention.ms", "5000"), ValidateOnly=True)
    change(t, "unknown kind", 3, name, (SET, "retention.ms", "1"))
    change(t, "kind 100", 100, name, (SET, "retention.ms", "1"))
    t.ask("nothing", "IncrementalAlterConfigs", 1, Resources=[])
    one = dict(ResourceType=2, ResourceName=name, Configs=[dict(Name="retention.ms", ConfigOperation=0, Value="5")])
    t.ask("resource twice", "IncrementalAlterConfigs", 1, Resources=[one, one])


@scene
def replacing_configs(t):
    name, _ = topic(t, "ac", segment_bytes=2_000_000)
    ask = lambda what, kind, name_, version=2, validate=False, **configs: t.ask(  # noqa: E731
        what, "AlterConfigs", version, ValidateOnly=validate, Resources=[dict(ResourceType=kind, ResourceName=name_, Configs=[
            dict(Name=k.replace("_", "."), Value=v) for k, v in configs.items()])])
    show = lambda what: then(t, what, name, "retention.ms", "segment.bytes")  # noqa: E731
    ask("validated", 2, name, validate=True, retention_ms="1000")
    show("validated")
    ask("replaced", 2, name, retention_ms="1000")
    show("replaced")
    ask("wrong", 2, name, retention_ms="x")
    ask("null", 2, name, retention_ms=None)
    ask("unknown", 2, name, no_such="1")
    show("wrong")
    ask("emptied v0", 2, name, version=0)
    show("emptied v0")
    ask("unknown topic", 2, t.name("none"), retention_ms="1")
    ask("unknown kind", 3, name, retention_ms="1")
    # The same resource twice is not asked: Kafka never answers that.
    one = dict(ResourceType=2, ResourceName=name, Configs=[dict(Name="retention.ms", Value="5")])
    t.ask("config twice", "AlterConfigs", 2, Resources=[dict(one, Configs=one["Configs"] * 2)])
    t.ask("nothing", "AlterConfigs", 2, Resources=[])


# -- groups -----------------------------------------------------------------------------------------------------------------------


@scene
def coordinators(t):
    for version in (0, 1, 2, 3):
        t.ask(f"v{version}", "FindCoordinator", version, Key=t.name("g"), **({"KeyType": 0} if version else {}))
    t.ask("empty v3", "FindCoordinator", 3, Key="", KeyType=0)
    t.ask("unknown kind v3", "FindCoordinator", 3, Key="g", KeyType=9)
    for version in (4, 5, 6):
        t.ask(f"two v{version}", "FindCoordinator", version, KeyType=0, CoordinatorKeys=[t.name("g"), t.name("h")])
    t.ask("none", "FindCoordinator", 4, KeyType=0, CoordinatorKeys=[])
    t.ask("empty", "FindCoordinator", 4, KeyType=0, CoordinatorKeys=["", t.name("g")])
    t.ask("twice", "FindCoordinator", 4, KeyType=0, CoordinatorKeys=[t.name("g")] * 2)
    t.ask("unknown kind", "FindCoordinator", 4, KeyType=9, CoordinatorKeys=["g"])
    t.ask("share v5", "FindCoordinator", 5, KeyType=2, CoordinatorKeys=["g:x:0"])
    t.ask("share without form", "FindCoordinator", 6, KeyType=2, CoordinatorKeys=["g"])


def joining(group, member="", instance=None, protocols=("range",), kind="consumer", session=10_000, rebalance=10_000, meta=b"\1"):
    return dict(GroupId=group, SessionTimeoutMs=session, RebalanceTimeoutMs=rebalance, MemberId=member, GroupInstanceId=instance,
                ProtocolType=kind, Protocols=[dict(Name=p, Metadata=meta) for p in protocols])


def joined(t, group, label="member", **more):
    """A stable group of one; its member id."""
    first = t.quiet("JoinGroup", 9, **joining(group, **more))
    member = t.member(first, label)
    if first["ErrorCode"] == 79:
        first = t.quiet("JoinGroup", 9, **joining(group, member, **more))
    assert first["ErrorCode"] == 0, first
    t.quiet("SyncGroup", 5, GroupId=group, GenerationId=first["GenerationId"], MemberId=member, ProtocolType="consumer",
            ProtocolName="range", GroupInstanceId=more.get("instance"), Assignments=[dict(MemberId=member, Assignment=b"\7")])
    return member


@scene
def joining_groups(t):
    g = t.name("g")
    join = lambda what, version=9, **more: t.ask(what, "JoinGroup", version, **dict(joining(**more)))  # noqa: E731
    plain = lambda fields, version: {k: v for k, v in fields.items() if k != "GroupInstanceId" or version >= 5}  # noqa: E731
    join("empty group id", group="")
    join("unknown member", group=g, member="nobody")
    join("no protocols", group=g, protocols=())
    join("empty protocol type", group=g, kind="")
    join("session too short", group=g, session=10)
    join("session too long", group=g, session=1 << 30)
    join("session negative", group=g, session=-1)
    join("rebalance 0", group=t.name("r0"), rebalance=0)
    for version in (0, 1, 2, 3):
        fields = plain(joining(t.name(f"old{version}")), version)
        if version == 0:
            fields.pop("RebalanceTimeoutMs")
        answer = t.quiet("JoinGroup", version, **fields)
        t.member(answer, f"m{version}")
        t.lines.append((f"v{version} without id", t.text(answer)))
    answer = t.quiet("JoinGroup", 4, **plain(joining(g), 4))
    member = t.member(answer, "member")
    t.lines.append(("v4 without id", t.text(answer)))
    join("with the id", group=g, member=member)
    join("again the same", group=g, member=member)
    t.ask("heartbeat before sync", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId=member)
    t.ask("sync of another generation", "SyncGroup", 5, GroupId=g, GenerationId=9, MemberId=member, ProtocolType="consumer", ProtocolName="range")
    t.ask("sync of another protocol", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=member, ProtocolType="consumer", ProtocolName="other")
    t.ask("sync of another type", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=member, ProtocolType="connect", ProtocolName="range")
    t.ask("sync without protocol", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=member, ProtocolType=None, ProtocolName=None)
    t.ask("sync of nobody", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId="nobody", ProtocolType="consumer", ProtocolName="range")
    t.ask("sync with an assignment for nobody", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=member, ProtocolType="consumer", ProtocolName="range",
          Assignments=[dict(MemberId=member, Assignment=b"\5"), dict(MemberId="nobody", Assignment=b"\6")])
    t.ask("sync again", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=member, ProtocolType="consumer", ProtocolName="range")
    t.ask("sync v0", "SyncGroup", 0, GroupId=g, GenerationId=1, MemberId=member)
    t.ask("sync of an unknown group", "SyncGroup", 5, GroupId=t.name("none"), GenerationId=1, MemberId=member, ProtocolType="consumer", ProtocolName="range")
    t.ask("sync of an empty group id", "SyncGroup", 5, GroupId="", GenerationId=1, MemberId=member, ProtocolType="consumer", ProtocolName="range")
    t.ask("heartbeat", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId=member)
    t.ask("heartbeat of another generation", "Heartbeat", 4, GroupId=g, GenerationId=2, MemberId=member)
    t.ask("heartbeat of an older generation", "Heartbeat", 4, GroupId=g, GenerationId=0, MemberId=member)
    t.ask("heartbeat of nobody", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId="nobody")
    t.ask("heartbeat without member", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId="")
    t.ask("heartbeat of an unknown group", "Heartbeat", 4, GroupId=t.name("none"), GenerationId=1, MemberId="m")
    t.ask("heartbeat of an empty group id", "Heartbeat", 4, GroupId="", GenerationId=1, MemberId="m")
    t.ask("heartbeat of an instance that is none", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId=member, GroupInstanceId="i")
    join("another type", group=g, kind="connect")
    join("other protocols", group=g, protocols=("roundrobin",))
    t.ask("described", "DescribeGroups", 6, Groups=[g])
    t.ask("described v0", "DescribeGroups", 0, Groups=[g])
    t.ask("leave of nobody", "LeaveGroup", 5, GroupId=g, Members=[dict(MemberId="nobody", GroupInstanceId=None)])
    t.ask("leave of no one", "LeaveGroup", 5, GroupId=g, Members=[])
    t.ask("leave of an unknown group", "LeaveGroup", 5, GroupId=t.name("none"), Members=[dict(MemberId="m", GroupInstanceId=None)])
    t.ask("leave of an empty group id", "LeaveGroup", 5, GroupId="", Members=[dict(MemberId="m", GroupInstanceId=None)])
    t.ask("leave v0 of nobody", "LeaveGroup", 0, GroupId=g, MemberId="nobody")
    t.ask("leave of two", "LeaveGroup", 5, GroupId=g, Members=[
        dict(MemberId=member, GroupInstanceId=None), dict(MemberId="nobody", GroupInstanceId=None)])
    t.ask("leave again", "LeaveGroup", 5, GroupId=g, Members=[dict(MemberId=member, GroupInstanceId=None)])
    t.ask("leave v0 again", "LeaveGroup", 0, GroupId=g, MemberId=member)
    t.ask("described empty", "DescribeGroups", 6, Groups=[g])
    t.ask("heartbeat after it", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId=member)


@scene
def static_members(t):
    g = t.name("sg")
    answer = t.quiet("JoinGroup", 9, **joining(g, instance="i1"))
    one = t.member(answer, "one")
    t.lines.append(("joined", t.text(answer)))
    t.ask("sync", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=one, ProtocolType="consumer", ProtocolName="range", GroupInstanceId="i1",
          Assignments=[dict(MemberId=one, Assignment=b"\1")])
    answer = t.quiet("JoinGroup", 9, **joining(g, instance="i1"))
    two = t.member(answer, "two")
    t.lines.append(("came back", t.text(answer)))
    t.ask("heartbeat of the old id", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId=one, GroupInstanceId="i1")
    t.ask("heartbeat of the old id without instance", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId=one)
    t.ask("sync of the old id", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=one, GroupInstanceId="i1", ProtocolType="consumer", ProtocolName="range")
    t.ask("join of the old id", "JoinGroup", 9, **joining(g, one, "i1"))
    t.ask("commit of the old id", "OffsetCommit", 8, GroupId=g, GenerationIdOrMemberEpoch=1, MemberId=one, GroupInstanceId="i1", Topics=[])
    t.ask("sync of the new id", "SyncGroup", 5, GroupId=g, GenerationId=1, MemberId=two, GroupInstanceId="i1", ProtocolType="consumer", ProtocolName="range")
    t.ask("unknown instance", "Heartbeat", 4, GroupId=g, GenerationId=1, MemberId=two, GroupInstanceId="i9")
    t.ask("known id with another instance", "JoinGroup", 9, **joining(g, two, "i2"))
    t.ask("described", "DescribeGroups", 5, Groups=[g])
    t.ask("came back with another protocol", "JoinGroup", 9, pick=lambda a: dict(ErrorCode=a["ErrorCode"], GenerationId=a["GenerationId"]),
          **joining(g, "", "i1", protocols=("other",)))
    t.ask("leave by instance of nobody", "LeaveGroup", 5, GroupId=g, Members=[dict(MemberId="", GroupInstanceId="i9")])
    t.ask("leave by the old id", "LeaveGroup", 5, GroupId=g, Members=[dict(MemberId=one, GroupInstanceId="i1")])
    t.ask("leave by instance", "LeaveGroup", 5, GroupId=g, Members=[dict(MemberId="", GroupInstanceId="i1")])
    t.ask("leave again", "LeaveGroup", 5, GroupId=g, Members=[dict(MemberId="", GroupInstanceId="i1")])


def committing(group, topic_, offset=1, generation=-1, member="", index=0, metadata="m", **more):
    return dict(GroupId=group, GenerationIdOrMemberEpoch=generation, MemberId=member, Topics=[dict(Name=topic_, Partitions=[
        dict(PartitionIndex=index, CommittedOffset=offset, CommittedLeaderEpoch=-1, CommittedMetadata=metadata)])], **more)


@scene
def committing_offsets(t):
    name, _ = topic(t, "oc", 2)
    g = t.name("oc")
    commit = lambda what, version=8, group=g, topic_=name, **more: t.ask(  # noqa: E731
        what, "OffsetCommit", version, **committing(group, topic_, **more))
    commit("alone")
    commit("empty group id", group="", version=8)
    commit("unknown topic", topic_=t.name("none"))
    commit("invalid topic", topic_="a/b")
    commit("unknown partition", index=7)
    commit("negative partition", index=-1)
    commit("negative offset", offset=-1)
    commit("offset -5", offset=-5)
    commit("beyond the log", offset=1 << 40)
    commit("metadata null", metadata=None)
    commit("metadata empty", metadata="")
    commit("metadata 4096", metadata="x" * 4096)
    commit("metadata 4097", metadata="x" * 4097)
    commit("generation without member", generation=1)
    commit("member without generation", member="m")
    commit("both of nobody", generation=1, member="m")
    commit("generation 0", generation=0)
    commit("unknown group with a generation", group=t.name("x"), generation=1, member="m")
    commit("unknown group v9", group=t.name("y"), generation=1, member="m", version=9)
    commit("alone v9", version=9)
    commit("v2", version=2, RetentionTimeMs=-1)
    commit("v2 with a retention", version=2, RetentionTimeMs=1000)
    t.ask("nothing", "OffsetCommit", 8, GroupId=g, GenerationIdOrMemberEpoch=-1, MemberId="", Topics=[])
    t.ask("no partitions", "OffsetCommit", 8, GroupId=g, GenerationIdOrMemberEpoch=-1, MemberId="", Topics=[dict(Name=name, Partitions=[])])
    twice = [dict(PartitionIndex=0, CommittedOffset=o, CommittedMetadata="") for o in (5, 6)]
    t.ask("twice", "OffsetCommit", 8, GroupId=g, GenerationIdOrMemberEpoch=-1, MemberId="", Topics=[dict(Name=name, Partitions=twice)])
    member = joined(t, t.name("live"))
    live = t.name("live")
    commit("into a live group", group=live)
    commit("by its member", group=live, generation=1, member=member)
    commit("of another generation", group=live, generation=2, member=member)
    commit("of an older generation", group=live, generation=0, member=member)
    commit("by nobody", group=live, generation=1, member="nobody")
    commit("without generation", group=live, generation=-1, member=member)
    commit("instance that is none", group=live, generation=1, member=member, GroupInstanceId="i")
    commit("by its member v9", group=live, generation=1, member=member, version=9)
    commit("of another generation v9", group=live, generation=2, member=member, version=9)
    old = lambda what, version, topics, group=g: t.ask(what, "OffsetFetch", version, GroupId=group, Topics=topics)  # noqa: E731
    every = [dict(Name=name, PartitionIndexes=[0, 1, 9])]
    for version in (1, 2, 3, 5, 7):
        old(f"fetched v{version}", version, every)
    for version in (2, 5, 7):
        old(f"all fetched v{version}", version, None)
    old("nothing fetched", 5, [])
    old("fetched of an unknown topic", 5, [dict(Name=t.name("none"), PartitionIndexes=[0])])
    old("fetched of an unknown group", 5, every, t.name("none"))
    old("all of an unknown group", 5, None, t.name("none"))
    old("fetched of an empty group id", 5, every, "")
    new = lambda what, *groups, version=8, **more: t.ask(what, "OffsetFetch", version, Groups=list(groups), **more)  # noqa: E731
    new("two groups", dict(GroupId=g, Topics=every), dict(GroupId=live, Topics=None))
    new("same twice", dict(GroupId=g, Topics=every), dict(GroupId=g, Topics=None))
    new("no group", version=8)
    new("empty group", dict(GroupId="", Topics=every))
    new("stable", dict(GroupId=g, Topics=every), RequireStable=True)
    new("unknown group", dict(GroupId=t.name("none"), Topics=every))
    new("unknown group, all", dict(GroupId=t.name("none"), Topics=None))
    new("v9 with member", dict(GroupId=live, MemberId=member, MemberEpoch=1, Topics=every), version=9)
    new("v9 with another epoch", dict(GroupId=live, MemberId=member, MemberEpoch=9, Topics=every), version=9)
    new("v9 of nobody", dict(GroupId=live, MemberId="nobody", MemberEpoch=1, Topics=every), version=9)
    new("v9 of an unknown group", dict(GroupId=t.name("none"), MemberId="m", MemberEpoch=1, Topics=every), version=9)


@scene
def deleting_offsets_and_groups(t):
    name, _ = topic(t, "od", 2)
    g, live = t.name("od"), t.name("odlive")
    t.quiet("OffsetCommit", 8, **committing(g, name))
    delete = lambda what, group, topic_=name, *indexes: t.ask(  # noqa: E731
        what, "OffsetDelete", 0, GroupId=group, Topics=[dict(Name=topic_, Partitions=[dict(PartitionIndex=i) for i in indexes or (0,)])])
    delete("unknown group", t.name("none"))
    delete("empty group id", "")
    delete("unknown topic", g, t.name("none"))
    delete("unknown partition", g, name, 9)
    delete("never committed", g, name, 1)
    delete("unknown and one", g, name, 9, 0)
    delete("again", g)
    t.ask("nothing", "OffsetDelete", 0, GroupId=g, Topics=[])
    t.ask("the group without offsets", "DescribeGroups", 5, Groups=[g])
    member = joined(t, live)
    t.quiet("OffsetCommit", 8, **committing(live, name, generation=1, member=member))
    delete("live group", live)
    drop = lambda what, *groups, version=2: t.ask(what, "DeleteGroups", version, GroupsNames=list(groups))  # noqa: E731
    drop("unknown", t.name("none"))
    drop("empty id", "")
    drop("live", live)
    drop("none")
    t.quiet("OffsetCommit", 8, **committing(g, name))
    drop("twice", g, g)
    drop("gone", g)
    drop("v0", g, version=0)
    t.ask("fetched of a deleted group", "OffsetFetch", 5, GroupId=g, Topics=[dict(Name=name, PartitionIndexes=[0])])
    consumer = t.name("odsub")
    # A consumer's subscription: version 0, this topic, no user data.
    meta = b"\0\0" + b"\0\0\0\1" + len(name).to_bytes(2, "big") + name.encode() + b"\0\0\0\0"
    who = joined(t, consumer, "subscriber", meta=meta)
    t.quiet("OffsetCommit", 8, **committing(consumer, name, generation=1, member=who))
    delete("subscribed", consumer)
    delete("subscribed to another", consumer, t.name("none"))
    other, _ = topic(t, "odx")
    t.quiet("OffsetCommit", 8, **committing(consumer, other, generation=1, member=who))
    delete("not subscribed", consumer, other)


@scene
def describing_groups(t):
    g = t.name("dg")
    t.ask("unknown v5", "DescribeGroups", 5, Groups=[t.name("none")])
    t.ask("unknown v6", "DescribeGroups", 6, Groups=[t.name("none")])
    t.ask("empty id", "DescribeGroups", 5, Groups=[""])
    t.ask("none", "DescribeGroups", 5, Groups=[])
    joined(t, g)
    for version in (0, 1, 2, 3, 4, 5, 6):
        t.ask(f"live v{version}", "DescribeGroups", version, Groups=[g])
    t.ask("twice", "DescribeGroups", 5, Groups=[g, g])
    t.ask("operations", "DescribeGroups", 5, Groups=[g], IncludeAuthorizedOperations=True)
    own = lambda a: dict(ErrorCode=a["ErrorCode"], Groups=[x for x in a["Groups"] if x["GroupId"] == g])  # noqa: E731
    for version in (0, 1, 2, 3, 4, 5):
        t.ask(f"listed v{version}", "ListGroups", version, own)
    for states in (["Stable"], ["stable"], ["Empty"], ["Nonsense"], ["Empty", "Stable"], ["Dead"]):
        t.ask(f"listed {'+'.join(states)}", "ListGroups", 4, own, StatesFilter=states)
    for kinds in (["classic"], ["Classic"], ["consumer"], ["nonsense"], ["share"]):
        t.ask(f"listed of type {kinds[0]}", "ListGroups", 5, own, TypesFilter=kinds)


# -- the cluster ------------------------------------------------------------------------------------------------------------------


@scene
def cluster(t):
    for version in (0, 1, 2):
        t.ask(f"v{version}", "DescribeCluster", version)
    t.ask("operations", "DescribeCluster", 2, IncludeClusterAuthorizedOperations=True)
    t.ask("controllers", "DescribeCluster", 1, EndpointType=2)
    t.ask("endpoint 7", "DescribeCluster", 1, EndpointType=7)
    t.ask("fenced too", "DescribeCluster", 2, IncludeFencedBrokers=True)
    short = lambda a: dict(ErrorCode=a["ErrorCode"], ApiKeys=len(a["ApiKeys"]) > 0)  # noqa: E731
    for version in (0, 1, 2):
        t.ask(f"versions v{version}", "ApiVersions", version, short)
    t.ask("bad software name", "ApiVersions", 3, short, ClientSoftwareName="a b", ClientSoftwareVersion="1")
    t.ask("empty software name", "ApiVersions", 3, short, ClientSoftwareName="", ClientSoftwareVersion="1")
    t.ask("empty software version", "ApiVersions", 3, short, ClientSoftwareName="a", ClientSoftwareVersion="")
    t.ask("good software name", "ApiVersions", 3, short, ClientSoftwareName="a-b.c", ClientSoftwareVersion="1.0-x")
    t.wire.send_body("Heartbeat", 4, b"")
    t.lines.append(("an empty body", str(t.wire.answer("Heartbeat", 4))))


@scene
def producers(t):
    name, _ = topic(t, "dp", 2)
    pid = t.quiet("InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1000)["ProducerId"]
    t.quiet("Produce", 9, Acks=-1, TimeoutMs=5000, TopicData=[dict(Name=name, PartitionData=[
        dict(Index=0, Records=batch(b"x", b"y", producer=(pid, 0, 0)))])])
    ask = lambda what, topic_, *indexes: t.ask(  # noqa: E731
        what, "DescribeProducers", 0, Topics=[dict(Name=topic_, PartitionIndexes=list(indexes))])
    t.known["producer"] = [pid]
    ask("one", name, 0)
    ask("empty partition", name, 1)
    ask("unknown partition", name, 5)
    ask("unknown topic", t.name("none"), 0)
    ask("invalid topic", "a/b", 0)
    ask("no partitions", name)
    ask("twice", name, 0, 0)
    t.ask("nothing", "DescribeProducers", 0, Topics=[])


def quota(entity, *ops):
    return dict(Entity=[dict(EntityType=kind, EntityName=name) for kind, name in entity],
                Ops=[dict(Key=key, Value=value or 0.0, Remove=value is None) for key, value in ops])


def sorted_parts(answer):
    """Kafka's entities, their parts and their values come in no order."""
    for entry in answer["Entries"] or []:
        entry["Entity"].sort(key=lambda part: part["EntityType"])
        entry.get("Values", []).sort(key=lambda value: value["Key"])
    (answer["Entries"] or []).sort(key=str)
    return answer


@scene
def altering_quotas(t):
    u, c = t.name("u"), t.name("c")
    user, client = [("user", u)], [("client-id", c)]
    rate = ("producer_byte_rate", 1024.0)

    def alter(what, *entries, version=1, **more):
        t.ask(what, "AlterClientQuotas", version, sorted_parts, Entries=list(entries), **more)

    alter("nothing")
    for version in (0, 1):
        alter(f"v{version}", quota(user, rate, ("consumer_byte_rate", 2048.0)), version=version)
    alter("client", quota(client, rate))
    alter("both", quota(user + client, rate))
    alter("same again", quota(user, rate))
    alter("remove", quota(user, ("producer_byte_rate", None)))
    alter("remove again", quota(user, ("producer_byte_rate", None)))
    alter("remove unknown key", quota(user, ("nonsense", None)))
    alter("no ops", quota(user))
    alter("validate only", quota([("user", t.name("v"))], rate), ValidateOnly=True)
    alter("validate only wrong", quota([("user", t.name("v"))], ("nonsense", 1.0)), ValidateOnly=True)
    alter("no entity", quota([], rate))
    alter("empty user", quota([("user", "")], rate))
    alter("empty type", quota([("", "x")], rate))
    alter("unknown type", quota([("group", "g")], rate))
    alter("type in capitals", quota([("User", u)], rate))
    alter("one type twice", quota([("user", t.name("w")), ("user", u)], rate))
    alter("ip and user", quota([("ip", "127.0.0.1"), ("user", u)], rate))
    alter("no address", quota([("ip", "no address")], ("connection_creation_rate", 5.0)))
    alter("byte rate of an address", quota([("ip", "127.0.0.1")], rate))
    alter("connections of a user", quota(user, ("connection_creation_rate", 5.0)))
    alter("scram of a user", quota(user, ("SCRAM-SHA-256", 5.0)))
    alter("unknown key", quota(user, ("nonsense", 1.0)))
    alter("empty key", quota(user, ("", 1.0)))
    for key in ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"):
        for value in (0.0, -1.0, 1.5, 1e19):
            alter(f"{key} {value}", quota(user, (key, value)))
    for value in (0.0, 1.5, 3e9, 5.0):
        alter(f"connection_creation_rate {value}", quota([("ip", "127.0.0.9")], ("connection_creation_rate", value)))
    alter("remove of an address", quota([("ip", "127.0.0.9")], ("connection_creation_rate", None)))
    alter("key twice", quota([("user", t.name("k"))], rate, ("producer_byte_rate", 5.0)))
    alter("entity twice", quota([("user", t.name("t"))], rate), quota([("user", t.name("t"))], ("consumer_byte_rate", 1.0)))
    alter("one good one bad", quota([("user", t.name("g"))], rate), quota([("user", t.name("b"))], ("nonsense", 1.0)))
    alter("good and bad value", quota([("user", t.name("h"))], rate, ("nonsense", 1.0)))
    t.settle()
    own = lambda a: dict(sorted_parts(a), Entries=[e for e in a["Entries"] if any(  # noqa: E731
        (p["EntityName"] or "").endswith(t.suffix) for p in e["Entity"])])
    t.ask("all of it", "DescribeClientQuotas", 1, own, Components=[], Strict=False)


@scene
def describing_quotas(t):
    u, c = t.name("u"), t.name("c")
    entities = [[("user", u)], [("client-id", c)], [("user", u), ("client-id", c)], [("user", u), ("client-id", None)]]
    for entity in entities:
        t.quiet("AlterClientQuotas", 1, Entries=[quota(entity, ("producer_byte_rate", 1e6), ("request_percentage", 12.5))])
    t.settle()

    def ask(what, *components, strict=False, version=1):
        t.ask(what, "DescribeClientQuotas", version, sorted_parts, Strict=strict, Components=[
            dict(EntityType=kind, MatchType=match, Match=name) for kind, match, name in components])

    for strict in (False, True):
        said = "strictly" if strict else "loosely"
        ask(f"user {said}", ("user", 0, u), strict=strict)
        ask(f"client {said}", ("client-id", 0, c), strict=strict)
        ask(f"both {said}", ("user", 0, u), ("client-id", 0, c), strict=strict)
        ask(f"user and any client {said}", ("user", 0, u), ("client-id", 2, None), strict=strict)
        ask(f"user and default client {said}", ("user", 0, u), ("client-id", 1, None), strict=strict)
        ask(f"unknown {said}", ("user", 0, t.name("none")), strict=strict)
    ask("v0", ("user", 0, u), version=0)
    ask("empty type", ("", 0, u))
    ask("unknown type", ("group", 0, u))
    ask("type in capitals", ("User", 0, u))
    ask("twice", ("user", 0, u), ("user", 2, None))
    ask("ip and user", ("ip", 2, None), ("user", 2, None))
    ask("exact without name", ("user", 0, None))
    ask("default with name", ("user", 1, u))
    ask("any with name", ("user", 2, u))
    ask("match type 9", ("user", 9, None))
    ask("empty name", ("user", 0, ""))
    t.ask("strictly nothing", "DescribeClientQuotas", 1, Components=[], Strict=True)
    gone = [quota(entity, ("producer_byte_rate", None), ("request_percentage", None)) for entity in entities]
    t.quiet("AlterClientQuotas", 1, Entries=gone)


@scene
def log_directories(t):
    name, _ = topic(t, "ld", 2)
    fill(t, name, 1)

    def short(answer):
        for one in answer["Results"]:
            one["Topics"] = [x for x in one["Topics"] if x["Name"] == name]
            for found in one["Topics"]:
                found["Partitions"].sort(key=lambda partition: partition["PartitionIndex"])
        return answer["Results"]

    for version in (1, 2, 3, 4):
        t.ask(f"v{version}", "DescribeLogDirs", version, short, Topics=[dict(Topic=name, Partitions=[0])])
    t.ask("empty partition", "DescribeLogDirs", 4, short, Topics=[dict(Topic=name, Partitions=[1])])
    t.ask("both", "DescribeLogDirs", 4, short, Topics=[dict(Topic=name, Partitions=[0, 1])])
    t.ask("unknown partition", "DescribeLogDirs", 4, short, Topics=[dict(Topic=name, Partitions=[9])])
    t.ask("unknown topic", "DescribeLogDirs", 4, Topics=[dict(Topic=t.name("none"), Partitions=[0])])
    t.ask("no partitions", "DescribeLogDirs", 4, Topics=[dict(Topic=name, Partitions=[])])
    t.ask("no topics", "DescribeLogDirs", 4, Topics=[])
    t.ask("all", "DescribeLogDirs", 4, short, Topics=None)


@scene
def acls_without_an_authorizer(t):
    kinds = lambda **more: dict(ResourceType=2, ResourceName="a", ResourcePatternType=3, Principal="User:a", Host="*",  # noqa: E731
                                Operation=3, PermissionType=3) | more
    which = lambda **more: dict(ResourceTypeFilter=1, ResourceNameFilter=None, PatternTypeFilter=1, PrincipalFilter=None,  # noqa: E731
                                HostFilter=None, Operation=1, PermissionType=1) | more
    for version in (1, 2, 3):
        t.ask(f"described v{version}", "DescribeAcls", version, **which())
        t.ask(f"created v{version}", "CreateAcls", version, Creations=[kinds()])
        t.ask(f"deleted v{version}", "DeleteAcls", version, Filters=[which()])
    t.ask("none created", "CreateAcls", 3, Creations=[])
    t.ask("none deleted", "DeleteAcls", 3, Filters=[])
    t.ask("two created", "CreateAcls", 3, Creations=[kinds(), kinds(ResourceType=3)])
    t.ask("two deleted", "DeleteAcls", 3, Filters=[which(), which(Operation=3)])
    t.ask("no principal", "CreateAcls", 3, Creations=[kinds(Principal="")])
    t.ask("no type in the principal", "CreateAcls", 3, Creations=[kinds(Principal="a")])
    t.ask("no name", "CreateAcls", 3, Creations=[kinds(ResourceName="")])
    t.ask("of any type", "CreateAcls", 3, Creations=[kinds(ResourceType=1)])
    for field in ("ResourceType", "ResourcePatternType", "Operation", "PermissionType"):
        t.ask(f"created with {field} 99", "CreateAcls", 3, Creations=[kinds(**{field: 99})])
    for field in ("ResourceTypeFilter", "PatternTypeFilter", "Operation", "PermissionType"):
        t.ask(f"described with {field} 99", "DescribeAcls", 3, **which(**{field: 99}))
        t.ask(f"deleted with {field} 99", "DeleteAcls", 3, Filters=[which(**{field: 99})])


def unknown_kinds(api, field, **fields):
    """Each of them ends the connection, so each is a scene of its own."""
    def ask(t):
        t.ask(f"{field} 0", api, 3, **fields)
    SCENES.append((f"{api.lower()}-with-{field.lower()}-0", ask))


unknown_kinds("CreateAcls", "Operation", Creations=[dict(
    ResourceType=2, ResourceName="a", ResourcePatternType=3, Principal="User:a", Host="*", Operation=0, PermissionType=3)])
unknown_kinds("DeleteAcls", "PermissionType", Filters=[dict(
    ResourceTypeFilter=1, ResourceNameFilter=None, PatternTypeFilter=1, PrincipalFilter=None, HostFilter=None, Operation=1, PermissionType=0)])
unknown_kinds("DescribeAcls", "ResourceTypeFilter", ResourceTypeFilter=0, ResourceNameFilter=None, PatternTypeFilter=1,
              PrincipalFilter=None, HostFilter=None, Operation=1, PermissionType=1)


@scene
def electing_leaders(t):
    name, _ = topic(t, "el", 2)
    t.settle()
    named = lambda *indexes, topic_=name: [dict(Topic=topic_, Partitions=list(indexes))]  # noqa: E731
    for version in (0, 1, 2):
        t.ask(f"v{version}", "ElectLeaders", version, TopicPartitions=named(0), TimeoutMs=5000)
    elect = lambda what, topics, kind=0, pick=None: t.ask(  # noqa: E731
        what, "ElectLeaders", 2, pick, ElectionType=kind, TopicPartitions=topics, TimeoutMs=5000)
    elect("both", named(1, 0))
    elect("unclean", named(0), 1)
    elect("another kind", named(0, 1), 2)
    elect("negative kind", named(0), -1)
    elect("another kind of all", None, 7)
    elect("unknown partition", named(5))
    elect("negative partition", named(-1))
    elect("unknown topic", named(0, topic_=t.name("none")))
    elect("invalid topic", named(0, topic_="a/b"))
    elect("empty name", named(0, topic_=""))
    elect("one of each", named(0, 9) + named(0, topic_=t.name("none")))
    elect("partition twice", named(0, 0))
    elect("topic twice", named(0) + named(1))
    elect("no partitions", named())
    elect("no topics", [])
    own = lambda a: dict(ErrorCode=a["ErrorCode"], ReplicaElectionResults=[  # noqa: E731
        x for x in a["ReplicaElectionResults"] if x["Topic"] == name])
    elect("all", None, 0, own)
    elect("all unclean", None, 1, own)
    t.ask("all v0", "ElectLeaders", 0, lambda a: [x for x in a["ReplicaElectionResults"] if x["Topic"] == name],
          TopicPartitions=None, TimeoutMs=5000)


@scene
def reassigning_partitions(t):
    name, _ = topic(t, "ra", 2)
    t.settle()
    me = t.quiet("DescribeCluster", 0)["Brokers"][0]["BrokerId"]
    move = lambda what, replicas, index=0, topic_=name, version=1, **more: t.ask(  # noqa: E731
        what, "AlterPartitionReassignments", version, TimeoutMs=5000, Topics=[
            dict(Name=topic_, Partitions=[dict(PartitionIndex=index, Replicas=replicas)])], **more)
    for version in (0, 1):
        move(f"to where it is v{version}", [me], version=version)
        move(f"cancelled v{version}", None, version=version)
    move("to nobody", [])
    move("to another", [77])
    move("to this and another", [me, 77])
    move("to this twice", [me, me])
    move("to a negative one", [-1])
    move("number kept", [me], AllowReplicationFactorChange=False)
    move("number kept and another", [me, 77], AllowReplicationFactorChange=False)
    move("unknown partition", [me], 9)
    move("unknown partition cancelled", None, 9)
    move("negative partition", [me], -1)
    move("unknown topic", [me], topic_=t.name("none"))
    move("unknown topic cancelled", None, topic_=t.name("none"))
    move("invalid topic", [me], topic_="a/b")
    two = [dict(PartitionIndex=i, Replicas=r) for i, r in ((0, [me]), (1, None), (0, None))]
    t.ask("several", "AlterPartitionReassignments", 0, TimeoutMs=5000, Topics=[dict(Name=name, Partitions=two), dict(Name=name, Partitions=two)])
    t.ask("no partitions", "AlterPartitionReassignments", 0, TimeoutMs=5000, Topics=[dict(Name=name, Partitions=[])])
    t.ask("no topics", "AlterPartitionReassignments", 0, TimeoutMs=5000, Topics=[])
    under_way = lambda what, topics: t.ask(what, "ListPartitionReassignments", 0, TimeoutMs=5000, Topics=topics)  # noqa: E731
    under_way("all under way", None)
    under_way("none asked", [])
    under_way("one asked", [dict(Name=name, PartitionIndexes=[0])])
    under_way("what is not", [dict(Name=name, PartitionIndexes=[9, -1]), dict(Name=t.name("none"), PartitionIndexes=[0])])


@scene
def the_quorum(t):
    ask = lambda what, topics, version=2: t.ask(what, "DescribeQuorum", version, shape, Topics=topics)  # noqa: E731
    named = lambda name, *indexes: [dict(TopicName=name, Partitions=[dict(PartitionIndex=i) for i in indexes])]  # noqa: E731

    def shape(answer):
        """Offsets, times and ids are another cluster's; how they go together is the same everywhere."""
        for one in answer["Topics"]:
            for partition in one["Partitions"]:
                high = partition["HighWatermark"]
                for voter in partition["CurrentVoters"]:
                    voter["LogEndOffset"] = "not before the high watermark" if voter["LogEndOffset"] >= high else voter["LogEndOffset"]
                    for time_ in ("LastFetchTimestamp", "LastCaughtUpTimestamp"):
                        if voter.get(time_, -1) > 1_650_000_000_000:
                            voter[time_] = "<now>"
                    voter.pop("ReplicaDirectoryId", None)
                if high > 0:
                    partition["HighWatermark"] = "<offset>"
                if partition["CurrentVoters"]:
                    partition["LeaderEpoch"] = "<epoch>"
        for node in answer.get("Nodes", []):
            # Only where a listener for controllers was named.
            node.pop("Listeners")
        return answer

    for version in (0, 1, 2):
        ask(f"v{version}", named("__cluster_metadata", 0), version)
    for version in (0, 1, 2):
        ask(f"another topic v{version}", named("a", 0), version)
    ask("another partition", named("__cluster_metadata", 1))
    ask("two partitions", named("__cluster_metadata", 0, 1))
    ask("two topics", named("__cluster_metadata", 0) + named("a", 0))
    ask("no partitions", named("__cluster_metadata"))
    ask("no topics", [])


@scene
def transactions_nobody_has(t):
    t.quiet("FindCoordinator", 4, KeyType=1, CoordinatorKeys=[t.name("tx")])
    describe = lambda what, *ids: t.ask(what, "DescribeTransactions", 0, TransactionalIds=list(ids))  # noqa: E731
    describe("unknown", t.name("tx"))
    describe("empty id", "")
    describe("two", t.name("tx"), t.name("ty"))
    describe("twice", t.name("tx"), t.name("tx"))
    describe("none")
    none = lambda a: dict(a, TransactionStates=[])  # noqa: E731
    for version in (0, 1, 2):
        t.ask(f"listed v{version}", "ListTransactions", version, none)
    for states in (["Ongoing"], ["ongoing"], ["Nonsense", "Empty", "PrepareCommit"], ["PrepareAbort", "CompleteCommit", "CompleteAbort"],
                   ["Dead"], ["PrepareEpochFence"], [""], ["Nonsense", "Nonsense"]):
        t.ask(f"listed {'+'.join(states)}", "ListTransactions", 0, none, StateFilters=states)
    t.ask("of producers", "ListTransactions", 0, none, ProducerIdFilters=[1, -1])
    t.ask("longer than", "ListTransactions", 1, none, DurationFilter=1000)
    for pattern in (None, "", "a.*", "(", "[", "a{2", "\\p{L}"):
        t.ask(f"named {pattern}", "ListTransactions", 2, none, TransactionalIdPattern=pattern)
