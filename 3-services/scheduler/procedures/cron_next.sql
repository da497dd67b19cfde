-- The first time after another at which a schedule of five fields (minute, hour, day of month, month, day of week) is due, by the clock of
-- a time zone. Where both days are limited one of them is enough. A time that a clock leaves out comes when it goes on, one that it shows
-- twice comes once.
CREATE OR REPLACE FUNCTION os.cron_next(schedule text, time_zone text, after timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    fields text[] := regexp_split_to_array(btrim(schedule), '[ \t]+');
    minutes int[] := os.cron_field(fields[1], 0, 59);
    hours int[] := os.cron_field(fields[2], 0, 23);
    days int[] := os.cron_field(fields[3], 1, 31);
    months int[] := os.cron_field(fields[4], 1, 12, ARRAY['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']);
    weekdays int[] := os.cron_field(fields[5], 0, 7, ARRAY['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']);
    here timestamp;
    last timestamp;
    in_month bool;
    in_week bool;
BEGIN
    IF cardinality(fields) <> 5 OR minutes IS NULL OR hours IS NULL OR days IS NULL OR months IS NULL OR weekdays IS NULL THEN
        RAISE EXCEPTION 'invalid schedule "%"', schedule
            USING ERRCODE = 'TXS16', HINT = 'Five fields: minute, hour, day of month, month, day of week; as in "*/15 8-18 * * mon-fri".';
    END IF;
    here := os.local_time(after, time_zone);
    here := date_trunc('minute', here) + interval '1 minute';
    last := here + interval '9 years';
    WHILE here < last LOOP
        in_month := extract(day FROM here)::int = ANY (days);
        in_week := extract(dow FROM here)::int = ANY (weekdays) OR (extract(dow FROM here) = 0 AND 7 = ANY (weekdays));
        IF NOT extract(month FROM here)::int = ANY (months) THEN
            here := date_trunc('month', here) + interval '1 month';
        ELSIF NOT (CASE WHEN left(fields[3], 1) = '*' OR left(fields[5], 1) = '*' THEN in_month AND in_week ELSE in_month OR in_week END) THEN
            here := date_trunc('day', here) + interval '1 day';
        ELSIF NOT extract(hour FROM here)::int = ANY (hours) THEN
            here := date_trunc('hour', here) + interval '1 hour';
        ELSIF NOT extract(minute FROM here)::int = ANY (minutes) OR here AT TIME ZONE time_zone <= after THEN
            here := here + interval '1 minute';
        ELSE
            RETURN here AT TIME ZONE time_zone;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'schedule "%" is never due', schedule USING ERRCODE = 'TXS16', HINT = 'Its month has no such day.';
END
$$;
