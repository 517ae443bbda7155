"""Any published OpenAPI document, however broken: load, report, repair, select, emit, diff."""
