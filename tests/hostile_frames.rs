//! No frame can hurt the broker: what the schema walk accepts, the message crate decodes within a bound of memory, and
//! what is not whole is refused (S3).
//!
//! Valid bodies come from two sides: the message crate encodes its defaults, and a generator in this file writes random
//! bodies straight from the field table that the walk's own table is made of. Everything else is those bodies, spoilt.
//! A counting allocator watches each decode. `SEED` repeats a run, `ROUNDS` makes it longer.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request};
use milena::net::schema::{self, Limits, Reason};
use milena::wire;

// ---- the watched allocator ----------------------------------------------------------------------------------------

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

impl Counting {
    fn took(bytes: usize) {
        LARGEST.set(LARGEST.get().max(bytes));
        LIVE.set(LIVE.get() + bytes as isize);
        PEAK.set(PEAK.get().max(LIVE.get()));
    }

    fn gave(bytes: usize) {
        LIVE.set(LIVE.get() - bytes as isize);
    }
}

// SAFETY: every call goes on to the system's allocator unchanged; the counters are plain cells of the calling thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Counting::gave(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Counting::gave(layout.size());
        Counting::took(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `work` held at once, and its largest single piece.
fn watched<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    LARGEST.set(0);
    let result = work();
    (result, (PEAK.get() - before) as usize, LARGEST.get())
}

const MOST: usize = 64 << 20;

// ---- every request of the message crate ---------------------------------------------------------------------------

struct Api {
    name: &'static str,
    key: i16,
    versions: std::ops::RangeInclusive<i16>,
    /// What is left over after decoding, or that it failed.
    decode: fn(Bytes, i16) -> Result<usize, String>,
    /// Decodes and encodes again.
    again: fn(Bytes, i16) -> Result<Bytes, String>,
    default: fn(i16) -> Option<Bytes>,
}

fn api<R: Request + Default + Debug>(name: &'static str) -> Api {
    Api {
        name,
        key: R::KEY,
        versions: <R as Message>::VERSIONS.min..=<R as Message>::VERSIONS.max,
        decode: |mut body, version| match R::decode(&mut body, version) {
            Ok(_) => Ok(body.len()),
            Err(error) => Err(error.to_string()),
        },
        again: |mut body, version| {
            let request = R::decode(&mut body, version).map_err(|error| error.to_string())?;
            let mut out = BytesMut::new();
            request.encode(&mut out, version).map_err(|error| error.to_string())?;
            Ok(out.freeze())
        },
        default: |version| {
            let mut out = BytesMut::new();
            R::default().encode(&mut out, version).ok()?;
            Some(out.freeze())
        },
    }
}

macro_rules! apis {
    ($($request:ident)*) => { vec![$(api::<$request>(stringify!($request))),*] };
}

fn apis() -> Vec<Api> {
    apis! {
        ProduceRequest FetchRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest
        FindCoordinatorRequest JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest DescribeGroupsRequest
        ListGroupsRequest SaslHandshakeRequest ApiVersionsRequest CreateTopicsRequest DeleteTopicsRequest
        DeleteRecordsRequest InitProducerIdRequest OffsetForLeaderEpochRequest AddPartitionsToTxnRequest
        AddOffsetsToTxnRequest EndTxnRequest WriteTxnMarkersRequest TxnOffsetCommitRequest DescribeAclsRequest
        CreateAclsRequest DeleteAclsRequest DescribeConfigsRequest AlterConfigsRequest AlterReplicaLogDirsRequest
        DescribeLogDirsRequest SaslAuthenticateRequest CreatePartitionsRequest CreateDelegationTokenRequest
        RenewDelegationTokenRequest ExpireDelegationTokenRequest DescribeDelegationTokenRequest DeleteGroupsRequest
        ElectLeadersRequest IncrementalAlterConfigsRequest AlterPartitionReassignmentsRequest
        ListPartitionReassignmentsRequest OffsetDeleteRequest DescribeClientQuotasRequest AlterClientQuotasRequest
        DescribeUserScramCredentialsRequest AlterUserScramCredentialsRequest VoteRequest BeginQuorumEpochRequest
        EndQuorumEpochRequest DescribeQuorumRequest AlterPartitionRequest UpdateFeaturesRequest EnvelopeRequest
        FetchSnapshotRequest DescribeClusterRequest DescribeProducersRequest BrokerRegistrationRequest
        BrokerHeartbeatRequest UnregisterBrokerRequest DescribeTransactionsRequest ListTransactionsRequest
        AllocateProducerIdsRequest ConsumerGroupHeartbeatRequest ConsumerGroupDescribeRequest
        ControllerRegistrationRequest GetTelemetrySubscriptionsRequest PushTelemetryRequest
        AssignReplicasToDirsRequest ListConfigResourcesRequest DescribeTopicPartitionsRequest
        ShareGroupHeartbeatRequest ShareGroupDescribeRequest ShareFetchRequest ShareAcknowledgeRequest
        AddRaftVoterRequest RemoveRaftVoterRequest UpdateRaftVoterRequest InitializeShareGroupStateRequest
        ReadShareGroupStateRequest WriteShareGroupStateRequest DeleteShareGroupStateRequest
        ReadShareGroupStateSummaryRequest DescribeShareGroupOffsetsRequest AlterShareGroupOffsetsRequest
        DeleteShareGroupOffsetsRequest
    }
}

