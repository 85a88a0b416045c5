//! Which form of a topic a client asks for.

/// The forms a `GET` of a topic can be answered in
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text/event-stream`, and whoever asks for nothing in particular
    EventStream,
    /// `application/json`: one page
    Json,
    /// `text/html`: a person
    Html,
}

/// Chooses by the `Accept` header (RFC 9110 section 12.5.1)
///
/// The listed media range with the highest weight wins, the earlier one among equals. Ranges that name none
/// of our forms are passed over; when nothing is left, it is an event stream.
pub(crate) fn negotiate(accept: Option<&str>) -> Form {
    let mut best = (0u16, Form::EventStream);
    for range in accept.unwrap_or("").split(',') {
        let mut parts = range.split(';').map(str::trim);
        let form = match parts.next().map(str::to_ascii_lowercase).as_deref() {
            Some("text/event-stream") => Form::EventStream,
            Some("application/json") => Form::Json,
            Some("text/html") => Form::Html,
            _ => continue,
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1000, weight);
        if weight > best.0 {
            best = (weight, form);
        }
    }
    best.1
}

/// A weight in thousandths; an unreadable one counts as 0, so that it never wins
fn weight(text: &str) -> u16 {
    match text.trim().parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => (value * 1000.0) as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_the_form_it_asks_for() {
        for (accept, expect) in [
            (None, Form::EventStream),
            (Some("*/*"), Form::EventStream),
            (Some("text/event-stream"), Form::EventStream),
            (Some("application/json"), Form::Json),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                Form::Html,
            ),
            (
                Some("application/json;q=0.5, text/event-stream"),
                Form::EventStream,
            ),
            (Some("application/json, text/event-stream"), Form::Json),
            (Some("text/html;q=oops, application/json;q=0.1"), Form::Json),
        ] {
            assert_eq!(negotiate(accept), expect, "{accept:?}");
        }
    }
}
