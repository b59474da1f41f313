//! Upgraded connections (WebSocket and any other protocol but h2c): bytes both ways until either
//! side ends. Nothing is looked at and nothing is learned.
//!
//! A tunnel counts as in flight, so a drain waits for it as long as `shutdown.drain_ms` lets it.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::shutdown::InFlight;

/// Joins the two sides once both have switched. Runs on the worker that accepted the client.
pub(crate) fn join(client: OnUpgrade, shop: OnUpgrade, in_flight: InFlight) {
    tokio::spawn(async move {
        let _in_flight = in_flight;
        match (client.await, shop.await) {
            (Ok(client), Ok(shop)) => {
                let (mut client, mut shop) = (TokioIo::new(client), TokioIo::new(shop));
                // Either side hanging up is the normal end of a tunnel.
                drop(tokio::io::copy_bidirectional(&mut client, &mut shop).await);
            }
            (client, shop) => tracing::debug!(
                client = client.is_ok(),
                shop = shop.is_ok(),
                "an upgrade was agreed on and did not happen"
            ),
        }
    });
}
