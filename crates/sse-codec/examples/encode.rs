//! Reads JSON lines and writes them as an event stream.
//!
//! `encode < lines`
//!
//! A line is `{"id","event","data","retry","comment"}`, each of them optional. A line that an event stream cannot
//! carry is answered with `{"error":…}` on stderr, and the program ends with 1.

use std::io::{self, BufRead, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sse_codec::{Block, EventId, EventType, MAX_RETRY_MILLIS};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", json!({ "error": error }));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut encoded = Vec::new();
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        encoded.clear();
        encode(&line, &mut encoded).map_err(|error| format!("line {}: {error}", number + 1))?;
        out.write_all(&encoded)
            .and_then(|()| out.flush())
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn encode(line: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let parts: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let known = ["id", "event", "data", "retry", "comment"];
    if let Some(name) = parts.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("an event has no {name:?}"));
    }
    let mut block = Block::new();
    if let Some(id) = text(&parts, "id")? {
        block = block.id(EventId::new(id).map_err(|error| error.to_string())?);
    }
    if let Some(event) = text(&parts, "event")? {
        block = block.event(EventType::new(event).map_err(|error| error.to_string())?);
    }
    if let Some(retry) = parts.get("retry").filter(|retry| !retry.is_null()) {
        let millis = retry.as_u64().filter(|millis| *millis <= MAX_RETRY_MILLIS);
        let millis = millis.ok_or_else(|| {
            format!("retry is a whole number of milliseconds, at most {MAX_RETRY_MILLIS}")
        })?;
        block = block.retry(Duration::from_millis(millis));
    }
    block.data = text(&parts, "data")?;
    block.comment = text(&parts, "comment")?;
    block.encode_into(out);
    Ok(())
}

/// A part that is text, or absent, or null, which is the same.
fn text<'p>(parts: &'p Map<String, Value>, name: &str) -> Result<Option<&'p str>, String> {
    match parts.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} is a string")),
    }
}
