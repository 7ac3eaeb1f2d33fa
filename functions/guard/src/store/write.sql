-- ?1: a JSON array of rows.
INSERT INTO portcullis_limits (key, a, b, c, idle)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) WHERE true
ON CONFLICT (key) DO UPDATE SET a = excluded.a, b = excluded.b, c = excluded.c, idle = excluded.idle
