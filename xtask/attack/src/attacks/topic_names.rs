//! Names that a proxy might rewrite, so that what it let through is not what we read.

use anyhow::Result;

use super::{Attack, MIB, nothing};
use crate::judge::{Bound, Told};
use crate::siege::{Case, Field, attempt, first_answer};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "topic-names",
    does: "dot segments, empty segments, encoded slashes, backslashes, NULs and controls, overlong and broken UTF-8, path parameters, \
           stars and names too long, for reading and for publishing; each would be another topic to somebody who normalises",
    rate: "100 requests/s",
    told: &["400", "403", "404", "431", "4500", "4503"],
    bound: Bound {
        bytes: 3 * MIB,
        because: "100 requests/s x at most 1.5 s x 16 KiB of http.max_head_bytes = 2.4 MiB",
    },
    prepare: nothing,
    strike,
};

const TARGETS: [&str; 40] = [
    "/topics/offender/../secret/x",
    "/topics/offender/%2e%2e/secret/x",
    "/topics/offender/%2E./secret/x",
    "/topics/offender/.%2e/secret/x",
    "/topics/./offender/x",
    "/topics/offender/%2e/x",
    "/topics//offender/x",
    "/topics/offender//x",
    "//topics/offender/x",
    "/topics/offender/x/",
    "/topics/offender%2Fx",
    "/topics/offender%2fx",
    "/topics/offender/..%2Fsecret",
    "/topics/offender\\..\\secret",
    "/topics/offender%5C..%5Csecret",
    "/topics/offender/%00",
    "/topics/offender/x%00y",
    "/topics/offender/x%0d%0aid:%201",
    "/topics/offender/x%0ay",
    "/topics/offender/x%7f",
    "/topics/offender/%c2%85",
    "/topics/offender/%c0%ae%c0%ae/x",
    "/topics/offender/%e0%80%af",
    "/topics/offender/%ed%a0%80",
    "/topics/offender/%ff",
    "/topics/offender/%f4%90%80%80",
    "/topics/offender/%",
    "/topics/offender/%2",
    "/topics/offender/%zz",
    "/topics/offender/%u002f",
    "/topics/offender/a%2a",
    "/topics/offender/**/x",
    "/topics/..;/secret/x",
    "/topics/offender/..;/secret",
    "/TOPICS/offender/x",
    "/Topics/offender/x",
    "/topics;a=b/offender/x",
    "/topics/%6ffender%2f..%2fsecret",
    "/topics/offender/../../admin/stats",
    "/x/../topics/offender/x",
];

fn strike(field: &Field) -> Result<Told> {
    let token = token::offender("names");
    let case = |n: usize| {
        let target = TARGETS[n % TARGETS.len()];
        let fields = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
        let bytes = match n / TARGETS.len() % 3 {
            0 => format!("GET {target} HTTP/1.1\r\n{fields}Accept: application/json\r\n\r\n"),
            1 => format!("POST {target} HTTP/1.1\r\n{fields}Content-Length: 1\r\n\r\nx"),
            _ => format!(
                "GET http://localhost{target} HTTP/1.1\r\n{fields}Accept: application/json\r\n\r\n"
            ),
        };
        Case {
            name: target.to_owned(),
            bytes: bytes.into_bytes(),
            right: ATTACK.told,
        }
    };
    attempt(field, 100, case, first_answer)
}
