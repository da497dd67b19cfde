-- A schedule submits nothing more; whether there was one.
CREATE OR REPLACE FUNCTION os.drop_cron(p int, cron_name text) RETURNS bool
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7301, p);
    DELETE FROM os.cron c WHERE c.p_key = p AND c.cron = cron_name;
    RETURN FOUND;
END
$$;
