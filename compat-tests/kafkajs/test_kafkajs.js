// kafkajs 2.2.4: the pure JavaScript client. No fetch sessions, batches with its own oddities, groups only.
'use strict'

const path = require('node:path')
const { randomBytes } = require('node:crypto')
const { Kafka, logLevel, CompressionTypes, CompressionCodecs, ConfigResourceTypes, Partitioners } = require('kafkajs')
const { BOOTSTRAP, CODECS, ACKS, SESSION_MS, test, fresh, eq, check, until, raises, child, main } =
  require(path.join(__dirname, '..', 'harness', 'suite.js'))

// -- codecs that kafkajs leaves to others ----------------------------------------------------------------------------

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => lz4.compressFrame(encoder.buffer),
  decompress: async buffer => lz4.decompressFrame(buffer)
})
const zstd = new Promise(resolve => require('zstd-codec').ZstdCodec.run(z => resolve(new z.Simple())))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from((await zstd).compress(encoder.buffer)),
  decompress: async buffer => Buffer.from((await zstd).decompress(buffer))
})
const CODEC_TYPES = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD
}

// -- the client, shortened -------------------------------------------------------------------------------------------

const kafka = new Kafka({ clientId: 'compat', brokers: [BOOTSTRAP], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 6 } })

async function using(client, act) {
  await client.connect()
  try {
    return await act(client)
  } finally {
    await client.disconnect()
  }
}

const withAdmin = act => using(kafka.admin(), act)
const withProducer = (settings, act) => using(kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...settings }), act)

async function makeTopic(label, numPartitions = 1, config = {}) {
  const topic = fresh(label)
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await withAdmin(async admin => {
    // Its own wait for leaders gives up when a busy Kafka takes a second to show a new topic.
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] })
    await until('the topic serves', () => admin.fetchTopicOffsets(topic).then(() => true, () => false))
  })
  return topic
}

async function fill(topic, count, { partition = 0, start = 0, timestamp } = {}) {
  const messages = Array.from({ length: count }, (_, i) => ({
    value: String(start + i), partition, ...(timestamp === undefined ? {} : { timestamp: String(timestamp + i) })
  }))
  return withProducer({}, async producer => (await producer.send({ topic, messages }))[0])
}

// A consumer of one group that collects what it reads and what it is assigned.
class Member {
  constructor(group, settings = {}) {
    this.records = []
    this.assigned = []
    this.joins = 0
    this.consumer = kafka.consumer({
      groupId: group, sessionTimeout: SESSION_MS, heartbeatInterval: 300, rebalanceTimeout: 10000, maxWaitTimeInMs: 100, metadataMaxAge: 1000, ...settings
    })
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.joins += 1
      this.assigned = Object.values(payload.memberAssignment).flat()
      this.topics = Object.keys(payload.memberAssignment)
    })
  }

  async run(topic, { run = {}, fromBeginning = true, on } = {}) {
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning })
    await this.consumer.run({ eachMessage: async got => { this.records.push({ ...got.message, partition: got.partition, topic: got.topic }); if (on) await on(got) }, ...run })
    return this
  }

  leave() { return this.consumer.disconnect() }
}

async function take(topic, count, { settings, ...more } = {}) {
  const member = new Member(fresh('reader'), settings)
  await member.run(topic, more)
  try {
    await until(`${count} records came`, () => member.records.length >= count)
    return member.records
  } finally {
    await member.leave()
  }
}

const has = (member, count) => () => member.assigned.length === count
const text = buffer => buffer === null ? null : buffer.toString()

// -- produce and read back --------------------------------------------------------------------------------------------

function sample() {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const start = 1600000000000
  return [
    ['key', 'value', {}], [null, 'no key', { h: '1' }], ['', '', { empty: '' }], ['tombstone', null, {}], [bytes, Buffer.from(bytes).reverse(), { bytes }],
    ['ключ', 'värde 値', { имя: '值' }], ['repeated header', 'v', { h: ['1', '2'], g: '3' }], ['compressible', 'milena '.repeat(3000), {}],
    ['incompressible', randomBytes(10000), {}], ...Array.from({ length: 20 }, (_, i) => [`k${i}`, `v${i}`, {}])
  ].map(([key, value, headers], i) => ({ key, value, headers, timestamp: String(start + i) }))
}

