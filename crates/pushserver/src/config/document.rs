//! The table as documents: the commented default configuration, and docs/configuration.md.

use std::fmt::Write;

use toml::de::DeValue;

use super::{Config, Row, bounds, full_name, variable_of};

/// Writing to a `String` cannot fail
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        write!($out, $($arg)*).expect("writing to a String cannot fail")
    };
}

/// A configuration file with every setting at its default, commented out
///
/// What `pushserver default-config` prints. Read back, with or without its comment signs, it is the default
/// configuration.
pub fn default_config() -> String {
    let mut out = String::from(
        "# Configuration of pushserver. Every setting stands here with its default; remove the # before\n\
         # those that you change. An unknown name is an error, and `pushserver check-config` finds it.\n",
    );
    for (path, section) in Config::default().sections() {
        put!(out, "\n# {}\n", section.doc().trim());
        if !path.is_empty() {
            put!(out, "[{path}]\n");
        }
        let (tables, values): (Vec<_>, Vec<_>) =
            section.rows().iter().partition(|row| row.entry.is_some());
        for row in values {
            setting(&mut out, row);
        }
        // A list of tables ends its section, so these come last.
        for row in tables {
            put!(out, "\n");
            comment(&mut out, row);
            put!(out, "#\n#[[{}]]\n", full_name(path, row.name));
            for row in row.entry.unwrap_or_default() {
                setting(&mut out, row);
            }
        }
    }
    out
}

fn setting(out: &mut String, row: &Row) {
    put!(out, "\n");
    comment(out, row);
    put!(out, "#{} = {}\n", row.name, as_toml(row));
}

fn comment(out: &mut String, row: &Row) {
    for line in row.doc {
        put!(out, "#{}\n", line.trim_end());
    }
}

/// The reference of all settings, in Markdown
///
/// docs/configuration.md is this text; a test holds it to it.
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    for (path, section) in Config::default().sections() {
        let title = match path {
            "" => "Top of the file".to_owned(),
            path => format!("`[{path}]`"),
        };
        put!(out, "\n## {title}\n\n{}.\n", section.doc().trim());
        for row in section.rows() {
            let name = full_name(path, row.name);
            put!(out, "\n### `{name}`\n\n{}", facts(&name, row));
            paragraph(&mut out, row);
            if let Some(entry) = row.entry {
                entries(&mut out, &name, entry);
            }
        }
    }
    out + &bounds::section()
}

const HEAD: &str = "\
# Configuration

<!-- Made by `pushserver default-config --markdown` from crates/pushserver/src/config (settings.rs, bounds.rs); edit it there. -->

The server needs no configuration to try it. What is set comes from one TOML file (`--config FILE`, or `PUSH_CONFIG`), then from
variables, then from flags (`--set stream.heartbeat=30s`); what comes later wins. A name that does not exist is an error which tells
the nearest one that does, if one is near. `pushserver check-config` reads everything, keys and certificates included, sees whether the
snapshot could be written, and starts nothing; `pushserver default-config` prints a file to begin with.

Sizes are written `64KiB`, `1MiB`, `2GiB` or as a number of bytes; durations `500ms`, `15s`, `5m`, `24h`, `7d`; the absence of a value
is `none`. A list in a variable or flag is written with commas, a list of tables as TOML: `PUSH_LOG_RETENTION='[{pattern = \"chat/**\", events = 50}]'`.
Paths are relative to the directory that the server was started in.
";

fn facts(name: &str, row: &Row) -> String {
    let facts = match row.default {
        "[]" => "empty by default".to_owned(),
        default => format!("default `{default}`"),
    };
    let wants = match row.optional {
        true => format!("{}, or `none`", row.wants),
        false => row.wants.to_owned(),
    };
    format!("{facts} · {wants} · `{}`\n\n", variable_of(name))
}

fn paragraph(out: &mut String, row: &Row) {
    for line in row.doc {
        put!(out, "{}\n", line.strip_prefix(' ').unwrap_or(line));
    }
}

fn entries(out: &mut String, name: &str, entry: &[Row]) {
    put!(
        out,
        "\n| in `[[{name}]]` | default | |\n| --- | --- | --- |\n"
    );
    for row in entry {
        let doc: Vec<&str> = row.doc.iter().map(|line| line.trim()).collect();
        let doc = doc.join(" ");
        put!(
            out,
            "| `{}` | `{}` | {} |\n",
            row.name,
            row.default,
            doc.trim()
        );
    }
}

/// The default as a TOML value: bare where it is one, else in quotes
fn as_toml(row: &Row) -> String {
    let many = row.wants.starts_with("a list");
    match DeValue::parse(row.default) {
        Ok(_) => row.default.to_owned(),
        Err(_) if many => {
            let entries = row.default.split(", ").map(|entry| format!("\"{entry}\""));
            format!("[{}]", entries.collect::<Vec<_>>().join(", "))
        }
        Err(_) => format!("\"{}\"", row.default),
    }
}
