//! `GET /metrics`: the counters with their names, in the text form of OpenMetrics.
//!
//! docs/OPERATING.md lists what is here.

use std::fmt;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeMetric as _, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use pushcore::{Backlog, HubStats, Timestamp};

use super::lag::{BOUNDS, Total};
use super::{Counts, Metrics, Transport, Words};
use crate::app::App;
use crate::leaving::Phase;
use crate::web::body::Body;

/// What Prometheus asks for by default
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers a scrape
///
/// Costs one lock of the hub for its counts, and one for a glance at every subscription and a walk over the longest
/// backlog.
pub(crate) fn scrape(app: &App) -> Response<Body> {
    let mut response = Response::new(Body::full(text(Scrape::take(app))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn text(scrape: Scrape) -> String {
    let mut registry = Registry::with_prefix("pushserver");
    registry.register_collector(Box::new(scrape));
    let mut text = String::with_capacity(8192);
    encode(&mut text, &registry).expect("writing to a string does not fail");
    text
}

/// Everything that is shown, at one moment
#[derive(Debug, Default)]
struct Scrape {
    published: u64,
    delivered: [u64; Transport::ALL.len()],
    lag: [Total; Transport::ALL.len()],
    counts: Counts,
    streams: [usize; Transport::ALL.len()],
    connections: usize,
    hub: HubStats,
    slowest: Backlog,
    leaving: bool,
    now: Timestamp,
}

impl Scrape {
    fn take(app: &App) -> Self {
        let metrics: &Metrics = &app.metrics;
        let lag = Transport::ALL.map(|transport| {
            let mut total = Total::default();
            for cell in &metrics.cells {
                cell.lag[transport as usize].add_to(&mut total);
            }
            total
        });
        Self {
            published: metrics.sum(|cell| &cell.published),
            delivered: Transport::ALL.map(|transport| metrics.delivered_by(transport)),
            lag,
            counts: metrics.counts().clone(),
            streams: app.connections.by_transport(),
            connections: app.admission.open(),
            hub: app.hub.stats(),
            slowest: app.hub.slowest(),
            leaving: app.leaving.phase() > Phase::Serving,
            now: app.clock.now(),
        }
    }

    fn streams(&self, lines: &mut Lines<'_>) -> fmt::Result {
        lines.gauge("connections", "Open connections", self.connections)?;
        lines.gauges(
            "streams",
            "Open streams by transport",
            "transport",
            by_stream(self.streams.iter().copied()),
        )?;
        let delivered = by_transport(self.delivered.iter().copied());
        lines.counters(
            "delivered_events",
            "Events handed to connections, each counted once for each of them",
            "transport",
            delivered,
        )?;
        lines.histograms(
            "delivery_lag_seconds",
            "Time from the publication of an event to the moment its bytes are handed to the connection",
            "transport",
            by_stream(self.lag.iter()),
        )?;
        lines.gauge(
            "slowest_backlog_events",
            "Events the slowest stream has not read, counted up to 10000",
            self.slowest.events,
        )?;
        let oldest = self.slowest.oldest.map(|oldest| self.now.since(oldest));
        lines.gauge(
            "slowest_backlog_seconds",
            "Age of the next event of the slowest stream",
            oldest.unwrap_or_default().as_secs_f64(),
        )
    }

    fn log(&self, lines: &mut Lines<'_>) -> fmt::Result {
        let hub = &self.hub;
        lines.counter(
            "published_events",
            "Events that were published",
            self.published,
        )?;
        lines.counter("evicted_events", "Events that retention took", hub.evicted)?;
        lines.gauge("topics", "Topics the log remembers", hub.topics)?;
        lines.gauge("subscriptions", "Subscriptions", hub.subscriptions)?;
        lines.gauge(
            "wildcards",
            "Different wildcard patterns subscribed to",
            hub.wildcards,
        )?;
        lines.gauge("log_events", "Events retained", hub.events)?;
        lines.gauge(
            "log_bytes",
            "Memory of the log without encodings",
            hub.log_bytes,
        )?;
        lines.gauge(
            "log_encoded_bytes",
            "Memory of encoded events",
            hub.form_bytes,
        )?;
        lines.gauge(
            "idempotency_keys",
            "Idempotency keys remembered",
            hub.idempotency_keys,
        )?;
        lines.gauge("members", "Members present in topics", hub.members)
    }

    fn outcomes(&self, lines: &mut Lines<'_>) -> fmt::Result {
        let counts = &self.counts;
        lines.counters("gaps", "Gaps announced", "reason", by_word(&counts.gaps))?;
        lines.counters(
            "resumes",
            "Streams that came back with a position, and what they met",
            "outcome",
            by_word(&counts.resumes),
        )?;
        lines.counters(
            "refusals",
            "Requests and connections refused",
            "reason",
            by_word(&counts.refused),
        )?;
        lines.counters(
            "closes",
            "Streams that the server closed",
            "reason",
            by_word(&counts.closed),
        )?;
        lines.gauge(
            "leaving",
            "Whether the server is leaving service",
            u64::from(self.leaving),
        )?;
        lines.counter(
            "streams_sent_away",
            "Streams told to come back later, because the server leaves",
            counts.sent_away,
        )
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut lines = Lines(encoder);
        self.streams(&mut lines)?;
        self.log(&mut lines)?;
        self.outcomes(&mut lines)
    }
}

fn by_transport<T>(values: impl Iterator<Item = T>) -> impl Iterator<Item = (&'static str, T)> {
    let names = Transport::ALL.into_iter().map(Transport::as_str);
    names.zip(values)
}

/// The transports that keep a connection open
fn by_stream<T>(values: impl Iterator<Item = T>) -> impl Iterator<Item = (&'static str, T)> {
    by_transport(values).filter(|(name, _)| *name != Transport::Poll.as_str())
}

fn by_word(words: &Words) -> impl Iterator<Item = (&'static str, u64)> {
    words.iter().map(|(word, count)| (*word, *count))
}

/// What the exporter needs to be told of a metric, in one call
struct Lines<'a>(DescriptorEncoder<'a>);

impl Lines<'_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue + Copy,
    ) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(
            self.0
                .encode_descriptor(name, help, None, MetricType::Gauge)?,
        )
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(
            self.0
                .encode_descriptor(name, help, None, MetricType::Counter)?,
        )
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, usize)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (word, value) in values {
            ConstGauge::new(value).encode(metric.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (word, value) in values {
            ConstCounter::new(value).encode(metric.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }

    fn histograms<'t>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, &'t Total)>,
    ) -> fmt::Result {
        let bounds = BOUNDS.map(|millis| millis as f64 / 1000.0);
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (word, total) in values {
            let bounds = bounds.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(total.counts).collect();
            let count = total.counts.iter().sum();
            metric
                .encode_family(&[(label, word)])?
                .encode_histogram::<NoLabelSet>(
                    total.sum_millis as f64 / 1000.0,
                    count,
                    &buckets,
                    None,
                )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_reads_as_prometheus_expects_it() {
        let metrics = Metrics::default();
        metrics.refused("forbidden");
        metrics.cell().lag[Transport::EventStream as usize].observe(3, 2);
        let mut scrape = Scrape {
            counts: metrics.counts().clone(),
            ..Scrape::default()
        };
        metrics.cell().lag[0].add_to(&mut scrape.lag[0]);
        let text = text(scrape);
        for line in [
            "# TYPE pushserver_delivery_lag_seconds histogram",
            r#"pushserver_delivery_lag_seconds_bucket{le="0.002",transport="sse"} 0"#,
            r#"pushserver_delivery_lag_seconds_bucket{le="0.005",transport="sse"} 2"#,
            r#"pushserver_delivery_lag_seconds_bucket{le="+Inf",transport="sse"} 2"#,
            r#"pushserver_delivery_lag_seconds_sum{transport="sse"} 0.006"#,
            r#"pushserver_refusals_total{reason="forbidden"} 1"#,
            r#"pushserver_streams{transport="websocket"} 0"#,
            "pushserver_leaving 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|had| had == line), "{line}\nin\n{text}");
        }
    }
}
