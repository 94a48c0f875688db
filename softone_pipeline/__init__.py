"""Customer invoices from SoftOne GO to DuckDB tables that finance people trust, run by Dagster."""
