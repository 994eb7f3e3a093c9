//! x
fn main() { print!("{}", mixed_stream_operator::api::crd_yaml().unwrap()); }
