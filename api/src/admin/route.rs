//! One route of the admin API, and the few kinds there are.

use crate::admin::answer;
use crate::admin::command::AdminCommand;
use crate::admin::command::Because;
use crate::admin::parts::Parts;
use crate::problem::Problem;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;

/// One route.
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path below [`PREFIX`](crate::admin::rest::PREFIX), parameters in braces.
    pub path: &'static str,
    /// What it does, one line.
    pub summary: &'static str,
    /// Query parameters that it knows.
    pub query: &'static [&'static str],
    /// Schema of its body, if it takes one.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Schema of its answer.
    pub answer: fn(&mut SchemaGenerator) -> Schema,
    /// Whether it may answer 202 with [`answer::ProposedView`].
    pub may_be_proposed: bool,
    pub(super) command: Build,
}

pub(super) type Build = fn(&Parts<'_>) -> Result<AdminCommand, Problem>;

pub(super) const fn get<A: JsonSchema>(
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    command: Build,
) -> Route {
    Route {
        method: "GET",
        path,
        summary,
        query,
        body: None,
        answer: SchemaGenerator::subschema_for::<A>,
        may_be_proposed: false,
        command,
    }
}

pub(super) const fn grant<B: JsonSchema, A: JsonSchema>(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    command: Build,
) -> Route {
    Route {
        body: Some(SchemaGenerator::subschema_for::<B>),
        answer: SchemaGenerator::subschema_for::<A>,
        ..grant_by_name(method, path, summary, command)
    }
}

pub(super) const fn grant_by_name(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    command: Build,
) -> Route {
    Route { may_be_proposed: true, ..withdraw(method, path, summary, command) }
}

pub(super) const fn open<A: JsonSchema>(
    path: &'static str,
    summary: &'static str,
    command: Build,
) -> Route {
    Route {
        answer: SchemaGenerator::subschema_for::<A>,
        ..grant_by_name("POST", path, summary, command)
    }
}

pub(super) const fn make<B: JsonSchema, A: JsonSchema>(
    path: &'static str,
    summary: &'static str,
    command: Build,
) -> Route {
    Route { may_be_proposed: false, ..grant::<B, A>("POST", path, summary, command) }
}

pub(super) const fn withdraw(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    command: Build,
) -> Route {
    Route {
        method,
        path,
        summary,
        query: &[],
        body: None,
        answer: SchemaGenerator::subschema_for::<answer::DoneView>,
        may_be_proposed: false,
        command,
    }
}

pub(super) const fn withdraw_because(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    command: Build,
) -> Route {
    Route {
        body: Some(SchemaGenerator::subschema_for::<Because>),
        ..withdraw(method, path, summary, command)
    }
}
