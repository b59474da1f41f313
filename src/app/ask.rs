//! Questions of our own to the shop: one at a time and whole, by the client that traffic uses.
//!
//! In: a request of `api`. Out: the shop's reply without content coding, up to `reply_bytes_max`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};

use crate::api::AskShop;
use crate::client::shop::{Repeat, Shop, ShopError, ShopSetupError};
use crate::config::Settings;
use crate::proxy::RequestBody;

/// The shop, to be asked.
pub(super) struct Ask {
    shop: Shop<RequestBody>,
    bytes_max: usize,
}

impl Ask {
    /// # Errors
    /// An upstream that cannot be used.
    pub(super) fn of(settings: &Settings) -> Result<Option<Arc<dyn AskShop>>, ShopSetupError> {
        let Some(upstream) = &settings.upstream else { return Ok(None) };
        let bytes_max = settings.limits.reply_bytes_max;
        Ok(Some(Arc::new(Self { shop: Shop::new(upstream)?, bytes_max })))
    }
}

#[async_trait]
impl AskShop for Ask {
    async fn ask(&self, request: Request<Bytes>) -> Result<(StatusCode, Bytes), &'static str> {
        let (mut head, body) = request.into_parts();
        if let Some(host) = self.shop.host(false) {
            head.headers.insert(header::HOST, host);
        }
        head.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let body = RequestBody::whole(Some(body).filter(|body| !body.is_empty()));
        let reply = self.shop.send(Box::new(head), body, Repeat::Once).await;
        let reply = reply.map_err(|error| match error {
            ShopError::Unreachable(_) => "shop_unreachable",
            ShopError::HungUp(_) => "shop_hung_up",
            ShopError::TimedOut => "shop_timed_out",
        })?;
        let status = reply.status();
        let coded = reply.headers().get(header::CONTENT_ENCODING);
        if coded.is_some_and(|coding| coding != "identity") {
            return Err("shop_reply_encoded");
        }
        let body = Limited::new(reply.into_body(), self.bytes_max).collect().await;
        let body = body.map_err(|_| "shop_reply_broken")?;
        Ok((status, body.to_bytes()))
    }
}
