//! Lines that become records: what `kafka-console-producer` reads, with Kafka's reader properties.
//!
//! ```text
//! parse.headers   h1:v1,h2:v2 <headers.delimiter> rest
//! parse.key       key <key.separator> value
//! ```

use crate::client::{Header, Outgoing, Properties};

pub struct LineReader {
    topic: String,
    parse_key: bool,
    parse_headers: bool,
    ignore_error: bool,
    key_separator: Vec<u8>,
    headers_delimiter: Vec<u8>,
    headers_separator: Vec<u8>,
    header_key_separator: Vec<u8>,
    null_marker: Option<Vec<u8>>,
    line_number: u64,
}

impl LineReader {
    pub fn new(topic: &str, properties: &Properties) -> LineReader {
        let text = |name: &str, default: &str| properties.raw(name).unwrap_or(default).as_bytes().to_vec();
        LineReader {
            topic: topic.to_owned(),
            parse_key: properties.is("parse.key", "true"),
            parse_headers: properties.is("parse.headers", "true"),
            ignore_error: properties.is("ignore.error", "true"),
            key_separator: text("key.separator", "\t"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            header_key_separator: text("headers.key.separator", ":"),
            null_marker: properties.raw("null.marker").map(|marker| marker.as_bytes().to_vec()),
            line_number: 0,
        }
    }

    /// Turns one line, without its end, into a record.
    pub fn record(&mut self, line: &[u8], timestamp_ms: i64) -> Result<Outgoing, String> {
        self.line_number += 1;
        let mut record = Outgoing { topic: self.topic.clone(), timestamp_ms, ..Outgoing::default() };
        let mut rest = line;
        if self.parse_headers {
            let (headers, behind) = self.split(rest, &self.headers_delimiter, "headers delimiter", line)?;
            if let Some(headers) = headers {
                record.headers = self.headers(headers, line)?;
            }
            rest = behind;
        }
        if self.parse_key {
            let (key, behind) = self.split(rest, &self.key_separator, "key separator", line)?;
            record.key = key.and_then(|key| self.unless_null(key));
            rest = behind;
        }
        record.value = self.unless_null(rest);
        Ok(record)
    }

    fn headers(&self, text: &[u8], line: &[u8]) -> Result<Vec<Header>, String> {
        if self.null_marker.as_deref() == Some(text) {
            return Ok(Vec::new());
        }
        let mut headers = Vec::new();
        let mut rest = Some(text);
        while let Some(pairs) = rest {
            let (pair, behind) = match find(pairs, &self.headers_separator) {
                Some(at) => (&pairs[..at], Some(&pairs[at + self.headers_separator.len()..])),
                None => (pairs, None),
            };
            rest = behind;
            let (key, value) = self.split(pair, &self.header_key_separator, "header key separator", line)?;
            match key {
                Some(key) => headers.push((key.to_vec(), self.unless_null(value))),
                None => headers.push((value.to_vec(), None)),
            }
        }
        Ok(headers)
    }

    /// What stands before and behind a separator; a line without one is an error, unless errors are to be ignored.
    fn split<'a>(
        &self,
        text: &'a [u8],
        separator: &[u8],
        what: &str,
        line: &[u8],
    ) -> Result<(Option<&'a [u8]>, &'a [u8]), String> {
        match find(text, separator) {
            Some(at) => Ok((Some(&text[..at]), &text[at + separator.len()..])),
            None if self.ignore_error => Ok((None, text)),
            None => {
                let line = String::from_utf8_lossy(line);
                Err(format!("No {what} found on line number {}: '{line}'", self.line_number))
            }
        }
    }

    fn unless_null(&self, text: &[u8]) -> Option<Vec<u8>> {
        (self.null_marker.as_deref() != Some(text)).then(|| text.to_vec())
    }
}

fn find(text: &[u8], separator: &[u8]) -> Option<usize> {
    if separator.is_empty() {
        return None;
    }
    text.windows(separator.len()).position(|window| window == separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(properties: &[&str], line: &str) -> Result<Outgoing, String> {
        let mut set = Properties::default();
        properties.iter().for_each(|pair| set.set_pair(pair));
        LineReader::new("t", &set).record(line.as_bytes(), 0)
    }

    #[test]
    fn a_line_is_a_value_unless_told_otherwise() {
        let record = read(&[], "a\tb").unwrap();
        assert_eq!((record.key, record.value.as_deref()), (None, Some(&b"a\tb"[..])));
        let record = read(&["parse.key=true", "key.separator=:"], "k:v:w").unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"v:w"[..])));
    }

    #[test]
    fn headers_and_the_null_marker() {
        let properties = ["parse.headers=true", "parse.key=true", "null.marker=NULL"];
        let record = read(&properties, "a:1,b:NULL\tNULL\tNULL").unwrap();
        assert_eq!(record.headers, [(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None)]);
        assert_eq!((record.key, record.value), (None, None));
    }

    #[test]
    fn a_line_without_a_key_is_named_or_let_through() {
        let error = read(&["parse.key=true"], "nokey").unwrap_err();
        assert_eq!(error, "No key separator found on line number 1: 'nokey'");
        let record = read(&["parse.key=true", "ignore.error=true"], "nokey").unwrap();
        assert_eq!((record.key, record.value.as_deref()), (None, Some(&b"nokey"[..])));
    }
}
