-- What comes after a request: one of its takes given back in part, charged or released; or a strike against who sent it.
--
-- ?1: a JSON array as in take.sql of give_back, charge, release or strike; the count; the key; room; units; five parameters; the ticket of
-- the take. ?2: as there. What a, b and c mean: see there, and of a penalty p1 to p5: strikes, in how long, for how long shut out the
-- first time and at most, and after how long it is forgotten.
WITH
asked AS MATERIALIZED (
  SELECT
    ?1 ->> 0 AS name, ?1 ->> 1 AS count, ?1 ->> 2 AS place, ?1 ->> 3 AS room, ?1 ->> 4 AS units,
    ?1 ->> 5 AS p1, ?1 ->> 6 AS p2, ?1 ->> 7 AS p3, ?1 ->> 8 AS p4, ?1 ->> 9 AS p5, ?1 ->> 10 AS ticket
),
moment AS MATERIALIZED (
  SELECT
    coalesce(?2, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000000) AS now,
    coalesce((SELECT keys FROM portcullis_room), 0) AS keys
),
known AS MATERIALIZED (
  SELECT
    asked.*, now, now / 1000000000 AS seconds, keys, known.key IS NOT NULL AS is_there,
    coalesce(known.a, 0) AS a, coalesce(known.b, 0) AS b, coalesce(known.c, 0) AS c,
    coalesce(known.idle, 0) AS idle
  FROM asked, moment LEFT JOIN portcullis_limits AS known ON known.key = place
),
concurrency AS (
  SELECT
    known.*,
    CASE seconds / p2 - a WHEN -1 THEN a ELSE seconds / p2 END AS span,
    CASE WHEN seconds / p2 - a IN (0, -1) THEN b WHEN seconds / p2 - a = 1 THEN c ELSE 0 END AS before,
    CASE WHEN seconds / p2 - a IN (0, -1) THEN c WHEN seconds / p2 - a < -1 THEN b + c ELSE 0 END AS during
  FROM known WHERE count = 'concurrency' AND name = 'release' AND is_there
),
released AS (
  SELECT
    concurrency.*,
    CASE WHEN ticket + 1 = span THEN max(before - 1, 0) ELSE before END AS b2,
    CASE WHEN ticket >= span THEN max(during - 1, 0) ELSE during END AS c2
  FROM concurrency WHERE ticket + 1 >= span
),
-- Of a penalty, what is not forgotten.
conduct AS (
  SELECT
    place, now, seconds, p1, p2, p3, p4, p5, idle > now AS is_known,
    CASE WHEN idle > now THEN a ELSE 0 END AS since,
    CASE WHEN idle > now THEN b ELSE 0 END AS strikes,
    CASE WHEN idle > now THEN c ELSE 0 END AS times
  FROM known WHERE count = 'penalty' AND name = 'strike' AND (is_there OR keys < room)
),
-- Requests that were under way when it was shut out do not count. What was counted long ago, or by a clock ahead, begins anew.
struck AS (
  SELECT
    conduct.*,
    strikes = 65535 OR seconds - since >= p2 OR since > seconds AS is_begun
  FROM conduct
  WHERE NOT (strikes = 65535 AND since > seconds AND since - seconds <= min(p3 << min(max(times - 1, 0), 17), p4))
),
counted AS (
  SELECT
    struck.*,
    CASE WHEN is_begun THEN seconds ELSE since END AS since_now,
    CASE WHEN is_begun THEN 1 ELSE strikes + 1 END AS strikes_now
  FROM struck
),
shut AS (
  SELECT
    counted.*, strikes_now >= p1 AS is_shut, min(times + 1, 65535) AS times_now,
    seconds + min(p3 << min(times, 17), p4) AS until
  FROM counted
)
INSERT INTO portcullis_limits (key, a, b, c, idle, written)
SELECT place, max(a - p1 * units, 0), 0, 0, max(a - p1 * units, 0), now
  FROM known WHERE count = 'bucket' AND name = 'give_back' AND is_there
UNION ALL
SELECT
  place,
  now + min(max(min(a - now, p3), 0) + p1 * min(units, p3 / p1 + 1), p3), 0, 0,
  now + min(max(min(a - now, p3), 0) + p1 * min(units, p3 / p1 + 1), p3), now
  FROM known WHERE count = 'bucket' AND name = 'charge'
UNION ALL
SELECT place, a, max(b - units, 0), 0, idle, now
  FROM known WHERE count = 'quota' AND name = 'give_back' AND is_there AND a = ticket
UNION ALL
SELECT
  place, CASE WHEN p2 > seconds THEN p2 WHEN p3 > seconds THEN p3 ELSE p4 END,
  min(CASE WHEN a > seconds THEN b ELSE 0 END + units, 9007199254740992), 0,
  CASE WHEN p2 > seconds THEN p2 WHEN p3 > seconds THEN p3 ELSE p4 END * 1000000000, now
  FROM known WHERE count = 'quota' AND name = 'charge' AND p4 > seconds
UNION ALL
SELECT place, span, b2, c2, CASE WHEN b2 + c2 = 0 THEN 0 ELSE (span + 2) * p2 * 1000000000 END, now FROM released
UNION ALL
SELECT
  place,
  CASE WHEN is_shut THEN until ELSE since_now END,
  CASE WHEN is_shut THEN 65535 ELSE strikes_now END,
  CASE WHEN is_shut THEN times_now ELSE times END,
  1000000000 * CASE WHEN is_shut THEN until + p5 WHEN times = 0 THEN seconds + p2 ELSE seconds + p5 END,
  now
  FROM shut
WHERE true
ON CONFLICT (key) DO UPDATE SET
  a = excluded.a, b = excluded.b, c = excluded.c, idle = excluded.idle, written = excluded.written
