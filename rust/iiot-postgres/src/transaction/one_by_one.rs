//! Rows of suspects: the server inserts each in a block of its own, and reports those that it refused. A refusal costs no round trip.
//!
//! Most refusals come from a CHECK, whose condition is in the catalogue. So rows that satisfy every CHECK are inserted together, and only others one by one:
//! one statement per row runs the table's triggers each time. If only an insertion shows the fault (a trigger, a key), all rows are inserted one by one.

use super::{Done, Task, copy_into, refusal};
use crate::columns::{CONTENT, TIME};
use crate::connection::rows as answers;
use crate::error::Result;
use crate::names::{literal, qualified, quoted};
use crate::rows::TableRows;
use tokio_postgres::Client;

/// The column that numbers the rows.
const NUMBER: &str = "iiot_row";
/// The table of refused rows.
const REFUSED: &str = "iiot_refused";

impl Task<'_> {
    /// Copy the rows that the server accepts, and note those that it refuses. If this way is not possible, savepoints are used.
    pub(super) async fn copy_one_by_one(
        &self,
        client: &Client,
        table: &TableRows,
        done: &mut Done,
    ) -> Result<()> {
        if table.is_empty() {
            return Ok(());
        }
        client.batch_execute("SAVEPOINT iiot_suspects").await?;
        if let Ok(found) = self.one_by_one(client, table).await {
            client.batch_execute("RELEASE iiot_suspects").await?;
            for (row, reason) in found {
                if let Some(reason) = reason {
                    done.blame(table, row);
                    done.refused.push(refusal(table, row, reason));
                } else {
                    done.repeated += 1;
                }
            }
            return Ok(());
        }
        // The role may not make temporary tables, or a value has a wrong type that only the server recognises.
        client
            .batch_execute("ROLLBACK TO iiot_suspects; RELEASE iiot_suspects")
            .await?;
        self.copy_carefully(client, table, done).await
    }

    /// The rows that were not inserted: with a reason if they were refused, without a reason if they already existed.
    async fn one_by_one(
        &self,
        client: &Client,
        table: &TableRows,
    ) -> Result<Vec<(usize, Option<String>)>> {
        let target = qualified(&self.key.schema, &table.table.name);
        let name = quoted(&table.table.name);
        let beside = qualified("pg_temp", &table.table.name);
        let columns: Vec<String> = table.column_names().map(quoted).collect();
        let make = format!(
            "CREATE TEMP TABLE {name} ({}, {NUMBER} bigserial) ON COMMIT DROP; \
             CREATE TEMP TABLE {REFUSED} (row bigint, reason text) ON COMMIT DROP",
            table.table.definitions(table.column_names())
        );
        client.batch_execute(&make).await?;
        let list = columns.join(", ");
        let all = 0..table.len();
        copy_into(client, &format!("{beside} ({list})"), table.part(&all)).await?;
        let values: Vec<String> = columns
            .iter()
            .map(|column| format!("taken.{column}"))
            .collect();
        let conflict = if self.unique {
            format!(
                "ON CONFLICT ({}, {}) DO NOTHING",
                quoted(TIME),
                quoted(CONTENT)
            )
        } else {
            String::new()
        };
        // An existing row must be recognised individually.
        let together = if self.unique {
            String::new()
        } else {
            format!(
                "SELECT coalesce(string_agg(format('(%s) IS NOT FALSE', pg_catalog.pg_get_expr(conbin, conrelid)), ' AND '), 'true') INTO good \
                 FROM pg_catalog.pg_constraint WHERE conrelid = {}::regclass AND contype = 'c'; \
                 BEGIN EXECUTE {} || good; \
                 EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN good := 'false'; END;",
                literal(&target),
                literal(&format!(
                    "INSERT INTO {target} ({list}) SELECT {list} FROM {beside} WHERE "
                )),
            )
        };
        let others = literal(&format!("SELECT * FROM {beside} WHERE NOT ("));
        let insert = format!(
            "DO $do$ DECLARE taken record; said text; about text; good text := 'false'; BEGIN {together} \
             FOR taken IN EXECUTE {others} || good || ') ORDER BY {NUMBER}' LOOP \
             BEGIN INSERT INTO {target} ({list}) VALUES ({}) {conflict}; \
             IF NOT FOUND THEN INSERT INTO pg_temp.{REFUSED} VALUES (taken.{NUMBER}, NULL); END IF; \
             EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN \
             GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, about = COLUMN_NAME; \
             INSERT INTO pg_temp.{REFUSED} VALUES (taken.{NUMBER}, said || ' (SQLSTATE ' || SQLSTATE || CASE about WHEN '' THEN '' ELSE ', column ' || about END || ')'); \
             END; END LOOP; END $do$",
            values.join(", ")
        );
        client.batch_execute(&insert).await?;
        let asked = format!(
            "SELECT row, reason FROM pg_temp.{REFUSED} ORDER BY row; DROP TABLE {beside}, pg_temp.{REFUSED}"
        );
        let found = answers(client, &asked).await?;
        Ok(found
            .iter()
            .filter_map(|row| {
                let number: usize = row.get(0)?.parse().ok()?;
                Some((number.checked_sub(1)?, row.get(1).map(str::to_owned)))
            })
            .collect())
    }
}
