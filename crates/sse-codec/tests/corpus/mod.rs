//! The cases of corpus.txt, which says itself how it is to be read.

use serde_json::Value;

use crate::support::Outcome;

const CORPUS: &str = include_str!("../corpus.txt");

#[derive(Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) seed: String,
    pub(crate) stream: Vec<u8>,
    pub(crate) expect: Outcome,
}

pub(crate) fn read_corpus() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in CORPUS.lines() {
        let Some((mark, rest)) = line.split_once(' ') else {
            continue;
        };
        if mark == "==" {
            cases.push(Case {
                name: rest.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let Some(case) = cases.last_mut().filter(|_| mark != "#") else {
            continue;
        };
        match mark {
            "@" => {
                case.seed = texts(rest).remove(0);
                case.expect.last_event_id.clone_from(&case.seed);
            }
            "<" => case.stream.extend(texts(rest).concat().bytes()),
            "<x" => case.stream.extend(rest.split(' ').map(hexadecimal)),
            ">" => {
                let [event_type, data, id] =
                    <[String; 3]>::try_from(texts(rest)).expect("an event has three parts");
                case.expect.events.push((event_type, data, id));
            }
            "=" => {
                let after = values(rest);
                case.expect.last_event_id = after[0].as_str().expect("an id").to_owned();
                case.expect.retry = after[1].as_u64();
                case.expect.discarded = after[2].as_bool().expect("true or false");
            }
            _ => panic!("a line that begins with {mark:?}"),
        }
    }
    cases
}

fn values(rest: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(rest)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("JSON values, one after the other")
}

fn texts(rest: &str) -> Vec<String> {
    let text = |value: Value| value.as_str().expect("a JSON string").to_owned();
    values(rest).into_iter().map(text).collect()
}

fn hexadecimal(byte: &str) -> u8 {
    u8::from_str_radix(byte, 16).expect("two hexadecimal digits")
}
