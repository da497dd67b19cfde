-- Evaluates each line of standard input; `tests/record.sh` calls it.
set timezone = 'UTC';
create temp table cases (n serial, line text);
\copy cases (line) from pstdin with (format csv, delimiter e'\x01', quote e'\x02')
create function pg_temp.answers(line text) returns setof text language plpgsql as $$
declare
  query text := case when position(' FROM ' in line) > 0
    then 'select ' || split_part(line, ' FROM ', 1) || ' as e from unnest(' || split_part(line, ' FROM ', 2) || ') as x'
    else 'select ' || line || ' as e' end;
  detail text;
  hint text;
begin
  return query execute 'select replace(pg_typeof(e)::text || e''\t'' || '
    || 'coalesce(nullif(format(''%s'', e), ''''), case when e is null then ''NULL'' else '''' end), e''\n'', ''\n'') from (' || query || ') s';
exception when others then
  get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
  return next replace('ERROR' || e'\t' || sqlstate || e'\t' || sqlerrm || e'\t' || detail || e'\t' || hint, e'\n', '\n');
end $$;
select line || coalesce(e'\n' || (select string_agg('  ' || a, e'\n') from pg_temp.answers(line) a), '') from cases order by n;