/// Every API in every version that both the crate and Kafka 4.3 know.
fn each_version(mut visit: impl FnMut(&Api, i16)) {
    for api in &apis() {
        let known = schema::versions(api.key).unwrap_or_else(|| panic!("{} is not in the table", api.name));
        for version in api.versions.clone().filter(|version| known.contains(version)) {
            visit(api, version);
        }
    }
}

fn check(api: &Api, version: i16, body: &[u8]) -> Result<usize, schema::Refusal> {
    schema::check(api.key, version, body, &Limits::default())
}

/// What must hold of any bytes at all; true when they were accepted.
fn is_harmless(api: &Api, version: i16, body: &[u8]) -> bool {
    let (checked, peak, _) = watched(|| check(api, version, body));
    assert_eq!(peak, 0, "{} v{version}: the walk itself takes no memory", api.name);
    let Ok(end) = checked else { return false };
    // Only what was walked reaches the decoder.
    let bytes = Bytes::copy_from_slice(&body[..end]);
    let (decoded, peak, largest) = watched(|| (api.decode)(bytes, version));
    assert!(largest < MOST, "{} v{version}: one allocation of {largest} bytes for {body:02x?}", api.name);
    assert!(peak < MOST, "{} v{version}: {peak} bytes for {body:02x?}", api.name);
    if let Ok(left) = decoded {
        assert_eq!(left, 0, "{} v{version}: the decoder stopped elsewhere in {body:02x?}", api.name);
    }
    true
}

// ---- random bodies from the field table ---------------------------------------------------------------------------

struct Random(u64);

