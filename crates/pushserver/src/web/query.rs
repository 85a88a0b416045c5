//! The query string, read strictly: an unknown parameter is an error, not a silent difference.

use std::borrow::Cow;
use std::time::Duration;

use super::problem::Problem;

/// The parameters of one request, in order
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads the query; every name must be one of `known`
    pub(crate) fn parse(raw: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let pairs: Vec<_> = form_urlencoded::parse(raw.unwrap_or("").as_bytes()).collect();
        for (name, _) in &pairs {
            if !known.contains(&name.as_ref()) {
                return Err(unknown(name, known));
            }
        }
        Ok(Self(pairs))
    }

    /// Every value of a parameter that may be repeated
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }

    /// The value of a parameter that may be given once
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Problem::bad_parameter(format!(
                "`{name}` is given twice; once is right"
            )));
        }
        Ok(first)
    }

    /// A parameter that is `true` or `false`; absent means false
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Problem> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Problem::bad_parameter(format!(
                "`{name}={other}` is neither `true` nor `false`"
            ))),
        }
    }

    /// A parameter that is a whole number from 1 to `max`
    pub(crate) fn count(&self, name: &'static str, max: u64) -> Result<Option<u64>, Problem> {
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        match value.parse() {
            Ok(count) if (1..=max).contains(&count) => Ok(Some(count)),
            _ if max == u64::MAX => Err(Problem::bad_parameter(format!(
                "`{name}={value}` is not a whole number of at least 1"
            ))),
            _ => Err(Problem::bad_parameter(format!(
                "`{name}={value}` is not a whole number from 1 to {max}"
            ))),
        }
    }

    /// A parameter that is a span of time: `500ms`, `25s`, `5m`, `2h`
    pub(crate) fn duration(&self, name: &'static str) -> Result<Option<Duration>, Problem> {
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        match humantime::parse_duration(value) {
            Ok(duration) => Ok(Some(duration)),
            Err(_) => Err(Problem::bad_parameter(format!(
                "`{name}={value}` is not a span of time such as 25s, 5m or 2h"
            ))),
        }
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    if known.is_empty() {
        return Problem::bad_parameter(format!(
            "`{name}` is not known here; this path takes no parameters"
        ));
    }
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len() / 2)
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"));
    Problem::bad_parameter(format!(
        "`{name}` is not a parameter of this path{} (known: {})",
        nearest.unwrap_or_default(),
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_parameter_is_refused_with_the_nearest_known_one() {
        let problem = Query::parse(Some("aftr=x"), &["after", "last"]).expect_err("unknown");
        assert!(
            problem.detail().contains("did you mean `after`?"),
            "{}",
            problem.detail()
        );
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let query = Query::parse(Some("last=1&last=2"), &["last"]).expect("known names");
        assert!(query.count("last", 10).is_err());
    }

    #[test]
    fn counts_flags_and_durations_say_what_would_be_right() {
        let query = Query::parse(Some("last=0&end=yes&wait=soon"), &["last", "end", "wait"])
            .expect("known");
        assert!(
            query
                .count("last", 10)
                .expect_err("0")
                .detail()
                .contains("1 to 10")
        );
        assert!(
            query
                .count("last", u64::MAX)
                .expect_err("0")
                .detail()
                .ends_with("of at least 1")
        );
        assert!(
            query
                .flag("end")
                .expect_err("yes")
                .detail()
                .contains("neither")
        );
        assert!(
            query
                .duration("wait")
                .expect_err("soon")
                .detail()
                .contains("25s")
        );
    }
}