const plain = value => value === null ? null : Array.isArray(value) ? value.map(plain) : Buffer.from(value).toString('hex')
const comparable = ({ key, value, headers, timestamp }) => ({
  key: plain(key), value: plain(value), timestamp, headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, plain(v)]))
})

for (const codec of CODECS) {
  for (const [name, acks] of Object.entries(ACKS)) {
    test(`produce-${codec}-acks-${name}`, async () => {
      const topic = await makeTopic('round-trip')
      const records = sample()
      await withProducer({}, producer => producer.send({ topic, acks, compression: CODEC_TYPES[codec], messages: records }))
      const got = await take(topic, records.length)
      eq(got.map(comparable), records.map(comparable), 'records')
      eq(got.map(r => r.offset), records.map((_, i) => String(i)), 'offsets')
    })
  }
}

test('produce-tells-offset', async () => {
  const topic = await makeTopic('sent', 2)
  const first = await fill(topic, 3, { partition: 1 })
  const second = await fill(topic, 1, { partition: 1 })
  eq([first.errorCode, first.partition, first.baseOffset, second.baseOffset], [0, 1, '0', '3'], 'answers')
})

test('produce-to-several-topics', async () => {
  const [a, b] = [await makeTopic('batch-a'), await makeTopic('batch-b', 2)]
  const answers = await withProducer({}, p => p.sendBatch({ topicMessages: [
    { topic: a, messages: [{ value: 'a' }] }, { topic: b, messages: [{ value: 'b0', partition: 0 }, { value: 'b1', partition: 1 }] }] }))
  eq(answers.map(x => x.errorCode), [0, 0, 0], 'errors')
  eq((await take(b, 2)).map(r => text(r.value)).sort(), ['b0', 'b1'], 'values')
})

test('produce-auto-creates-topic', async () => {
  const topic = fresh('auto-created')
  eq((await fill(topic, 3)).baseOffset, '0', 'offset')
  eq((await take(topic, 3)).map(r => text(r.value)), ['0', '1', '2'], 'values')
})

test('produce-idempotent-in-order', async () => {
  const topic = await makeTopic('idempotent')
  await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async producer => {
    for (let n = 0; n < 60; n += 1) {
      const [{ baseOffset }] = await producer.send({ topic, messages: Array.from({ length: 10 }, (_, i) => ({ value: String(n * 10 + i) })) })
      eq(baseOffset, String(n * 10), 'base offset')
    }
  })
  eq((await take(topic, 600)).map(r => Number(r.value)), Array.from({ length: 600 }, (_, i) => i), 'values')
})

test('produce-log-append-time', async () => {
  const topic = await makeTopic('append-time', 1, { 'message.timestamp.type': 'LogAppendTime' })
  const before = Date.now() - 5000
  await fill(topic, 1, { timestamp: 1000 })
  check(Number((await take(topic, 1))[0].timestamp) > before, "the timestamp is the producer's")
})

test('produce-message-too-large', async () => {
  const topic = await makeTopic('too-large', 1, { 'max.message.bytes': '2000' })
  await withProducer({}, async producer => {
    await raises('MESSAGE_TOO_LARGE', () => producer.send({ topic, messages: [{ value: 'x'.repeat(5000) }] }), 'send')
    eq((await producer.send({ topic, messages: [{ value: 'small' }] }))[0].baseOffset, '0', 'offset after the refusal')
  })
})

test('produce-invalid-topic-name', async () => {
  await raises('INVALID_TOPIC_EXCEPTION', () => withProducer({ retry: { retries: 1 } }, p => p.send({ topic: 'not a topic!', messages: [{ value: 'x' }] })), 'send')
})

