//! How plain values, lists and maps are read and written.

use super::{FromJson, JsonError, JsonProblem, JsonReader, JsonWriter, ToJson};
use crate::message::MessageQueue;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

macro_rules! integers {
    ($($type:ty: $fits:literal),*) => {$(
        impl FromJson for $type {
            fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
                if reader.null() { Ok(0) } else { reader.number($fits) }
            }
        }

        impl ToJson for $type {
            fn to_json(&self, writer: &mut JsonWriter) {
                writer.int(*self);
            }
        }

        impl JsonKey for $type {
            fn read_key(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
                reader.number($fits)
            }

            fn write_key(&self, writer: &mut JsonWriter) {
                writer.int_key(*self);
            }
        }
    )*};
}

integers!(i32: "32 bits", i64: "64 bits");

impl FromJson for f64 {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        if reader.null() {
            return Ok(0.0);
        }
        let number: Self = reader.number("a double")?;
        if number.is_finite() { Ok(number) } else { Err(reader.error(JsonProblem::Number("a double"))) }
    }
}

/// JSON has no infinities and no NaN; they become null.
impl ToJson for f64 {
    fn to_json(&self, writer: &mut JsonWriter) {
        if self.is_finite() { writer.raw(&format!("{self:?}")) } else { writer.raw("null") }
    }
}

impl FromJson for bool {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        if reader.null() {
            return Ok(false);
        }
        let text = reader.text()?;
        if text.eq_ignore_ascii_case("true") || text == "1" {
            Ok(true)
        } else if text.eq_ignore_ascii_case("false") || text == "0" || text.is_empty() {
            Ok(false)
        } else {
            Err(reader.error(JsonProblem::Expected("true or false")))
        }
    }
}

impl ToJson for bool {
    fn to_json(&self, writer: &mut JsonWriter) {
        writer.raw(if *self { "true" } else { "false" });
    }
}

impl FromJson for Arc<str> {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        if reader.null() {
            return Ok(Self::default());
        }
        let text = reader.text()?;
        reader.charge(text.len())?;
        Ok(Self::from(&*text))
    }
}

impl ToJson for Arc<str> {
    fn to_json(&self, writer: &mut JsonWriter) {
        writer.text(self);
    }
}

impl FromJson for String {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        if reader.null() {
            return Ok(Self::new());
        }
        let text = reader.text()?;
        reader.charge(text.len())?;
        Ok(text.into_owned())
    }
}

impl ToJson for String {
    fn to_json(&self, writer: &mut JsonWriter) {
        writer.text(self);
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        if reader.null() { Ok(None) } else { T::from_json(reader).map(Some) }
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self, writer: &mut JsonWriter) {
        match self {
            Some(value) => value.to_json(writer),
            None => writer.raw("null"),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        let mut items = Self::new();
        reader.array(|reader| {
            reader.charge(size_of::<T>())?;
            items.push(T::from_json(reader)?);
            Ok(())
        })?;
        Ok(items)
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self, writer: &mut JsonWriter) {
        writer.array(|writer| self.iter().for_each(|item| writer.item(item)));
    }
}

impl<T: FromJson + Ord> FromJson for BTreeSet<T> {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        let mut items = Self::new();
        reader.array(|reader| {
            reader.charge(size_of::<T>())?;
            items.insert(T::from_json(reader)?);
            Ok(())
        })?;
        Ok(items)
    }
}

impl<T: ToJson> ToJson for BTreeSet<T> {
    fn to_json(&self, writer: &mut JsonWriter) {
        writer.array(|writer| self.iter().for_each(|item| writer.item(item)));
    }
}

/// What can be the key of a map.
pub(crate) trait JsonKey: Ord + Sized {
    fn read_key(reader: &mut JsonReader<'_>) -> Result<Self, JsonError>;

    fn write_key(&self, writer: &mut JsonWriter);
}

impl JsonKey for Arc<str> {
    fn read_key(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        let text = reader.text()?;
        reader.charge(text.len())?;
        Ok(Self::from(&*text))
    }

    fn write_key(&self, writer: &mut JsonWriter) {
        writer.text(self);
    }
}

/// Java writes a queue as a whole object where a key stands, and reads nothing else there.
impl JsonKey for MessageQueue {
    fn read_key(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        Self::from_json(reader)
    }