impl Random {
    /// From `SEED`, or from the hasher's own randomness; printed either way.
    fn from_environment() -> Random {
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish());
        println!("SEED={seed}");
        Random(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

fn rounds(default: usize) -> usize {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A line of the table, read anew and by other code than the generator's.
struct Row {
    schema: String,
    path: String,
    kind: String,
    versions: (i16, i16),
    nullable: (i16, i16),
    tag: Option<u32>,
    flexible_since: i16,
}

struct Table(Vec<Row>);

impl Table {
    fn read() -> Table {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/schemas/message-schemas.tsv"))
            .expect("the table is in the tree");
        let rows = text.lines().filter(|line| line.contains("\trequest\t")).map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let tagged: Vec<&str> = columns[9].split_whitespace().collect();
            let versions = if columns[7].is_empty() { tagged.last().copied().unwrap_or("") } else { columns[7] };
            Row {
                schema: columns[0].to_owned(),
                path: columns[5].to_owned(),
                kind: columns[6].to_owned(),
                versions: span(versions),
                nullable: span(columns[8]),
                tag: tagged.get(1).map(|tag| tag.parse().expect("a number")),
                flexible_since: span(columns[4]).0,
            }
        });
        Table(rows.collect())
    }

    /// A valid body; `tags` says whether it may carry tagged fields.
    fn body(&self, api: &Api, version: i16, random: &mut Random, tags: bool) -> Vec<u8> {
        let rows: Vec<&Row> = self.0.iter().filter(|row| row.schema == api.name).collect();
        let flexible = rows.first().is_some_and(|row| version >= row.flexible_since);
        let mut writer = Writer { rows, version, flexible, random, tags, out: Vec::new() };
        writer.fields("");
        writer.out
    }
}

fn span(text: &str) -> (i16, i16) {
    match (text.strip_suffix('+'), text.split_once('-')) {
        _ if text.is_empty() || text == "none" => (i16::MAX, -1),
        (Some(first), _) => (first.parse().expect("a version"), i16::MAX),
        (None, Some((first, last))) => (first.parse().expect("a version"), last.parse().expect("a version")),
        (None, None) => (text.parse().expect("a version"), text.parse().expect("a version")),
    }
}

struct Writer<'a> {
    rows: Vec<&'a Row>,
    version: i16,
    flexible: bool,
    random: &'a mut Random,
    tags: bool,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// The fields right under a path that is empty or ends with a dot.
    fn fields(&mut self, parent: &str) {
        let here = |row: &&&Row| {
            row.path.strip_prefix(parent).is_some_and(|name| !name.contains('.'))
                && (row.versions.0..=row.versions.1).contains(&self.version)
        };
        let (tagged, plain): (Vec<&Row>, Vec<&Row>) = self.rows.iter().filter(here).partition(|row| row.tag.is_some());
        for row in plain {
            self.field(row);
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<&Row> = tagged.into_iter().filter(|_| self.tags && self.random.one_in(2)).collect();
        tagged.sort_by_key(|row| row.tag);
        let unknown = if self.tags && self.random.one_in(6) { 1 + self.random.below(3) } else { 0 };
        wire::put_unsigned_varint(&mut self.out, (tagged.len() + unknown) as u32);
        for row in tagged {
            let outer = std::mem::take(&mut self.out);
            self.field(row);
            let inner = std::mem::replace(&mut self.out, outer);
            wire::put_tagged(&mut self.out, row.tag.unwrap_or(0), |out| out.extend_from_slice(&inner));
        }
        for index in 0..unknown {
            let size = self.random.below(4);
            wire::put_tagged(&mut self.out, 1000 + index as u32, |out| out.resize(out.len() + size, 7));
        }
    }

    fn field(&mut self, row: &Row) {
        let nullable = (row.nullable.0..=row.nullable.1).contains(&self.version);
        let null = nullable && self.random.one_in(4);
        let Some(kind) = row.kind.strip_prefix("[]") else { return self.value(row, &row.kind, nullable, null) };
        let count = self.random.below(4);
        wire::put_length(&mut self.out, (!null).then_some(count), self.flexible);
        for _ in 0..if null { 0 } else { count } {
            self.value(row, kind, false, false);
        }
    }

    fn value(&mut self, row: &Row, kind: &str, nullable: bool, null: bool) {
        let size = match kind {
            // The crate reads any byte but 0 as true and writes 1.
            "bool" => return wire::put_bool(&mut self.out, self.random.one_in(2)),
            "int8" => 1,
            "int16" | "uint16" => 2,
            "int32" => 4,
            "int64" | "float64" => 8,
            "uuid" => 16,
            "string" => {
                let text = "wörd".repeat(self.random.below(4));
                return wire::put_nullable_string(&mut self.out, (!null).then_some(text.as_str()), self.flexible);
            }
            "bytes" | "records" => {
                let blob = vec![0x5a; self.random.below(12)];
                return wire::put_nullable_bytes(&mut self.out, (!null).then_some(&blob[..]), self.flexible);
            }
            _ => {
                if nullable {
                    wire::put_i8(&mut self.out, if null { -1 } else { 1 });
                }
                if !null {
                    self.fields(&format!("{}.", row.path));
                }
                return;
            }
        };
        for _ in 0..size {
            let byte = self.random.next() as u8;
            // Positive and not a NaN, so that what the crate writes is what it read.
            self.out.push(byte & 0x3f);
        }
    }
}

// ---- the promises ----------------------------------------------------------------------------------------------------

#[test]
fn what_the_message_crate_encodes_is_accepted() {
    let mut pairs = 0;
    each_version(|api, version| {
        let Some(body) = (api.default)(version) else { return };
        pairs += 1;
        assert_eq!(check(api, version, &body), Ok(body.len()), "{} v{version}: {body:02x?}", api.name);
        assert!(is_harmless(api, version, &body));
    });
    assert!(pairs > 250, "only {pairs} defaults could be encoded");
}

#[test]
fn every_version_that_the_message_crate_decodes_is_in_the_table() {
    let missing: Vec<String> = apis()
        .iter()
        .flat_map(|api| api.versions.clone().map(move |version| (api.name, api.key, version)))
        .filter(|(_, key, version)| !schema::versions(*key).is_some_and(|known| known.contains(version)))
        .map(|(name, _, version)| format!("{name} v{version}"))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn a_valid_body_is_accepted_and_read_to_its_end_in_every_version() {
    let (table, mut random) = (Table::read(), Random::from_environment());
    each_version(|api, version| {
        for round in 0..rounds(12) {
            let tags = round % 2 == 0;
            let body = table.body(api, version, &mut random, tags);
            assert_eq!(check(api, version, &body), Ok(body.len()), "{} v{version}: {body:02x?}", api.name);
            assert!(is_harmless(api, version, &body));
            let again = (api.again)(Bytes::from(body.clone()), version)
                .unwrap_or_else(|error| panic!("{} v{version}: {error}: {body:02x?}", api.name));
            if !tags {
                assert_eq!(again, body, "{} v{version}: the crate reads the fields otherwise", api.name);
            }
        }
    });
}

#[test]
fn s3_a_body_cut_short_is_refused_and_what_is_behind_it_left_alone_in_every_version() {
    let (table, mut random) = (Table::read(), Random::from_environment());
    each_version(|api, version| {
        for _ in 0..rounds(3) {
            let mut body = table.body(api, version, &mut random, true);
            for end in 0..body.len() {
                assert!(check(api, version, &body[..end]).is_err(), "{} v{version}: {:02x?}", api.name, &body[..end]);
            }
            // librdkafka 2.16 leaves three bytes behind its Metadata version 13; Kafka passes over them.
            let len = body.len();
            body.extend([random.next() as u8; 3]);
            assert_eq!(check(api, version, &body), Ok(len), "{} v{version}: {body:02x?}", api.name);
        }
    });
}

#[test]
fn s3_a_length_bomb_at_any_place_costs_nothing() {
    let (table, mut random) = (Table::read(), Random::from_environment());
    let bombs: [&[u8]; 6] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x00, 0x0f, 0x42, 0x40],
        &[0x80, 0x00, 0x00, 0x00],
        &[0x7f, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0x07],
    ];
    each_version(|api, version| {
        for _ in 0..rounds(1) {
            let body = table.body(api, version, &mut random, true);
            for (at, bomb) in (0..=body.len()).flat_map(|at| bombs.iter().map(move |bomb| (at, bomb))) {
                let mut over = body.clone();
                over.truncate(at);
                over.extend_from_slice(bomb);
                over.extend_from_slice(body.get(at + bomb.len()..).unwrap_or_default());
                is_harmless(api, version, &over);
                let inserted = [&body[..at], bomb, &body[at..]].concat();
                is_harmless(api, version, &inserted);
            }
        }
    });
}

