//! What is UTF-8 is what the standard library says is UTF-8, as long as vectors are used for and cut anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_codec::{Ends, Utf8Stream};

fuzz_target!(|input: &[u8]| {
    let &[before, after, cut, ref bytes @ ..] = input else {
        return;
    };
    // Long enough for the vectors, wherever in them the bytes stand; and the bytes are its end, or are not.
    let open = ["x".repeat(512 + usize::from(before)).as_bytes(), bytes].concat();
    let closed = [&open[..], "y".repeat(1 + usize::from(after)).as_bytes()].concat();
    for text in [open, closed] {
        let whole = check(&text, 0);
        assert_eq!(whole.is_ok(), std::str::from_utf8(&text).is_ok());
        // Around the bytes, and before the last one: that a character is unfinished is for the last one to show.
        let cut = usize::from(before) + 456 + usize::from(cut);
        assert_eq!(check(&text, cut.min(text.len() - 1)), whole);
    }
});

/// Reads the text in two pieces: how many bytes stand before the first wrong one, if one is wrong.
fn check(text: &[u8], cut: usize) -> Result<(), usize> {
    let mut utf8 = Utf8Stream::new();
    let mut got = String::new();
    let mut before = 0;
    let (first, second) = text.split_at(cut.min(text.len()));
    for (piece, ends) in [(first, Ends::No), (second, Ends::Yes)] {
        let checked = utf8.push(piece, ends).map_err(|at| before + at)?;
        got.extend(checked.joined);
        got.push_str(checked.text);
        before += piece.len();
    }
    assert_eq!(got.as_bytes(), text);
    Ok(())
}
