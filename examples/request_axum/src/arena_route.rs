//! `POST /arena`: the handler. The order, the map, the lists, the texts and the answer all lie in
//! the request's arena, and stay there until the answer is sent. (Where clients read so slowly that
//! this matters, freeze the answer in a second arena: the first goes back at once.)

use std::hash::RandomState;
use std::io;

use axum::response::Response;
use bytes::Bytes;
use flagstone::{Arena, ArenaBytes, ArenaString, ArenaVec, OwnedPooledArena, deserialize_in};
use hashbrown::HashMap;
use serde::Serialize;

use crate::order::{self, Refusal, discount, json, path_bytes_max, write_path};
use crate::pooled::RequestArena;

deserialize_in! {
    struct Order<'a> {
        customer: &'a str,
        items: &'a [Item<'a>],
    }
}

deserialize_in! {
    struct Item<'a> {
        sku: &'a str,
        name: &'a str,
        category: &'a str,
        quantity: u32,
        unit_cents: u64,
        note: Option<&'a str>,
        tags: &'a [&'a str],
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    customer: &'a str,
    total_cents: u64,
    groups: &'a [Group<'a>],
}

#[derive(Serialize)]
struct Group<'a> {
    category: &'a str,
    total_cents: u64,
    lines: &'a [Line<'a>],
}

#[derive(Serialize)]
struct Line<'a> {
    label: &'a str,
    path: &'a str,
    cents: u64,
    note: Option<&'a str>,
    tags: &'a [&'a str],
}

pub async fn price(RequestArena(arena): RequestArena, body: Bytes) -> Result<Response, Refusal> {
    // The arena goes with the body and returns to its pool when that is sent.
    Ok(json(Bytes::from_owner(answer(arena, &body).await?)))
}

/// The handler without axum.
pub async fn answer(arena: OwnedPooledArena, body: &[u8]) -> Result<ArenaBytes, Refusal> {
    arena
        .try_freeze_async(async |arena| {
            let order = parse(arena, body)?;
            let discount = discount(order.customer).await;
            render(arena, &order, discount)
        })
        .await
}

/// Texts of the order are pieces of the body, or copies in the arena where they had escapes.
fn parse<'a>(arena: &'a Arena, body: &'a [u8]) -> Result<Order<'a>, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let order = arena.deserialize(&mut json)?;
    json.end()?;
    Ok(order)
}

/// The answer lives as long as the arena's borrow, the order perhaps only as long as the body.
fn render<'a>(arena: &'a Arena, order: &Order<'_>, discount: u64) -> Result<&'a [u8], Refusal> {
    let mut by_category = HashMap::with_hasher_in(RandomState::new(), arena);
    for item in order.items {
        by_category.try_reserve(1)?;
        by_category
            .entry(item.category)
            .or_insert_with(|| ArenaVec::new_in(arena))
            .try_push(line(arena, item, discount)?)?;
    }
    let mut groups = ArenaVec::try_with_capacity_in(by_category.len(), arena)?;
    groups.try_extend(by_category.into_iter().map(group))?;
    groups.sort_unstable_by_key(|group| group.category);
    let answer = Answer {
        customer: order.customer,
        total_cents: groups.iter().map(|group| group.total_cents).sum(),
        groups: groups.into_slice(),
    };
    let mut body = Body(ArenaVec::new_in(arena));
    serde_json::to_writer(&mut body, &answer)?;
    Ok(body.0.into_slice())
}

fn line<'a>(arena: &'a Arena, item: &Item<'a>, discount: u64) -> Result<Line<'a>, Refusal> {
    let parts = [item.category, item.name, item.sku];
    let mut path = ArenaString::try_with_capacity_in(path_bytes_max(parts), arena)?;
    write_path(&mut path, parts)?;
    Ok(Line {
        label: arena.try_alloc_fmt(format_args!("{} × {}", item.quantity, item.name))?,
        path: path.into_str(),
        cents: order::price(item.quantity, item.unit_cents, discount),
        note: item.note,
        tags: item.tags,
    })
}

fn group<'a>((category, lines): (&'a str, ArenaVec<'a, Line<'a>>)) -> Group<'a> {
    let lines = lines.into_slice();
    lines.sort_unstable_by(|a, b| (b.cents, a.path).cmp(&(a.cents, b.path)));
    Group {
        category,
        total_cents: lines.iter().map(|line| line.cents).sum(),
        lines,
    }
}

/// Bytes in the arena that serde_json can write to.
struct Body<'a>(ArenaVec<'a, u8>);

impl io::Write for Body<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.0.try_extend_from_slice(bytes);
        written.map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