test('produce-without-auto-creation', async () => {
  const topic = fresh('not-created')
  await raises('UNKNOWN_TOPIC_OR_PARTITION', () =>
    withProducer({ allowAutoTopicCreation: false, retry: { retries: 1 } }, p => p.send({ topic, messages: [{ value: 'x' }] })), 'send')
  check(!(await withAdmin(a => a.listTopics())).includes(topic), 'the topic was created')
})

// -- read -------------------------------------------------------------------------------------------------------------

test('consume-by-batches', async () => {
  const topic = await makeTopic('batches', 3)
  for (const partition of [0, 1, 2]) await fill(topic, 10, { partition })
  const seen = []
  const member = new Member(fresh('group'))
  await member.run(topic, { run: { eachMessage: undefined, eachBatch: async ({ batch }) => { batch.messages.forEach(m => seen.push([batch.partition, Number(m.offset), batch.highWatermark])) } } })
  await until('all records came', () => seen.length === 30)
  await member.leave()
  eq(seen.map(([p, o]) => p * 100 + o).sort((a, b) => a - b), [0, 1, 2].flatMap(p => Array.from({ length: 10 }, (_, o) => p * 100 + o)), 'records')
  eq(new Set(seen.map(s => s[2])), new Set(['10']), 'high watermarks')
})

test('consume-seek-and-pause', async () => {
  const topic = await makeTopic('seek')
  await fill(topic, 20)
  const member = new Member(fresh('group'))
  await member.run(topic)
  member.consumer.seek({ topic, partition: 0, offset: '15' })
  await until('the tail came', () => member.records.some(r => r.offset === '19'))
  member.consumer.pause([{ topic }])
  member.records.length = 0
  await fill(topic, 1, { start: 20 })
  member.consumer.resume([{ topic }])
  await until('the new record came', () => member.records.some(r => r.offset === '20'))
  await member.leave()
})

test('consume-latest-sees-only-new', async () => {
  const topic = await makeTopic('latest')
  await fill(topic, 5)
  const member = new Member(fresh('group'))
  await member.run(topic, { fromBeginning: false })
  let n = 5
  await until('a new record came', async () => { if (!member.records.length) await fill(topic, 1, { start: n++ }); return member.records.length })
  check(Number(member.records[0].offset) >= 5, 'an old record came')
  await member.leave()
})

test('consume-offset-out-of-range-resets', async () => {
  const [topic, group] = [await makeTopic('out-of-range'), fresh('group')]
  await fill(topic, 5)
  await withAdmin(admin => admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '1000' }] }))
  const member = new Member(group)
  await member.run(topic)
  await until('all records came', () => member.records.length === 5)
  await member.leave()
})

test('consume-long-poll-wakes-on-append', async () => {
  const topic = await makeTopic('long-poll')
  const member = new Member(fresh('group'), { maxWaitTimeInMs: 20000, sessionTimeout: 30000 })
  let fetches = 0
  member.consumer.on(member.consumer.events.FETCH_START, () => { fetches += 1 })
  await member.run(topic)
  await until('a fetch is under way', () => fetches > 0)
  const begun = Date.now()
  await fill(topic, 1)
  await until('the record came', () => member.records.length === 1)
  check(Date.now() - begun < 10000, 'the parked fetch was not woken by the append')
  member.leave() // not awaited: leaving waits for the fetch that is parked again
})

test('offsets-of-topic-and-by-timestamp', async () => {
  const topic = await makeTopic('times', 2)
  const start = 1600000000000
  await fill(topic, 20, { timestamp: start })
  await withAdmin(async admin => {
    const ends = Object.fromEntries((await admin.fetchTopicOffsets(topic)).map(p => [p.partition, p]))
    eq([ends[0].low, ends[0].high, ends[1].high], ['0', '20', '0'], 'beginning and end')
    for (const [asked, offset] of [[0, '0'], [start + 7, '7'], [start + 19, '19'], [start + 20, '20']]) {
      const found = (await admin.fetchTopicOffsetsByTimestamp(topic, asked)).find(p => p.partition === 0)
      eq(found.offset, offset, `offset for ${asked}`) // past the end this client asks for the latest instead
    }
  })
})

