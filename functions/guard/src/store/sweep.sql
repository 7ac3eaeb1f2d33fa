-- Two rows that have said nothing for a second, at the time ?1, and two that a clock has written that was two months ahead and has gone
-- back since. With each new row: so there are never many of them.
DELETE FROM portcullis_limits WHERE key IN
    (SELECT key FROM portcullis_limits WHERE idle <= ?1 - 1000000000 ORDER BY idle LIMIT 2)
  OR key IN
    (SELECT key FROM portcullis_limits WHERE idle > ?1 + 5184000000000000 ORDER BY idle DESC LIMIT 2)
