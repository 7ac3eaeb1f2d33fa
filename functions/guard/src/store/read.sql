-- ?1: a JSON array of keys. A row for each that is there, and one without a name: the time in nanoseconds, and how many rows there are.
SELECT json_array(key, a, b, c, idle) FROM portcullis_limits
  WHERE key IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT json_array('', CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000000, keys, 0, 0) FROM portcullis_room
