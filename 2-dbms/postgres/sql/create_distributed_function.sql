-- Citus's create_distributed_function on a PostgreSQL without Citus: the same complaints, and nothing else to do.
CREATE OR REPLACE FUNCTION public.create_distributed_function(
    function_name regprocedure,
    distribution_arg_name text DEFAULT NULL,
    colocate_with text DEFAULT 'default',
    force_delegation boolean DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF distribution_arg_name IS NOT NULL
       AND distribution_arg_name !~ '^\$[0-9]+$'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p
                        WHERE p.oid = function_name AND distribution_arg_name = ANY (p.proargnames)) THEN
        RAISE EXCEPTION 'cannot distribute the function "%" since the distribution argument is not valid',
            (SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.oid = function_name)
            USING ERRCODE = 'invalid_function_definition',
                  HINT = 'To provide "distribution_arg_name" option, the distribution parameter should be a valid name or '
                         'positional parameter such as $1.';
    END IF;
END
$$
