//! A page in Chromium, looked at and touched by way of its developer tools.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::browser::{Profile, launch};
use super::driver::Killed;
use super::http::Request;
use super::skip;
use super::web_socket::{WebSocket, handshake};

/// A browser with one page.
pub(crate) struct DevTools {
    socket: WebSocket,
    asked: u64,
    /// Errors that the page's scripts did not catch
    pub(crate) exceptions: Vec<Value>,
    _process: Killed,
    _profile: Profile,
}

impl DevTools {
    /// Opens the page; `None` where there is no browser.
    pub(crate) fn open(url: &str) -> Option<Self> {
        let chromium = skip::program("chromium")?;
        let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
        let profile = Profile::new(port.parse().unwrap(), 1000);
        let process = launch(&chromium, &profile, url);
        let file = profile.0.join("DevToolsActivePort");
        let start = Instant::now();
        let address: SocketAddr = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(port) = text
                .lines()
                .next()
                .filter(|_| text.ends_with(|c: char| c != '\n'))
            {
                break format!("127.0.0.1:{port}").parse().unwrap();
            }
            assert!(start.elapsed() < PATIENCE, "the browser does not start");
            std::thread::park_timeout(Duration::from_millis(5));
        };
        let path = loop {
            let targets = Request::get("/json").send(address).json();
            let targets = targets.as_array().unwrap().iter();
            let mut pages = targets.filter(|one| one["type"] == "page");
            if let Some(page) = pages.find(|one| one["url"].as_str().unwrap().starts_with("http")) {
                let at = page["webSocketDebuggerUrl"].as_str().unwrap();
                break at.split_once(&address.to_string()).unwrap().1.to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "the page does not open");
        };
        let mut this = Self {
            socket: WebSocket::upgraded(handshake(&path).open(address)),
            asked: 0,
            exceptions: Vec::new(),
            _process: process,
            _profile: profile,
        };
        this.ask("Runtime.enable", &json!({}));
        Some(this)
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let question = json!({"id": self.asked, "method": method, "params": params});
        self.socket.send_text(&question.to_string());
        loop {
            let mut told = self.socket.next_json();
            if told["id"] == self.asked {
                assert!(told.get("error").is_none(), "{method}: {told}");
                return told["result"].take();
            }
            if told["method"] == "Runtime.exceptionThrown" {
                self.exceptions.push(told);
            }
        }
    }

    /// What an expression is worth on the page.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer = self.try_evaluate(expression);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    #[track_caller]
    fn try_evaluate(&mut self, expression: &str) -> Value {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        self.ask("Runtime.evaluate", &params)
    }

    /// Waits until an expression is true on the page, which may not have loaded yet.
    #[track_caller]
    pub(crate) fn wait(&mut self, expression: &str) {
        let start = Instant::now();
        while self.try_evaluate(expression)["result"]["value"] != true {
            if start.elapsed() > PATIENCE {
                let text = self.evaluate("document.body.innerText");
                panic!("{expression} does not become true; the page says: {text}");
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Makes the page so wide, light or dark.
    #[track_caller]
    pub(crate) fn shows(&mut self, width: u32, scheme: &str) {
        let size =
            json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600});
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.ask(
            "Emulation.setEmulatedMedia",
            &json!({"features": [feature]}),
        );
    }

    /// A picture of the page, as base64 of a PNG.
    #[track_caller]
    pub(crate) fn picture(&mut self) -> String {
        let answer = self.ask("Page.captureScreenshot", &json!({"format": "png"}));
        answer["data"].as_str().unwrap().to_owned()
    }
}
