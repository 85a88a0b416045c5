//! What holds for every stream, right or wrong.

use proptest::prelude::*;
use ws_codec::{
    Assembler, Decoder, Event, FrameHeader, Limits, Mask, OpCode, PreparedMessage, Role,
    encode_frame_into,
};

use crate::naive;
use crate::transcript::{CLIENT, Reader, SERVER};

/// Frames that are nearly right: what random bytes never get past the first of.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x89, 0x8A]),
        1 => prop::sample::select(vec![0x88, 0x41, 0xC1, 0x09, 0x83, 0x91]),
    ];
    let text = prop_oneof![
        "[a-zé€𝄞]{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..20),
        (100_usize..200).prop_map(|len| vec![b'x'; len]),
    ];
    let frame = (first, text, prop::option::weighted(0.95, any::<[u8; 4]>())).prop_map(
        |(first, payload, mask)| {
            let mut out = Vec::new();
            let header = FrameHeader {
                fin: true,
                rsv1: false,
                opcode: OpCode::Binary,
                mask: mask.map(Mask),
                len: 0,
            };
            encode_frame_into(&mut out, header, &payload);
            out[0] = first;
            out
        },
    );
    prop::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

/// Cuts a stream into reads of these sizes, over and over.
fn cut<'r>(bytes: &'r [u8], sizes: &[usize]) -> Vec<&'r [u8]> {
    let mut rest = bytes;
    let mut reads = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() || sizes.is_empty() {
            break;
        }
        let (read, after) = rest.split_at((*size).min(rest.len()));
        reads.push(read);
        rest = after;
    }
    reads.push(rest);
    reads
}

proptest! {
    #[test]
    fn where_reads_split_does_not_matter(
        bytes in prop_oneof![frames(), prop::collection::vec(any::<u8>(), 0..60)],
        sizes in prop::collection::vec(1_usize..40, 0..6),
        client in any::<bool>(),
        deflate in any::<bool>(),
    ) {
        let reader = if client { CLIENT } else { SERVER };
        let reader = Reader { deflate: deflate.then_some((15, true)), ..reader.max_message(400).max_fragments(5) };
        let whole = reader.transcript([&bytes[..]]);
        prop_assert_eq!(&reader.transcript(bytes.chunks(1)), &whole);
        prop_assert_eq!(&reader.transcript(cut(&bytes, &sizes)), &whole);
    }

    #[test]
    fn a_naive_decoder_says_the_same(
        bytes in prop_oneof![frames(), prop::collection::vec(any::<u8>(), 0..60)],
        client in any::<bool>(),
    ) {
        let reader = if client { CLIENT } else { SERVER }.max_message(400).max_fragments(5);
        let ours = Reader { offsets: false, ..reader }.transcript([&bytes[..]]);
        prop_assert_eq!(naive::transcript(reader.role, &reader.limits, &bytes), ours);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        mask in prop::option::of(any::<[u8; 4]>()),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        at.extend([0, payload.len()]);
        at.sort_unstable();
        let mut out = Vec::new();
        for (i, ends) in at.windows(2).enumerate() {
            let header = FrameHeader {
                fin: i + 2 == at.len(),
                rsv1: false,
                opcode: if i == 0 { OpCode::Binary } else { OpCode::Continuation },
                mask: mask.map(Mask),
                len: 0,
            };
            encode_frame_into(&mut out, header, &payload[ends[0]..ends[1]]);
        }
        let role = if mask.is_some() { Role::Server } else { Role::Client };
        let mut decoder = Decoder::new(role, Limits::default());
        let mut assembler = Assembler::new();
        let mut input = &mut out[..];
        let mut messages = Vec::new();
        while let Some(event) = decoder.decode(&mut input).unwrap() {
            match event {
                Event::Binary(bytes) => messages.push(bytes.to_vec()),
                Event::Part(part) => messages.extend(assembler.push(part).unwrap().map(|message| message.as_bytes().to_vec())),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(messages, [payload]);
    }

    #[test]
    fn a_prepared_text_is_one_message(text in "\\PC{0,200}") {
        let mut out = Vec::new();
        let prepared = PreparedMessage::text(text.clone());
        prepared.plain().write_to(&mut out);
        prop_assert_eq!(out.len(), prepared.plain().len());
        let mut input = &mut out[..];
        let mut decoder = Decoder::new(Role::Client, Limits::default());
        prop_assert_eq!(decoder.decode(&mut input).unwrap(), Some(Event::Text(&text)));
        prop_assert!(PreparedMessage::text_from_utf8(text.into_bytes().into()).is_ok());
    }

    #[test]
    fn what_is_deflated_inflates(
        messages in prop::collection::vec("[ab]{0,40}|[a-z€]{0,300}", 1..6),
        bits in 8_u8..=15,
        takeover in any::<bool>(),
    ) {
        use ws_codec::handshake::DeflateConfig;
        let config = DeflateConfig {
            client_no_context_takeover: !takeover,
            client_max_window_bits: bits,
            ..DeflateConfig::default()
        };
        let mut deflater = ws_codec::Deflater::new(Role::Client, &config.into(), 6);
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend(crate::transcript::masked(0xC1, &deflater.compress(message.as_bytes())));
        }
        let expect: Vec<String> = messages.iter().map(|message| format!("text({message})")).collect();
        let reader = Reader { deflate: Some((bits, takeover)), ..SERVER };
        prop_assert_eq!(&reader.transcript([&stream[..]]), &expect.join(" "));
        prop_assert_eq!(&reader.transcript(stream.chunks(1)), &expect.join(" "));
    }

    #[test]
    fn deflate_never_panics_and_ends(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let stream = crate::transcript::masked(0xC2, &bytes);
        let reader = SERVER.deflate();
        prop_assert_eq!(reader.transcript(stream.chunks(1)), reader.transcript([&stream[..]]));
    }
}
