//! Stories over real sockets: the real program, a shop that does as told, raw bytes.

mod harness;

mod smoke;
