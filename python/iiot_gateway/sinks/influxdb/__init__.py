"""The sink for databases that accept line protocol: InfluxDB and VictoriaMetrics."""
