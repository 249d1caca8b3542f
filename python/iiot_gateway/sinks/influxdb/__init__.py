"""The database sink for line protocol: InfluxDB and VictoriaMetrics."""
