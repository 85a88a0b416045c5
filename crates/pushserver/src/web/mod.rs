//! HTTP without its meaning here: routes, queries, names of fields, negotiation, problem documents, bodies.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod field;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod route;
