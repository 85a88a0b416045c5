//! The example programs, run as their users run them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Cargo builds the examples with the tests and puts them beside the tests' folder.
fn example(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().expect("a test knows where it is");
    path.pop();
    path.pop();
    Command::new(path.join("examples").join(name))
}

struct Ran {
    code: Option<i32>,
    out: String,
    errors: String,
}

fn run(name: &str, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = example(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Cargo has built the example");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input).expect("the example reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the example ends");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("examples print text"),
        errors: String::from_utf8(output.stderr).expect("examples print text"),
    }
}

#[test]
fn decode_prints_events_and_what_is_left_afterwards() {
    let stream = b"retry: 10\nid: 1\ndata: a\r\ndata: \xff\n\nevent: e\ndata\n\ndata: cut";
    let expect = concat!(
        r#"{"type":"message","data":"a\n�","last_event_id":"1"}"#,
        "\n",
        r#"{"type":"e","data":"","last_event_id":"1"}"#,
        "\n",
        r#"{"last_event_id_after":"1","retry_after":10,"discarded":true}"#,
        "\n",
    );
    assert_eq!(run("decode", &[], stream).out, expect);
    assert_eq!(run("decode", &["--chunk", "1"], stream).out, expect);
}

#[test]
fn decode_begins_with_an_id() {
    let ran = run("decode", &["--last-event-id", "7"], b"data: a\n\n");
    assert_eq!(
        ran.out,
        concat!(
            r#"{"type":"message","data":"a","last_event_id":"7"}"#,
            "\n",
            r#"{"last_event_id_after":"7","retry_after":null,"discarded":false}"#,
            "\n",
        )
    );
}

#[test]
fn encode_writes_what_json_lines_say() {
    let lines = br#"{"id":"1","event":"e","data":"a\rb","retry":5,"comment":"c"}
{"data":""}
{"id":""}
{}
{"comment":"x\ndata: y"}
"#;
    let ran = run("encode", &[], lines);
    assert_eq!(
        ran.out,
        ": c\nid: 1\nevent: e\nretry: 5\ndata: a\ndata: b\n\ndata: \n\nid: \n\n: x\n: data: y\n"
    );
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
}

#[test]
fn encode_refuses_what_cannot_be_carried() {
    for line in [
        r#"{"id":"a\nb"}"#,
        r#"{"id":"a\u0000"}"#,
        r#"{"event":"a\rdata: b"}"#,
        r#"{"retry":-1}"#,
        r#"{"retry":1.5}"#,
        r#"{"retry":2147483648}"#,
        r#"{"data":5}"#,
        r#"{"dta":"a"}"#,
        "[]",
        "{",
    ] {
        let ran = run("encode", &[], line.as_bytes());
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{line}");
        let error: serde_json::Value = serde_json::from_str(&ran.errors).expect("an error is JSON");
        assert!(error["error"].is_string(), "{line}");
    }
}

#[test]
fn event_source_survives_a_restart_and_misses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let mut client = follow(&format!("http://{address}/topics/x"), &[]);
    let mut lines = lines_of(&mut client);

    // In chunks that cut lines and characters; the second event is never finished.
    let mut stream = accept(&listener, None);
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "retry: 1\nid: 1\ndata: eins \u{2026}\n\nid: 2\ndata: zw".as_bytes();
    stream.write_all(head.as_bytes()).expect("it reads");
    for piece in body.chunks(7) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&chunk).expect("it reads");
    }
    assert_eq!(
        lines.next_event(),
        ("eins \u{2026}".to_owned(), "1".to_owned())
    );
    stream.shutdown(Shutdown::Both).expect("it is open");

    // The server is gone for some attempts, as connections without an answer, and comes back.
    drop(accept(&listener, Some("1")));
    drop(accept(&listener, Some("1")));
    let mut stream = accept(&listener, Some("1"));
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 32\r\n\r\n\
                  id: 2\ndata: zwei\n\nid: 3\ndata: d\n";
    stream.write_all(answer.as_bytes()).expect("it reads");
    assert_eq!(lines.next_event(), ("zwei".to_owned(), "2".to_owned()));

    // That was the end of the body. 204 is the end of all.
    let mut stream = accept(&listener, Some("2"));
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .expect("it reads");
    assert!(client.wait().expect("it ends").success());
}

#[test]
fn event_source_begins_with_an_id_and_ends_after_enough_events() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let options = ["--last-event-id", "7", "--events", "2"];
    let mut client = follow(&format!("http://{address}"), &options);
    let mut lines = lines_of(&mut client);
    let mut stream = accept(&listener, Some("7"));
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n\
                  data: a\n\nid: 8\ndata: b\n\ndata: c\n\n";
    stream.write_all(answer.as_bytes()).expect("it reads");
    assert_eq!(lines.next_event(), ("a".to_owned(), "7".to_owned()));
    assert_eq!(lines.next_event(), ("b".to_owned(), "8".to_owned()));
    assert!(client.wait().expect("it ends").success());
}

fn follow(url: &str, options: &[&str]) -> Child {
    example("event_source")
        .args(options)
        .arg(url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Cargo has built the example")
}

struct Lines<R>(R);

fn lines_of(client: &mut Child) -> Lines<impl BufRead + use<>> {
    Lines(BufReader::new(client.stdout.take().expect("it is piped")))
}

impl<R: BufRead> Lines<R> {
    /// Data and last event ID of the next event.
    fn next_event(&mut self) -> (String, String) {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it prints text");
        let event: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        let text = |name: &str| event[name].as_str().expect("it is text").to_owned();
        (text("data"), text("last_event_id"))
    }
}

/// Takes the next connection and checks its request.
#[track_caller]
fn accept(listener: &TcpListener, last_event_id: Option<&str>) -> TcpStream {
    let (mut stream, _) = listener.accept().expect("somebody connects");
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a whole request");
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).expect("a request is text");
    let sent = request
        .lines()
        .find_map(|line| line.strip_prefix("Last-Event-ID: "));
    assert_eq!(sent, last_event_id, "{request}");
    assert!(request.contains("Accept: text/event-stream\r\n"));
    stream
}
