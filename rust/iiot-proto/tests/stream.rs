//! Turns the module's bytes into events, with any data, any split and any damage.

use iiot_proto::MAX_FRAME_BYTES;
use iiot_proto::rylr998::{Event, Parser};
use proptest::prelude::*;

/// The events as text, so that they outlive the parser's buffer.
fn events(parser: &mut Parser, bytes: &[u8], now_ms: u64) -> Vec<String> {
    let mut told = Vec::new();
    parser.feed(bytes, now_ms, |event| told.push(format!("{event:?}")));
    told
}

fn received(data: &[u8]) -> Vec<u8> {
    let mut line = format!("+RCV=7,{},", data.len()).into_bytes();
    line.extend_from_slice(data);
    line.extend_from_slice(b",-104,-6\r\n");
    line
}

fn frame(data: &[u8]) -> String {
    format!(
        "{:?}",
        Event::Received {
            address: 7,
            data,
            rssi_dbm: -104,
            snr_db: -6
        }
    )
}

/// Every byte value, line ends, NUL, commas and whole lines of the module pass unchanged if they are in the data.
#[test]
fn data_may_hold_anything() {
    let all: Vec<u8> = (0..240).collect();
    let rest: Vec<u8> = (16..=255).collect();
    let cases: [&[u8]; 8] = [
        &all,
        &rest,
        b"\r\n",
        b"\n",
        b"\0\0",
        b",,,-1,2\r\n",
        b"\r\n+OK\r\n+RCV=1,2,ab,-1,2\r\n",
        b"+ERR=4\r\n",
    ];
    for data in cases {
        assert_eq!(
            events(&mut Parser::default(), &received(data), 0),
            [frame(data)]
        );
    }
}

/// A frame without data is a frame.
#[test]
fn data_may_be_empty() {
    assert_eq!(
        events(&mut Parser::default(), &received(b""), 0),
        [frame(b"")]
    );
}

/// The module's answers are recognised between frames and alone.
#[test]
fn lines_of_the_module() {
    let told = events(
        &mut Parser::default(),
        b"+OK\r\n+READY\r\n+ERR=17\r\n+ERR=99\r\n+VER=RYLR998_V1.2.2\r\n+ERR=x\r\n",
        0,
    );
    let line = |text: &'static [u8]| format!("{:?}", Event::Line(text));
    assert_eq!(
        told,
        [
            "Ok",
            "Ready",
            "Error(StillSending)",
            "Error(Other(99))",
            &line(b"+VER=RYLR998_V1.2.2"),
            &line(b"+ERR=x")
        ]
    );
}

/// Each kind of damage costs only its own line, and the next line is found.
#[test]
fn damage_costs_one_line() {
    let cases: [(&[u8], &str); 10] = [
        (b"\xff\x00garbage", "Damaged { damage: Noise, bytes: 9 }"),
        (b"garbage\r\n", "Damaged { damage: Noise, bytes: 9 }"),
        (
            b"+RCV=1,241,x\r\n",
            "Damaged { damage: BadHeader, bytes: 14 }",
        ),
        (
            b"+RCV=1,99999,x\r\n",
            "Damaged { damage: BadHeader, bytes: 16 }",
        ),
        (b"+RCV=1,,x\r\n", "Damaged { damage: BadHeader, bytes: 11 }"),
        (
            b"+RCV=70000,1,x\r\n",
            "Damaged { damage: BadHeader, bytes: 16 }",
        ),
        (
            b"+RCV=1;5;hello\r\n",
            "Damaged { damage: BadHeader, bytes: 16 }",
        ),
        (
            b"+RCV=1,4,hello,-1,2\r\n",
            "Damaged { damage: BadTail, bytes: 21 }",
        ),
        (
            b"+RCV=1,5,hello,-1\r\n",
            "Damaged { damage: BadTail, bytes: 19 }",
        ),
        (
            b"+RCV=1,5,hello,-1,200\r\n",
            "Damaged { damage: BadTail, bytes: 23 }",
        ),
    ];
    for (damaged, event) in cases {
        let mut bytes = damaged.to_vec();
        bytes.extend_from_slice(&received(b"next"));
        assert_eq!(
            events(&mut Parser::default(), &bytes, 0),
            [event.to_owned(), frame(b"next")],
            "{}",
            damaged.escape_ascii()
        );
    }
}

