//! How a value is read: one kind per way of writing it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::error::Nearest;
use super::section::{Defaults, Row};

/// A value as it was found: in the file with its TOML type, or as text in the environment or a flag
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    Text(&'a str),
    Toml(&'a DeValue<'a>),
}

impl<'a> Raw<'a> {
    /// A string of the file, or any text
    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text.trim()),
            Self::Toml(value) => value.as_str(),
        }
    }

    /// A whole number, whichever way it was written
    fn integer(self) -> Option<u64> {
        match self {
            Self::Text(text) => text.trim().replace('_', "").parse().ok(),
            Self::Toml(DeValue::Integer(integer)) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            Self::Toml(_) => None,
        }
    }
}

/// Why a value could not be read
#[derive(Debug)]
pub(crate) enum Wrong {
    /// The value is not what the setting wants; `at` is where inside it, such as `[1].pattern`, and empty for the whole
    Value { at: String, wants: &'static str },
    /// A table in a list has a key that does not exist
    Key {
        at: String,
        nearest: Option<Nearest>,
    },
}

impl Wrong {
    fn whole(wants: &'static str) -> Self {
        Self::Value {
            at: String::new(),
            wants,
        }
    }

    /// The same mistake, seen from the list or table around it
    fn inside(self, prefix: &str) -> Self {
        match self {
            Self::Value { at, wants } => Self::Value {
                at: format!("{prefix}{at}"),
                wants,
            },
            Self::Key { at, nearest } => Self::Key {
                at: format!("{prefix}{at}"),
                nearest,
            },
        }
    }
}

/// A way of writing a value
pub(crate) trait Kind {
    type Value;
    const WANTS: &'static str;
    const SECRET: bool = false;
    const OPTIONAL: bool = false;
    const ENTRY: Option<&'static [Row]> = None;

    fn read(raw: Raw<'_>) -> Result<Self::Value, Wrong>;
}

/// The value that the table itself gives
pub(crate) fn default<K: Kind>(text: &str) -> K::Value {
    K::read(Raw::Text(text)).expect("the table's defaults are readable: a test reads them all")
}

/// `true` or `false`
pub(crate) struct Switch;

impl Kind for Switch {
    type Value = bool;
    const WANTS: &'static str = "true or false";

    fn read(raw: Raw<'_>) -> Result<bool, Wrong> {
        match raw {
            Raw::Toml(DeValue::Boolean(value)) => Ok(*value),
            Raw::Text(text) => match text.trim() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(Wrong::whole(Self::WANTS)),
            },
            Raw::Toml(_) => Err(Wrong::whole(Self::WANTS)),
        }
    }
}

/// A whole number of at least one
///
/// Nothing here may be zero: what can be absent is written `none`.
pub(crate) struct Count;

impl Kind for Count {
    type Value = usize;
    const WANTS: &'static str = "a whole number of at least 1";

    fn read(raw: Raw<'_>) -> Result<usize, Wrong> {
        raw.integer()
            .and_then(|value| usize::try_from(value).ok())
            .filter(|&value| value > 0)
            .ok_or(Wrong::whole(Self::WANTS))
    }
}

/// A number of bytes: `64KiB`, `1MiB`, `2GiB` or a plain number
pub(crate) struct Size;

impl Kind for Size {
    type Value = usize;
    const WANTS: &'static str = r#"a size such as "64KiB", "1MiB", "2GiB" or a number of bytes"#;

    fn read(raw: Raw<'_>) -> Result<usize, Wrong> {
        raw.integer()
            .or_else(|| raw.text().and_then(bytes))
            .and_then(|value| usize::try_from(value).ok())
            .filter(|&value| value > 0)
            .ok_or(Wrong::whole(Self::WANTS))
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_')?;
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let number: u64 = number.replace('_', "").parse().ok()?;
    number.checked_mul(scale)
}

/// A length of time: `500ms`, `15s`, `5m`, `24h`, `7d`
pub(crate) struct Span;

impl Kind for Span {
    type Value = Duration;
    const WANTS: &'static str = r#"a duration such as "500ms", "15s", "5m", "24h" or "7d""#;

