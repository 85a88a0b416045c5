//! One event to be published, as JSON carries it: in a batch, and in WebSocket's `publish` command.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pushcore::{ContentType, Data, EventType, IdempotencyKey, Key, LabelError, NewEvent, Topic};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::publish::Entry;

/// What a publisher wrote describes, or what is wrong with it
pub(crate) type Described = Result<Entry, String>;

/// Reads what holds events
///
/// `data` that is a string is the text itself; any other JSON value is published as it was written. To find where a value
/// ends before it is known to be a string would cost strings, which most data are, a second look. So `strings` takes no
/// other data, and whatever it does not take is read again by `written`, which takes all. What is wrong is told by the latter.
pub(crate) fn read<T>(
    strings: impl FnOnce() -> serde_json::Result<T>,
    written: impl FnOnce() -> serde_json::Result<T>,
) -> serde_json::Result<T> {
    strings().or_else(|_| written())
}

/// One event; `D` is what its `data` may be: [`Text`] or [`Written`]
#[derive(Debug)]
pub(crate) struct Input<D> {
    pub(crate) described: Described,
    data: PhantomData<D>,
}

/// How `data` is read
pub(crate) trait DataText<'a>: Deserialize<'a> + Into<Cow<'a, str>> {}

impl<'a, D: Deserialize<'a> + Into<Cow<'a, str>>> DataText<'a> for D {}

impl<'de, D: DataText<'de>> Deserialize<'de> for Input<D> {
    fn deserialize<S: Deserializer<'de>>(deserializer: S) -> Result<Self, S::Error> {
        Ok(Self {
            described: Fields::<'de, D>::deserialize(deserializer)?.describe(),
            data: PhantomData,
        })
    }
}

/// Reads one event
///
/// # Errors
/// When the text is not the object of an event.
pub(crate) fn read_one(text: &str) -> serde_json::Result<Described> {
    read(
        || serde_json::from_str::<Input<Text<'_>>>(text).map(|input| input.described),
        || serde_json::from_str::<Input<Written<'_>>>(text).map(|input| input.described),
    )
}

/// Reads a list of events
///
/// # Errors
/// When the text is not a list of such objects.
pub(crate) fn read_list(text: &str) -> serde_json::Result<Vec<Described>> {
    read(
        || serde_json::from_str::<Vec<Input<Text<'_>>>>(text).map(described),
        || serde_json::from_str::<Vec<Input<Written<'_>>>>(text).map(described),
    )
}

pub(crate) fn described<D>(inputs: Vec<Input<D>>) -> Vec<Described> {
    inputs.into_iter().map(|input| input.described).collect()
}

/// What a publisher wrote; its texts are borrowed from the message where they have no escapes
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a, D> {
    #[serde(borrow)]
    topic: Text<'a>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Text<'a>>,
    data: Option<D>,
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

impl<'a, D: Into<Cow<'a, str>>> Fields<'a, D> {
    fn describe(self) -> Described {
        let topic = Topic::parse(&self.topic.0).map_err(|error| format!("`topic`: {error}"))?;
        let is_labelled = self.event_type.is_some()
            || self.key.is_some()
            || self.content_type.is_some()
            || self.idempotency_key.is_some();
        let data = match (self.data, self.data_base64) {
            (Some(_), Some(_)) => {
                return Err("`data` and `data_base64` exclude each other; give one".to_owned());
            }
            (Some(data), None) => match data.into() {
                Cow::Borrowed(text) => Data::from(text),
                Cow::Owned(text) => Data::from(text),
            },
            (None, Some(encoded)) => {
                let bytes = BASE64.decode(encoded.0.as_bytes());
                Data::bytes(bytes.map_err(|error| {
                    format!("`data_base64`: {error}; standard base64 with padding is right")
                })?)
            }
            // Who labels an end wants it to be seen, and who gives it a key wants to repeat it.
            (None, None) if self.end && is_labelled => Data::from(""),
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
pub(crate) struct Text<'a>(Cow<'a, str>);

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

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.0
    }
}

