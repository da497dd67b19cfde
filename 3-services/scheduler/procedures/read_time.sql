-- The time that a text says. Internal.
CREATE OR REPLACE FUNCTION os.read_time(written text) RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
    RETURN written::timestamptz;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
    RAISE EXCEPTION 'start_at: "%" is no time', written USING ERRCODE = 'TXS07', HINT = 'Write it as 2026-12-31 08:00:00+00.';
END
$$;
