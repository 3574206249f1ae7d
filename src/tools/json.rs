//! As much JSON as the tools read and write: the files that name partitions, and lines for other programs.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    /// In the order of the text.
    Object(Vec<(String, Value)>),
}

impl Value {
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Number(number) if number.fract() == 0.0 => Some(*number as i64),
            _ => None,
        }
    }
}

/// Reads one value and nothing behind it.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text.chars().peekable(), depth: 0 };
    let value = parser.value()?;
    parser.blanks();
    match parser.rest.next() {
        None => Ok(value),
        Some(more) => Err(format!("'{more}' behind the end of the JSON text")),
    }
}

/// A string with its quotes.
pub fn text(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if u32::from(control) < 32 => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    depth: u32,
}

/// Deeper texts are nothing that the tools read.
const DEEPEST: u32 = 64;

impl Parser<'_> {
    fn blanks(&mut self) {
        while self.rest.next_if(|letter| letter.is_whitespace()).is_some() {}
    }

    fn value(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the JSON text is too deep".to_owned());
        }
        self.blanks();
        let value = match self.rest.peek() {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"') => self.string().map(Value::Text),
            Some('t') => self.word("true", Value::Bool(true)),
            Some('f') => self.word("false", Value::Bool(false)),
            Some('n') => self.word("null", Value::Null),
            Some(_) => self.number(),
            None => Err("the JSON text ends too early".to_owned()),
        };
        self.depth -= 1;
        value
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        self.blanks();
        match self.rest.next() {
            Some(found) if found == wanted => Ok(()),
            Some(found) => Err(format!("'{found}' where '{wanted}' is expected")),
            None => Err(format!("the JSON text ends where '{wanted}' is expected")),
        }
    }

    /// True when the next thing is `letter`, which is then taken.
    fn has(&mut self, letter: char) -> bool {
        self.blanks();
        self.rest.next_if_eq(&letter).is_some()
    }

    fn object(&mut self) -> Result<Value, String> {
        self.expect('{')?;
        let mut fields = Vec::new();
        if self.has('}') {
            return Ok(Value::Object(fields));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.expect(':')?;
            fields.push((name, self.value()?));
            if !self.has(',') {
                self.expect('}')?;
                return Ok(Value::Object(fields));
            }
        }
    }

    fn array(&mut self) -> Result<Value, String> {
        self.expect('[')?;
        let mut values = Vec::new();
        if self.has(']') {
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value()?);
            if !self.has(',') {
                self.expect(']')?;
                return Ok(Value::List(values));
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some(letter) => text.push(letter),
                None => return Err("a JSON string does not end".to_owned()),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, String> {
        Ok(match self.rest.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let digits: String = self.rest.by_ref().take(4).collect();
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
            }
            Some(other) => other,
            None => return Err("a JSON string does not end".to_owned()),
        })
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        let found: String = self.rest.by_ref().take(word.len()).collect();
        if found == word { Ok(value) } else { Err(format!("'{found}' in the JSON text")) }
    }

    fn number(&mut self) -> Result<Value, String> {
        let mut digits = String::new();
        while let Some(letter) = self.rest.next_if(|letter| letter.is_ascii_digit() || "+-.eE".contains(*letter)) {
            digits.push(letter);
        }
        digits.parse().map(Value::Number).map_err(|_| format!("'{digits}' is no JSON number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_are_given_is_read() {
        let value = parse(r#" {"partitions": [{"topic":"a\u0041","partition":0,"offset":-1}], "version":1} "#).unwrap();
        let first = &value.get("partitions").unwrap().list().unwrap()[0];
        assert_eq!(first.get("topic").unwrap().text(), Some("aA"));
        assert_eq!(first.get("offset").unwrap().integer(), Some(-1));
        assert_eq!(parse("[]").unwrap(), Value::List(vec![]));
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        for bad in ["", "{", "[1,", "{\"a\" 1}", "nul", "\"", "1 2", "{a:1}", &"[".repeat(1000)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strings_are_quoted() {
        assert_eq!(text("a\"\\\n\u{1}"), r#""a\"\\\n\u0001""#);
    }
}