/// The text of a JSON string, and any other JSON value as it was written
#[derive(Debug)]
pub(crate) struct Written<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Written<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = <&'de RawValue>::deserialize(deserializer)?.get();
        if !written.starts_with('"') {
            return Ok(Self(Cow::Borrowed(written)));
        }
        let text: Text<'de> = serde_json::from_str(written).map_err(D::Error::custom)?;
        Ok(Self(text.0))
    }
}

impl<'a> From<Written<'a>> for Cow<'a, str> {
    fn from(written: Written<'a>) -> Self {
        written.0
    }
}

#[cfg(test)]
mod tests {
    use pushcore::DataRef;

    use super::*;

    #[track_caller]
    fn event(text: &str) -> NewEvent {
        match read_one(text).unwrap().unwrap() {
            Entry::Event(event) => event,
            Entry::End(_) => panic!("{text} is an end"),
        }
    }

    /// Reads an event with this `data`, alone and behind one whose data is a string
    #[track_caller]
    fn check(data: &str, expect: &str) {
        let text = format!("{{\"topic\":\"a\",\"data\":{data}}}");
        assert_eq!(event(&text).data.as_ref(), DataRef::Text(expect));
        let list = format!("[{{\"topic\":\"a\",\"data\":\"\\n\"}},{text}]");
        let list = read_list(&list).unwrap();
        let data: Vec<_> = list
            .iter()
            .map(|described| match described {
                Ok(Entry::Event(event)) => event.data.as_ref(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(data, [DataRef::Text("\n"), DataRef::Text(expect)]);
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
    fn json_is_published_as_it_was_written() {
        for written in [
            r#"{"n":12345678901234567890123,"d":0.10000000000000000555,"x":1,"x":2}"#,
            "1.0",
            "-0",
            "1e999",
            "1E5",
            r#"{ "spaced" : [ 1,\t2 ] }"#,
            r#"{"\u0061":"\u00e4\/"}"#,
            r#"["\ud800"]"#,
        ] {
            check(&written.replace("\\t", "\t"), &written.replace("\\t", "\t"));
        }
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        check(&deep, &deep);
        // What surrounds the value is not of it.
        check(" \t[1] ", "[1]");
    }

    #[test]
    fn what_is_not_json_is_no_data() {
        for data in ["01", "[1,]", "{\"a\"}", "nul", "\"\\ud800\"", "1.", "[", ""] {
            let text = format!("{{\"topic\":\"a\",\"data\":{data}}}");
            assert!(read_one(&text).is_err(), "{data}");
        }
    }

    #[test]
    fn every_text_may_have_escapes() {
        for (data, expect) in [
            (r#""data_base64":"\u0041A==""#, DataRef::Bytes(&[0])),
            (r#""data":["\u0041"]"#, DataRef::Text(r#"["\u0041"]"#)),
        ] {
            let event = event(&format!(
                r#"{{"topic":"\u0061","type":"\u0062","key":"\u0063","content_type":"text/\u0064","idempotency_key":"\u0065",{data}}}"#
            ));
            assert_eq!(event.topic.as_str(), "a");
            assert_eq!(event.event_type.unwrap().as_str(), "b");
            assert_eq!(event.key.unwrap().as_str(), "c");
            assert_eq!(event.content_type.unwrap().as_str(), "text/d");
            assert_eq!(event.data.as_ref(), expect);
        }
    }

    #[test]
    fn null_is_no_data() {
        let described = read_one(r#"{"topic":"a","data":null,"end":true}"#).unwrap();
        assert!(matches!(described, Ok(Entry::End(_))));
    }

    #[test]
    fn an_end_with_a_label_or_a_key_is_an_event_without_data() {
        for label in [
            r#""type":"done""#,
            r#""key":"k""#,
            r#""content_type":"text/x""#,
            r#""idempotency_key":"1""#,
        ] {
            let event = event(&format!(r#"{{"topic":"a","end":true,{label}}}"#));
            assert_eq!(event.data.as_ref(), DataRef::Text(""), "{label}");
            assert!(event.end, "{label}");
            let open = read_one(&format!(r#"{{"topic":"a",{label}}}"#)).unwrap();
            assert!(open.unwrap_err().contains("missing"), "{label}");
        }
    }
}
