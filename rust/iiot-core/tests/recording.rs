//! The recorded log of 266 days gives exactly what its expected counts say. The recording is no part of the repository: `IIOT_SHARED_DATA` names
//! its folder, and where it is absent these tests pass without it, but not in continuous integration.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use iiot_core::{FrameTime, Framed, Framer, Origin, Profile, Scan};

/// The recording, unpacked.
fn recording() -> Option<Vec<u8>> {
    let shared = std::env::var_os("IIOT_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = shared.join("lora/tour-perret.rtt.log.gz");
    if !path.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing, set IIOT_SHARED_DATA",
            path.display()
        );
        return None;
    }
    let mut child = Command::new("gzip")
        .arg("-dc")
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert!(child.wait().unwrap().success());
    Some(bytes)
}

fn profile() -> Profile {
    Profile::parse(include_str!(
        "../../../python/iiot_gateway/profiles/lora-bridge.toml"
    ))
    .unwrap()
}

#[test]
fn the_recording_has_the_expected_documents() {
    //! 12,612 good, 41 damaged, whatever the size of the chunks, fed or pushed; and the temperatures sum up.
    let Some(bytes) = recording() else { return };
    let (profile, mut scan) = (profile(), Scan::new());
    let origin = Origin::new(&profile, "iiot", &[]).unwrap();

    for size in [1, 13, 4096, 65_536, usize::MAX] {
        let mut framer = Framer::new(65_536);
        let (mut good, mut damaged, mut lines) = (0, 0, Vec::new());
        for chunk in bytes.chunks(size.min(bytes.len())) {
            framer.feed_with(
                chunk,
                &profile,
                &mut scan,
                |framed, decoded, fault| match framed {
                    Framed::Document { .. } => {
                        assert_eq!(fault, None);
                        good += 1;
                        let time = FrameTime::at(1_700_000_000_000_000_000);
                        decoded.write_lines(&origin, time, &mut lines);
                    }
                    Framed::Damaged { .. } => damaged += 1,
                },
            );
        }
        while let Some(framed) = framer.finish() {
            assert!(
                matches!(framed, Framed::Damaged { .. }),
                "documents were shown before"
            );
            damaged += 1;
        }

        assert_eq!((good, damaged), (12_612, 41), "in chunks of {size}");
        let text = String::from_utf8(lines).unwrap();
        let temperatures = text
            .lines()
            .filter_map(|line| line.strip_prefix("temperature,node=node1,unit=celsius value="));
        let sum: f64 = temperatures
            .map(|rest| rest.split(' ').next().unwrap().parse::<f64>().unwrap())
            .sum();
        assert!((sum - 246_079.3).abs() < 0.01, "{sum}");
    }
}
