-- What is counted, a row for each key. What a, b and c mean depends on the count: see judge.rs.
CREATE TABLE IF NOT EXISTS portcullis_limits (
  key TEXT PRIMARY KEY NOT NULL,
  a INTEGER NOT NULL,
  b INTEGER NOT NULL,
  c INTEGER NOT NULL,
  -- From when on the row says the same as none, in nanoseconds since 1970.
  idle INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS portcullis_limits_idle ON portcullis_limits (idle);

-- How many rows there are: to count them each time would take as long as there are many.
CREATE TABLE IF NOT EXISTS portcullis_room (one INTEGER PRIMARY KEY CHECK (one = 1), keys INTEGER NOT NULL);

INSERT INTO portcullis_room (one, keys) SELECT 1, count(*) FROM portcullis_limits WHERE true ON CONFLICT DO NOTHING;

CREATE TRIGGER IF NOT EXISTS portcullis_limits_added AFTER INSERT ON portcullis_limits BEGIN
  UPDATE portcullis_room SET keys = keys + 1;
END;

CREATE TRIGGER IF NOT EXISTS portcullis_limits_removed AFTER DELETE ON portcullis_limits BEGIN
  UPDATE portcullis_room SET keys = keys - 1;
END;
