//! The statements that only PostgreSQL without TimescaleDB needs: weekly partitions, `time_bucket`, and hourly roll-ups.

use crate::copy_text::{civil, push_time};
use crate::names::{joined, literal, qualified, quoted};
use crate::tables::TIME;

const DAY_US: i64 = 86_400_000_000;
const WEEK_US: i64 = 7 * DAY_US;
/// Weeks begin on a Monday, and 1970 began on a Thursday.
const FIRST_MONDAY_US: i64 = -3 * DAY_US;

/// The function that makes partitions for a role that may not.
pub const PARTITION_FUNCTION: &str = "iiot_gateway_add_partition";

/// The number of the week of a time.
pub const fn week(time_us: i64) -> i64 {
    (time_us - FIRST_MONDAY_US).div_euclid(WEEK_US)
}

/// The times of a week, microseconds since 1970.
pub const fn times_of_week(week: i64) -> (i64, i64) {
    let from = FIRST_MONDAY_US + week * WEEK_US;
    (from, from + WEEK_US)
}

/// What of a range none of the known ranges takes.
pub fn gaps(range: (i64, i64), known: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut sorted: Vec<(i64, i64)> = known.to_vec();
    sorted.sort_unstable();
    let (mut from, mut found) = (range.0, Vec::new());
    for (start, end) in sorted {
        if start >= range.1 {
            break;
        }
        if start > from {
            found.push((from, start));
        }
        from = from.max(end);
    }
    if from < range.1 {
        found.push((from, range.1));
    }
    found
}

/// Lists the partitions of a table: name, and from when to when in microseconds since 1970, without which a partition takes everything else.
pub fn partitions(schema: &str, name: &str) -> String {
    let bound = |at: u8| {
        format!(
            "CASE b[{at}] WHEN 'MINVALUE' THEN -9000000000000000000 WHEN 'MAXVALUE' THEN 9000000000000000000 \
             ELSE (extract(epoch FROM trim(both '''' from b[{at}])::timestamptz) * 1000000)::bigint END"
        )
    };
    format!(
        "SELECT c.relname, {}, {} FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
         JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace \
         CROSS JOIN LATERAL (SELECT regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), 'FROM \\((.+)\\) TO \\((.+)\\)') AS b) AS bounds \
         WHERE n.nspname = {} AND p.relname = {}",
        bound(1),
        bound(2),
        literal(schema),
        literal(name)
    )
}

fn time_literal(time_us: i64) -> String {
    let mut text = Vec::new();
    push_time(time_us, &mut text);
    format!("'{}'", String::from_utf8_lossy(&text))
}

/// The name of the partition that begins at a time.
pub fn partition_name(table: &str, from_us: i64) -> String {
    let (year, month, day) = civil(from_us.div_euclid(DAY_US));
    let in_day = from_us.rem_euclid(DAY_US) / 1_000_000;
    // Only what lies between partitions of another rhythm begins within a day.
    let rest = if in_day == 0 {
        String::new()
    } else {
        format!("_{in_day}")
    };
    joined(table, &format!("_{year:04}{month:02}{day:02}{rest}"))
}

/// Makes a partition apart and attaches it: readers and writers of the other partitions go on meanwhile.
pub fn add_partition(schema: &str, table: &str, (from, to): (i64, i64)) -> String {
    let parent = qualified(schema, table);
    let child = qualified(schema, &partition_name(table, from));
    format!(
        "CREATE TABLE {child} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES FROM ({}) TO ({})",
        time_literal(from),
        time_literal(to)
    )
}

/// Makes the function that makes partitions, for a role that may only write. It takes only tables of this schema, and runs with its maker's rights.
pub fn partition_function(schema: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {function}(parent text, child text, lower timestamptz, upper timestamptz) RETURNS void \
         LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $function$ BEGIN \
         PERFORM pg_advisory_xact_lock(hashtext({name})); \
         IF to_regclass(format('%I.%I', {schema_text}, child)) IS NOT NULL THEN RETURN; END IF; \
         IF upper - lower > interval '7 days' THEN RAISE EXCEPTION 'a partition takes a week at most'; END IF; \
         EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', {schema_text}, child, {schema_text}, parent); \
         EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', {schema_text}, parent, {schema_text}, child, lower, upper); \
         END $function$; \
         REVOKE ALL ON FUNCTION {function}(text, text, timestamptz, timestamptz) FROM PUBLIC",
        function = qualified(schema, PARTITION_FUNCTION),
        name = literal(PARTITION_FUNCTION),
        schema_text = literal(schema),
    )
}

