-- The schedules, of everybody.
SELECT c.cron, c.owner, c.schedule, c.time_zone, c.missed, c.paused, c.next_at, c.last_at, c.last_id
  FROM os.cron c
 ORDER BY c.owner, c.cron
