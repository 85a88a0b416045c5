//! Reads one direction of a WebSocket connection, after its opening handshake, and prints what it says as JSON lines.
//!
//! ```text
//! decode --role server|client [--deflate] [--chunk N] [--max-message N] < bytes
//! ```
//!
//! `--role` is the end that reads: `server` for what a client sent. `--deflate` says that permessage-deflate was agreed on, `--chunk` how many
//! bytes each read has (all by default), `--max-message` how large messages and frames may be. One line an event:
//!
//! ```text
//! {"event":"text","data":"Hello"}
//! {"event":"binary","data":"00ff"}         also ping and pong: bytes as hex
//! {"event":"close","code":1000,"reason":"bye"}     code null if the peer gave none
//! {"violation":"a client's frame is not masked","close_code":1002,"at":1}
//! ```
//!
//! The last is printed when the peer broke the protocol or went over a limit, with the offset of the byte that proved it.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use ws_codec::handshake::DeflateConfig;
use ws_codec::{
    Assembler, Compression, ControlPayload, Decoder, Event, Failure, Limits, Message, Role,
};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!(
                "decode: {problem}\nusage: decode --role server|client [--deflate] [--chunk N] [--max-message N] < bytes"
            );
            return ExitCode::from(2);
        }
    };
    let mut bytes = Vec::new();
    if let Err(error) = io::stdin().lock().read_to_end(&mut bytes) {
        eprintln!("decode: standard input: {error}");
        return ExitCode::FAILURE;
    }
    let lines = tell(&bytes, &options);
    let mut out = io::stdout().lock();
    match lines.iter().try_for_each(|line| writeln!(out, "{line}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The lines for these bytes.
pub fn tell(bytes: &[u8], options: &Options) -> Vec<String> {
    let mut lines = Vec::new();
    if let Err(wrong) = decode(bytes, options, &mut lines) {
        let at = match wrong.at {
            Some(at) => at,
            None => prove(bytes, options),
        };
        lines.push(format!(
            r#"{{"violation":{},"close_code":{},"at":{at}}}"#,
            quote(&wrong.failure.to_string()),
            wrong.failure.close_code(),
        ));
    }
    lines
}

/// What the command line says.
pub struct Options {
    role: Role,
    deflate: bool,
    chunk: usize,
    limits: Limits,
}

impl Options {
    /// The options of these arguments, or what is wrong with them.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut role = None;
        let mut options = Options {
            role: Role::Server,
            deflate: false,
            chunk: usize::MAX,
            limits: Limits::default(),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--role" => {
                    role = Some(match value()?.as_str() {
                        "server" => Role::Server,
                        "client" => Role::Client,
                        other => return Err(format!("no role {other:?}")),
                    });
                }
                "--deflate" => options.deflate = true,
                "--chunk" => options.chunk = parse_size(&value()?)?,
                "--max-message" => {
                    options.limits.max_message = parse_size(&value()?)?;
                    options.limits.max_frame = options.limits.max_message;
                }
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        options.role = role.ok_or("--role is missing")?;
        Ok(options)
    }
}

fn parse_size(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|size| *size > 0)
        .ok_or_else(|| format!("{text:?} is not a positive number"))
}

/// What went wrong, and at which byte if the decoder itself found it.
struct Wrong {
    failure: Failure,
    at: Option<usize>,
    /// How many bytes had been given when it showed
    given: usize,
}

fn decode(bytes: &[u8], options: &Options, lines: &mut Vec<String>) -> Result<(), Wrong> {
    // What a peer compresses by itself inflates in a connection with context takeover as well.
    let config = DeflateConfig {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        ..DeflateConfig::default()
    };
    let mut decoder = Decoder::new(options.role, options.limits);
    let mut assembler = Assembler::new();
    if options.deflate {
        decoder = decoder.with_compression(Compression::Deflate);
        assembler = assembler.with_deflate(options.role, &config.into(), &options.limits);
    }
    let mut given = 0;
    for chunk in bytes.chunks(options.chunk) {
        let mut chunk = chunk.to_vec();
        let mut input = &mut chunk[..];
        let end = given + input.len();
        loop {
            let taken = end - input.len();
            let event = decoder.decode(&mut input).map_err(|failed| Wrong {
                failure: failed.failure,
                at: Some(taken + failed.at),
                given: end,
            })?;
            let Some(event) = event else { break };
            let message = match event {
                Event::Part(part) => assembler.push(part).map_err(|failure| Wrong {
                    failure,
                    at: None,
                    given: end,
                })?,
                Event::Text(text) => Some(Message::Text(text.into())),
                Event::Binary(bytes) => Some(Message::Binary(bytes.into())),
                Event::Ping(payload) => {
                    lines.push(control_line("ping", &payload));
                    None
                }
                Event::Pong(payload) => {
                    lines.push(control_line("pong", &payload));
                    None
                }
                Event::Close(frame) => {
                    let code = frame.map_or("null".to_owned(), |frame| frame.code().to_string());
                    let reason = quote(frame.as_ref().map_or("", |frame| frame.reason()));
                    lines.push(format!(
                        r#"{{"event":"close","code":{code},"reason":{reason}}}"#
                    ));
                    None
                }
            };
            match message {
                Some(Message::Text(text)) => {
                    lines.push(format!(r#"{{"event":"text","data":{}}}"#, quote(&text)));
                }
                Some(Message::Binary(bytes)) => {
                    lines.push(format!(r#"{{"event":"binary","data":"{}"}}"#, hex(&bytes)));
                }
                None => {}
            }
        }
        given = end;
    }
    Ok(())
}

/// The byte that proves what is wrong with a compressed message: the one after which it shows when they come one by one.
fn prove(bytes: &[u8], options: &Options) -> usize {
    let one_by_one = Options {
        chunk: 1,
        ..*options
    };
    match decode(bytes, &one_by_one, &mut Vec::new()) {
        Err(wrong) => wrong.given - 1,
        Ok(()) => bytes.len(),
    }
}

fn control_line(event: &str, payload: &ControlPayload) -> String {
    format!(r#"{{"event":"{event}","data":"{}"}}"#, hex(payload))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xF])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// A JSON string (RFC 8259 section 7).
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
