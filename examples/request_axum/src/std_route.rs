//! `POST /std`: the handler on std types. Borrows from the request's body where it can, as
//! [`arena_route`](crate::arena_route) does; `POST /owned` is the same code with the `String`s that
//! `axum::Json` would ask for.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::order::{self, Refusal, discount, json, path_bytes_max, write_path};

#[derive(Deserialize)]
struct Order<S> {
    customer: S,
    items: Vec<Item<S>>,
}

#[derive(Deserialize)]
struct Item<S> {
    sku: S,
    name: S,
    category: S,
    quantity: u32,
    unit_cents: u64,
    note: Option<S>,
    tags: Vec<S>,
}

/// Text of the body, or a copy where it had escapes.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[derive(Serialize)]
struct Answer<'a, S> {
    customer: &'a str,
    total_cents: u64,
    groups: Vec<Group<'a, S>>,
}

#[derive(Serialize)]
struct Group<'a, S> {
    category: &'a str,
    total_cents: u64,
    lines: Vec<Line<'a, S>>,
}

#[derive(Serialize)]
struct Line<'a, S> {
    label: String,
    path: String,
    cents: u64,
    note: Option<&'a str>,
    tags: &'a [S],
}

pub async fn price(body: Bytes) -> Result<Response, Refusal> {
    Ok(json(answer(&body).await?.into()))
}

pub async fn price_owned(body: Bytes) -> Result<Response, Refusal> {
    Ok(json(answer_owned(&body).await?.into()))
}

/// The handler without axum.
pub async fn answer(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let order: Order<Text> = serde_json::from_slice(body)?;
    let discount = discount(order.customer.as_ref()).await;
    Ok(render(&order, discount))
}

/// As [`answer`], with every text of the order copied.
pub async fn answer_owned(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let order: Order<String> = serde_json::from_slice(body)?;
    let discount = discount(&order.customer).await;
    Ok(render(&order, discount))
}

fn render<S: AsRef<str> + Serialize>(order: &Order<S>, discount: u64) -> Vec<u8> {
    let mut by_category: HashMap<&str, Vec<Line<S>>> = HashMap::new();
    for item in &order.items {
        let category = by_category.entry(item.category.as_ref()).or_default();
        category.push(line(item, discount));
    }
    let mut groups: Vec<Group<S>> = by_category.into_iter().map(group).collect();
    groups.sort_unstable_by_key(|group| group.category);
    let answer = Answer {
        customer: order.customer.as_ref(),
        total_cents: groups.iter().map(|group| group.total_cents).sum(),
        groups,
    };
    serde_json::to_vec(&answer).expect("numbers, texts and lists")
}

fn line<S: AsRef<str>>(item: &Item<S>, discount: u64) -> Line<'_, S> {
    let (name, category, sku) = (
        item.name.as_ref(),
        item.category.as_ref(),
        item.sku.as_ref(),
    );
    let mut path = String::with_capacity(path_bytes_max([category, name, sku]));
    write_path(&mut path, [category, name, sku]).expect("a String takes all");
    Line {
        label: format!("{} × {name}", item.quantity),
        path,
        cents: order::price(item.quantity, item.unit_cents, discount),
        note: item.note.as_ref().map(AsRef::as_ref),
        tags: &item.tags,
    }
}

fn group<'a, S>((category, mut lines): (&'a str, Vec<Line<'a, S>>)) -> Group<'a, S> {
    lines.sort_unstable_by(|a, b| (b.cents, &a.path).cmp(&(a.cents, &b.path)));
    Group {
        category,
        total_cents: lines.iter().map(|line| line.cents).sum(),
        lines,
    }
}
