//! Produce, versions 3 to 13; advertised from 0 because librdkafka takes a broker without version 0 for an ancient one
//! (KAFKA-18659). A request in versions 0 to 2 ends the connection, as it does with Kafka 4.3.1 (tried).
//!
//! Version 5 answers the log start offset, 7 allows zstd, 8 tells which records were refused, 10 names the leader where it
//! is another, 13 names topics by id. The ordered part validates and appends; waiting for the commit of all partitions is
//! one wait, whatever their number. A duplicate waits for the commit of the batch it repeats (lesson 11). With acks=0
//! nothing is answered, and an error closes the connection, as Kafka does. Not yet: transactions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::{Context, Payer, Reply, text};
use crate::broker::Broker;
use crate::broker::partition::{CommitState, Partition};
use crate::broker::quotas::Use;
use crate::broker::waiters::Waiter;
use crate::net::Reaction;
use crate::record::{self, Refusal};
use crate::storage::log::{AppendError, Origin};
use crate::types::{ErrorCode, Offset, TopicId, TopicName};
use crate::zoo::bug;

pub const KEY: i16 = 0;
pub const FIRST_VERSION: i16 = 3;
const TOPIC_IDS_SINCE: i16 = 13;

const ACKS_ALL: i16 = -1;

pub async fn handle(ctx: &mut Context<'_>, request: ProduceRequest) -> Reply<ProduceResponse> {
    let acks = request.acks;
    if !matches!(acks, ACKS_ALL..=1) {
        return Reply::Now(refuse_all(&request, ErrorCode::InvalidRequiredAcks));
    }
    let request = match ctx.broker.are_files_scarce() {
        // In a future of its own, so that the usual one stays small.
        true => Box::pin(room_for_files(ctx.broker.clone(), request)).await,
        false => request,
    };
    let bytes = ctx.request_bytes as f64;
    let mut answers = Answers { bill: ctx.meter(Use::Produce).map(|payer| (payer, bytes)), ..Answers::default() };
    for topic in request.topic_data.into_iter().filter(|topic| !topic.partition_data.is_empty()) {
        let named = match topic.topic_id.is_nil() && ctx.version >= TOPIC_IDS_SINCE {
            true => Err(ErrorCode::UnknownTopicId),
            false => ctx.topic_name(topic.name.0.as_str(), topic.topic_id),
        };
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let outcome = match &named {
                Ok(name) => append(ctx, name, data.index, data.records),
                Err(code) => Err(Refused::from(*code)),
            };
            partitions.push(answers.take(data.index, outcome));
        }
        answers.topics.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partitions),
        );
    }
    match acks {
        0 => answers.unanswered(),
        1 => Reply::Now(answers.response()),
        _ => answers.once_committed(Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0))),
    }
}

/// How often it is looked whether files have been closed, some seconds in all. After that the append says what is wrong.
const LOOKS_FOR_FILES: usize = 100;

/// Partitions without files are about to make some, and keep their descriptors until they are flushed. Whoever fills thousands of
/// them goes at the pace of the flusher.
async fn room_for_files(broker: Arc<Broker>, request: ProduceRequest) -> ProduceRequest {
    let image = broker.image();
    let is_new = |name: &str, index| broker.partition(name, index).is_ok_and(|partition| partition.has_no_files());
    let any_is_new = request.topic_data.iter().any(|topic| {
        let by_id = image.topic_by_id(TopicId(topic.topic_id));
        let name = by_id.map_or(topic.name.0.as_str(), |topic| topic.name.as_str());
        topic.partition_data.iter().any(|data| is_new(name, data.index))
    });
    drop(image);
    for _ in 0..LOOKS_FOR_FILES {
        if !any_is_new || !broker.are_files_scarce() {
            break;
        }
        broker.files_closed().await;
    }
    request
}

/// A batch that is in the log.
struct Taken {
    partition: Arc<Partition>,
    base_offset: Offset,
    end: Offset,
    log_append_time: i64,
    log_start_offset: Offset,
}

struct Refused {
    code: ErrorCode,
    /// Kafka gives a sentence only where single records are to blame; the code has to do for the rest.
    message: Option<String>,
    record_errors: Vec<(i32, String)>,
    /// Told once the batch has come as far as the log; a batch that is broken or too large has not.
    log_start_offset: Offset,
}

impl Refused {
    /// Refused by what the log of the partition holds; when it is the log that fails, nothing is told of it.
    fn by_log(partition: &Partition, code: ErrorCode) -> Self {
        if code == ErrorCode::KafkaStorageError {
            return code.into();
        }
        let log_start_offset = partition.log_start_offset().unwrap_or(Offset::NONE);
        Refused { log_start_offset, ..Refused::from(code) }
    }

    fn by_rule(partition: &Partition, refusal: Refusal) -> Self {
        let refused = match refusal.by_log {
            true => Refused::by_log(partition, refusal.code),
            false => Refused::from(refusal.code),
        };
        if refusal.record_errors.is_empty() {
            tracing::debug!(partition = %partition.name, reason = refusal.message, "batch refused");
            return refused;
        }
        Refused { message: Some(refusal.message), record_errors: refusal.record_errors, ..refused }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Refused { code, message: None, record_errors: Vec::new(), log_start_offset: Offset::NONE }
    }
}

