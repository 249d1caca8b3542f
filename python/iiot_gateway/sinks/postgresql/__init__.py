"""The sink for PostgreSQL and TimescaleDB: writes typed rows, and the sink's position in the same transaction."""
