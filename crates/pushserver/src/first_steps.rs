//! What to try first, and the credential that it needs here.

use pushcore::{Pattern, Topic};

use crate::app::App;
use crate::auth::Authority;
use crate::config::Config;
use crate::server::Server;

/// What `curl` is given to follow a topic and to publish to it; each is empty, or ends with a space
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstSteps {
    pub(crate) follow: &'static str,
    pub(crate) publish: &'static str,
}

/// The topic of every example
const TOPIC: &str = "news";

const TOKEN: &str = r#"-H "Authorization: Bearer $TOKEN" "#;
const API_KEY: &str = r#"-H "X-API-Key: $KEY" "#;

impl FirstSteps {
    pub(crate) fn of(app: &App) -> Self {
        Self::under(&app.config, &app.authority)
    }

    fn under(config: &Config, authority: &Authority) -> Self {
        let everybody = authority.everybody();
        let auth = &config.auth;
        let credential = match auth.secret.is_some() || !auth.keys.is_empty() {
            true => TOKEN,
            false => API_KEY,
        };
        let needed = |is_free: bool| if is_free { "" } else { credential };
        let topic = Topic::parse(TOPIC).expect("`news` is a topic");
        Self {
            follow: needed(everybody.may_subscribe(&Pattern::exact(topic.clone()))),
            publish: needed(everybody.may_publish(&topic)),
        }
    }
}

impl Server {
    /// Where it listens, and what to try: a few lines for a terminal
    ///
    /// The commands are those that are answered here: with a key configured they carry the credential that they need, and
    /// if tokens are made from `auth.secret` there is the command that makes one. It needs this server's configuration,
    /// so `options` are the flags that name it, such as `--config push.toml`; a secret should not be among them.
    #[must_use]
    pub fn first_steps(&self, options: &str) -> String {
        let scheme = if self.is_encrypted() { "https" } else { "http" };
        let url = format!("{scheme}://{}", self.address());
        steps(&url, options, self.config(), self.authority())
    }
}

fn steps(url: &str, options: &str, config: &Config, authority: &Authority) -> String {
    let FirstSteps { follow, publish } = FirstSteps::under(config, authority);
    let options = match options {
        "" => String::new(),
        options => format!("{options} "),
    };
    let mut lines = format!("pushserver is listening on {url}\n\n");
    if config.auth.secret.is_some() {
        lines += &format!(
            "  a token to try    TOKEN=$(pushserver token {options}--subject me --subscribe '**' --publish '**')\n"
        );
    }
    lines += &format!(
        "  follow a topic    curl -N {follow}{url}/topics/{TOPIC}\n  \
         publish to it     curl -d hello {publish}{url}/topics/{TOPIC}\n"
    );
    lines += &match follow {
        "" => format!("  in a browser      {url}/topics/{TOPIC}\n"),
        _ => format!(
            "  a ticket          curl -d '{{\"match\":[\"{TOPIC}\"]}}' {follow}{url}/tickets\n  \
             in a browser      {url}/topics/{TOPIC}?ticket=…\n"
        ),
    };
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "auth.secret=0123456789abcdef0123456789abcdef";

    fn configured(settings: &[&str]) -> (Config, Authority) {
        let flags = settings.iter().map(|setting| {
            let (name, value) = setting.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let config = Config::load(None, std::iter::empty(), flags).unwrap();
        let authority = Authority::from_config(&config).unwrap();
        (config, authority)
    }

    #[track_caller]
    fn check(settings: &[&str], follow: &str, publish: &str) {
        let (config, authority) = configured(settings);
        let steps = FirstSteps::under(&config, &authority);
        assert_eq!((steps.follow, steps.publish), (follow, publish));
    }

    #[test]
    fn commands_carry_what_they_need_and_no_more() {
        check(&[], "", "");
        check(&[SECRET], TOKEN, TOKEN);
        check(&[SECRET, "auth.anonymous_subscribe=**"], "", TOKEN);
        check(&[SECRET, "auth.anonymous_subscribe=other"], TOKEN, TOKEN);
    }

    #[test]
    fn a_server_with_a_secret_says_how_a_token_is_made() {
        let (config, authority) = configured(&[SECRET]);
        let told = steps("http://here", "--config 'a b'", &config, &authority);
        assert!(
            told.contains("TOKEN=$(pushserver token --config 'a b' --subject me"),
            "{told}"
        );
        assert!(told.contains("http://here/topics/news?ticket="), "{told}");
        let (config, authority) = configured(&[]);
        let told = steps("http://here", "", &config, &authority);
        assert!(
            !told.contains("token") && !told.contains("ticket"),
            "{told}"
        );
    }
}
