//! A publisher that takes nothing for published until it was answered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Plan;
use super::ledger::Ledger;

/// Time between two tries
const AGAIN: Duration = Duration::from_millis(20);

/// Every so many publishes, the first try is cut off before its answer
const CUT_EVERY: u64 = 5;

/// Publishes numbers to a topic, and `done` at the end
pub(super) async fn publish(address: SocketAddr, topic: usize, plan: Plan, ledger: Arc<Ledger>) {
    loop {
        if ledger.judge(|all| all.following == plan.clients) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    for number in 0.. {
        let is_last = ledger.is_done();
        let data = match is_last {
            true => "done".to_owned(),
            false => number.to_string(),
        };
        let begun = Instant::now();
        let mut tries = 0;
        let duplicate = loop {
            let cut = tries == 0 && number % CUT_EVERY == 2;
            let asked = ask(address, topic, &data, cut).await;
            match asked {
                Ok(Some(answer)) if answer.get("id").is_some() => {
                    break answer.get("duplicate") == Some(&Value::Bool(true));
                }
                Ok(Some(answer)) => ledger.write(|all| {
                    all.strange
                        .insert(format!("a publish was answered {answer}"));
                }),
                // A server that leaves, one that is not there, or our own doing.
                Ok(None) | Err(_) => {}
            }
            tries += 1;
            tokio::time::sleep(AGAIN).await;
        };
        ledger.write(|all| {
            all.repeated += u64::from(tries > 0);
            all.duplicates_answered += u64::from(duplicate);
            all.longest_publish = all.longest_publish.max(begun.elapsed());
            if !is_last {
                all.answered[topic] += 1;
            }
        });
        if is_last {
            return;
        }
        tokio::time::sleep(plan.pause).await;
    }
}

/// One try; `None` if there was no whole answer, or 503
async fn ask(
    address: SocketAddr,
    topic: usize,
    data: &str,
    cut: bool,
) -> io::Result<Option<Value>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST /topics/drain/{topic} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nIdempotency-Key: {topic}-{data}\r\n\
         Content-Length: {}\r\n\r\n{data}",
        data.len()
    );
    stream.write_all(request.as_bytes()).await?;
    if cut {
        // It has begun to answer, so it has published; what it says is thrown away.
        stream.readable().await?;
        return Ok(None);
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.starts_with("HTTP/1.1 503") {
        return Ok(None);
    }
    let Some((_, body)) = answer.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    Ok(serde_json::from_str(body).ok())
}
