-- What one request takes from all its limits, or from none: one statement, which SQLite runs as one transaction that nobody else
-- writes in.
--
-- ?1: a JSON array of what is asked, each an array: count, key, key where there is no room (null for none), room, whether it is
-- enforced, units, and five parameters. ?2: the time in nanoseconds in tests; null for SQLite's own clock.
-- Answers a row for each: a JSON array of its place in ?1, 1 (admitted), 0 (refused) or -1 (cannot be counted), what remains,
-- nanoseconds to wait (null: for ever), a ticket, and 1 where it is counted with others.
WITH
asked AS MATERIALIZED (
  SELECT
    one.key AS ask, one.value ->> 0 AS count, one.value ->> 1 AS own, one.value ->> 2 AS overflow,
    one.value ->> 3 AS room, one.value ->> 4 AS is_enforced, one.value ->> 5 AS units,
    one.value ->> 6 AS p1, one.value ->> 7 AS p2, one.value ->> 8 AS p3, one.value ->> 9 AS p4
  FROM json_each(?1) AS one
),
moment AS MATERIALIZED (
  SELECT
    coalesce(?2, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000000) AS now,
    coalesce((SELECT keys FROM portcullis_room), 0) AS keys
),
placed AS MATERIALIZED (
  SELECT
    asked.*, now, now / 1000000000 AS seconds,
    keys < room OR EXISTS (SELECT 1 FROM portcullis_limits AS known WHERE known.key = own) AS is_own
  FROM asked, moment
),
known AS MATERIALIZED (
  SELECT
    placed.*, coalesce(CASE WHEN is_own THEN own ELSE overflow END, '') AS place,
    coalesce(known.a, 0) AS a, coalesce(known.b, 0) AS b, coalesce(known.c, 0) AS c,
    coalesce(known.idle, 0) AS idle
  FROM placed LEFT JOIN portcullis_limits AS known
    ON known.key = CASE WHEN is_own THEN own ELSE overflow END
),
-- A token bucket. a: when it will be full again. p1 to p3: interval, capacity, and that with what it may owe.
bucket_price AS (
  SELECT
    known.*, max(min(a - now, p3), 0) AS full_in,
    -- More than the bucket holds is more, however much; to multiply it could be too much to count.
    CASE WHEN units > p2 / p1 THEN p2 + 1 ELSE units * p1 END AS price
  FROM known WHERE count = 'bucket'
),
-- A quota. a: when its period ends, in seconds; b: what was used in it. p1: how much; p2 to p4: the ends of three periods.
quota_period AS (
  SELECT
    known.*, CASE WHEN a > seconds THEN b ELSE 0 END AS used,
    CASE WHEN p2 > seconds THEN p2 WHEN p3 > seconds THEN p3 WHEN p4 > seconds THEN p4 END AS ends
  FROM known WHERE count = 'quota'
),
-- How many are under way. a: in which span; b and c: places taken in the one before and in this one. p1: the most; p2: how long a
-- span is, in seconds.
concurrency_span AS (
  SELECT known.*, seconds / p2 AS span, seconds / p2 - a AS passed FROM known WHERE count = 'concurrency'
),
concurrency_now AS (
  SELECT
    concurrency_span.*,
    CASE passed WHEN -1 THEN a ELSE span END AS span_now,
    CASE WHEN passed IN (0, -1) THEN b WHEN passed = 1 THEN c ELSE 0 END AS before_now,
    CASE WHEN passed IN (0, -1) THEN c WHEN passed < -1 THEN b + c ELSE 0 END AS count_now
  FROM concurrency_span
),
-- Who is shut out. a: since when strikes are counted, or until when it is shut out; b: how many, 65535 where it is shut out; c: how
-- often it was. p1: for how long the first time; p2: at most.
judged (ask, place, is_own, is_enforced, now, admitted, remaining, wait, ticket, a, b, c, idle, a2, b2, c2, idle2)
AS MATERIALIZED (
  SELECT
    ask, place, is_own, is_enforced, now, full_in + price <= p2,
    CASE WHEN full_in + price <= p2 THEN (p2 - full_in - price) / p1 ELSE max(p2 - full_in, 0) / p1 END,
    CASE
      WHEN price > p2 THEN NULL
      WHEN full_in + price > p2 THEN full_in + price - p2
      ELSE max(p1 - (p2 - full_in - price), 0)
    END,
    0, a, b, c, idle,
    -- One that was refused stays as it is, unless a clock that was ahead has written it.
    CASE WHEN full_in + price <= p2 THEN now + full_in + price WHEN a - now - p3 > 1000000000 THEN now + full_in ELSE a END,
    0, 0,
    CASE WHEN full_in + price <= p2 THEN now + full_in + price WHEN a - now - p3 > 1000000000 THEN now + full_in ELSE a END
  FROM bucket_price
  UNION ALL
  SELECT
    ask, place, is_own, is_enforced, now,
    CASE WHEN ends IS NULL THEN -1 ELSE units <= max(p1 - used, 0) END,
    CASE WHEN units <= max(p1 - used, 0) THEN p1 - used - units ELSE max(p1 - used, 0) END,
    CASE WHEN units <= p1 THEN ends * 1000000000 - now END,
    coalesce(ends, 0), a, b, c, idle,
    CASE WHEN units <= max(p1 - used, 0) THEN ends ELSE a END,
    CASE WHEN units <= max(p1 - used, 0) THEN used + units ELSE b END,
    0,
    CASE WHEN units <= max(p1 - used, 0) THEN ends * 1000000000 ELSE idle END
  FROM quota_period
  UNION ALL
  SELECT
    ask, place, is_own, is_enforced, now, before_now + count_now < p1, max(p1 - before_now - count_now - 1, 0), 0,
    span_now, a, b, c, idle,
    CASE WHEN before_now + count_now < p1 THEN span_now ELSE a END,
    CASE WHEN before_now + count_now < p1 THEN before_now ELSE b END,
    CASE WHEN before_now + count_now < p1 THEN count_now + 1 ELSE c END,
    CASE WHEN before_now + count_now < p1 THEN (span_now + 2) * p2 * 1000000000 ELSE idle END
  FROM concurrency_now
  UNION ALL
  SELECT
    ask, place, is_own, is_enforced, now, NOT is_shut, 0, CASE WHEN is_shut THEN (a - seconds) * 1000000000 ELSE 0 END,
    0, a, b, c, idle, a, b, c, idle
  FROM (
    SELECT known.*, b = 65535 AND a > seconds AND a - seconds <= min(p1 << min(max(c - 1, 0), 17), p2) AS is_shut
    FROM known WHERE count = 'penalty'
  )
),
verdict AS MATERIALIZED (
  SELECT min(CASE WHEN admitted < 0 OR is_enforced THEN admitted ELSE 1 END) AS all_hold FROM judged
)
INSERT INTO portcullis_limits (key, a, b, c, idle, written, answer)
SELECT
  place,
  CASE WHEN all_hold = 1 OR admitted = 0 THEN a2 ELSE a END,
  CASE WHEN all_hold = 1 OR admitted = 0 THEN b2 ELSE b END,
  CASE WHEN all_hold = 1 OR admitted = 0 THEN c2 ELSE c END,
  CASE WHEN all_hold = 1 OR admitted = 0 THEN idle2 ELSE idle END,
  now,
  json_array(ask, admitted, remaining, wait, ticket, NOT is_own)
FROM judged, verdict
WHERE true
ON CONFLICT (key) DO UPDATE SET
  a = excluded.a, b = excluded.b, c = excluded.c, idle = excluded.idle, written = excluded.written, answer = excluded.answer
RETURNING answer
