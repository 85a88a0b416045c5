//! Reads an event stream and prints one JSON object for each event.
//!
//! `decode [--chunk N] [--last-event-id S] < stream`
//!
//! `{"type":…,"data":…,"last_event_id":…}` for each event, then
//! `{"last_event_id_after":…,"retry_after":ms|null,"discarded":bool}`. With `--chunk` the stream is fed N bytes at a
//! time.

use std::error::Error;
use std::io::{self, BufWriter, Read, Write};
use std::time::Duration;

use serde_json::json;
use sse_codec::{Decoder, End, EventId, Limits};

fn main() -> Result<(), Box<dyn Error>> {
    let mut chunk_len = 16 << 10;
    let mut last_event_id = String::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--chunk" => chunk_len = value.parse::<usize>()?.max(1),
            "--last-event-id" => last_event_id = value,
            _ => return Err(format!("{name} is neither --chunk nor --last-event-id").into()),
        }
    }
    let limits = Limits {
        // To show what the stream says, not what a client should do.
        max_retry: Duration::MAX,
        ..Limits::default()
    };
    let mut decoder =
        Decoder::with_limits(limits).with_last_event_id(EventId::new(&last_event_id)?);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut buffer = vec![0; chunk_len];
    let mut input = io::stdin().lock();
    loop {
        let len = input.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        let mut items = decoder.decode(&buffer[..len]);
        while let Some(event) = items.next_event()? {
            writeln!(
                out,
                r#"{{"type":{},"data":{},"last_event_id":{}}}"#,
                json!(event.event_type),
                json!(event.data),
                json!(event.last_event_id),
            )?;
        }
        out.flush()?;
    }
    let discarded = decoder.finish() == End::Discarded;
    let retry = decoder
        .reconnection_time()
        .map(|retry| u64::try_from(retry.as_millis()).unwrap_or(u64::MAX));
    writeln!(
        out,
        r#"{{"last_event_id_after":{},"retry_after":{},"discarded":{discarded}}}"#,
        json!(decoder.last_event_id()),
        json!(retry),
    )?;
    out.flush()?;
    Ok(())
}
