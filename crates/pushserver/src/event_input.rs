//! One event to be published, as JSON carries it: in a batch, and in WebSocket's `publish` command.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pushcore::{ContentType, Data, EventType, IdempotencyKey, Key, LabelError, NewEvent, Topic};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::publish::Entry;

/// What a publisher wrote; its texts are borrowed from the message where they have no escapes
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventInput<'a> {
    #[serde(borrow)]
    topic: Text<'a>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<DataInput<'a>>,
    #[serde(borrow)]
    data_base64: Option<Text<'a>>,
    #[serde(borrow)]
    content_type: Option<Text<'a>>,
    #[serde(borrow)]
    key: Option<Text<'a>>,
    #[serde(default)]
    end: bool,
    #[serde(borrow)]
    idempotency_key: Option<Text<'a>>,
}

impl EventInput<'_> {
    /// What it describes, or what is wrong with it
    ///
    /// `data` that is a string is the text itself; any other JSON value is published as its JSON text.
    pub(crate) fn into_entry(self) -> Result<Entry, String> {
        let topic = Topic::parse(&self.topic.0).map_err(|error| format!("`topic`: {error}"))?;
        let data = match (self.data, self.data_base64) {
            (Some(_), Some(_)) => {
                return Err("`data` and `data_base64` exclude each other; give one".to_owned());
            }
            (Some(DataInput::Text(Cow::Borrowed(text))), None) => Data::from(text),
            (Some(DataInput::Text(Cow::Owned(text))), None) => Data::from(text),
            (Some(DataInput::Json(value)), None) => Data::from(value.to_string()),
            (None, Some(encoded)) => {
                let bytes = BASE64.decode(encoded.0.as_bytes());
                Data::bytes(bytes.map_err(|error| format!("`data_base64`: {error}"))?)
            }
            (None, None) if self.end => return Ok(Entry::End(topic)),
            (None, None) => return Err("`data` or `data_base64` is missing".to_owned()),
        };
        let mut event = NewEvent::new(topic, data);
        event.event_type = label("type", self.event_type, EventType::parse)?;
        event.key = label("key", self.key, Key::parse)?;
        event.content_type = label("content_type", self.content_type, ContentType::parse)?;
        event.idempotency = label(
            "idempotency_key",
            self.idempotency_key,
            IdempotencyKey::parse,
        )?;
        event.end = self.end;
        Ok(Entry::Event(event))
    }
}

fn label<T>(
    name: &str,
    text: Option<Text<'_>>,
    parse: impl FnOnce(&str) -> Result<T, LabelError>,
) -> Result<Option<T>, String> {
    let label = text.map(|text| parse(&text.0)).transpose();
    label.map_err(|error| format!("`{name}`: {error}"))
}

/// A JSON string
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// Any JSON value but `null`
#[derive(Debug)]
enum DataInput<'a> {
    Text(Cow<'a, str>),
    Json(Value),
}

impl<'de: 'a, 'a> Deserialize<'de> for DataInput<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = DataInput<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<DataInput<'de>, E> {
        Ok(DataInput::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<DataInput<'de>, E> {
        Ok(DataInput::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<DataInput<'de>, E> {
        Ok(DataInput::Json(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<DataInput<'de>, E> {
        Ok(DataInput::Json(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<DataInput<'de>, E> {
        Ok(DataInput::Json(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<DataInput<'de>, E> {
        Ok(DataInput::Json(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<DataInput<'de>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(list)).map(DataInput::Json)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DataInput<'de>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(DataInput::Json)
    }
}

#[cfg(test)]
mod tests {
    use pushcore::DataRef;

    use super::*;

    /// Reads an event with this `data`
    #[track_caller]
    fn check(data: &str, expect: &str) {
        let text = format!("{{\"topic\":\"a\",\"data\":{data}}}");
        let input: EventInput<'_> = serde_json::from_str(&text).unwrap();
        match input.into_entry().unwrap() {
            Entry::Event(event) => assert_eq!(event.data.as_ref(), DataRef::Text(expect)),
            Entry::End(_) => panic!("an end"),
        }
    }

    #[test]
    fn data_is_the_text_of_a_string_and_the_json_of_anything_else() {
        check(r#""plain""#, "plain");
        check(r#""\u00e4 \"quoted\"\n""#, "ä \"quoted\"\n");
        check("true", "true");
        check("-7", "-7");
        check("18446744073709551615", "18446744073709551615");
        check("1.5", "1.5");
        check(r#"[1,"b",null]"#, r#"[1,"b",null]"#);
        check(r#"{"z":1,"a":{"b":[]}}"#, r#"{"z":1,"a":{"b":[]}}"#);
    }

    #[test]
    fn every_text_may_have_escapes() {
        let input: EventInput<'_> = serde_json::from_str(
            r#"{"topic":"\u0061","type":"\u0062","key":"\u0063","content_type":"text/\u0064","idempotency_key":"\u0065","data_base64":"\u0041A=="}"#,
        )
        .unwrap();
        let Entry::Event(event) = input.into_entry().unwrap() else {
            panic!("an end");
        };
        assert_eq!(event.topic.as_str(), "a");
        assert_eq!(event.event_type.unwrap().as_str(), "b");
        assert_eq!(event.key.unwrap().as_str(), "c");
        assert_eq!(event.content_type.unwrap().as_str(), "text/d");
        assert_eq!(event.data.as_ref(), DataRef::Bytes(&[0]));
    }

    #[test]
    fn null_is_no_data() {
        let input: EventInput<'_> =
            serde_json::from_str(r#"{"topic":"a","data":null,"end":true}"#).unwrap();
        assert!(matches!(input.into_entry(), Ok(Entry::End(_))));
    }
}
