"""raw: what was fetched, as it was received, and its history. Written by landing, never derived."""