/// Gives a row if that function is there and may be called.
pub fn has_partition_function(schema: &str) -> String {
    format!(
        "SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname = {} AND p.proname = {} AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')",
        literal(schema),
        literal(PARTITION_FUNCTION)
    )
}

/// Calls it.
pub fn call_partition_function(schema: &str, table: &str, (from, to): (i64, i64)) -> String {
    format!(
        "SELECT {}({}, {}, {}, {})",
        qualified(schema, PARTITION_FUNCTION),
        literal(table),
        literal(&partition_name(table, from)),
        time_literal(from),
        time_literal(to)
    )
}

/// Drops a partition.
pub fn drop_partition(schema: &str, partition: &str) -> String {
    format!("DROP TABLE IF EXISTS {}", qualified(schema, partition))
}

/// `time_bucket` as TimescaleDB has it, for widths of a fixed length and of whole months. Not STRICT, or it would not be inlined. `version` is the server's, as in
/// 150020: `date_bin` came with 14.
pub fn time_bucket(schema: &str, version: u32) -> String {
    let fixed = if version >= 140_000 {
        "date_bin(bucket_width, ts, timestamptz '2000-01-03 00:00:00+00')"
    } else {
        "(timestamp '2000-01-03' + bucket_width * floor(extract(epoch FROM (ts AT TIME ZONE 'UTC') - timestamp '2000-01-03') / extract(epoch FROM bucket_width))) AT TIME ZONE 'UTC'"
    };
    let months = "(extract(year FROM bucket_width) * 12 + extract(month FROM bucket_width))";
    format!(
        "CREATE OR REPLACE FUNCTION {}(bucket_width interval, ts timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS \
         $function$ SELECT CASE WHEN {months} = 0 THEN {fixed} \
         ELSE (timestamp '2000-01-01' + make_interval(months => (floor(((extract(year FROM ts AT TIME ZONE 'UTC') - 2000) * 12 + extract(month FROM ts AT TIME ZONE 'UTC') - 1) \
         / {months}) * {months})::int)) AT TIME ZONE 'UTC' END $function$",
        qualified(schema, "time_bucket")
    )
}

/// An hourly roll-up of a table.
#[derive(Debug, Clone)]
pub struct RollUp<'a> {
    /// The schema of everything.
    pub schema: &'a str,
    /// The raw table.
    pub table: &'a str,
    /// The view that shows counts, sums and averages.
    pub view: &'a str,
    /// Columns that rows are grouped by.
    pub by: &'a [&'a str],
    /// The view's column with the number of rows.
    pub count: &'a str,
    /// Raw columns that are summed, with the view's columns for the total and the average; an empty name leaves one out.
    pub sums: &'a [(&'a str, &'a str, &'a str)],
}