fn append(ctx: &Context<'_>, topic: &TopicName, index: i32, records: Option<Bytes>) -> Result<Taken, Refused> {
    let partition = ctx.broker.partition(topic.as_str(), index)?;
    if crate::state::metadata::is_internal(topic.as_str()) {
        // Clients may read these topics, not write them (Kafka: INVALID_TOPIC_EXCEPTION).
        return Err(ErrorCode::InvalidTopicException.into());
    }
    let config = partition.config();
    let rules = record::Rules {
        partition: &partition.name,
        log: &config,
        api_version: ctx.version,
        now: ctx.broker.clock.now().wall,
        full: ctx.broker.settings.produce.full_validation,
        limits: ctx.broker.decompress_limits(),
    };
    let mut batch = record::validate(records.unwrap_or_default(), &rules)
        .map_err(|refusal| Refused::by_rule(&partition, refusal))?;
    if batch.header().is_transactional() {
        // Nobody could end the transaction: its records would hold back every read_committed consumer for ever (I46).
        let message = Some("This broker does not serve transactions yet".into());
        return Err(Refused { message, ..Refused::from(ErrorCode::InvalidTxnState) });
    }
    let appended = partition.append(&mut batch, Origin::Client).map_err(|error| match error {
        AppendError::Refused(code, reason) => {
            tracing::debug!(%topic, partition = index, reason, "batch refused");
            Refused::by_log(&partition, code)
        }
        AppendError::Disk(error) => {
            // The partition says it once.
            tracing::debug!(%topic, partition = index, %error, "cannot append");
            Refused::from(ErrorCode::KafkaStorageError)
        }
    })?;
    Ok(Taken {
        partition,
        base_offset: appended.base_offset,
        end: appended.last_offset.next(),
        log_append_time: appended.log_append_time.0,
        log_start_offset: appended.log_start_offset,
    })
}

/// The answer as it grows, and what of it still waits.
#[derive(Default)]
struct Answers {
    topics: Vec<TopicProduceResponse>,
    pending: Vec<Pending>,
    failed: bool,
    /// Who is charged for it once it is answered, and for how many bytes.
    bill: Option<(Payer, f64)>,
}

/// A partition of the answer whose batch is not known to be committed.
struct Pending {
    topic: usize,
    index: i32,
    partition: Arc<Partition>,
    end: Offset,
}

impl Answers {
    fn take(&mut self, index: i32, outcome: Result<Taken, Refused>) -> PartitionProduceResponse {
        let response = PartitionProduceResponse::default().with_index(index);
        match outcome {
            Ok(taken) => {
                self.pending.push(Pending {
                    topic: self.topics.len(),
                    index,
                    partition: taken.partition,
                    end: taken.end,
                });
                response
                    .with_base_offset(taken.base_offset.0)
                    .with_log_append_time_ms(taken.log_append_time)
                    .with_log_start_offset(taken.log_start_offset.0)
            }
            Err(refused) => {
                self.failed = true;
                failure(response, refused)
            }
        }
    }

    fn response(self) -> ProduceResponse {
        let wait_ms = self.charge();
        ProduceResponse::default().with_responses(self.topics).with_throttle_time_ms(wait_ms)
    }

    /// Milliseconds that the client has to wait for what it sent, if it has a quota for that.
    fn charge(&self) -> i32 {
        self.bill.as_ref().map_or(0, |(payer, bytes)| payer.charge(*bytes).1)
    }

    /// acks=0: silence, or the end of the connection: the only way to tell (Kafka does the same).
    fn unanswered(self) -> Reply<ProduceResponse> {
        if self.failed {
            return Reply::Close("a batch sent with acks=0 was refused".into());
        }
        self.charge();
        Reply::None
    }

    /// acks=all: one wait for all partitions.
    fn once_committed(mut self, timeout: Duration) -> Reply<ProduceResponse> {
        self.pending.retain(|pending| pending.partition.commit_state(pending.end) != CommitState::Committed);
        if self.pending.is_empty() || bug(1) {
            return Reply::Now(self.response());
        }
        // A name is a part of the request's frame; the records of it need not be kept while this waits.
        self.topics.iter_mut().for_each(|topic| topic.name.0 = text(&*topic.name.0));
        let waiter = Waiter::new(self.pending.len() as i64);
        for pending in &self.pending {
            pending.partition.await_commit(pending.end, &waiter);
        }
        Reply::Later(Box::pin(async move {
            // The outcome is read from the partitions, whoever won.
            let _ = tokio::time::timeout(timeout, waiter.wait()).await;
            self.settle(&waiter);
            self.response()
        }))
    }

    fn settle(&mut self, waiter: &Arc<Waiter>) {
        for pending in std::mem::take(&mut self.pending) {
            let code = match pending.partition.commit_state(pending.end) {
                CommitState::Committed => continue,
                CommitState::Pending => ErrorCode::RequestTimedOut,
                CommitState::Failed => ErrorCode::KafkaStorageError,
            };
            pending.partition.leave(waiter);
            let responses = &mut self.topics[pending.topic].partition_responses;
            if let Some(response) = responses.iter_mut().find(|response| response.index == pending.index) {
                *response = failure(PartitionProduceResponse::default().with_index(response.index), code.into());
            }
        }
    }
}

fn failure(response: PartitionProduceResponse, refused: Refused) -> PartitionProduceResponse {
    let record_errors = refused.record_errors.into_iter().map(|(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(text(message)))
    });
    response
        .with_error_code(refused.code.code())
        .with_base_offset(Offset::NONE.0)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(refused.log_start_offset.0)
        .with_record_errors(record_errors.collect())
        .with_error_message(refused.message.map(text))
}

fn refuse_all(request: &ProduceRequest, code: ErrorCode) -> ProduceResponse {
    let topics = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            failure(PartitionProduceResponse::default().with_index(data.index), code.into())
        });
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(topics.collect())
}

/// What becomes of a request in a version that is advertised and not served.
pub fn too_old(version: i16) -> Reaction {
    Reaction::Close(format!("Produce version {version} is not served ({FIRST_VERSION} to 13 are)"))
}
