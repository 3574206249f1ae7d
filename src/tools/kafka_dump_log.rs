//! `kafka-dump-log`: shows what stands in segment files. It asks nobody: it reads the files.

use std::fs;
use std::path::Path;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool};
use crate::record::{Compression, ControlKind, DecompressLimits, Header, Record, checksum_matches, open};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-dump-log",
    aliases: &["kafka.tools.DumpLogSegments", "org.apache.kafka.tools.DumpLogSegments"],
    about: "show the batches and records of segment files",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["cluster-metadata-decoder"], Takes::Nothing, "Read the payload as metadata records; not there yet."),
    flag(&["deep-iteration"], Takes::Nothing, "Show the records of each batch."),
    flag(&["files"], Takes::Value("file,..."), "REQUIRED: .log, .index and .timeindex files."),
    flag(&["index-sanity-check"], Takes::Nothing, "Taken without effect."),
    flag(&["max-bytes"], Takes::Value("bytes"), "Read no more than so much of each log."),
    flag(&["max-message-size"], Takes::Value("bytes"), "Taken without effect."),
    flag(&["offsets-decoder"], Takes::Nothing, "Read the payload as offsets; not there yet."),
    flag(&["print-data-log"], Takes::Nothing, "Show the keys and values of the records."),
    flag(&["skip-record-metadata"], Takes::Nothing, "Show keys and values only."),
    flag(&["transaction-log-decoder"], Takes::Nothing, "Read the payload as transactions; not there yet."),
    flag(&["verify-index-only"], Takes::Nothing, "Taken without effect."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    if flags.count(&["cluster-metadata-decoder", "offsets-decoder", "transaction-log-decoder"]) > 0 {
        return Err(Failure::Error("this decoder is not there yet: --print-data-log shows the bytes".to_owned()));
    }
    for file in flags.need("files")?.split(',') {
        dump(file, &flags, out)?;
    }
    Ok(())
}

fn dump(file: &str, flags: &Flags, out: &mut Output) -> Done {
    out.line(format!("Dumping {file}"));
    let path = Path::new(file);
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !matches!(ending, "log" | "checkpoint" | "index" | "timeindex") {
        out.flush();
        eprintln!("Ignoring unknown file {file}");
        return Ok(());
    }
    let bytes = fs::read(path).map_err(|error| Failure::Error(format!("{file} cannot be read: {error}")))?;
    match ending {
        "index" => pairs(
            &bytes,
            8,
            |entry| format!("offset: {} position: {}", base(path) + number(entry, 0, 4), number(entry, 4, 8)),
            out,
        ),
        "timeindex" => {
            pairs(
                &bytes,
                12,
                |entry| format!("timestamp: {} offset: {}", number(entry, 0, 8), base(path) + number(entry, 8, 12)),
                out,
            );
        }
        _ => dump_log(path, &bytes, flags, out),
    }
    Ok(())
}

/// The base offset in a segment file's name.
fn base(path: &Path) -> i64 {
    path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

fn number(entry: &[u8], from: usize, to: usize) -> i64 {
    entry[from..to].iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// Entries of an index: those behind the last one that was written are zeros, except that the first may be.
fn pairs(bytes: &[u8], size: usize, line: impl Fn(&[u8]) -> String, out: &mut Output) {
    for (index, entry) in bytes.chunks_exact(size).enumerate() {
        if index > 0 && entry.iter().all(|byte| *byte == 0) {
            break;
        }
        out.line(line(entry));
    }
}

fn dump_log(path: &Path, bytes: &[u8], flags: &Flags, out: &mut Output) {
    out.line(format!("Log starting offset: {}", base(path)));
    let limit = flags.value("max-bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX);
    let deep = flags.count(&["deep-iteration", "print-data-log", "skip-record-metadata"]) > 0;
    let mut position = 0;
    while position < bytes.len() && position < limit {
        let Some(batch) =
            Header::read(&bytes[position..]).ok().and_then(|header| bytes[position..].get(..header.size()))
        else {
            out.line(format!("Found {} invalid bytes at the end of {}", bytes.len() - position, path.display()));
            return;
        };
        let header = Header::read(batch).expect("it was read a moment ago");
        if flags.has("skip-record-metadata") {
            records(batch, flags, out);
        } else {
            out.line(summary(&header, batch, position));
            if deep {
                records(batch, flags, out);
            }
        }
        position += header.size();
    }
}

fn summary(header: &Header, batch: &[u8], position: usize) -> String {
    let horizon =
        header.delete_horizon().map_or_else(|| "OptionalLong.empty".to_owned(), |at| format!("OptionalLong[{at}]"));
    let time = if header.is_log_append_time() { "LogAppendTime" } else { "CreateTime" };
    format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon} position: {position} {time}: {} size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
        header.base_offset,
        header.last_offset(),
        header.count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.leader_epoch,
        header.is_transactional(),
        header.is_control(),
        header.max_timestamp,
        header.size(),
        header.magic,
        codec(header),
        header.crc,
        checksum_matches(batch),
    )
}

fn codec(header: &Header) -> &'static str {
    match header.try_compression() {
        Some(Compression::None) => "none",
        Some(Compression::Gzip) => "gzip",
        Some(Compression::Snappy) => "snappy",
        Some(Compression::Lz4) => "lz4",
        Some(Compression::Zstd) => "zstd",
        None => "unknown",
    }
}

fn records(batch: &[u8], flags: &Flags, out: &mut Output) {
    let opened = match open(batch, &DecompressLimits::default()) {
        Ok(opened) => opened,
        Err(why) => return out.line(format!("| the records cannot be read: {why}")),
    };
    let header = opened.header();
    for record in opened.records() {
        match record {
            Ok(record) => out.line(line(header, &record, flags)),
            Err(why) => out.line(format!("| the records cannot be read: {why}")),
        }
    }
}

fn line(header: &Header, record: &Record<'_>, flags: &Flags) -> String {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    let mut line = String::from("|");
    if !flags.has("skip-record-metadata") {
        let time = if header.is_log_append_time() { "LogAppendTime" } else { "CreateTime" };
        let keys: Vec<String> = record.headers.map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
        line += &format!(
            " offset: {} {time}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [{}]",
            record.offset,
            record.timestamp,
            size(record.key),
            size(record.value),
            record.sequence,
            keys.join(",")
        );
    }
    if header.is_control() {
        return line + &control(record);
    }
    if flags.count(&["print-data-log", "skip-record-metadata"]) > 0 {
        for (name, bytes) in [("key", record.key), ("payload", record.value)] {
            if let Some(bytes) = bytes {
                line += &format!(" {name}: {}", String::from_utf8_lossy(bytes));
            }
        }
    }
    line
}

fn control(record: &Record<'_>) -> String {
    match ControlKind::parse(record.key) {
        Ok(kind @ (ControlKind::Abort | ControlKind::Commit)) => {
            let name = if kind == ControlKind::Abort { "ABORT" } else { "COMMIT" };
            let epoch = record.value.and_then(|value| value.get(2..6)).map_or(-1, |epoch| number(epoch, 0, 4));
            format!(" endTxnMarker: {name} coordinatorEpoch: {epoch}")
        }
        Ok(kind) => format!(" controlType: {kind:?}"),
        Err(why) => format!(" control record that cannot be read: {why}"),
    }
}
