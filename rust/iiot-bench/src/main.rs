//! The bare side of the benchmarks: the gateway's clients with pre-rendered messages and lines, and one subscriber that counts.
//!
//! ```text
//! iiot-bench flood --log FILE --profile FILE [--mqtt PORT] [--url URL]   publish and post everything, as fast as the servers take it
//! iiot-bench count --mqtt PORT --until N                                 subscribe at QoS 1 and print when N messages have arrived
//! iiot-bench latency --log FILE --profile FILE --mqtt PORT --fd N --relay-fd N --relay DEVICE --rate N
//!                                                                        lines into two ports, interleaved with bare publishes
//! iiot-bench ingest-prepare --mqtt PORT --client ID                      create a session in which messages wait
//! iiot-bench ingest-fill --mqtt PORT --count N --start S [--rate N]      publish dosing documents
//! iiot-bench ingest --mqtt PORT --client ID --until N                    receive what waits in a session
//!     [--url URL --profile FILE --start S]                               and post the lines of the same documents meanwhile
//! iiot-bench posts --port PORT --path PATH --keys FILE --body FILE --clients N --seconds S --rate N
//!                                                                        post over kept connections, each waiting for its answer
//! ```
//!
//! Each prints `ready` when it is connected. `flood`, `latency` and `posts` then wait for a line on standard input, so that the parent process can measure
//! the time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may fail by panicking"
)]
#![allow(clippy::print_stdout, reason = "standard output is how it answers")]

mod broker;
mod count;
mod flood;
mod ingest;
mod latency;
mod posts;
mod render;
mod starter;

use starter::Arguments;

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().expect("a command");
    let arguments = Arguments::read(words);
    match command.as_str() {
        "flood" => flood::run(&arguments),
        "count" => count::run(&arguments),
        "latency" => latency::run(&arguments),
        "ingest-prepare" => ingest::prepare(&arguments),
        "ingest-fill" => ingest::fill(&arguments),
        "ingest" => ingest::take(&arguments),
        "posts" => posts::run(&arguments),
        other => panic!("unknown command {other}"),
    }
}
