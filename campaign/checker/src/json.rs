//! Reads histories: a small parser of the lines that `history` describes, fast because it builds nothing that is not kept.
//! Names may come in any order, and unknown ones are passed over.

use std::collections::HashMap;
use std::io::BufRead;

use crate::history::{Event, Function, History, KEYS, Key, Operation, Outcome};

/// Reads lines to their end. An invocation that nothing follows becomes an operation of unknown outcome; the error names the
/// line.
pub fn read(input: &mut dyn BufRead, history: &mut History) -> Result<(), String> {
    let mut line = Vec::new();
    let mut pending: HashMap<u32, Operation> = HashMap::new();
    for number in 1.. {
        line.clear();
        let len = input.read_until(b'\n', &mut line).map_err(|error| format!("line {number}: {error}"))?;
        if len == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (operation, is_invocation) = parse_line(&line).map_err(|error| format!("line {number}: {error}"))?;
        if is_invocation {
            pending.insert(operation.process, operation);
        } else {
            pending.remove(&operation.process);
            history.push(&operation);
        }
    }
    let mut left: Vec<Operation> = pending.into_values().collect();
    left.sort_by_key(|operation| operation.process);
    left.iter().for_each(|operation| history.push(operation));
    Ok(())
}

/// One line, and whether it is an invocation.
pub fn parse_line(line: &[u8]) -> Result<(Operation, bool), String> {
    let mut scanner = Scanner { bytes: line, at: 0 };
    let mut operation = Operation::new(0, Outcome::Info, Function::Poll, Vec::new());
    let (mut is_invocation, mut has_process, mut has_type, mut has_function) = (false, false, false, false);
    scanner.object(|scanner, name| {
        match name {
            b"process" => (operation.process, has_process) = (scanner.key()?, true),
            b"time" => operation.time = scanner.number()?.unsigned_abs(),
            b"type" => {
                has_type = true;
                (operation.outcome, is_invocation) = match scanner.string()? {
                    b"invoke" => (Outcome::Info, true),
                    b"ok" => (Outcome::Ok, false),
                    b"fail" => (Outcome::Fail, false),
                    b"info" => (Outcome::Info, false),
                    other => return Err(format!("type {} is none of invoke, ok, fail, info", show(other))),
                };
            }
            b"f" => (operation.function, has_function) = (function(scanner.string()?)?, true),
            b"value" => scanner.array(|scanner| micro_operation(scanner, &mut operation.events))?,
            b"keys" => scanner.array(|scanner| Ok(operation.keys.push(scanner.key()?)))?,
            b"rebalanced" => scanner.array(|scanner| Ok(operation.rebalanced.push(scanner.key()?)))?,
            _ => scanner.skip()?,
        }
        Ok(())
    })?;
    if has_process && has_type && has_function {
        Ok((operation, is_invocation))
    } else {
        Err("it lacks one of process, type and f".into())
    }
}

fn function(name: &[u8]) -> Result<Function, String> {
    Ok(match name {
        b"send" => Function::Send,
        b"poll" => Function::Poll,
        b"txn" => Function::Txn,
        b"assign" => Function::Assign,
        b"subscribe" => Function::Subscribe,
        b"crash" => Function::Crash,
        other => return Err(format!("f {} is no function", show(other))),
    })
}

/// `["send", key, value, offset?]` or `["poll", {"key": [[offset, value]…]}]`.
fn micro_operation(scanner: &mut Scanner<'_>, events: &mut Vec<Event>) -> Result<(), String> {
    scanner.expect(b'[')?;
    match scanner.string()? {
        b"send" => {
            scanner.expect(b',')?;
            let key = scanner.key()?;
            scanner.expect(b',')?;
            let value = scanner.value()?;
            let offset = if scanner.accept(b',') { Some(scanner.number()?) } else { None };
            events.push(Event::send(key, value, offset));
        }
        b"poll" => {
            if scanner.accept(b',') {
                scanner.object(|scanner, name| polled(scanner, name, events))?;
            }
        }
        other => return Err(format!("{} is no micro-operation", show(other))),
    }
    scanner.expect(b']')
}

fn polled(scanner: &mut Scanner<'_>, key: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
    let key = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok()).filter(|key| *key < KEYS);
    let key: Key = key.ok_or("a key is no number")?;
    scanner.array(|scanner| {
        scanner.expect(b'[')?;
        let offset = scanner.number()?;
        scanner.expect(b',')?;
        events.push(Event::poll(key, scanner.value()?, offset));
        scanner.expect(b']')
    })
}

fn show(bytes: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(bytes))
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn blank(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.blank();
        let is_there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.accept(byte) { Ok(()) } else { Err(format!("`{}` is missing at byte {}", char::from(byte), self.at)) }
    }

    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Result<(), String>) -> Result<(), String> {
        self.expect(b'{')?;
        if self.accept(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            member(self, name)?;
            if !self.accept(b',') {
                return self.expect(b'}');
            }
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.expect(b'[')?;
        if self.accept(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.accept(b',') {
                return self.expect(b']');
            }
        }
    }

    /// The text of a string as it stands; escapes are left alone, since no name has any.
    fn string(&mut self) -> Result<&'a [u8], String> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err("a string has no end".into()),
            }
        }
        self.at += 1;
        Ok(&self.bytes[start..self.at - 1])
    }

    fn number(&mut self) -> Result<i64, String> {
        let is_negative = self.accept(b'-');
        let magnitude = i64::try_from(self.value()?).map_err(|_| "a number is too large")?;
        Ok(if is_negative { -magnitude } else { magnitude })
    }

    fn value(&mut self) -> Result<u64, String> {
        self.blank();
        let start = self.at;
        let mut number = 0u64;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            let next = number.checked_mul(10).and_then(|number| number.checked_add(u64::from(digit - b'0')));
            number = next.ok_or("a number is too large")?;
            self.at += 1;
        }
        if self.at > start { Ok(number) } else { Err(format!("a number is missing at byte {start}")) }
    }

    fn key(&mut self) -> Result<Key, String> {
        let key = u32::try_from(self.value()?).ok().filter(|key| *key < KEYS);
        key.ok_or_else(|| "a number is too large".into())
    }

    /// Passes over a value of any kind.
    fn skip(&mut self) -> Result<(), String> {
        self.blank();
        match self.bytes.get(self.at) {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(|scanner, _| scanner.skip()),
            Some(b'[') => self.array(Self::skip),
            Some(_) => {
                let rest = &self.bytes[self.at..];
                self.at += rest.iter().position(|byte| b",]}\n".contains(byte)).unwrap_or(rest.len());
                Ok(())
            }
            None => Err("a value is missing".into()),
        }
    }
}
