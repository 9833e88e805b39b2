"""Tables: `public` for all tenants; `tenant`, which schema_translate_map turns into user_{id}."""
