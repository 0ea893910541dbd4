"""The databases that tests run on: SQLite files, and a real PostgreSQL."""
