//! Compares `docs/wire-format.md` with the code. The test derives the tables from the encoder's output, and compares them with the document.
//!
//! Offsets and lengths are measured, not copied: the test encodes two packets that differ in one field, and the bytes that differ are this field.
//! With `IIOT_BLESS=1`, the tables in the document are overwritten.

mod header;
mod measure;
mod payloads;

use std::fmt::Write as _;
use std::path::Path;

use iiot_proto::link::ACK_FRAME_BYTES;
use iiot_proto::packet::{CRC_BYTES, DecodeFault, HEADER_BYTES, MAX_PACKET_BYTES, OVERHEAD_BYTES};
use iiot_proto::rylr998::ModuleError;

use header::{flags, header, types};
use payloads::{ack, actions, answer, command, info, outcomes, reading, reset_causes, status};

fn faults() -> String {
    let mut list = String::new();
    for fault in DecodeFault::ALL {
        writeln!(list, "- `{}`", fault.name()).unwrap();
    }
    list
}

fn sizes() -> String {
    format!(
        "| what | bytes |\n|---|---|\n| header | {HEADER_BYTES} |\n| checksum | {CRC_BYTES} |\n| overhead of a packet | {OVERHEAD_BYTES} |\n\
         | acknowledgement | {ACK_FRAME_BYTES} |\n| longest packet | {MAX_PACKET_BYTES} |\n| longest frame of the module | {} |\n",
        iiot_proto::MAX_FRAME_BYTES
    )
}

fn module_errors() -> String {
    let mut table = String::from("| `+ERR=` | meaning |\n|---|---|\n");
    for (number, error) in ModuleError::KNOWN {
        assert_eq!(
            (ModuleError::from_number(number), error.number()),
            (error, number)
        );
        writeln!(
            table,
            "| {number} | {error}{} |",
            if error.is_unasked() {
                "; comes unasked"
            } else {
                ""
            }
        )
        .unwrap();
    }
    table
}

/// The tables in the document are those that follow from the code.
#[test]
fn the_document_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wire-format.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let sections: [(&str, String); 15] = [
        ("sizes", sizes()),
        ("header", header()),
        ("types", types()),
        ("flags", flags()),
        ("reading", reading()),
        ("status", status()),
        ("info", info()),
        ("reset-causes", reset_causes()),
        ("ack", ack()),
        ("command", command()),
        ("actions", actions()),
        ("answer", answer()),
        ("outcomes", outcomes()),
        ("faults", faults()),
        ("module-errors", module_errors()),
    ];

    let mut made = document.clone();
    for (name, table) in &sections {
        let (start, end) = (format!("<!-- made: {name} -->\n"), "<!-- end -->");
        let from = made
            .find(&start)
            .unwrap_or_else(|| panic!("no place for {name}"))
            + start.len();
        let to = from + made.get(from..).unwrap().find(end).unwrap();
        made.replace_range(from..to, table);
    }
    assert_eq!(document.matches("<!-- made: ").count(), sections.len());

    if std::env::var_os("IIOT_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    } else {
        assert!(
            document == made,
            "docs/wire-format.md differs from the code: run this test with IIOT_BLESS=1 and read the difference"
        );
    }
}