    fn read(raw: Raw<'_>) -> Result<Duration, Wrong> {
        raw.text()
            .and_then(|text| humantime::parse_duration(text).ok())
            .filter(|span| !span.is_zero() && *span <= MAX_SPAN)
            .ok_or(Wrong::whole(Self::WANTS))
    }
}

/// A length of time that may be none at all
pub(crate) struct SpanOrZero;

impl Kind for SpanOrZero {
    type Value = Duration;
    const WANTS: &'static str = r#"a duration such as "0s", "500ms", "15s" or "5m""#;

    fn read(raw: Raw<'_>) -> Result<Duration, Wrong> {
        raw.text()
            .and_then(|text| humantime::parse_duration(text).ok())
            .filter(|span| *span <= MAX_SPAN)
            .ok_or(Wrong::whole(Self::WANTS))
    }
}

/// Longest span a setting may have: a hundred years, so that adding one to a clock never overflows
const MAX_SPAN: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Text that is not empty
pub(crate) struct Text;

impl Kind for Text {
    type Value = String;
    const WANTS: &'static str = "text";

    fn read(raw: Raw<'_>) -> Result<String, Wrong> {
        match raw.text() {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(Wrong::whole(Self::WANTS)),
        }
    }
}

/// A topic, or a pattern of topics
pub(crate) struct Topics;

impl Kind for Topics {
    type Value = String;
    const WANTS: &'static str =
        "a topic such as chat/7, or a pattern such as chat/*, chat/** or **";

    fn read(raw: Raw<'_>) -> Result<String, Wrong> {
        Text::read(raw)
            .ok()
            .filter(|text| pushcore::Pattern::parse(text).is_ok())
            .ok_or(Wrong::whole(Self::WANTS))
    }
}

/// A path, relative to the directory the server was started in
pub(crate) struct File;

impl Kind for File {
    type Value = PathBuf;
    const WANTS: &'static str = "the path of a file";

    fn read(raw: Raw<'_>) -> Result<PathBuf, Wrong> {
        Text::read(raw)
            .map(PathBuf::from)
            .map_err(|_| Wrong::whole(Self::WANTS))
    }
}

/// An address to listen on
pub(crate) struct Address;

impl Kind for Address {
    type Value = SocketAddr;
    const WANTS: &'static str =
        "an address and a port such as 127.0.0.1:8000, 0.0.0.0:8000 or [::1]:8000";

    fn read(raw: Raw<'_>) -> Result<SocketAddr, Wrong> {
        raw.text()
            .and_then(|text| text.parse().ok())
            .ok_or(Wrong::whole(Self::WANTS))
    }
}

/// `auto` (one per core), or how many
pub(crate) struct Cores;

impl Kind for Cores {
    type Value = NonZeroUsize;
    const WANTS: &'static str = r#""auto" or a number from 1 to 256"#;

    fn read(raw: Raw<'_>) -> Result<NonZeroUsize, Wrong> {
        if raw.text() == Some("auto") {
            return Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        }
        raw.integer()
            .filter(|cores| (1..=256).contains(cores))
            .and_then(|cores| NonZeroUsize::new(cores as usize))
            .ok_or(Wrong::whole(Self::WANTS))
    }
}

/// A value that may be absent: `none`
pub(crate) struct Maybe<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;
    const WANTS: &'static str = K::WANTS;
    const SECRET: bool = K::SECRET;
    const OPTIONAL: bool = true;

    fn read(raw: Raw<'_>) -> Result<Option<K::Value>, Wrong> {
        if raw.text() == Some("none") {
            return Ok(None);
        }
        K::read(raw).map(Some)
    }
}

/// A list: an array in the file, and in text either that or values between commas
pub(crate) struct List<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;
    const WANTS: &'static str = "a list";
    const SECRET: bool = K::SECRET;