// -- groups -----------------------------------------------------------------------------------------------------------

test('group-commit-and-resume', async () => {
  const [topic, group] = [await makeTopic('resume'), fresh('group')]
  await fill(topic, 20)
  const first = new Member(group)
  await first.run(topic, { run: { autoCommit: false } })
  await until('records came', () => first.records.length >= 8)
  await first.consumer.commitOffsets([{ topic, partition: 0, offset: '8', metadata: 'сказано: здесь' }])
  await first.leave()
  const found = await withAdmin(admin => admin.fetchOffsets({ groupId: group, topics: [topic] }))
  eq(found[0].partitions.map(p => [p.offset, p.metadata]), [['8', 'сказано: здесь']], 'committed')
  const second = new Member(group)
  await second.run(topic, { run: { autoCommit: false } })
  await until('the rest came', () => second.records.length === 12)
  eq(second.records.map(r => Number(r.offset)), Array.from({ length: 12 }, (_, i) => 8 + i), 'offsets')
  await second.leave()
})

test('group-auto-commit', async () => {
  const [topic, group] = [await makeTopic('auto-commit'), fresh('group')]
  await fill(topic, 5)
  const member = new Member(group)
  await member.run(topic)
  await until('records came', () => member.records.length === 5)
  await member.leave()
  const found = await withAdmin(admin => admin.fetchOffsets({ groupId: group, topics: [topic] }))
  eq(found[0].partitions[0].offset, '5', 'committed')
})

test('group-rebalance-join-and-leave', async () => {
  const [topic, group] = [await makeTopic('rebalance', 4), fresh('group')]
  const one = await new Member(group).run(topic)
  await until('the first member has all', has(one, 4))
  const two = await new Member(group).run(topic)
  await until('both have half', () => one.assigned.length === 2 && two.assigned.length === 2)
  eq([...one.assigned, ...two.assigned].sort(), [0, 1, 2, 3], 'assigned together')
  const begun = Date.now()
  await two.leave()
  await until('the first member has all again', has(one, 4))
  check(Date.now() - begun < SESSION_MS, 'leaving took as long as a session')
  for (const partition of [0, 1, 2, 3]) await fill(topic, 1, { partition })
  await until('all records came', () => one.records.length === 4)
  await one.leave()
}, 40)

async function die(topic, group) {
  const member = await new Member(group).run(topic)
  await until('joined', () => member.assigned.length)
  console.log('joined')
}

test('group-member-dies', async () => {
  const [topic, group] = [await makeTopic('dies', 4), fresh('group')]
  const victim = child('die', topic, group)
  await until('the other member joined', () => victim.said.includes('joined'))
  const one = await new Member(group).run(topic)
  await until('both have half', has(one, 2))
  victim.kill('SIGKILL')
  await until('the survivor has all', has(one, 4), 25)
  await one.leave()
}, 50)

test('group-pattern', async () => {
  const mark = fresh('pattern')
  await fill(`${mark}-a`, 1)
  await fill(`${mark}-b`, 1)
  const got = await take(new RegExp(`^${mark}-.*`), 2)
  eq(got.map(r => r.topic).sort(), [`${mark}-a`, `${mark}-b`], 'topics')
})

// -- transactions -----------------------------------------------------------------------------------------------------

const transactional = act => withProducer({ transactionalId: fresh('txn'), idempotent: true, maxInFlightRequests: 1 }, act)

test('transaction-commit-and-abort', async () => {
  const topic = await makeTopic('transaction')
  await transactional(async producer => {
    for (const outcome of ['commit', 'abort', 'commit']) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [0, 1, 2].map(n => ({ value: `${outcome}-${n}` })) })
      await transaction[outcome]()
    }
  })
  const committed = await take(topic, 6)
  eq(committed.map(r => text(r.value)), ['commit-0', 'commit-1', 'commit-2', 'commit-0', 'commit-1', 'commit-2'], 'read committed')
  eq(committed.map(r => Number(r.offset)), [0, 1, 2, 8, 9, 10], 'offsets beside markers and aborted records')
  eq((await take(topic, 9, { settings: { readUncommitted: true } })).length, 9, 'read uncommitted')
}, 40)

