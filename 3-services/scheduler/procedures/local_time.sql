-- A time by the clock of a time zone. Internal.
CREATE OR REPLACE FUNCTION os.local_time(at timestamptz, time_zone text) RETURNS timestamp
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN at AT TIME ZONE time_zone;
EXCEPTION WHEN invalid_parameter_value THEN
    RAISE EXCEPTION 'there is no time zone "%"', time_zone USING ERRCODE = 'TXS16', HINT = 'Write it as Europe/Berlin.';
END
$$;
