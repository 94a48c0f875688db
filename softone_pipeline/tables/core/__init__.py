"""core: typed facts, derived from raw alone. Refreshed for the invoices that changed."""