impl RollUp<'_> {
    /// The table that holds sums and counts.
    pub fn sums_table(&self) -> String {
        joined(self.view, "_sums")
    }

    /// What makes all of it. Twice changes nothing, and rows that are there already are not counted again.
    pub fn statements(&self) -> Vec<String> {
        vec![
            self.create_table(),
            self.create_index(),
            self.create_function(),
            self.create_trigger(),
            self.create_view(),
        ]
    }

    fn create_table(&self) -> String {
        let mut columns = vec!["bucket timestamptz NOT NULL".to_owned()];
        columns.extend(
            self.by
                .iter()
                .map(|column| format!("{} text", quoted(column))),
        );
        columns.push("row_count bigint NOT NULL".into());
        for (column, ..) in self.sums {
            columns.push(format!(
                "{} double precision NOT NULL",
                quoted(&sum(column))
            ));
            columns.push(format!("{} bigint NOT NULL", quoted(&count(column))));
        }
        format!(
            "CREATE TABLE IF NOT EXISTS {} ({})",
            qualified(self.schema, &self.sums_table()),
            columns.join(", ")
        )
    }

    /// NULL is a value like any other here; before version 15 there is no other way to say so.
    fn key(&self) -> String {
        let by: Vec<String> = self
            .by
            .iter()
            .map(|column| format!("(coalesce({}, E'\\x01'))", quoted(column)))
            .collect();
        format!("bucket, {}", by.join(", "))
    }

    fn create_index(&self) -> String {
        format!(
            "CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})",
            quoted(&joined(self.view, "_sums_key")),
            qualified(self.schema, &self.sums_table()),
            self.key()
        )
    }

    fn function(&self) -> String {
        qualified(self.schema, &joined(self.view, "_add"))
    }

    fn create_function(&self) -> String {
        let by: Vec<String> = self.by.iter().map(|column| quoted(column)).collect();
        let (mut into, mut from, mut set) = (Vec::new(), Vec::new(), Vec::new());
        for (column, ..) in self.sums {
            let (sum, count) = (quoted(&sum(column)), quoted(&count(column)));
            from.push(format!("coalesce(sum({}), 0)", quoted(column)));
            from.push(format!("count({})", quoted(column)));
            set.push(format!("{sum} = kept.{sum} + excluded.{sum}"));
            set.push(format!("{count} = kept.{count} + excluded.{count}"));
            into.push(sum);
            into.push(count);
        }
        let comma = |names: &[String]| {
            names
                .iter()
                .flat_map(|name| [", ", name])
                .collect::<String>()
        };
        let by_text: Vec<String> = by.iter().map(|name| format!("{name}::text")).collect();
        let numbers: Vec<String> = (2..by.len() + 2).map(|at| at.to_string()).collect();
        // In one order, so that two writers seldom wait for each other in a circle.
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$ BEGIN \
             INSERT INTO {sums} AS kept (bucket{by_list}, row_count{into}) \
             SELECT date_trunc('hour', {time} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS bucket{by_text}, count(*){from} \
             FROM added GROUP BY 1{numbers} ORDER BY 1{numbers} \
             ON CONFLICT ({key}) DO UPDATE SET row_count = kept.row_count + excluded.row_count{set}; \
             RETURN NULL; END $function$",
            function = self.function(),
            sums = qualified(self.schema, &self.sums_table()),
            by_list = comma(&by),
            by_text = comma(&by_text),
            into = comma(&into),
            time = quoted(TIME),
            from = comma(&from),
            numbers = comma(&numbers),
            key = self.key(),
            set = comma(&set),
        )
    }

    fn create_trigger(&self) -> String {
        let name = quoted(&joined(self.view, "_add"));
        let table = qualified(self.schema, self.table);
        format!(
            "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgname = {} AND tgrelid = {}::regclass) THEN \
             CREATE TRIGGER {name} AFTER INSERT ON {table} REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {}(); \
             END IF; END $do$",
            literal(&joined(self.view, "_add")),
            literal(&table),
            self.function()
        )
    }

    fn create_view(&self) -> String {
        let mut columns = vec!["bucket".to_owned()];
        columns.extend(self.by.iter().map(|column| quoted(column)));
        columns.push(format!("row_count AS {}", quoted(self.count)));
        for (column, total, average) in self.sums {
            let (sum, count) = (quoted(&sum(column)), quoted(&count(column)));
            if !total.is_empty() {
                columns.push(format!(
                    "CASE WHEN {count} > 0 THEN {sum} END AS {}",
                    quoted(total)
                ));
            }
            if !average.is_empty() {
                columns.push(format!("{sum} / nullif({count}, 0) AS {}", quoted(average)));
            }
        }
        format!(
            "CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}",
            qualified(self.schema, self.view),
            columns.join(", "),
            qualified(self.schema, &self.sums_table())
        )
    }
}

fn sum(column: &str) -> String {
    joined(column, "_sum")
}

fn count(column: &str) -> String {
    joined(column, "_count")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks begin on Mondays at midnight UTC, also before 1970.
    #[test]
    fn weeks_begin_on_mondays() {
        let monday_us = 1_764_547_200_000_000; // 2025-12-01
        assert_eq!(times_of_week(week(monday_us)).0, monday_us);
        assert_eq!(week(monday_us - 1), week(monday_us) - 1);
        assert_eq!(week(monday_us + WEEK_US - 1), week(monday_us));
        assert_eq!(
            times_of_week(week(-1)),
            (FIRST_MONDAY_US, FIRST_MONDAY_US + WEEK_US)
        );
        assert_eq!(partition_name("t", monday_us), "t_20251201");
    }

    /// Only what no partition takes is made, whatever their rhythm.
    #[test]
    fn gaps_are_what_is_left() {
        assert_eq!(gaps((0, 10), &[]), [(0, 10)]);
        assert_eq!(gaps((0, 10), &[(4, 6), (-5, 2)]), [(2, 4), (6, 10)]);
        assert_eq!(gaps((0, 10), &[(0, 5), (5, 20)]), []);
        assert_eq!(gaps((0, 10), &[(20, 30)]), [(0, 10)]);
    }
}