    fn read(raw: Raw<'_>) -> Result<Vec<K::Value>, Wrong> {
        match raw {
            Raw::Text(text) if text.trim_start().starts_with('[') => match DeValue::parse(text) {
                Ok(array) => Self::read(Raw::Toml(array.get_ref())),
                Err(_) => Err(Wrong::whole(K::WANTS)),
            },
            Raw::Text("") => Ok(Vec::new()),
            Raw::Text(text) => entries::<K>(text.split(',').map(Raw::Text)),
            Raw::Toml(DeValue::Array(array)) => {
                entries::<K>(array.iter().map(|entry| Raw::Toml(entry.get_ref())))
            }
            Raw::Toml(_) => Err(Wrong::whole("a list in brackets")),
        }
    }
}

fn entries<'a, K: Kind>(raw: impl Iterator<Item = Raw<'a>>) -> Result<Vec<K::Value>, Wrong> {
    raw.enumerate()
        .map(|(index, raw)| K::read(raw).map_err(|wrong| wrong.inside(&format!("[{index}]"))))
        .collect()
}

/// A list of tables: `[[log.retention]]` in the file, an array of inline tables in text
pub(crate) struct Tables<S>(std::marker::PhantomData<S>);

impl<S: Defaults> Kind for Tables<S> {
    type Value = Vec<S>;
    const WANTS: &'static str = "a list of tables";
    const ENTRY: Option<&'static [Row]> = Some(S::ROWS);
    const SECRET: bool = true;

    fn read(raw: Raw<'_>) -> Result<Vec<S>, Wrong> {
        match raw {
            Raw::Text(text) => match DeValue::parse(text) {
                Ok(array) if array.get_ref().is_array() => Self::read(Raw::Toml(array.get_ref())),
                _ => Err(Wrong::whole(Self::WANTS)),
            },
            Raw::Toml(DeValue::Array(array)) => array
                .iter()
                .enumerate()
                .map(|(index, entry)| {
                    table(entry.get_ref()).map_err(|wrong| wrong.inside(&format!("[{index}]")))
                })
                .collect(),
            Raw::Toml(_) => Err(Wrong::whole(Self::WANTS)),
        }
    }
}

fn table<S: Defaults>(value: &DeValue<'_>) -> Result<S, Wrong> {
    let DeValue::Table(table) = value else {
        return Err(Wrong::whole("a table"));
    };
    let mut entry = S::defaults();
    for (key, value) in table {
        let key: &str = key.get_ref();
        if !S::ROWS.iter().any(|row| row.name == key) {
            return Err(Wrong::Key {
                at: format!(".{key}"),
                nearest: Nearest::among(key, S::ROWS.iter().map(|row| row.name.to_owned())),
            });
        }
        entry
            .set(key, Raw::Toml(value.get_ref()))
            .map_err(|wrong| wrong.inside(&format!(".{key}")))?;
    }
    Ok(entry)
}

/// Declares an enum whose variants are written as words
macro_rules! choice {
    ($($(#[doc = $doc:literal])+ $choice:ident { $($(#[doc = $line:literal])+ $variant:ident = $word:literal,)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $choice {
            $($(#[doc = $line])+ $variant,)+
        }

        impl $choice {
            /// All there are, in the order of their documentation
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for it
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::config::kind::Kind for $choice {
            type Value = Self;
            const WANTS: &'static str = concat!("one of" $(, " ", $word)+);

            fn read(raw: $crate::config::kind::Raw<'_>) -> Result<Self, $crate::config::kind::Wrong> {
                match $crate::config::kind::word(raw) {
                    $(Some($word) => Ok(Self::$variant),)+
                    _ => Err($crate::config::kind::Wrong::Value {
                        at: String::new(),
                        wants: <Self as $crate::config::kind::Kind>::WANTS,
                    }),
                }
            }
        }
    )+};
}
pub(crate) use choice;

/// The text of a choice
pub(crate) fn word(raw: Raw<'_>) -> Option<&str> {
    raw.text()
}