test('transaction-with-offsets', async () => {
  const [source, target, group] = [await makeTopic('source'), await makeTopic('target'), fresh('group')]
  const committed = async () => (await withAdmin(a => a.fetchOffsets({ groupId: group, topics: [source] })))[0].partitions[0].offset
  const offsets = offset => ({ consumerGroupId: group, topics: [{ topic: source, partitions: [{ partition: 0, offset }] }] })
  await transactional(async producer => {
    const aborted = await producer.transaction()
    await aborted.send({ topic: target, messages: [{ value: 'aborted' }] })
    await aborted.sendOffsets(offsets('2'))
    await aborted.abort()
    eq(await committed(), '-1', 'committed after the abort')
    const done = await producer.transaction()
    await done.send({ topic: target, messages: [{ value: 'done' }] })
    await done.sendOffsets(offsets('5'))
    await done.commit()
  })
  await until('the offset is committed', async () => await committed() === '5')
  eq((await take(target, 1)).map(r => text(r.value)), ['done'], 'target')
}, 40)

test('transaction-fences-the-older-producer', async () => {
  const [topic, transactionalId] = [await makeTopic('zombie'), fresh('txn')]
  const settings = { transactionalId, idempotent: true, maxInFlightRequests: 1, retry: { retries: 2 } }
  await withProducer(settings, async old => {
    const stale = await old.transaction()
    await stale.send({ topic, messages: [{ value: 'old' }] })
    await withProducer(settings, async young => {
      const transaction = await young.transaction()
      let fenced = false
      await stale.send({ topic, messages: [{ value: 'zombie' }] }).then(() => stale.commit()).catch(() => { fenced = true })
      check(fenced, 'the older producer committed')
      await transaction.send({ topic, messages: [{ value: 'new' }] })
      await transaction.commit()
    })
  })
  eq((await take(topic, 1)).map(r => text(r.value)), ['new'], 'read committed')
}, 40)

// -- admin ------------------------------------------------------------------------------------------------------------

test('admin-create-list-describe-delete-topic', () => withAdmin(async admin => {
  const topic = fresh('admin')
  eq(await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 3, replicationFactor: 1 }] }), true, 'created')
  check((await admin.listTopics()).includes(topic), 'the topic is not listed')
  const { topics: [found] } = await admin.fetchTopicMetadata({ topics: [topic] })
  eq([found.name, found.partitions.length, found.partitions.map(p => p.partitionErrorCode)], [topic, 3, [0, 0, 0]], 'metadata')
  await admin.deleteTopics({ topics: [topic] })
  await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic))
}))

test('admin-create-topic-twice', async () => {
  const topic = await makeTopic('twice')
  await withAdmin(async admin => eq(await admin.createTopics({ topics: [{ topic }] }), false, 'created again'))
})

test('admin-create-topic-refusals', () => withAdmin(async admin => {
  const create = what => () => admin.createTopics({ topics: [{ topic: fresh('t'), numPartitions: 1, replicationFactor: 1, ...what }] })
  await raises('INVALID_TOPIC_EXCEPTION', create({ topic: 'not a topic!' }), 'invalid name')
  await raises('INVALID_PARTITIONS', create({ numPartitions: 0 }), 'no partitions')
  await raises('INVALID_REPLICATION_FACTOR', create({ replicationFactor: 99 }), 'too many replicas')
  await raises('INVALID_CONFIG', create({ configEntries: [{ name: 'retention.ms', value: 'soon' }] }), 'bad value')
}))

test('admin-delete-unknown-topic', () => withAdmin(async admin => {
  await raises('UNKNOWN_TOPIC_OR_PARTITION', () => admin.deleteTopics({ topics: [fresh('unknown')], timeout: 3000 }), 'delete')
}))

