//! Queries with parameters, the state after errors, and notifications.

use crate::support::cluster::{Cluster, skip};
use iiot_postgres::ErrorKind;
use iiot_postgres::asking::Asked;
use iiot_postgres::connection::Connection;
use iiot_postgres::settings::Settings;
use iiot_postgres::value::Value;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn connected(cluster: &Cluster) -> Connection {
    let mut connection = Connection::new(Settings::new(cluster.url())).unwrap();
    connection.open().unwrap();
    connection
}

/// Each kind of value comes back unchanged, also NULL.
#[test]
fn values_come_back_as_they_went() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let mut connection = connected(&cluster);
    let sql = "SELECT $1::bigint, $2::double precision, $3::text, $4::bytea, $5::text, $6::double precision, true";
    let sent = [
        Value::Integer(i64::MIN),
        Value::Real(0.1),
        Value::Text("\u{1F321} ' \\ $1".into()),
        Value::Bytes(vec![0, 255, 39]),
        Value::Null,
        Value::Integer(7),
    ];

    for _ in 0..2 {
        let asked = connection.ask(sql, &sent).unwrap();

        let mut expected = sent.to_vec();
        expected.splice(5.., [Value::Real(7.0), Value::Integer(1)]);
        assert_eq!(
            asked,
            Asked {
                rows: vec![expected],
                changed: 1
            }
        );
    }
}

/// A refusal names the constraint and leaves the connection open, so the transaction can be rolled back. Several sets are counted together.
#[test]
fn what_the_server_refuses_can_be_rolled_back() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let mut connection = connected(&cluster);
    connection
        .query("CREATE TABLE pump (id bigint CONSTRAINT pump_once UNIQUE)")
        .unwrap();
    let insert = "INSERT INTO pump VALUES ($1)";
    let sets: Vec<Vec<Value>> = (0..1000).map(|id| vec![Value::Integer(id)]).collect();
    assert_eq!(connection.ask_many(insert, &sets).unwrap(), 1000);

    connection.ask("BEGIN", &[]).unwrap();
    connection.ask(insert, &[Value::Integer(1000)]).unwrap();
    let error = connection.ask(insert, &[Value::Integer(3)]).unwrap_err();
    assert!(connection.is_open());
    connection.ask("ROLLBACK", &[]).unwrap();

    assert_eq!(error.sqlstate.as_deref(), Some("23505"));
    assert_eq!(error.constraint.as_deref(), Some("pump_once"));
    let count = connection.ask("SELECT count(*) FROM pump", &[]).unwrap();
    assert_eq!(count.rows, [[Value::Integer(1000)]]);
    assert!(connection.ask(insert, &[Value::Text("x".into())]).is_err());
}

/// A notification that came before the wait is not lost, silence gives none, and the end of a connection is noticed at once.
#[test]
fn notifications_and_the_end_of_a_connection_are_heard() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let mut listening = connected(&cluster);
    let mut other = connected(&cluster);
    listening.query("LISTEN pumps").unwrap();

    assert!(!listening.notified(Duration::from_millis(10)).unwrap());
    other.query("NOTIFY pumps").unwrap();
    listening.query("SELECT 1").unwrap();
    assert!(listening.notified(LONG).unwrap());
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT 1%'";
    other.query(end).unwrap();

    let error = listening.notified(LONG).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Wait, "{error}");
    assert!(!listening.is_open());
    listening.open().unwrap();
    assert!(!listening.notified(Duration::from_millis(10)).unwrap());
}