#[test]
fn s3_whatever_is_accepted_is_decoded_within_the_bound() {
    let (table, mut random) = (Table::read(), Random::from_environment());
    let mut accepted = 0usize;
    each_version(|api, version| {
        for _ in 0..rounds(60) {
            let mut body = table.body(api, version, &mut random, true);
            for _ in 0..1 + random.below(3) {
                spoil(&mut body, &mut random);
            }
            accepted += usize::from(is_harmless(api, version, &body));
        }
        for _ in 0..rounds(20) {
            let mask = [0xff, 0x01, 0x07, 0x0f][random.below(4)];
            let body: Vec<u8> = (0..random.below(64)).map(|_| random.next() as u8 & mask).collect();
            accepted += usize::from(is_harmless(api, version, &body));
        }
    });
    assert!(accepted > 100, "a test of nothing: {accepted} accepted");
}

fn spoil(body: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(body.len() + 1);
    match random.below(5) {
        0 if at < body.len() => body[at] ^= 1 << random.below(8),
        1 if at < body.len() => body[at] = random.next() as u8,
        2 => body.insert(at, random.next() as u8),
        3 if at < body.len() => drop(body.remove(at)),
        _ => {
            let end = at + random.below(body.len() - at + 1);
            let piece = body[at..end].to_vec();
            body.splice(at..at, piece);
        }
    }
}

