//! Stories over real sockets: the real program, a shop that does as told, raw bytes.

mod harness;

mod annotate;
mod any_api;
mod fail_open;
mod feedback;
mod identity;
mod modes;
mod rules;
mod scenarios;
mod session;
mod smoke;
mod track_api;
mod transparency;
