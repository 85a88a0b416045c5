//! Any blocks: what is encoded comes back and nothing else does, however it is written and read.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sse_codec::{Block, EventId, EventType, MAX_RETRY_MILLIS};

#[path = "../../tests/support/mod.rs"]
mod support;

// Blocks are separated by 0xff, their parts by 0xfe: which parts there are, id, type, data, comment.
fuzz_target!(|input: &[u8]| {
    let mut stream = Vec::new();
    let mut expect = support::Outcome::default();
    for block in input.split(|byte| *byte == 0xff) {
        let parts: Vec<String> = block
            .split(|byte| *byte == 0xfe)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        if let [which, id, event, data, comment] = &parts[..] {
            let which = which.bytes().next().unwrap_or_default();
            let block = Block {
                id: EventId::new(id).ok().filter(|_| which & 1 != 0),
                event: EventType::new(event).ok().filter(|_| which & 2 != 0),
                retry: (which & 4 != 0).then(|| Duration::from_millis(data.len() as u64 * 12_345_678)),
                data: Some(data.as_str()).filter(|_| which & 8 != 0),
                comment: Some(comment.as_str()).filter(|_| which & 16 != 0),
            };
            encode(block, &mut stream);
            expect_back(block, &mut expect);
        }
    }
    let cuts = [stream.len() / 3, stream.len() / 2];
    assert_eq!(support::decode("", &stream, &cuts), expect);
    assert_eq!(support::naive("", &stream), expect);
});

/// Appends the block in one of its ways, after checking that they are the same.
fn encode(block: Block<'_>, stream: &mut Vec<u8>) {
    let bytes = block.to_bytes();
    assert_eq!(bytes.len(), block.encoded_len());
    let start = stream.len();
    block.encode_into(stream);
    assert_eq!(stream[start..], bytes[..]);
    if let Some(data) = block.data {
        let mut written = Vec::new();
        let mut writer = Block { data: None, ..block }.data_writer(&mut written);
        for piece in data.as_bytes().chunks(data.len() / 3 + 1) {
            writer.push(piece);
        }
        writer.finish();
        assert_eq!(written, bytes);
    }
}

fn expect_back(block: Block<'_>, expect: &mut support::Outcome) {
    if let Some(retry) = block.retry {
        expect.retry = Some((retry.as_millis() as u64).min(MAX_RETRY_MILLIS));
    }
    if let Some(id) = block.id {
        id.as_str().clone_into(&mut expect.last_event_id);
    }
    if let Some(data) = block.data {
        let event_type = match block.event.map(EventType::as_str) {
            None | Some("") => "message",
            Some(event_type) => event_type,
        };
        let data = data.replace("\r\n", "\n").replace('\r', "\n");
        let id = expect.last_event_id.clone();
        expect.events.push((event_type.to_owned(), data, id));
    }
}
