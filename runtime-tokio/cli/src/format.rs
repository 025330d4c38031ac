//! The format strings of `rmq consume`.

use std::fmt::Write;
use std::str::FromStr;

use rocketmq_client_tokio::ReceivedMessage;

/// How to print a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(char),
}

/// The letters behind a percent sign.
const FIELDS: &str = "tqoiTkbs";

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut parts, mut plain, mut chars) = (Vec::new(), String::new(), text.chars());
        while let Some(c) = chars.next() {
            match (c, chars.clone().next()) {
                ('\\', Some('n')) => plain.push('\n'),
                ('\\', Some('t')) => plain.push('\t'),
                ('\\', Some('\\')) => plain.push('\\'),
                ('%', Some('%')) => plain.push('%'),
                ('%', Some(field)) if FIELDS.contains(field) => {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Field(field));
                }
                ('%', other) => {
                    let shown = other.map(String::from).unwrap_or_default();
                    return Err(format!("%{shown} is none of %t %q %o %i %T %k %b %s %%"));
                }
                _ => {
                    plain.push(c);
                    continue;
                }
            }
            chars.next();
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self { parts })
    }
}

impl Format {
    /// The message as the format wants it. Bodies are printed as they are, as text.
    pub(crate) fn print(&self, message: &ReceivedMessage) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(field) => print_field(&mut out, *field, message),
            }
        }
        out
    }
}

fn print_field(out: &mut String, field: char, message: &ReceivedMessage) {
    // Writing to a string never fails.
    let _ = match field {
        't' => write!(out, "{}", message.topic()),
        'q' => write!(out, "{}", message.queue().queue_id),
        'o' => write!(out, "{}", message.queue_offset()),
        'i' => write!(out, "{}", message.message_id()),
        'T' => write!(out, "{}", message.tags().unwrap_or_default()),
        'k' => write!(out, "{}", message.keys().collect::<Vec<_>>().join(" ")),
        's' => write!(out, "{}", message.store_timestamp().map_or(0, |time| time.as_millis())),
        _ => match message.body() {
            Ok(body) => write!(out, "{}", String::from_utf8_lossy(body)),
            Err(error) => write!(out, "({error})"),
        },
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[test]
    fn a_format_is_cut_into_text_and_fields() {
        let format: Format = "%t\\t%o 100%%\\n".parse().expect("a format");
        assert_eq!(format.parts, [Part::Field('t'), text("\t"), Part::Field('o'), text(" 100%\n")]);
        let format: Format = "%b%k\\x".parse().expect("a format");
        assert_eq!(format.parts, [Part::Field('b'), Part::Field('k'), text("\\x")]);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        assert!("%z".parse::<Format>().expect_err("no such field").contains("%z"));
        assert!("100%".parse::<Format>().is_err());
    }
}
