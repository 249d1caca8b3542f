"""The sink for PostgreSQL and TimescaleDB: typed rows, and the sink's position in the transaction of the rows."""