/// The smallest budget under which a body passes is what the walk believes it costs.
#[test]
fn s3_decoding_takes_no_more_than_the_walk_counted() {
    let (table, mut random) = (Table::read(), Random::from_environment());
    each_version(|api, version| {
        for _ in 0..rounds(6) {
            let body = table.body(api, version, &mut random, true);
            let fits = |bytes: &usize| {
                let limits = Limits { max_decoded_bytes: *bytes, ..Limits::default() };
                schema::check(api.key, version, &body, &limits).is_ok()
            };
            let (mut low, mut high) = (0, 1 << 20);
            while low < high {
                let middle = (low + high) / 2;
                if fits(&middle) { high = middle } else { low = middle + 1 }
            }
            let bytes = Bytes::from(body.clone());
            let (decoded, peak, _) = watched(|| (api.decode)(bytes, version));
            assert_eq!(decoded, Ok(0), "{} v{version}", api.name);
            // The frame's own reference count is one small allocation whatever the body holds.
            assert!(peak <= low + 64, "{} v{version}: {peak} bytes, counted {low}: {body:02x?}", api.name);
        }
    });
}

/// The bodies that cost most memory per byte: as many small elements, or unknown tagged fields, as the budget lets pass.
#[test]
fn s3_a_large_body_of_the_smallest_elements_stays_within_the_bound() {
    let apis = apis();
    let metadata = &apis[3];
    assert_eq!(metadata.name, "MetadataRequest");
    let mut accepted = Vec::new();
    for count in [10_000usize, 100_000, 400_000, 600_000, 999_999] {
        let names = [&(count as u32).to_be_bytes()[..], &vec![0; 2 * count]].concat();
        accepted.push(is_harmless(metadata, 0, &names));

        let mut with_tags = Vec::new();
        wire::put_length(&mut with_tags, Some(count), true);
        (0..count).for_each(|_| with_tags.extend_from_slice(&[1, 1, 5, 0]));
        with_tags.extend_from_slice(&[1, 0]);
        accepted.push(is_harmless(metadata, 9, &with_tags));

        let mut tags = vec![0];
        tags.extend_from_slice(&[1, 0, 0]);
        wire::put_unsigned_varint(&mut tags, count as u32);
        (0..count).for_each(|tag| wire::put_tagged(&mut tags, tag as u32, |_| {}));
        accepted.push(is_harmless(metadata, 13, &tags));
    }
    assert!(accepted.contains(&true) && accepted.contains(&false), "{accepted:?}");
}

/// Found by fuzzing the message crate: 5 bytes that made it ask for 155 GB, and the largest compact count.
#[test]
fn s3_the_known_killers_are_refused() {
    let metadata = schema::check(3, 0, &[0x03, 0x3c, 0x0c, 0x00, 0xb6], &Limits::default()).unwrap_err();
    assert_eq!(metadata.reason, Reason::TooManyElements(0x033c_0c00));
    let produce = [0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x64, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let produce = schema::check(0, 9, &produce, &Limits::default()).unwrap_err();
    assert_eq!(produce.reason, Reason::TooManyElements(u32::MAX as usize - 1));
    assert_eq!((produce.field, produce.offset), ("TopicData", 12));
}

#[test]
fn s3_a_body_above_the_cap_of_its_api_is_refused_unread() {
    let limits = Limits { max_request_bytes: 16 << 20, ..Limits::default() };
    let refusal = schema::check(3, 0, &vec![0; 9 << 20], &limits).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooLarge(9 << 20));
    let refusal = schema::check(0, 9, &vec![0; 17 << 20], &limits).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooLarge(17 << 20));
}