    fn write_key(&self, writer: &mut JsonWriter) {
        self.to_json(writer);
    }
}

impl<K: JsonKey, V: FromJson> FromJson for BTreeMap<K, V> {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        let mut map = Self::new();
        reader.entries(|reader| {
            reader.charge(size_of::<K>() + size_of::<V>())?;
            let key = K::read_key(reader)?;
            reader.colon()?;
            map.insert(key, V::from_json(reader)?);
            Ok(())
        })?;
        Ok(map)
    }
}

impl<K: JsonKey, V: ToJson> ToJson for BTreeMap<K, V> {
    fn to_json(&self, writer: &mut JsonWriter) {
        writer.object(|writer| {
            for (key, value) in self {
                writer.entry(|writer| key.write_key(writer), value);
            }
        });
    }
}

impl Default for MessageQueue {
    fn default() -> Self {
        Self::new("", "", 0)
    }
}

impl FromJson for MessageQueue {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        let mut queue = Self::default();
        reader.object(|reader, key| {
            match key {
                "topic" => queue.topic = FromJson::from_json(reader)?,
                "brokerName" => queue.broker_name = FromJson::from_json(reader)?,
                "queueId" => queue.queue_id = FromJson::from_json(reader)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(queue)
    }
}

impl ToJson for MessageQueue {
    fn to_json(&self, writer: &mut JsonWriter) {
        writer.object(|writer| {
            writer.field("brokerName", &self.broker_name);
            writer.field("queueId", &self.queue_id);
            writer.field("topic", &self.topic);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn read<T: FromJson>(text: &str) -> Result<T, JsonProblem> {
        JsonReader::whole(text.as_bytes()).map_err(|error| error.problem)
    }

    #[test]
    fn fastjson_keys_are_read() {
        let queue = MessageQueue::new("T", "b", 1);
        let object = r#"{{"topic":"T","brokerName":"b","queueId":1}:7}"#;
        assert_eq!(read(object), Ok(BTreeMap::from([(queue, 7_i64)])));
        assert_eq!(read("{0:1,\"-2\":3, '4' : 5}"), Ok(BTreeMap::from([(0_i64, 1), (-2, 3), (4, 5)])));
    }

    #[test]
    fn numbers_and_booleans_are_read_in_any_dress() {
        assert_eq!(read(r#"["1",2,'3',null]"#), Ok(vec![1_i32, 2, 3, 0]));
        assert_eq!(read(r#"["true",false,1,"0",null]"#), Ok(vec![true, false, true, false, false]));
        assert_eq!(read::<i64>("9007199254740993"), Ok(9_007_199_254_740_993));
    }

    #[test]
    fn numbers_that_do_not_fit_are_errors() {
        for text in ["1099511627776", "1e400", "\"abc\"", "1.5", "{}", ""] {
            assert!(read::<i32>(text).is_err(), "{text}");
        }
        assert_eq!(read::<f64>("1e400"), Err(JsonProblem::Number("a double")));
    }

    #[test]
    fn a_text_can_not_take_many_times_its_length() {
        let small = format!("[{}]", vec!["\"\""; 1_000].join(","));
        assert_eq!(read::<Vec<MessageQueue>>(&small.replace("\"\"", "{}")).map(|all| all.len()), Ok(1_000));
        let bomb = format!("[{}]", vec!["{}"; 100_000].join(","));
        assert_eq!(read::<Vec<MessageQueue>>(&bomb), Err(JsonProblem::Memory));
    }

    #[test]
    fn broken_texts_are_errors() {
        for text in ["[1", "[1 2]", "[1}", "{\"a\"}", "{\"a\":}", "[1]x", "nul", "[,]", "{:1}"] {
            assert!(
                read::<Vec<i32>>(text).is_err() && read::<BTreeMap<Arc<str>, i32>>(text).is_err(),
                "{text}"
            );
        }
        let deep = format!("{{\"x\":{}", "[".repeat(200_000));
        assert_eq!(read::<MessageQueue>(&deep), Err(JsonProblem::Depth));
        assert_eq!(
            JsonReader::whole::<i32>(b"\"\xff\"").map_err(|error| error.problem),
            Err(JsonProblem::Utf8)
        );
    }
}