test('admin-configs-describe-and-alter', async () => {
  const topic = await makeTopic('configs', 1, { 'retention.ms': '12345000' })
  await withAdmin(async admin => {
    const describe = async () => Object.fromEntries((await admin.describeConfigs({
      includeSynonyms: true, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    })).resources[0].configEntries.map(e => [e.configName, e]))
    eq([(await describe())['retention.ms'].configValue, (await describe())['retention.ms'].configSource], ['12345000', 1], 'retention.ms')
    await admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'max.message.bytes', value: '54321' }] }] })
    await until('the change is seen', async () => (await describe())['max.message.bytes'].configValue === '54321')
    check((await describe())['retention.ms'].configSource !== 1, 'a setting that was not named survived')
    const broker = (await admin.describeCluster()).brokers[0].nodeId
    const { resources: [settings] } = await admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.BROKER, name: String(broker), configNames: ['num.partitions'] }] })
    eq(settings.configEntries.map(e => e.configName), ['num.partitions'], 'one broker setting, by name')
  })
})

test('admin-create-partitions', async () => {
  const topic = await makeTopic('grow')
  await withAdmin(async admin => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    await until('three partitions', async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 3)
    await raises('INVALID_PARTITIONS', () => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }), 'fewer')
  })
  eq((await fill(topic, 1, { partition: 2 })).baseOffset, '0', 'offset in the new partition')
})

test('admin-delete-records', async () => {
  const topic = await makeTopic('delete-records')
  await fill(topic, 10)
  await withAdmin(async admin => {
    eq((await admin.fetchTopicOffsets(topic))[0].low, '0', 'low before') // it also loads the metadata that the next call needs
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
    eq((await admin.fetchTopicOffsets(topic))[0].low, '4', 'low')
  })
  eq((await take(topic, 6)).map(r => Number(r.offset)), [4, 5, 6, 7, 8, 9], 'offsets')
})

test('admin-groups-list-describe-offsets-delete', async () => {
  const [topic, group] = [await makeTopic('admin-group', 2), fresh('admin-group')]
  const member = await new Member(group).run(topic)
  await until('the member has both', has(member, 2))
  await withAdmin(async admin => {
    check((await admin.listGroups()).groups.some(g => g.groupId === group && g.protocolType === 'consumer'), 'the group is not listed')
    const { groups: [found] } = await admin.describeGroups([group])
    eq([found.state, found.protocolType, found.protocol, found.members.length, found.members[0].clientId], ['Stable', 'consumer', 'RoundRobinAssigner', 1, 'compat'], 'described')
    await raises('NON_EMPTY_GROUP', () => admin.deleteGroups([group]), 'deleting a group with members')
    await member.leave()
    await until('the group is empty', async () => (await admin.describeGroups([group])).groups[0].state === 'Empty')
    await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '2' }] })
    const all = await admin.fetchOffsets({ groupId: group })
    eq(all.find(t => t.topic === topic).partitions.find(p => p.partition === 0).offset, '2', 'offset')
    await admin.resetOffsets({ groupId: group, topic, earliest: true })
    await until('the group is empty', async () => (await admin.describeGroups([group])).groups[0].state === 'Empty')
    eq((await admin.deleteGroups([group]))[0].errorCode, 0, 'deleting')
    check(!(await admin.listGroups()).groups.some(g => g.groupId === group), 'the deleted group is still listed')
    await raises('GROUP_ID_NOT_FOUND', () => admin.deleteGroups([group]), 'deleting it again')
  })
}, 40)

test('admin-describe-cluster', () => withAdmin(async admin => {
  const found = await admin.describeCluster()
  eq(found.brokers.map(b => b.port), [Number(BOOTSTRAP.split(':').pop())], 'ports')
  eq(found.controller, found.brokers[0].nodeId, 'controller')
  check(found.clusterId, 'no cluster id')
}))

test('admin-acls-without-authorizer', () => withAdmin(async admin => {
  await raises('SECURITY_DISABLED', () => admin.createAcls({ acl: [{
    resourceType: 2, resourceName: fresh('t'), resourcePatternType: 3, principal: 'User:a', host: '*', operation: 3, permissionType: 3 }] }), 'create')
}))

main({ die })
