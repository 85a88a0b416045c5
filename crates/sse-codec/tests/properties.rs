//! What holds for every stream and every block.

mod support;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sse_codec::{Block, Decoder, EventId, EventType, Item, Limits, OnOversized};
use support::{decode, naive, see};

/// Streams made of what matters to a decoder, and some noise.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            &b"data"[..], b"data:", b"data: ", b"id: ", b"id", b"event: ", b"event", b"retry: ", b"retry:",
            b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\xef\xbb\xbf", b"\xe2\x80", b"\xf0\x9f\x98\x80",
            b"\0", b"x", b"12", b"data: a\n\n", b"id: 7\ndata: b\n\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..6),
        1 => "[a-z0-9 \u{e9}]{0,40}".prop_map(String::into_bytes),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Short lines of data, many in a row.
fn data_lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        &b"data\n"[..],
        b"data:\n",
        b"data: \n",
        b"data: x\n",
        b"data: xyz\n",
        b"data:\r",
        b"\n",
    ]);
    vec(line, 0..20).prop_map(|lines| lines.concat())
}

fn tight() -> impl Strategy<Value = Limits> {
    (0usize..12, 0usize..30, 0usize..9, 0u64..200).prop_map(|(line, event, id, retry)| Limits {
        max_line: line,
        max_event: event,
        max_id: id,
        max_retry: Duration::from_millis(retry),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_decoder_agrees_with_its_naive_twin(
        stream in stream(),
        cuts in vec(any::<usize>(), 0..8),
        seed in "[a-z]{0,2}",
    ) {
        prop_assert_eq!(decode(&seed, &stream, &cuts), naive(&seed, &stream));
    }

    #[test]
    fn where_reads_split_does_not_matter(
        stream in prop_oneof![3 => stream(), 1 => data_lines()],
        cuts in vec(any::<usize>(), 0..30),
        limits in prop_oneof![Just(Limits::default()), tight()],
        choice in prop_oneof![Just(OnOversized::Stop), Just(OnOversized::Skip)],
    ) {
        let whole = see(limits, choice, &stream, &[]);
        prop_assert_eq!(see(limits, choice, &stream, &cuts), whole.clone());
        let everywhere: Vec<usize> = (0..=stream.len()).collect();
        prop_assert_eq!(see(limits, choice, &stream, &everywhere), whole);
    }

    #[test]
    fn what_is_encoded_comes_back(blocks in vec(parts(), 1..6), cuts in vec(any::<usize>(), 0..8)) {
        let mut stream = Vec::new();
        for parts in &blocks {
            let before = stream.len();
            parts.block().encode_into(&mut stream);
            prop_assert_eq!(stream.len() - before, parts.block().encoded_len());
            prop_assert_eq!(&parts.block().to_bytes()[..], &stream[before..]);
        }
        let mut expect = decode("", b"", &[]);
        for parts in blocks {
            parts.expect(&mut expect);
        }
        prop_assert_eq!(decode("", &stream, &cuts), expect);
    }

    #[test]
    fn where_writes_split_does_not_matter(parts in parts(), cuts in vec(any::<usize>(), 0..8)) {
        let data = parts.data.clone().unwrap_or_default();
        let mut block = parts.block();
        block.data = None;
        let mut written = Vec::new();
        let mut writer = block.data_writer(&mut written);
        for piece in support::pieces(data.as_bytes(), &cuts) {
            writer.push(piece);
        }
        writer.finish();
        let mut encoded = Vec::new();
        block.data(&data).encode_into(&mut encoded);
        prop_assert_eq!(written, encoded);
    }

    #[test]
    fn comments_come_back_line_by_line(comment in text()) {
        let mut stream = Vec::new();
        sse_codec::encode_comment(&comment, &mut stream);
        let mut decoder = Decoder::new().with_comments();
        let mut items = decoder.decode(&stream);
        let mut lines = Vec::new();
        while let Some(item) = items.next_item().unwrap() {
            match item {
                Item::Comment(line) => lines.push(line.into_owned()),
                other => prop_assert!(false, "a comment led to {:?}", other),
            }
        }
        prop_assert_eq!(lines.join("\n"), normalized(&comment));
    }
}

/// A block that owns its parts.
#[derive(Clone, Debug)]
struct Parts {
    id: Option<String>,
    event: Option<String>,
    retry: Option<u64>,
    data: Option<String>,
    comment: Option<String>,
}

impl Parts {
    fn block(&self) -> Block<'_> {
        Block {
            id: self
                .id
                .as_deref()
                .map(|id| EventId::new(id).expect("it has no such bytes")),
            event: self
                .event
                .as_deref()
                .map(|event| EventType::new(event).expect("it has no such bytes")),
            retry: self.retry.map(Duration::from_millis),
            data: self.data.as_deref(),
            comment: self.comment.as_deref(),
        }
    }

    /// What a reader makes of the block.
    fn expect(self, outcome: &mut support::Outcome) {
        outcome.retry = self.retry.or(outcome.retry);
        if let Some(id) = self.id {
            outcome.last_event_id = id;
        }
        if let Some(data) = self.data {
            let event = self.event.filter(|event| !event.is_empty());
            outcome.events.push((
                event.unwrap_or_else(|| "message".to_owned()),
                normalized(&data),
                outcome.last_event_id.clone(),
            ));
        }
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let one_line = |forbidden: &'static [char]| {
        prop::option::of(text().prop_map(move |text| text.replace(forbidden, "")))
    };
    (
        one_line(&['\n', '\r', '\0']),
        one_line(&['\n', '\r']),
        prop::option::of(0..=sse_codec::MAX_RETRY_MILLIS),
        prop::option::of(text()),
        prop::option::of(text()),
    )
        .prop_map(|(id, event, retry, data, comment)| Parts {
            id,
            event,
            retry,
            data,
            comment,
        })
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => prop::sample::select(vec!["\n", "\r", "\r\n", " ", ":", "\0", "data: ", "\u{feff}", ""])
            .prop_map(str::to_owned),
        1 => ".{0,20}",
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn normalized(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
