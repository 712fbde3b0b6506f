//! What both handlers share: the discount they look up, how a product's path is written, and what
//! a request is refused with.

use std::fmt;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flagstone::AllocError;
use hashbrown::TryReserveError;

/// Per cent off for a customer. Stands for a cache or a database: the task is suspended once.
pub async fn discount(customer: &str) -> u64 {
    tokio::task::yield_now().await;
    customer.len() as u64 % 10
}

/// Cents for `quantity` pieces after a discount.
pub fn price(quantity: u32, unit_cents: u64, discount: u64) -> u64 {
    let full = unit_cents.saturating_mul(quantity.into());
    full - full / 100 * discount
}

/// How long a path of these parts can be.
pub fn path_bytes_max(parts: [&str; 3]) -> usize {
    parts.map(|part| 1 + part.len()).iter().sum()
}

/// Writes the path of a product's page: lower case, one dash for whatever is no letter or digit.
pub fn write_path(out: &mut impl fmt::Write, parts: [&str; 3]) -> fmt::Result {
    for part in parts {
        out.write_char('/')?;
        let mut gap = false;
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() {
                out.write_char(byte.to_ascii_lowercase().into())?;
            } else if !gap {
                out.write_char('-')?;
            }
            gap = !byte.is_ascii_alphanumeric();
        }
    }
    Ok(())
}

/// Why there is no price.
#[derive(Debug)]
pub enum Refusal {
    /// 400: the order is not what it should be.
    Malformed(serde_json::Error),
    /// 503: the limit of the order's arena is reached, or that of the process.
    Memory,
}

impl From<AllocError> for Refusal {
    fn from(_: AllocError) -> Refusal {
        Refusal::Memory
    }
}

impl From<TryReserveError> for Refusal {
    fn from(_: TryReserveError) -> Refusal {
        Refusal::Memory
    }
}

/// From a text in the arena, the only one that can refuse to be written.
impl From<fmt::Error> for Refusal {
    fn from(_: fmt::Error) -> Refusal {
        Refusal::Memory
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Refusal {
        // serde hands an arena's refusal on as its text; what is written fails for no other reason.
        if error.is_io() || error.to_string().starts_with("allocation refused") {
            Refusal::Memory
        } else {
            Refusal::Malformed(error)
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Malformed(error) => {
                (StatusCode::BAD_REQUEST, error.to_string()).into_response()
            }
            Refusal::Memory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no memory left for this order",
            )
                .into_response(),
        }
    }
}

/// An answer of JSON.
pub fn json(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
