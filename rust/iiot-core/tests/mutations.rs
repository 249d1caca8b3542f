//! A short fuzz without nightly tools: documents and streams mutated from a fixed seed, checked as the fuzz targets check theirs.
//!
//! `IIOT_FUZZ_ITERATIONS` sets how many (20,000 by default); `IIOT_FUZZ_SEED` another seed.

use crate::{frames, oracle};
use iiot_core::{Profile, Scan};

const EVERYTHING: &str = include_str!("profiles/everything.toml");

struct Dice(u64);

impl Dice {
    fn new(salt: u64) -> Self {
        let seed = std::env::var("IIOT_FUZZ_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(1);
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed + salt))
    }

    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % below as u64) as usize
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const TOKENS: [&str; 24] = [
            "\"", "{", "}", "[", "]", ",", ":", "\\", "\\n", "\n", "{\"", "null", "true", "-", "0",
            "1e9", ".", " ", "\"t\":", "\\u0074", "\\ud800", "é", "\r", "12345678",
        ];
        for _ in 0..=self.roll(4) {
            let (at, other) = (self.roll(bytes.len() + 1), self.roll(bytes.len() + 1));
            let (from, to) = (at.min(other), at.max(other).min(at.min(other) + 24));
            match self.roll(6) {
                0 => drop(bytes.splice(at..at, TOKENS[self.roll(TOKENS.len())].bytes())),
                1 => drop(bytes.drain(from..to)),
                2 => {
                    let copied = bytes[from..to].to_vec();
                    let to = self.roll(bytes.len() + 1);
                    bytes.splice(to..to, copied);
                }
                3 if at < bytes.len() => bytes[at] = self.roll(256) as u8,
                4 if at < bytes.len() => bytes[at] ^= 1 << self.roll(8),
                _ => drop(bytes.splice(from..to, TOKENS[self.roll(TOKENS.len())].bytes())),
            }
        }
    }
}

fn iterations() -> usize {
    std::env::var("IIOT_FUZZ_ITERATIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(20_000)
}

const DOCUMENTS: [&str; 7] = [
    r#"{"ts":5000,"id":"N2","n1":{"t":7,"h":83,"bat":3616,"seq":71},"n2":{},"sig":{"rssi":-111,"snr":-3.8},"sts":{"rx":1,"err":0}}"#,
    r#"{"ts":12000,"id":"N2","n1":{"t":27.6,"h":54.1,"g":84190},"n2":{"t":26.8,"h":48.8},"sig":{"rssi":-39,"snr":13},"sts":{"rx":1,"err":0}}"#,
    r#"{"at":1687511428896.5,"nodes":{"node3":{"t":1.5,"seq":7,"boot":9},"a\u0062":{"t":2e1}},"list":[{"v":1},{"v":"x\ty"}],"ok":true}"#,
    r#"{"a":{"b":{"deep":1},"c":{"deep":2}},"seq":3,"id":"x/y","n1":{"t":1},"n1":{"t":2,"t":3}}"#,
    r#"{ "list" : [ { "v" : null } , { "v" : [ ] } ] , "n1" : { "t" : -1.25E-2 } }"#,
    r#"{"nodes":{"a":{"t":1},"b":{"t":2},"a":{"h":3}},"n1":{"t":4,"seq":18446744073709551615}}"#,
    r#"{"text":"\"}{\" (\u00e9é😀)","n1":{"t":0.5}}"#,
];

#[test]
fn mutated_documents_are_decoded_as_the_oracle_says() {
    //! Accepted or refused, points, topics, sequences and times agree, with shapes remembered from other documents and without.
    let (profile, mut dice, mut used) = (
        Profile::parse(EVERYTHING).unwrap(),
        Dice::new(0),
        Scan::new(),
    );
    let (mut accepted, count) = (0, iterations());

    for _ in 0..count {
        let mut document = DOCUMENTS[dice.roll(DOCUMENTS.len())].as_bytes().to_vec();
        if dice.roll(8) > 0 {
            dice.mutate(&mut document);
        }
        let expected = oracle::expected(EVERYTHING, &document);
        accepted += usize::from(expected.is_document);
        for scan in [&mut used, &mut Scan::new()] {
            let decoded = oracle::decoded(&profile, &document, scan);
            assert_eq!(decoded, expected, "{}", String::from_utf8_lossy(&document));
        }
    }

    assert!(
        accepted * 10 > count && accepted * 10 < count * 9,
        "{accepted} of {count} were documents"
    );
}

#[test]
fn mutated_streams_are_framed_alike_in_any_chunking() {
    //! Frames, offsets and what is settled do not depend on chunks, and neither does a framer that starts anew.
    let (profile, mut dice) = (Profile::parse(EVERYTHING).unwrap(), Dice::new(77));

    for _ in 0..iterations() / 10 {
        let mut stream = Vec::new();
        for _ in 0..=dice.roll(6) {
            let mut document = DOCUMENTS[dice.roll(DOCUMENTS.len())].as_bytes().to_vec();
            if dice.roll(2) > 0 {
                dice.mutate(&mut document);
            }
            stream
                .extend_from_slice(["", "[INFO ] JSON: ", "1.5 [INFO ] "][dice.roll(3)].as_bytes());
            stream.extend_from_slice(&document);
            stream.extend_from_slice(
                ["", "\n", "\\n", "\\n (fw src/main.rs:5)\n"][dice.roll(4)].as_bytes(),
            );
        }
        let sizes: Vec<usize> = (0..=dice.roll(4)).map(|_| 1 + dice.roll(50)).collect();
        frames::check(&stream, &sizes, [16, 100, 65_536][dice.roll(3)], &profile);
    }
}