/// If the length of a frame was damaged and became larger, only this frame is lost, because a silence of the module ends it.
#[test]
fn silence_ends_what_is_open() {
    let mut parser = Parser::new(20);
    assert_eq!(
        events(&mut parser, b"+RCV=7,200,short,-104,-6\r\n", 100),
        [""; 0]
    );
    assert_eq!(
        events(&mut parser, &received(b"next"), 121),
        [
            "Damaged { damage: Gap, bytes: 26 }".to_owned(),
            frame(b"next")
        ]
    );
    assert_eq!(events(&mut parser, b"+RCV=7,4,ne", 200), [""; 0]);
    assert_eq!(
        events(&mut parser, b"xt,-104,-6\r\n", 220),
        [frame(b"next")],
        "20 ms are within the gap"
    );
}

/// A silence is reported while it lasts, and only once.
#[test]
fn silence_is_told_without_another_byte() {
    let mut parser = Parser::new(20);
    events(&mut parser, b"+RCV=7,2", 0);
    assert!(parser.tick(20).is_none());
    assert!(parser.tick(21).is_some());
    assert!(parser.tick(500).is_none());
}

/// Endless noise needs no memory, and a frame after the noise is found.
#[test]
fn a_flood_of_noise_is_survived() {
    let mut parser = Parser::default();
    let mut told = 0;
    for round in 0..100_000_u32 {
        parser.feed(
            &round.wrapping_mul(2_654_435_761).to_be_bytes(),
            0,
            |event| {
                told += 1;
                assert!(!matches!(event, Event::Received { .. }));
            },
        );
    }
    assert!(told > 0);
    let mut bytes = b"\r\n".to_vec();
    bytes.extend_from_slice(&received(b"here"));
    let last = events(&mut parser, &bytes, 1_000).pop();
    assert_eq!(last, Some(frame(b"here")));
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let texts = prop::sample::select(vec![
        "+OK\r\n",
        "+ERR=12\r\n",
        "+READY\r\n",
        "+RCV=",
        "+RCV=1,5,",
        "hello",
        ",-50,9\r\n",
        "+RCV=1,300,",
        "\r\n",
        "+",
        ",",
        "\r",
        "\n",
        "-",
        "240",
        "\0",
    ]);
    prop_oneof![
        4 => texts.prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..=MAX_FRAME_BYTES).prop_map(|data| received(&data)),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    /// One frame with any data is one event.
    #[test]
    fn any_data_is_one_frame(data in prop::collection::vec(any::<u8>(), 0..=MAX_FRAME_BYTES)) {
        prop_assert_eq!(events(&mut Parser::default(), &received(&data), 0), [frame(&data)]);
    }

    /// However the bytes are split, the events are the same. Every byte belongs to an event or is still open.
    #[test]
    fn any_split_gives_the_same_events(
        pieces in prop::collection::vec(piece(), 0..12),
        cuts in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let bytes = pieces.concat();
        let whole = events(&mut Parser::default(), &bytes, 5);

        let mut single = Parser::default();
        let by_byte: Vec<String> = bytes.iter().flat_map(|byte| events(&mut single, &[*byte], 5)).collect();
        prop_assert_eq!(&by_byte, &whole);

        let (mut parser, mut rest, mut split) = (Parser::default(), &bytes[..], Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*cut).min(rest.len()));
            split.extend(events(&mut parser, head, 5));
            rest = tail;
        }
        prop_assert_eq!(&split, &whole);
    }
}