#[test]
fn an_unknown_api_or_version_is_refused() {
    let check = |key, version| schema::check(key, version, &[], &Limits::default()).unwrap_err().reason;
    assert_eq!(check(4, 0), Reason::UnknownApi(4));
    assert_eq!(check(-1, 0), Reason::UnknownApi(-1));
    assert_eq!(check(18, 99), Reason::UnsupportedVersion(99));
    assert_eq!(check(18, -1), Reason::UnsupportedVersion(-1));
}

// ---- headers ---------------------------------------------------------------------------------------------------------

#[test]
fn a_header_is_read_in_both_versions_and_never_beyond_the_frame() {
    let v1 = [0, 18, 0, 0, 0, 0, 0, 7, 0, 2, b'm', b'e', 0xaa];
    let header = schema::read_header(&v1).expect("a whole header");
    assert_eq!((header.api_key, header.version, header.correlation_id), (18, 0, 7));
    assert_eq!((header.client_id, header.body_offset), (Some("me"), 12));
    // The client id keeps its two bytes of length in version 2; then come tagged fields.
    let v2 = [0, 18, 0, 3, 0, 0, 0, 7, 0xff, 0xff, 1, 9, 2, 0, 0, 0xaa];
    let header = schema::read_header(&v2).expect("a whole header");
    assert_eq!((header.client_id, header.body_offset), (None, 15));
    for (frame, body) in [(&v1[..], 12), (&v2[..], 15)] {
        for end in 0..body {
            assert!(schema::read_header(&frame[..end]).is_err(), "cut at {end}");
        }
    }
}

/// KIP-511: a client newer than the broker asks in a version the broker does not know and gets version 0 back.
#[test]
fn the_header_of_an_unknown_version_is_read_as_far_as_it_goes() {
    let newer = [0, 18, 0, 99, 0, 0, 0, 7, 0, 2, b'm', b'e', 0xff, 0xff];
    let header = schema::read_header(&newer).expect("readable");
    assert_eq!((header.version, header.correlation_id, header.client_id), (99, 7, Some("me")));
    assert_eq!(header.body_offset, newer.len());
    let bare = [0x7f, 0xff, 0, 99, 0, 0, 0, 7];
    assert_eq!(schema::read_header(&bare).expect("readable").client_id, None);
    assert!(schema::read_header(&bare[..7]).is_err());
}

#[test]
fn random_headers_are_read_or_refused_without_memory() {
    let mut random = Random::from_environment();
    for _ in 0..rounds(20_000) {
        let mut frame: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
        if frame.len() > 3 && random.one_in(2) {
            frame[0..4].copy_from_slice(&[0, random.below(96) as u8, 0, random.below(20) as u8]);
        }
        let (read, peak, _) = watched(|| schema::read_header(&frame).map(|header| header.body_offset));
        assert_eq!(peak, 0);
        assert!(read.is_err() || read.is_ok_and(|offset| offset <= frame.len()), "{frame:02x?}");
    }
}

#[test]
fn every_golden_request_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut frames = 0;
    for entry in std::fs::read_dir(folder).expect("golden files") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(&path).expect("text").lines() {
            let (id, frame) = (json_text(line, "id"), unhex(json_text(line, "request_hex")));
            let header = schema::read_header(&frame).unwrap_or_else(|refusal| panic!("{id}: {refusal}"));
            let answered = !json_text(line, "response_hex").is_empty();
            let checked =
                schema::check(header.api_key, header.version, &frame[header.body_offset..], &Limits::default());
            // ApiVersions is answered in any version, and acks=0 never is.
            let unknown = checked.is_err_and(|refusal| matches!(refusal.reason, Reason::UnsupportedVersion(_)));
            assert!(checked.is_ok() || !answered || (unknown && header.api_key == 18), "{id}: {checked:?}");
            assert!(header.client_id.is_none_or(|client| client == "golden"), "{id}: {:?}", header.client_id);
            frames += 1;
        }
    }
    assert!(frames >= 70, "{frames} frames");
}

/// The value of a plain text field in a line of JSON.
fn json_text<'a>(line: &'a str, field: &str) -> &'a str {
    let marker = format!("\"{field}\": \"");
    let start = line.find(&marker).unwrap_or_else(|| panic!("{field} in {line}")) + marker.len();
    &line[start..start + line[start..].find('"').expect("an end")]
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}
