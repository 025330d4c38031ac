//! JSON as Java's brokers write it, read without knowing what it means: bare numbers and whole objects as keys.

use std::collections::BTreeMap;

/// A value. Numbers stay text, so that `1` and `1.0` differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// A number, `true`, `false` or `null`.
    Bare(String),
    Text(String),
    List(Vec<Json>),
    /// A bare number as key is written `#1`, an object as key is written as its text.
    Map(BTreeMap<String, Json>),
}

/// Reads a whole text; the error says what stands where it ends to make sense.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    let mut reader = Reader { rest: text };
    let value = reader.value()?;
    reader.blanks();
    match reader.rest {
        "" => Ok(value),
        rest => Err(format!("text after the value: {}", excerpt(rest))),
    }
}

/// The members of an object in the order in which they are written.
pub(crate) fn members(text: &str) -> Result<Vec<(String, Json)>, String> {
    let mut reader = Reader { rest: text };
    let members = reader.members()?;
    reader.blanks();
    match reader.rest {
        "" => Ok(members),
        rest => Err(format!("text after the object: {}", excerpt(rest))),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(30).collect()
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, mark: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, mark: char) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(format!("no {mark:?} at {}", excerpt(self.rest))) }
    }

    fn value(&mut self) -> Result<Json, String> {
        self.blanks();
        match self.rest.chars().next() {
            Some('{') => self.map(),
            Some('[') => self.list(),
            Some('"') => self.text().map(Json::Text),
            _ => self.bare().map(Json::Bare),
        }
    }

    fn bare(&mut self) -> Result<String, String> {
        let end = self.rest.find([',', ':', '}', ']', ' ', '\n']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let number = word.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if !number && !["true", "false", "null"].contains(&word) {
            return Err(format!("no value at {}", excerpt(self.rest)));
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    fn list(&mut self) -> Result<Json, String> {
        self.need('[')?;
        let mut values = Vec::new();
        while !self.take(']') {
            if !values.is_empty() {
                self.need(',')?;
            }
            values.push(self.value()?);
        }
        Ok(Json::List(values))
    }

    fn map(&mut self) -> Result<Json, String> {
        let mut values = BTreeMap::new();
        for (key, value) in self.members()? {
            if values.insert(key.clone(), value).is_some() {
                return Err(format!("the key {key} comes twice"));
            }
        }
        Ok(Json::Map(values))
    }

    fn members(&mut self) -> Result<Vec<(String, Json)>, String> {
        self.need('{')?;
        let mut values = Vec::new();
        while !self.take('}') {
            if !values.is_empty() {
                self.need(',')?;
            }
            let key = match self.value()? {
                Json::Text(key) => key,
                Json::Bare(key) => format!("#{key}"),
                key => show(&key),
            };
            self.need(':')?;
            let value = self.value()?;
            values.push((key, value));
        }
        Ok(values)
    }

    fn text(&mut self) -> Result<String, String> {
        self.need('"')?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, next)) = chars.next() {
            match next {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next().map(|(_, escaped)| escaped) {
                    Some('u') => {
                        let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                        let code = u32::from_str_radix(&digits, 16).map_err(|_| format!("\\u{digits}"))?;
                        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(other) => text.push(other),
                    None => break,
                },
                other => text.push(other),
            }
        }
        Err("a text without an end".to_owned())
    }
}

/// A value as text, keys in order.
pub(crate) fn show(value: &Json) -> String {
    match value {
        Json::Bare(word) => word.clone(),
        Json::Text(text) => format!("{text:?}"),
        Json::List(values) => format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(",")),
        Json::Map(values) => {
            let pair = |(key, value): (&String, &Json)| format!("{key}:{}", show(value));
            format!("{{{}}}", values.iter().map(pair).collect::<Vec<_>>().join(","))
        }
    }
}
