//! Floor 1: endpoints and what is said of them, by the same lines.
//!
//! In: for each endpoint a method, a path, a handler and an [`Operation`]. Out: a router of axum's, and
//! a document of OpenAPI 3.1 whose schemas are drawn from the types that are read and written. No route
//! comes in without its description. In debug builds an answer that the description does not know is
//! a panic, so that every test that meets one finds it.

mod document;
mod operation;

pub use document::{About, Scheme};
pub use operation::{Body, Operation, Parameter, Trouble, examples};

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter};
use serde_json::Value;

/// Endpoints, each with its description.
pub struct Endpoints<S> {
    router: Router<S>,
    described: Vec<Described>,
}

/// One operation where it is found.
struct Described {
    method: Method,
    path: &'static str,
    operation: Arc<Operation>,
}

impl<S: Clone + Send + Sync + 'static> Default for Endpoints<S> {
    fn default() -> Self {
        Self { router: Router::new(), described: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Endpoints<S> {
    /// Adds an endpoint that is read.
    #[must_use]
    pub fn get<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(MethodFilter::GET, Method::GET, path, (handler, operation))
    }

    /// Adds an endpoint to which something is told.
    #[must_use]
    pub fn post<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(MethodFilter::POST, Method::POST, path, (handler, operation))
    }

    /// Adds an endpoint that sets something.
    #[must_use]
    pub fn put<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(MethodFilter::PUT, Method::PUT, path, (handler, operation))
    }

    /// Adds an endpoint that takes something away.
    #[must_use]
    pub fn delete<H, T>(self, path: &'static str, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(MethodFilter::DELETE, Method::DELETE, path, (handler, operation))
    }

    fn on<H, T>(
        mut self,
        filter: MethodFilter,
        method: Method,
        path: &'static str,
        (handler, operation): (H, Operation),
    ) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let operation = Arc::new(operation);
        let route = axum::routing::on(filter, handler);
        self.router = self.router.route(path, held_to(&operation, route));
        self.described.push(Described { method, path, operation });
        self
    }

    /// Adds other endpoints.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.described.extend(other.described);
        self
    }

    /// Puts something around the endpoints that are here so far.
    #[must_use]
    pub fn within(mut self, layers: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        self.router = layers(self.router);
        self
    }

    /// The router alone.
    pub fn router(self) -> Router<S> {
        self.router
    }

    /// The document alone.
    pub fn document(&self, about: &About) -> Value {
        document::written(about, &self.described)
    }
}

/// In debug builds: an answer of which the description knows nothing is a fault.
fn held_to<S: Clone + Send + Sync + 'static>(
    operation: &Arc<Operation>,
    route: MethodRouter<S>,
) -> MethodRouter<S> {
    if !cfg!(debug_assertions) {
        return route;
    }
    let operation = operation.clone();
    route.layer(axum::middleware::map_response(move |reply: Response| {
        let operation = operation.clone();
        async move {
            let says = reply.headers().get("x-leafrank").and_then(|says| says.to_str().ok());
            let code = says.and_then(|says| says.strip_prefix("error; reason="));
            let status = reply.status().as_u16();
            let id = operation.id();
            debug_assert!(operation.knows(status, code), "{id} says nothing of {status} {code:?}");
            reply
        }
    }))
}

#[cfg(test)]
mod tests;
