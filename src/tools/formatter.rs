//! Records as lines: what `kafka-console-consumer` prints, with Kafka's formatter properties and its deserializers.

use crate::client::{Fetched, Properties};
use crate::types::Timestamp;

/// A choice of columns and how each is written.
pub struct Formatter {
    print_timestamp: bool,
    print_partition: bool,
    print_offset: bool,
    print_epoch: bool,
    print_headers: bool,
    print_key: bool,
    print_value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key: Deserializer,
    value: Deserializer,
    headers: Deserializer,
    /// `NoOpMessageFormatter`.
    silent: bool,
}

impl Formatter {
    /// `class` is what `--formatter` names.
    pub fn new(class: Option<&str>, properties: &Properties) -> Result<Formatter, String> {
        let silent = match class.map(|class| class.rsplit('.').next().unwrap_or(class)) {
            None | Some("DefaultMessageFormatter" | "LoggingMessageFormatter") => false,
            Some("NoOpMessageFormatter") => true,
            Some(_) => return Err(format!("the formatter {} is not there yet", class.unwrap_or_default())),
        };
        let text = |name: &str, default: &str| properties.raw(name).unwrap_or(default).as_bytes().to_vec();
        let yes = |name: &str| properties.is(name, "true");
        let deserializer = |name: &str| properties.get(name).map_or(Ok(Deserializer::Bytes), Deserializer::named);
        Ok(Formatter {
            print_timestamp: yes("print.timestamp"),
            print_partition: yes("print.partition"),
            print_offset: yes("print.offset"),
            print_epoch: yes("print.epoch"),
            print_headers: yes("print.headers"),
            print_key: yes("print.key"),
            print_value: properties.get("print.value").is_none_or(|value| value.eq_ignore_ascii_case("true")),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key: deserializer("key.deserializer")?,
            value: deserializer("value.deserializer")?,
            headers: deserializer("headers.deserializer")?,
            silent,
        })
    }

    pub fn format(&self, fetched: &Fetched<'_>, line: &mut Vec<u8>) -> Result<(), String> {
        if self.silent {
            return Ok(());
        }
        let record = &fetched.record;
        let mut columns: Vec<Vec<u8>> = Vec::new();
        if self.print_timestamp {
            columns.push(timestamp(fetched.is_log_append_time, record.timestamp).into_bytes());
        }
        if self.print_partition {
            columns.push(format!("Partition:{}", fetched.partition).into_bytes());
        }
        if self.print_offset {
            columns.push(format!("Offset:{}", record.offset).into_bytes());
        }
        if self.print_epoch {
            columns.push(format!("Epoch:{}", fetched.leader_epoch).into_bytes());
        }
        if self.print_headers {
            columns.push(self.headers(fetched)?);
        }
        if self.print_key {
            columns.push(self.text(self.key, record.key)?);
        }
        if self.print_value {
            columns.push(self.text(self.value, record.value)?);
        }
        line.extend(columns.join(&self.key_separator[..]));
        line.extend_from_slice(&self.line_separator);
        Ok(())
    }

    fn headers(&self, fetched: &Fetched<'_>) -> Result<Vec<u8>, String> {
        let mut pairs = Vec::new();
        for (key, value) in fetched.record.headers {
            pairs.push([key, b":", &self.text(self.headers, value)?].concat());
        }
        Ok(if pairs.is_empty() { b"NO_HEADERS".to_vec() } else { pairs.join(&self.headers_separator[..]) })
    }

    fn text(&self, deserializer: Deserializer, bytes: Option<&[u8]>) -> Result<Vec<u8>, String> {
        bytes.map_or_else(|| Ok(self.null_literal.clone()), |bytes| deserializer.text(bytes))
    }
}

fn timestamp(is_log_append_time: bool, timestamp: Timestamp) -> String {
    match (timestamp, is_log_append_time) {
        (Timestamp(-1), _) => "NO_TIMESTAMP".to_owned(),
        (timestamp, true) => format!("LogAppendTime:{timestamp}"),
        (timestamp, false) => format!("CreateTime:{timestamp}"),
    }
}

/// The deserializers of `org.apache.kafka.common.serialization` whose results are worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    /// String, ByteArray, ByteBuffer: the bytes as they are.
    Bytes,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Uuid,
    Void,
}

impl Deserializer {
    fn named(class: &str) -> Result<Deserializer, String> {
        let name = class.rsplit('.').next().unwrap_or(class);
        Ok(match name.strip_suffix("Deserializer").unwrap_or(name) {
            "String" | "ByteArray" | "ByteBuffer" | "Bytes" => Deserializer::Bytes,
            "Short" => Deserializer::Short,
            "Integer" => Deserializer::Integer,
            "Long" => Deserializer::Long,
            "Float" => Deserializer::Float,
            "Double" => Deserializer::Double,
            "Boolean" => Deserializer::Boolean,
            "UUID" => Deserializer::Uuid,
            "Void" => Deserializer::Void,
            _ => return Err(format!("the deserializer {class} is not there: no Java classes can be loaded here")),
        })
    }

    fn text(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let text = match self {
            Deserializer::Bytes => return Ok(bytes.to_vec()),
            Deserializer::Short => i16::from_be_bytes(self.exactly(bytes)?).to_string(),
            Deserializer::Integer => i32::from_be_bytes(self.exactly(bytes)?).to_string(),
            Deserializer::Long => i64::from_be_bytes(self.exactly(bytes)?).to_string(),
            Deserializer::Float => format!("{:?}", f32::from_be_bytes(self.exactly(bytes)?)),
            Deserializer::Double => super::java::double(f64::from_be_bytes(self.exactly(bytes)?)),
            Deserializer::Boolean => (self.exactly::<1>(bytes)? != [0]).to_string(),
            Deserializer::Uuid => String::from_utf8_lossy(bytes).into_owned(),
            Deserializer::Void => "null".to_owned(),
        };
        Ok(text.into_bytes())
    }

    fn exactly<const N: usize>(self, bytes: &[u8]) -> Result<[u8; N], String> {
        bytes.try_into().map_err(|_| format!("Size of data received by {self:?}Deserializer is not {N}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deserializers_are_known_by_class_and_read_big_endian() {
        let long = Deserializer::named("org.apache.kafka.common.serialization.LongDeserializer").unwrap();
        assert_eq!(long.text(&7i64.to_be_bytes()).unwrap(), b"7");
        assert_eq!(long.text(b"abc").unwrap_err(), "Size of data received by LongDeserializer is not 8");
        assert!(Deserializer::named("com.example.Avro").is_err());
    }

    #[test]
    fn a_formatter_that_is_not_there_is_named() {
        let properties = Properties::default();
        assert!(Formatter::new(Some("kafka.tools.DefaultMessageFormatter"), &properties).is_ok());
        assert!(Formatter::new(Some("com.example.Mine"), &properties).is_err());
    }
}
