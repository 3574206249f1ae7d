//! Java's `.properties` format, as `server.properties` is written in.
//!
//! One setting a line: a name, then `=`, `:` or blanks, then the value. `#` and `!` begin comments; a line that ends in
//! an odd number of backslashes goes on in the next one, whose leading blanks are dropped; `\t \n \r \f \uXXXX` are
//! characters, any other escaped character is itself. The value keeps its trailing blanks here; types trim them.

/// One setting and the line (from 1) it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub value: String,
    pub line: usize,
}

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub line: usize,
    pub reason: &'static str,
}

/// All settings in the order of the file; a name may come twice, and the last one counts.
pub fn parse(text: &str) -> Result<Vec<Entry>, Malformed> {
    let mut entries = Vec::new();
    // An editor's byte order mark would become part of the first name.
    let mut lines = Lines { rest: text.strip_prefix('\u{feff}').unwrap_or(text), number: 0 };
    while let Some((line, logical)) = lines.next_logical() {
        let malformed = |reason| Malformed { line, reason };
        let (name, value) = split(&logical);
        let name = unescape(name).map_err(malformed)?;
        let value = unescape(value).map_err(malformed)?;
        entries.push(Entry { name, value, line });
    }
    Ok(entries)
}

/// One setting as a line of a file, so that [`parse`] finds the same again.
pub fn line(name: &str, value: &str) -> String {
    format!("{}={}", escape(name, true), escape(value, false))
}

/// Blanks at the beginning of a value would be taken for those around the `=`; in a name any of them would end it.
fn escape(text: &str, is_name: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\u{c}' => escaped.push_str("\\f"),
            ' ' if is_name || index == 0 => escaped.push_str("\\ "),
            '=' | ':' | '#' | '!' if is_name => escaped.extend(['\\', c]),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// The text of a file: UTF-8, or the Latin-1 that Java reads such files as.
pub fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line that says something, with what follows it by continuation, and its number.
    fn next_logical(&mut self) -> Option<(usize, String)> {
        loop {
            let first = self.next_natural()?.trim_start_matches(is_blank);
            let line = self.number;
            if first.is_empty() || first.starts_with(['#', '!']) {
                continue;
            }
            let mut logical = first.to_string();
            while goes_on(&logical) {
                logical.pop();
                match self.next_natural() {
                    Some(more) => logical.push_str(more.trim_start_matches(is_blank)),
                    None => break,
                }
            }
            return Some((line, logical));
        }
    }

    /// The next line as an editor counts them: `\n`, `\r` and `\r\n` end one.
    fn next_natural(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        let ending = if rest.starts_with("\r\n") { 2 } else { rest.len().min(1) };
        self.rest = &rest[ending..];
        Some(line)
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Name and value, still escaped: the name ends at the first blank, `=` or `:` that has no backslash before it.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (is_blank(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        ends
    });
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (name, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    // Java's characters are UTF-16 units, so one beyond the basic plane is written as two escapes.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let character = match c {
            '\\' => match rest.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    units.push(four_digits(rest.as_str()).ok_or("\\u must be followed by four hexadecimal digits")?);
                    rest = rest.as_str()[4..].chars();
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            plain => plain,
        };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

fn four_digits(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    // from_str_radix alone would let a sign through.
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| all_digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|entry| (entry.name, entry.value)).collect()
    }

    fn pair(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_string(), value.to_string())]
    }

    #[test]
    fn a_name_ends_at_equals_colon_or_blank() {
        for line in ["a.b=c d", "a.b:c d", "a.b c d", "a.b = c d", " \ta.b\t:\tc d", "a.b=c\\\n   \\ d"] {
            assert_eq!(read(line), pair("a.b", "c d"), "{line:?}");
        }
        assert_eq!(read("a==b"), pair("a", "=b"));
        assert_eq!(read("a : = b"), pair("a", "= b"));
        assert_eq!(read("listeners=PLAINTEXT://:9092"), pair("listeners", "PLAINTEXT://:9092"));
        assert_eq!(read("a\\=b\\:c\\ d=e"), pair("a=b:c d", "e"));
    }

    #[test]
    fn a_name_alone_has_the_empty_value() {
        assert_eq!(read("a"), pair("a", ""));
        assert_eq!(read("a="), pair("a", ""));
        assert_eq!(read("=b"), pair("", "b"));
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        assert_eq!(read("# a=1\n! b=2\n\n  \t\n   # c=3\nd=4 # not a comment"), pair("d", "4 # not a comment"));
        assert_eq!(read("# never goes on \\\na=1"), pair("a", "1"));
    }

    #[test]
    fn a_line_goes_on_after_an_odd_number_of_backslashes() {
        assert_eq!(read("a=1,\\\n   2,\\\r\n\t3"), pair("a", "1,2,3"));
        assert_eq!(read("a=1\\\\\nb=2"), [pair("a", "1\\"), pair("b", "2")].concat());
        assert_eq!(read("a=1\\\n# part of the value"), pair("a", "1# part of the value"));
        assert_eq!(read("a=1\\"), pair("a", "1"));
    }

    #[test]
    fn escapes_are_characters() {
        assert_eq!(read(r"a=\t\n\r\f\u00e4\uD83D\uDE00\q\\"), pair("a", "\t\n\r\u{c}ä😀q\\"));
        assert_eq!(read("ä=ö"), pair("ä", "ö"));
        assert_eq!(read(r"a=\uD83D"), pair("a", "\u{fffd}"));
    }

    #[test]
    fn a_broken_escape_is_told_with_its_line() {
        for text in [r"\u12", r"\u12g4", r"\u", r"\u+123", "\\u12ä"] {
            let malformed = parse(&format!("# head\n\na=1\\\n2\nb={text}")).unwrap_err();
            assert_eq!(malformed.line, 5, "{text}");
        }
    }

    #[test]
    fn each_entry_knows_its_line() {
        let lines: Vec<_> = parse("a=1\r\n\r\nb=2\\\n3\rc=4").unwrap().into_iter().map(|e| (e.name, e.line)).collect();
        assert_eq!(lines, [("a".to_string(), 1), ("b".to_string(), 3), ("c".to_string(), 5)]);
    }

    #[test]
    fn a_file_that_is_not_utf_8_is_latin_1() {
        assert_eq!(decode(vec![b'a', 0xe4]), "aä");
        assert_eq!(decode("aä".into()), "aä");
        assert_eq!(read("\u{feff}a=1"), pair("a", "1"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn no_text_of_the_formats_own_characters_does(text in "[a\\\\u0dD=: \t\r\n#!ä]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_plain_pair_reads_back(name in "[a-z][a-z.]{0,20}", value in "[a-zA-Z0-9:/,._-]{0,30}") {
            prop_assert_eq!(read(&format!("{name}={value}")), pair(&name, &value));
        }

        #[test]
        fn a_written_line_reads_back(name in "[a-z =:#!\\\\\\n\\t\\f]{1,20}", value in any::<String>()) {
            prop_assert_eq!(read(&(line(&name, &value) + "\n")), pair(&name, &value));
        }
    }
}
