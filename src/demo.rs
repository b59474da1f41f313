//! Floor 6, the demo shop: a small grocery shop in this process that speaks LeafLoaf's contract.
//!
//! In: a [`Catalog`] (ours, or LeafLoaf's own files) and a listener. Out: search, order and
//! tracking as LeafLoaf answers them, a product page and cart of our own, and Weaviate's `Get` over
//! GraphQL. It is an upstream like any other: it knows nothing of the sidecar, ranks by text alone
//! and learns nothing. Never part of the data plane; built only with the feature `demo`. Limits:
//! request bodies of 256 KiB, 10,000 carts of 100 lines.

use std::future::Future;

use tokio::net::TcpListener;

pub use catalog::{Catalog, CatalogError, Product};

pub mod cart;
pub mod catalog;
#[cfg(test)]
mod contract;
pub mod graphql;
pub mod index;
mod leafloaf;
pub mod reply;
mod request;
pub mod shop;
pub mod table;
pub mod weaviate;

/// Why the demo shop cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The catalogue cannot be indexed.
    #[error("the demo shop cannot index its catalogue")]
    Index(#[from] tantivy::TantivyError),
    /// The listener failed.
    #[error("the demo shop stopped serving")]
    Serve(#[from] std::io::Error),
}

/// The shop's routes over a catalogue.
///
/// # Errors
/// [`DemoError::Index`] when the catalogue cannot be indexed.
pub fn router(catalog: Catalog) -> Result<axum::Router, DemoError> {
    Ok(shop::routes(shop::Shop::open(catalog)?))
}

/// Serves the shop on `listener` until `shutdown` resolves; requests under way are finished.
///
/// # Errors
/// [`DemoError`] when the catalogue cannot be indexed or the listener fails.
pub async fn serve(
    catalog: Catalog,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DemoError> {
    let router = router(catalog)?;
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
    Ok(())
}
