//! Statements for PostgreSQL without TimescaleDB: weekly partitions and `time_bucket`. Roll-ups are in [`crate::roll_up`].

use crate::copy_text::{civil, push_time};
use crate::names::{joined, literal, qualified};

const DAY_US: i64 = 86_400_000_000;
const WEEK_US: i64 = 7 * DAY_US;
/// Weeks begin on a Monday, and 1970 began on a Thursday.
const FIRST_MONDAY_US: i64 = -3 * DAY_US;

/// The function that makes partitions for a role without that right.
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

/// The parts of a range that no known range covers.
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

/// The parts of the week of a time, and of the next week, that no known partition covers.
pub fn missing_ahead(time_us: i64, known: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let present = week(time_us);
    [present, present + 1]
        .into_iter()
        .flat_map(|week| gaps(times_of_week(week), known))
        .collect()
}

/// Lists the partitions of a table: name, begin and end in microseconds since 1970. A default partition has no begin and end.
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
    // Only a partition that fills a gap between partitions of another length begins within a day.
    let rest = if in_day == 0 {
        String::new()
    } else {
        format!("_{in_day}")
    };
    joined(table, &format!("_{year:04}{month:02}{day:02}{rest}"))
}

/// Makes a separate table and attaches it as a partition, so that readers and writers of the other partitions are not blocked.
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

/// Makes the function that makes partitions, for a role that may only write. It accepts only tables of this schema, and runs with its owner's rights.
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

/// Returns a row if that function exists and may be called.
pub fn has_partition_function(schema: &str) -> String {
    format!(
        "SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname = {} AND p.proname = {} AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')",
        literal(schema),
        literal(PARTITION_FUNCTION)
    )
}

/// Calls that function.
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

/// `time_bucket` like TimescaleDB's, for fixed widths and whole months. Not STRICT, because then it would not be inlined. `version` is the server's, as in
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

    /// This week and the next, but for what is there.
    #[test]
    fn two_weeks_are_made_ahead() {
        let (from, to) = times_of_week(5);
        assert_eq!(missing_ahead(from, &[]), [(from, to), (to, to + WEEK_US)]);
        assert_eq!(missing_ahead(from + 1, &[(from, to + WEEK_US)]), []);
    }
}
