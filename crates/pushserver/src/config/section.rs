//! What the settings table is made of: sections, their rows, and the macro that writes both a struct and its table.
//!
//! Each setting is written once, in `settings.rs`: its name, type, default and documentation. The struct, the defaults,
//! the configuration file, the environment variables, the error messages and `docs/configuration.md` follow from that line.

use super::kind::{Raw, Wrong};

/// One setting as documentation and error messages need to know it
#[derive(Debug)]
pub struct Row {
    /// Name within its section
    pub name: &'static str,
    /// The documentation, line by line, each with the space that follows `///`
    pub doc: &'static [&'static str],
    /// The default as one would write it in an environment variable
    pub default: &'static str,
    /// What a value is, as it stands in "expected …"
    pub wants: &'static str,
    /// A value that is never shown
    pub secret: bool,
    /// Whether it may be `none`
    pub optional: bool,
    /// The rows of an entry, for a setting that is a list of tables
    pub entry: Option<&'static [Self]>,
}

/// A table of settings: a section of the configuration file, or an entry of a list of tables
pub(crate) trait Section {
    /// What the section is about, in a line
    fn doc(&self) -> &'static str;

    /// The settings in the order in which they are documented
    fn rows(&self) -> &'static [Row];

    /// Reads `raw` into the setting `name`, which must be one of [`Section::rows`]
    fn set(&mut self, name: &str, raw: Raw<'_>) -> Result<(), Wrong>;
}

/// A section that can be made from its defaults alone
pub(crate) trait Defaults: Section + Sized {
    const ROWS: &'static [Row];

    fn defaults() -> Self;
}

/// Declares sections: the struct with its documentation, and its [`Row`]s
macro_rules! section {
    ($($(#[doc = $doc:literal])+ $section:ident {
        $($(#[doc = $line:literal])+ $name:ident: $type:ty = $default:literal as $kind:ty,)+
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub struct $section {
            $($(#[doc = $line])+ pub $name: $type,)+
        }

        impl $crate::config::section::Defaults for $section {
            const ROWS: &'static [$crate::config::Row] = &[$($crate::config::Row {
                name: stringify!($name),
                doc: &[$($line),+],
                default: $default,
                wants: <$kind as $crate::config::kind::Kind>::WANTS,
                secret: <$kind as $crate::config::kind::Kind>::SECRET,
                optional: <$kind as $crate::config::kind::Kind>::OPTIONAL,
                entry: <$kind as $crate::config::kind::Kind>::ENTRY,
            }),+];

            fn defaults() -> Self {
                Self { $($name: $crate::config::kind::default::<$kind>($default),)+ }
            }
        }

        impl $crate::config::section::Section for $section {
            fn doc(&self) -> &'static str {
                concat!($($doc),+)
            }

            fn rows(&self) -> &'static [$crate::config::Row] {
                <Self as $crate::config::section::Defaults>::ROWS
            }

            fn set(
                &mut self,
                name: &str,
                raw: $crate::config::kind::Raw<'_>,
            ) -> Result<(), $crate::config::kind::Wrong> {
                match name {
                    $(stringify!($name) => {
                        self.$name = <$kind as $crate::config::kind::Kind>::read(raw)?;
                    })+
                    _ => unreachable!("set is asked only for names that rows lists"),
                }
                Ok(())
            }
        }
    )+};
}
pub(crate) use section;
