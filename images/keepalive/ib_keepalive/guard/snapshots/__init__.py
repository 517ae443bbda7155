"""Price snapshots: many callers, few requests, a hundred market-data lines."""
